use super::*;
use crate::chat::{OwnCopy, SendTo, Sent};
use crate::dialect::fixtures::{
    CONVERSATION, MESSAGE, args, conversation, file, message, message_id, profile, request_error_of, user,
};
use crate::model::{ConversationKind, LastMessage, Listing, ListingId, MessageStatus};

const AT: Timestamp = Timestamp::from_millis(1_767_225_600_123);

fn decode(event: &str, json: &str) -> Result<Decoded, RequestError> {
    let entry = Conversation.events().iter().find(|entry| entry.name == event).unwrap();
    let mut asked = Asked { event: entry.name, ..Asked::default() };
    Conversation.decode(&mut asked, &args(json).unwrap())
}

fn command(event: &str, json: &str) -> Command {
    match decode(event, json) {
        Ok(Decoded::Command { command, own_copy: OwnCopy::None }) => command,
        other => panic!("{event} {json}: {other:?}"),
    }
}

fn short(text: &str) -> String {
    text.replace(CONVERSATION, "C").replace(MESSAGE, "M")
}

fn shown(event: &Event) -> String {
    let encoded = Conversation.encode(event).unwrap();
    short(&encoded.join("\u{1e}"))
}

#[test]
fn messages_are_understood() {
    let urls = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>();
    for (fields, draft) in [
        (r#""content":"hi""#, Draft { content: "hi".to_owned(), ..Draft::default() }),
        (
            r#""content":" ","type":"sticker","clientMessageId":7,"unknown":{}"#,
            Draft {
                content: " ".to_owned(),
                message_type: Some("sticker".to_owned()),
                client_message_id: Some("7".to_owned()),
                ..Draft::default()
            },
        ),
        (
            r#""content":"hi","type":null,"file":null,"attachments":null,"clientMessageId":null"#,
            Draft { content: "hi".to_owned(), ..Draft::default() },
        ),
        (
            r#""file":{"url":"/uploads/1.png","size":"huge"}"#,
            Draft { file_url: Some("/uploads/1.png".to_owned()), ..Draft::default() },
        ),
        (
            r#""content":"","attachments":[{"url":"/uploads/1.png"},{"url":"/uploads/2.png","filename":"b"}]"#,
            Draft { attachment_urls: urls(&["/uploads/1.png", "/uploads/2.png"]), ..Draft::default() },
        ),
        (r#""content":"hi","attachments":[]"#, Draft { content: "hi".to_owned(), ..Draft::default() }),
    ] {
        let json = format!(r#"{{"conversationId":"{CONVERSATION}",{fields}}}"#);
        assert_eq!(command("message:send", &json), Command::Send { to: SendTo::Conversation(conversation()), draft });
    }
}

#[test]
fn the_other_requests_are_understood() {
    let id = format!(r#"{{"conversationId":"{CONVERSATION}"}}"#);
    assert_eq!(command("message:read", &format!(r#"{{"messageId":"{MESSAGE}"}}"#)), Command::MarkRead { message: message_id() });
    assert_eq!(command("typing:start", &id), Command::Typing { conversation: conversation(), active: true });
    assert_eq!(command("typing:stop", &id), Command::Typing { conversation: conversation(), active: false });
    let text = format!("\"{CONVERSATION}\"");
    assert_eq!(
        command("conversation:join", &text),
        Command::OpenConversation { conversation: conversation(), groups_only: false }
    );
    assert_eq!(command("conversation:leave", &text), Command::LeaveConversation { conversation: conversation() });
    assert_eq!(decode("conversation:leave", "\"conv-123\""), Ok(Decoded::Done), "it always succeeds");
    for (json, status) in [
        ("\"online\"", ChosenStatus::Online),
        ("\"away\"", ChosenStatus::Away),
        ("\"busy\"", ChosenStatus::Busy),
        ("\"offline\"", ChosenStatus::Offline),
    ] {
        assert_eq!(command("user:status", json), Command::SetStatus { status });
    }
    assert_eq!(decode("authenticate", r#"{"token":"a.b.c"}"#), Ok(Decoded::Authenticate { token: "a.b.c".to_owned() }));
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    let many = format!(r#"{{"conversationId":"c","attachments":[{}]}}"#, vec![r#"{"url":"/u"}"#; 21].join(","));
    let long = format!(r#"{{"conversationId":"c","content":"hi","type":"{}"}}"#, "x".repeat(33));
    for (event, json, field) in [
        ("authenticate", "", "token"),
        ("authenticate", "{}", "token"),
        ("authenticate", r#"{"token":null}"#, "token"),
        ("authenticate", r#"{"token":""}"#, "token"),
        ("authenticate", r#"{"token":"\u0000"}"#, "token"),
        ("authenticate", "\"a.b.c\"", "payload"),
        ("message:send", "", "content"),
        ("message:send", "\"hi\"", "payload"),
        ("message:send", r#"{"content":"hi"}"#, "conversationId"),
        ("message:send", r#"{"conversationId":"","content":"hi"}"#, "conversationId"),
        ("message:send", r#"{"conversationId":{},"content":"hi"}"#, "conversationId"),
        ("message:send", r#"{"conversationId":1.5,"content":"hi"}"#, "conversationId"),
        ("message:send", r#"{"conversationId":"c"}"#, "content"),
        ("message:send", r#"{"conversationId":"c","content":"","attachments":[]}"#, "content"),
        ("message:send", r#"{"conversationId":"c","content":7}"#, "content"),
        ("message:send", r#"{"conversationId":"c","content":"\ud83d"}"#, "content"),
        ("message:send", r#"{"conversationId":"c","content":"hi","type":""}"#, "type"),
        ("message:send", r#"{"conversationId":"c","content":"hi","type":1}"#, "type"),
        ("message:send", &long, "type"),
        ("message:send", r#"{"conversationId":"c","file":"/uploads/1.png"}"#, "file"),
        ("message:send", r#"{"conversationId":"c","file":{}}"#, "file"),
        ("message:send", r#"{"conversationId":"c","attachments":{"url":"/u"}}"#, "attachments"),
        ("message:send", r#"{"conversationId":"c","attachments":["/u"]}"#, "attachments"),
        ("message:send", r#"{"conversationId":"c","attachments":[null]}"#, "attachments"),
        ("message:send", r#"{"conversationId":"c","attachments":[{}]}"#, "attachments"),
        ("message:send", r#"{"conversationId":"c","attachments":[{"url":"\u0000"}]}"#, "attachments"),
        ("message:send", &many, "attachments"),
        ("message:send", r#"{"conversationId":"c","content":"hi","clientMessageId":[]}"#, "clientMessageId"),
        ("message:read", "", "messageId"),
        ("message:read", r#"{"messageId":true}"#, "messageId"),
        ("typing:start", "{}", "conversationId"),
        ("typing:stop", r#"{"conversationId":[]}"#, "conversationId"),
        ("conversation:join", "", "conversationId"),
        ("conversation:join", "[]", "conversationId"),
        ("conversation:leave", "null", "conversationId"),
        ("conversation:leave", "\"\\ud800\"", "conversationId"),
        ("user:status", "", "status"),
        ("user:status", "\"asleep\"", "status"),
        ("user:status", "\"Online\"", "status"),
        ("user:status", "{\"status\":\"away\"}", "status"),
        ("user:status", "1", "status"),
    ] {
        assert_eq!(decode(event, json), Err(request_error_of(field, json)), "{event} {json}");
    }
}

#[test]
fn a_token_that_is_no_text_will_not_do() {
    for json in [r#"{"token":7}"#, r#"{"token":{}}"#, r#"{"token":["a.b.c"]}"#] {
        assert_eq!(decode("authenticate", json), Err(ChatError::InvalidToken.into()), "{json}");
    }
}

#[test]
fn ids_that_we_never_give_out_are_unknown() {
    for (event, json, error) in [
        ("message:send", r#"{"conversationId":"conv-123","content":"hi"}"#, ChatError::ConversationNotFound),
        ("message:read", r#"{"messageId":"msg-456"}"#, ChatError::MessageNotFound),
        ("typing:start", r#"{"conversationId":"conv-123"}"#, ChatError::ConversationNotFound),
        ("conversation:join", "\"conv-123\"", ChatError::ConversationNotFound),
        ("conversation:join", "7", ChatError::ConversationNotFound),
    ] {
        assert_eq!(decode(event, json), Err(error.into()), "{event} {json}");
    }
}

#[test]
fn refusals_are_worded() {
    let error =
        |event, request_error: &RequestError| Conversation.encode_refusal(&Asked { event, ..Asked::default() }, request_error);
    assert_eq!(
        error("message:send", &ChatError::NotAMember.into()),
        r#"42["error",{"message":"Not a member","error":"Not a member","code":"FORBIDDEN","event":"message:send"}]"#
    );
    assert_eq!(
        error("conversation:join", &ChatError::ConversationNotFound.into()),
        r#"42["error",{"message":"Not a member","error":"Not a member","code":"FORBIDDEN","event":"conversation:join"}]"#
    );
    let asked = Asked { event: "authenticate", ..Asked::default() };
    assert_eq!(
        Conversation.encode_refusal_ack(&asked, &ChatError::InvalidToken.into()),
        r#"{"success":false,"error":"Invalid token","code":"INVALID_TOKEN"}"#
    );
}

const PLAIN: &str =
    r#""id":"M","conversationId":"C","senderId":"ann","content":"hi","type":"text","timestamp":"2026-01-01T00:00:00.123Z""#;
const FILE: &str = r#"{"url":"/uploads/a.png","filename":"a.png","size":7,"mimetype":"image/png","messageType":"image"}"#;

#[test]
fn messages_are_shown_whole() {
    let plain: std::sync::Arc<_> = message("ann", "hi").into();
    for kind in [ConversationKind::Direct, ConversationKind::Group, ConversationKind::Ai] {
        let event = Event::Message { message: plain.clone(), kind, recipient: None };
        assert_eq!(shown(&event), format!(r#"42["message:new",{{{PLAIN}}}]"#));
    }
    let kind = ConversationKind::Direct;
    assert_eq!(
        shown(&Event::MessageUpdated { message: plain, kind, recipient: None }),
        format!(r#"42["message:updated",{{{PLAIN},"updatedAt":"2026-01-01T00:00:00.124Z"}}]"#)
    );
    let full = Message {
        message_type: "sticker".to_owned(),
        file: Some(file("a")),
        attachments: vec![file("a")],
        client_message_id: Some("c1".to_owned()),
        listing: Some(Listing { id: ListingId::parse("l1").unwrap(), title: None }),
        ..message("ann", "hi")
    };
    let plain = PLAIN.replace("text", "sticker");
    assert_eq!(
        shown(&Event::Message { message: full.into(), kind, recipient: Some(profile("bob")) }),
        format!(r#"42["message:new",{{{plain},"file":{FILE},"attachments":[{FILE}],"clientMessageId":"c1"}}]"#)
    );
}

#[test]
fn conversations_are_shown_whole() {
    let group = Model {
        id: conversation(),
        kind: ConversationKind::Group,
        name: Some("Team".to_owned()),
        avatar: Some("/t.png".to_owned()),
        admin: Some(user("ann")),
        participants: vec![user("ann"), user("bob")],
        last_message: Some(LastMessage {
            content: "File".to_owned(),
            sender: user("bob"),
            timestamp: AT,
            message_type: "image".to_owned(),
        }),
        last_seq: 4,
        created_at: AT,
        updated_at: AT,
    };
    let direct =
        Model { kind: ConversationKind::Direct, name: None, avatar: None, admin: None, last_message: None, ..group.clone() };
    let at = r#""createdAt":"2026-01-01T00:00:00.123Z","updatedAt":"2026-01-01T00:00:00.123Z""#;
    let last = r#"{"content":"File","sender":"bob","timestamp":"2026-01-01T00:00:00.123Z","messageType":"image"}"#;
    assert_eq!(
        shown(&Event::ConversationChanged(group.into())),
        format!(
            r#"42["conversation:updated",{{"id":"C","type":"group","name":"Team","avatar":"/t.png","participants":["ann","bob"],"admin":"ann","lastMessage":{last},{at}}}]"#
        )
    );
    assert_eq!(
        shown(&Event::ConversationChanged(direct.into())),
        format!(
            r#"42["conversation:updated",{{"id":"C","type":"direct","name":null,"avatar":null,"participants":["ann","bob"],"admin":null,"lastMessage":null,{at}}}]"#
        )
    );
}

#[test]
fn the_other_events_are_shown_whole() {
    let (message, conversation) = (message_id(), conversation());
    let delivered = |users: &[&str], client_message_id: Option<&str>, at_once| Event::Delivered {
        message,
        conversation,
        users: users.iter().map(|id| user(id)).collect(),
        delivered_at: AT,
        client_message_id: client_message_id.map(str::to_owned),
        at_once,
    };
    let notification = |data: Option<&str>| {
        let id = NotificationId::from_uuid(*message.as_uuid());
        Event::Notification(
            Notification {
                id,
                user: user("bob"),
                kind: "message".to_owned(),
                message: "New message from ANN".to_owned(),
                data: data.map(str::to_owned),
                read: false,
                created_at: AT,
            }
            .into(),
        )
    };
    for (event, expected) in [
        (
            Event::Connected { user: user("ann"), socket: SocketId::parse("0123456789abcdefghij").unwrap(), token: None },
            r#"42["connected",{"userId":"ann","socketId":"0123456789abcdefghij"}]"#,
        ),
        (
            Event::MessageDeleted { message, conversation, kind: ConversationKind::Direct, deleted_at: AT },
            r#"42["message:deleted",{"messageId":"M","conversationId":"C"}]"#,
        ),
        (
            delivered(&["bob"], Some("x"), true),
            r#"42["message:delivered",{"messageId":"M","conversationId":"C","userId":"bob","deliveredAt":"2026-01-01T00:00:00.123Z","clientMessageId":"x"}]"#,
        ),
        (
            delivered(&["bob", "cid"], None, false),
            concat!(
                r#"42["message:delivered",{"messageId":"M","conversationId":"C","userId":"bob","deliveredAt":"2026-01-01T00:00:00.123Z"}]"#,
                "\x1e",
                r#"42["message:delivered",{"messageId":"M","conversationId":"C","userId":"cid","deliveredAt":"2026-01-01T00:00:00.123Z"}]"#
            ),
        ),
        (
            Event::Read { message, conversation, user: user("bob"), read_at: AT },
            r#"42["message:read",{"messageId":"M","conversationId":"C","userId":"bob","readAt":"2026-01-01T00:00:00.123Z"}]"#,
        ),
        (
            Event::Typing { user: profile("bob"), conversation, active: true },
            r#"42["typing:start",{"userId":"bob","conversationId":"C"}]"#,
        ),
        (
            Event::Typing { user: profile("bob"), conversation, active: false },
            r#"42["typing:stop",{"userId":"bob","conversationId":"C"}]"#,
        ),
        (
            Event::Presence(vec![
                PresenceChange::Online { user: profile("bob"), status: ChosenStatus::Online, came: true },
                PresenceChange::Online { user: profile("eve"), status: ChosenStatus::Away, came: false },
                PresenceChange::Offline { user: user("ann"), last_seen: AT },
            ]),
            concat!(
                "42[\"user:online\",{\"userId\":\"bob\",\"status\":\"online\"}]\x1e",
                "42[\"user:online\",{\"userId\":\"eve\",\"status\":\"away\"}]\x1e",
                "42[\"user:offline\",{\"userId\":\"ann\",\"lastSeen\":\"2026-01-01T00:00:00.123Z\"}]"
            ),
        ),
        (Event::ConversationDeleted { conversation }, r#"42["conversation:deleted",{"conversationId":"C"}]"#),
        (
            notification(Some(r#"{"conversationId":"x"}"#)),
            r#"42["notification:new",{"id":"M","type":"message","message":"New message from ANN","data":{"conversationId":"x"},"createdAt":"2026-01-01T00:00:00.123Z","read":false}]"#,
        ),
        (
            notification(None),
            r#"42["notification:new",{"id":"M","type":"message","message":"New message from ANN","data":null,"createdAt":"2026-01-01T00:00:00.123Z","read":false}]"#,
        ),
    ] {
        assert_eq!(shown(&event), expected);
    }
}

#[test]
fn there_are_no_words_for_the_rest() {
    for event in [
        Event::RoomMessage { message: message("ann", "hi").into(), shown_as: "1".into() },
        Event::GroupOpened { user: profile("bob"), conversation: conversation(), opened: true },
    ] {
        assert_eq!(Conversation.encode(&event), None, "{event:?}");
    }
}

#[test]
fn acks_say_what_became_of_it() {
    let ack = |event, reply| short(&Conversation.encode_ack(&Asked { event, ..Asked::default() }, reply));
    let message = message("ann", "hi").into();
    let sent = Reply::Sent(Sent { message, recipient: None, status: MessageStatus::Delivered, name: None });
    assert_eq!(ack("message:send", &sent), format!(r#"{{"success":true,{PLAIN}}}"#));
    assert_eq!(ack("conversation:join", &Reply::Done), r#"{"success":true}"#);
    assert_eq!(ack("authenticate", &Reply::Renewed { expires_at: None }), r#"{"success":true}"#);
}
