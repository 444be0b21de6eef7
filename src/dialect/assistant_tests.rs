use super::*;
use crate::chat::{ModelError, SendTo, Sent};
use crate::dialect::fixtures::{args, message, message_id, profile, request_error_of, user};
use crate::model::{Message, MessageStatus};

fn decode(json: &str) -> (Asked, Result<Decoded, RequestError>) {
    let mut asked = Asked { event: "ai-message", ..Asked::default() };
    let decoded = Assistant.decode(&mut asked, &args(json).unwrap());
    (asked, decoded)
}

fn shown(event: &Event) -> Option<String> {
    Assistant.encode(event).map(|packets| packets.join("\u{1e}"))
}

fn answered(role: Role, kind: ConversationKind) -> Event {
    let message = Message { role, chat: Some(r#"{"id":7}"#.into()), ..message("model", "Hi") };
    Event::Message { message: message.into(), kind, recipient: Some(profile("ann")) }
}

#[test]
fn questions_are_understood() {
    for (json, chat, shown_as, stream) in [
        (r#"{"chatId":"c","content":"Hi"}"#, "c", r#""c""#, false),
        (r#"{"chatId":7,"content":"Hi"}"#, "7", r#""7""#, false),
        (r#"{"chatId":"c","content":"Hi","chat":{"id":7},"stream":true}"#, "c", r#"{"id":7}"#, true),
        (r#"{"chatId":"c","content":"Hi","chat":null,"stream":false}"#, "c", r#""c""#, false),
        (r#"{"chatId":"c","content":"Hi","chat":0}"#, "c", "0", false),
        (r#"{"content":"Hi","chat":"c"}"#, "c", r#""c""#, false),
        (r#"{"content":"Hi","chatId":null,"chat":"c"}"#, "c", r#""c""#, false),
    ] {
        let (asked, decoded) = decode(json);
        let draft = Draft { content: "Hi".to_owned(), ..Draft::default() };
        let command = Command::Send { to: SendTo::Model { chat: chat.to_owned(), shown_as: shown_as.into(), stream }, draft };
        assert_eq!(decoded, Ok(command.into()), "{json}");
        let reply =
            Reply::Sent(Sent { message: message("ann", "Hi").into(), recipient: None, status: MessageStatus::Sent, name: None });
        assert_eq!(Assistant.encode_ack(&asked, &reply), format!(r#"{{"success":true,"chat":{shown_as}}}"#));
        assert_eq!(Assistant.encode_reply(&asked, &reply), None, "the answer comes when there is one");
    }
}

#[test]
fn what_is_malformed_is_refused_with_the_chat_as_far_as_it_is_known() {
    let long = format!(r#"{{"content":"Hi","chatId":"{}"}}"#, "x".repeat(201));
    for (json, field, chat) in [
        ("", "chatId", "null"),
        (r#""Hi""#, "payload", "null"),
        (r#"{"content":"Hi"}"#, "chatId", "null"),
        (r#"{"content":"Hi","chat":7}"#, "chatId", "7"),
        (r#"{"content":"Hi","chat":""}"#, "chat", r#""""#),
        (r#"{"content":"Hi","chatId":"","chat":"c"}"#, "chatId", r#""c""#),
        (r#"{"content":"Hi","chatId":1.5}"#, "chatId", "null"),
        (&long, "chatId", "null"),
        (r#"{"chatId":"c"}"#, "content", r#""c""#),
        (r#"{"chatId":"c","content":""}"#, "content", r#""c""#),
        (r#"{"chatId":"c","content":7,"chat":[1]}"#, "content", "[1]"),
        (r#"{"chatId":"c","content":"Hi","stream":"yes"}"#, "stream", r#""c""#),
        (r#"{"chatId":"c","content":"Hi","clientMessageId":""}"#, "clientMessageId", r#""c""#),
        (r#"{"chatId":"c","content":"a\u0000"}"#, "content", r#""c""#),
    ] {
        let (asked, decoded) = decode(json);
        let request_error = decoded.unwrap_err();
        assert_eq!(request_error, request_error_of(field, json), "{json}");
        let sentence = request_error.sentence();
        let words = format!(r#""message":"{sentence}","error":"{sentence}","code":"INVALID_PAYLOAD""#);
        assert_eq!(Assistant.encode_refusal(&asked, &request_error), format!(r#"42["ai-error",{{"chat":{chat},{words}}}]"#));
        assert_eq!(
            Assistant.encode_apology(&asked, &request_error, "Sorry.").unwrap(),
            format!(r#"42["ai-response",{{"chat":{chat},"content":"Sorry.","error":true,"code":"INVALID_PAYLOAD"}}]"#)
        );
    }
    let huge = format!(r#"{{"chatId":"c","content":"Hi","chat":"{}"}}"#, "x".repeat(CHAT_MAX_BYTES));
    assert_eq!(decode(&huge).1, Err(ChatError::TooLarge("the chat").into()));
}

#[test]
fn answers_are_shown_and_nothing_else() {
    let answer = answered(Role::Model, ConversationKind::Ai);
    assert_eq!(shown(&answer).unwrap(), r#"42["ai-response",{"chat":{"id":7},"content":"Hi"}]"#);
    let piece = Event::AnswerPiece { chat: r#""c""#.into(), delta: "Hi".to_owned(), done: false };
    assert_eq!(shown(&piece).unwrap(), r#"42["ai-response-chunk",{"chat":"c","delta":"Hi","done":false}]"#);
    for event in [
        answered(Role::User, ConversationKind::Ai),
        answered(Role::Model, ConversationKind::Direct),
        Event::Read {
            message: message_id(),
            conversation: super::super::fixtures::conversation(),
            user: user("ann"),
            read_at: Default::default(),
        },
    ] {
        assert_eq!(shown(&event), None, "{event:?}");
    }
}

#[test]
fn a_failure_is_shown_and_to_a_front_end_that_does_not_know_it_as_an_answer() {
    let retry_after = Some(std::time::Duration::from_millis(1_500));
    for (error, words) in [
        (
            ModelError::Timeout,
            r#""message":"The model did not answer in time, try again","error":"The model did not answer in time, try again","code":"MODEL_TIMEOUT""#,
        ),
        (
            ModelError::Busy { retry_after },
            r#""message":"Too many questions wait for the model, try again later","error":"Too many questions wait for the model, try again later","code":"MODEL_BUSY","retryAfterMs":1500"#,
        ),
    ] {
        let event = Event::AnswerFailed { chat: r#""c""#.into(), error: error.into(), error_id: None };
        assert_eq!(shown(&event).unwrap(), format!(r#"42["ai-error",{{"chat":"c",{words}}}]"#));
    }
    let apology = Event::Apology { chat: "7".into(), text: "Sorry.".into(), code: "MODEL_FAILED" };
    assert_eq!(shown(&apology).unwrap(), r#"42["ai-response",{"chat":7,"content":"Sorry.","error":true,"code":"MODEL_FAILED"}]"#);
    assert!(Assistant.shows(&apology, &user("ann"), false) && !Assistant.shows(&apology, &user("ann"), true));
}

#[test]
fn a_refused_connect_reads_as_the_front_end_knows_it() {
    for (refusal, sentence) in [
        (AuthError::NoToken, Some("Authentication error : No token provided")),
        (AuthError::InvalidToken, Some("Authentication error : Invalid token")),
        (AuthError::TokenExpired, Some("Authentication error : Invalid token")),
        (AuthError::UserNotFound, None),
    ] {
        assert_eq!(Assistant.connect_sentence(refusal), sentence);
    }
}
