use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::chat::{SendTo, Sent};
use crate::dialect::fixtures::{
    CONVERSATION, MESSAGE, args, conversation, file, message, message_id, profile, request_error_of, user,
};
use crate::model::{Conversation, ConversationKind, LastMessage, Listing, ListingId, MessageStatus, Role};

const AT: Timestamp = Timestamp::from_millis(1_767_225_600_125);

fn asked(event: &'static str) -> Asked {
    Asked { event, at: AT, ..Asked::default() }
}

fn decode(event: &'static str, json: &str) -> Result<Decoded, RequestError> {
    assert!(EVENTS.iter().any(|entry| entry.name == event));
    Agent.decode(&mut asked(event), &args(json).unwrap())
}

fn text_of(encoded: &[String]) -> String {
    shortened(&encoded.join("\u{1e}"))
}

fn shortened(text: &str) -> String {
    text.replace(CONVERSATION, "C").replace(MESSAGE, "M")
}

fn draft(content: &str) -> Draft {
    Draft { content: content.to_owned(), ..Draft::default() }
}

#[test]
fn messages_name_their_target() {
    let sent = |json: &str| match decode("message:send", json) {
        Ok(Decoded::Command { command, own_copy: OwnCopy::Held }) => command,
        other => panic!("{json}: {other:?}"),
    };
    let to = |name: &str, recipient: Option<&str>, draft| Command::Send {
        to: SendTo::Named { name: name.to_owned(), recipient: recipient.map(user) },
        draft,
    };
    for (json, command) in [
        (r#"{"targetUserId":"bob","content":"hi"}"#, Command::Send { to: SendTo::User(user("bob")), draft: draft("hi") }),
        (
            r#"{"conversationId":null,"targetUserId":7,"content":"hi","attachments":null}"#,
            Command::Send { to: SendTo::User(user("7")), draft: draft("hi") },
        ),
        (r#"{"conversationId":"conv_123","targetUserId":"bob","content":"hi"}"#, to("conv_123", Some("bob"), draft("hi"))),
        (r#"{"conversationId":"conv 123 é","targetUserId":null,"content":"hi"}"#, to("conv 123 é", None, draft("hi"))),
        (r#"{"conversationId":42,"content":"hi","attachments":[],"type":"image","x":1}"#, to("42", None, draft("hi"))),
        (
            r#"{"conversationId":"c","attachments":[{"url":"/uploads/1.png","size":"?"},{"url":"/uploads/2.png"}],"clientMessageId":5}"#,
            to(
                "c",
                None,
                Draft {
                    attachment_urls: vec!["/uploads/1.png".to_owned(), "/uploads/2.png".to_owned()],
                    client_message_id: Some("5".to_owned()),
                    ..Draft::default()
                },
            ),
        ),
    ] {
        assert_eq!(sent(json), command, "{json}");
    }
}

#[test]
fn lists_are_asked_for_with_anything_or_nothing() {
    for json in ["{}", "", "null", r#"{"page":2}"#] {
        for (event, command) in [
            ("notification:get", Command::ListNotifications { limit: 100 }),
            ("connection:get", Command::ListConnections { limit: 1_000 }),
            ("conversation:get", Command::ListConversations),
        ] {
            assert_eq!(decode(event, json), Ok(command.into()), "{event} {json}");
        }
    }
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    let files = |count: usize| {
        let files = vec![r#"{"url":"/uploads/1.png"}"#; count].join(",");
        format!(r#"{{"conversationId":"c","attachments":[{files}]}}"#)
    };
    assert!(decode("message:send", &files(20)).is_ok());
    assert_eq!(decode("message:send", &files(21)), Err(RequestError::Field("attachments".into())));
    let long = format!(r#"{{"conversationId":"{}","content":"hi"}}"#, "x".repeat(201));
    assert_eq!(decode("message:send", &long), Err(RequestError::Field("conversationId".into())));
    for (event, json, field) in [
        ("message:send", "", "conversationId"),
        ("message:send", "[]", "payload"),
        ("message:send", r#""conv_123""#, "payload"),
        ("message:send", r#"{"content":"hi"}"#, "conversationId"),
        ("message:send", r#"{"conversationId":"","content":"hi"}"#, "conversationId"),
        ("message:send", r#"{"conversationId":{},"content":"hi"}"#, "conversationId"),
        ("message:send", r#"{"conversationId":-1,"content":"hi"}"#, "conversationId"),
        ("message:send", r#"{"targetUserId":"","content":"hi"}"#, "targetUserId"),
        ("message:send", r#"{"targetUserId":"a\u200bb","content":"hi"}"#, "targetUserId"),
        ("message:send", r#"{"conversationId":"c","targetUserId":["bob"],"content":"hi"}"#, "targetUserId"),
        ("message:send", r#"{"conversationId":"c"}"#, "content"),
        ("message:send", r#"{"conversationId":"c","content":"","attachments":[]}"#, "content"),
        ("message:send", r#"{"conversationId":"c","content":["hi"]}"#, "content"),
        ("message:send", r#"{"conversationId":"c","content":"a\u0000"}"#, "content"),
        ("message:send", r#"{"conversationId":"\ud800","content":"a"}"#, "conversationId"),
        ("message:send", r#"{"conversationId":"c","content":"hi","attachments":{}}"#, "attachments"),
        ("message:send", r#"{"conversationId":"c","content":"hi","attachments":[null]}"#, "attachments"),
        ("message:send", r#"{"conversationId":"c","content":"hi","attachments":["/uploads/1.png"]}"#, "attachments"),
        ("message:send", r#"{"conversationId":"c","content":"hi","attachments":[{"url":""}]}"#, "attachments"),
        ("message:send", r#"{"conversationId":"c","content":"hi","clientMessageId":""}"#, "clientMessageId"),
        ("conversation:get", "[]", "payload"),
        ("connection:get", "7", "payload"),
        ("notification:get", r#"{"x":"\u0000"}"#, "x"),
    ] {
        assert_eq!(decode(event, json), Err(request_error_of(field, json)), "{event} {json}");
    }
}

#[test]
fn a_shared_request_is_carried_out_here_where_it_has_a_target() {
    for (event, json, is_ours) in [
        ("message:send", r#"{"targetUserId":"bob"}"#, true),
        ("message:send", r#"{"targetUserId":[],"conversationId":"c"}"#, true),
        ("message:send", r#"{"targetUserId":null,"conversationId":"c"}"#, false),
        ("message:send", r#"{"conversationId":"c"}"#, false),
        ("message:send", "[]", false),
        ("conversation:get", r#"{"targetUserId":"bob"}"#, false),
    ] {
        assert_eq!(Agent.takes_precedence(event, &args(json).unwrap()), is_ours, "{event} {json}");
    }
}

const DATA: &str = concat!(
    r#"{"_id":"M","conversationId":"C","sender":"user","senderId":"ann","content":"hi","attachments":[],"#,
    r#""senderInfo":{"userId":"ann","email":"ann@example.org","role":"user"},"createdAt":"2026-01-01T00:00:00.123Z"}"#
);

fn receive(data: &str) -> String {
    format!(r#"42["message:receive",{{"success":true,"data":{data},"timestamp":"2026-01-01T00:00:00.123Z"}}]"#)
}

#[test]
fn messages_are_shown_whole_and_to_each_by_the_own_name() {
    let message = Arc::new(message("ann", "hi"));
    for kind in [ConversationKind::Direct, ConversationKind::Ai, ConversationKind::Group] {
        let event = Event::Message { message: message.clone(), kind, recipient: Some(profile("bob")) };
        assert_eq!(text_of(&Agent.encode(&event).unwrap()), receive(DATA));
        let named = Agent.encode_named(&event, "conv \"1\"").unwrap();
        assert_eq!(text_of(&named), receive(&DATA.replace("\"C\"", r#""conv \"1\"""#)));
    }
}

#[test]
fn what_a_message_may_carry_is_shown() {
    let view = |change: &dyn Fn(&mut Message)| {
        let mut message = message("model", "hi");
        change(&mut message);
        serde_json::to_value(MessageView::new(&message, None).unwrap()).unwrap()
    };
    let carrying = view(&|message| {
        message.role = Role::Model;
        message.file = Some(file("a"));
        message.attachments = vec![file("b")];
        message.listing = Some(Listing { id: ListingId::parse("flat-7").unwrap(), title: None });
        message.client_message_id = Some("c1".to_owned());
        let mut model = (*message.sender).clone();
        model.email = None;
        message.sender = model.into();
    });
    let file = |name: &str| {
        serde_json::json!({
            "url": format!("/uploads/{name}.png"), "filename": format!("{name}.png"), "size": 7, "mimetype": "image/png",
            "messageType": "image",
        })
    };
    assert_eq!(
        carrying,
        serde_json::json!({
            "_id": MESSAGE, "conversationId": CONVERSATION, "sender": "model", "senderId": "model", "content": "hi",
            "attachments": [file("a"), file("b")], "senderInfo": {"userId": "model", "email": null, "role": "user"},
            "createdAt": "2026-01-01T00:00:00.123Z",
        })
    );
}

#[test]
fn edits_and_deletions_have_words_of_their_own() {
    let updated = Event::MessageUpdated { message: message("ann", "hi").into(), kind: ConversationKind::Direct, recipient: None };
    let data = DATA.replace(r#":00.123Z"}"#, r#":00.123Z","updatedAt":"2026-01-01T00:00:00.124Z"}"#);
    let expected = format!(r#"42["message:updated",{{"success":true,"data":{data},"timestamp":"2026-01-01T00:00:00.124Z"}}]"#);
    assert_eq!(text_of(&Agent.encode(&updated).unwrap()), expected);
    let named = Agent.encode_named(&updated, "conv_1").unwrap();
    assert_eq!(text_of(&named), expected.replace("\"C\"", "\"conv_1\""));

    let (message, conversation) = (message_id(), conversation());
    let deleted = Event::MessageDeleted { message, conversation, kind: ConversationKind::Direct, deleted_at: AT };
    let expected = concat!(
        r#"42["message:deleted",{"success":true,"data":{"_id":"M","conversationId":"C"},"#,
        r#""timestamp":"2026-01-01T00:00:00.125Z"}]"#
    );
    assert_eq!(text_of(&Agent.encode(&deleted).unwrap()), expected);
    let named = Agent.encode_named(&deleted, "conv_1").unwrap();
    assert_eq!(text_of(&named), expected.replace("\"C\"", "\"conv_1\""));
}

#[test]
fn there_are_no_words_for_the_rest() {
    let (message, conversation) = (message_id(), conversation());
    for event in [
        Event::RoomMessage { message: crate::dialect::fixtures::message("ann", "hi").into(), shown_as: "1".into() },
        Event::Read { message, conversation, user: user("bob"), read_at: AT },
        Event::Typing { user: profile("bob"), conversation, active: true },
        Event::Presence(Vec::new()),
        Event::ConversationDeleted { conversation },
    ] {
        assert_eq!(Agent.encode(&event), None, "{event:?}");
        assert_eq!(Agent.encode_named(&event, "conv_1"), None, "{event:?}");
    }
}

/// Returns the event that answers a request; asserts that it equals the ack.
fn answered(event: &'static str, reply: &Reply) -> String {
    let (ack, packet) = (Agent.encode_ack(&asked(event), reply), Agent.encode_reply(&asked(event), reply).unwrap());
    assert_eq!(packet, format!(r#"42["{}",{ack}]"#, answer_to(event)));
    shortened(&packet)
}

#[test]
fn notifications_are_answered_in_an_envelope() {
    let notification = |kind: &str, data: Option<&str>, read| Notification {
        id: NotificationId::from_uuid(*message_id().as_uuid()),
        user: user("ann"),
        kind: kind.to_owned(),
        message: "New message from Bob".to_owned(),
        data: data.map(str::to_owned),
        read,
        created_at: AT,
    };
    let reply = Reply::Notifications(vec![
        notification("message", Some(r#"{"senderId":"bob","n":[1]}"#), false),
        notification("note", None, true),
    ]);
    assert_eq!(
        answered("notification:get", &reply),
        concat!(
            r#"42["notification:receive",{"success":true,"data":["#,
            r#"{"_id":"M","type":"message","message":"New message from Bob","data":{"senderId":"bob","n":[1]},"read":false,"#,
            r#""createdAt":"2026-01-01T00:00:00.125Z"},"#,
            r#"{"_id":"M","type":"note","message":"New message from Bob","data":null,"read":true,"#,
            r#""createdAt":"2026-01-01T00:00:00.125Z"}],"timestamp":"2026-01-01T00:00:00.125Z"}]"#
        )
    );
}

#[test]
fn connections_are_answered_with_their_number() {
    let socket = SocketId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    assert_eq!(
        answered("connection:get", &Reply::Connections { connections: vec![(profile("bob"), socket)], total: 5 }),
        concat!(
            r#"42["connection:receive",{"success":true,"data":[{"userId":"bob","socketId":"AAAAAAAAAAAAAAAAAAAA"}],"#,
            r#""totalConnections":5,"timestamp":"2026-01-01T00:00:00.125Z"}]"#
        )
    );
}

#[test]
fn conversations_are_answered_by_the_requesters_names() {
    let direct = Overview {
        conversation: Conversation {
            id: conversation(),
            kind: ConversationKind::Direct,
            name: None,
            avatar: None,
            admin: None,
            participants: vec![user("ann"), user("bob")],
            last_message: Some(LastMessage {
                content: "hi".to_owned(),
                sender: user("bob"),
                timestamp: AT,
                message_type: "text".to_owned(),
            }),
            last_seq: 3,
            created_at: AT,
            updated_at: AT,
        },
        members: vec![profile("ann"), profile("bob")],
        unread: 2,
        name: Some("conv_1".into()),
    };
    let group = Overview {
        conversation: Conversation {
            kind: ConversationKind::Group,
            name: Some("Team".to_owned()),
            avatar: Some("/t.png".to_owned()),
            admin: Some(user("ann")),
            last_message: None,
            ..direct.conversation.clone()
        },
        members: Vec::new(),
        unread: 0,
        name: None,
    };
    assert_eq!(
        answered("conversation:get", &Reply::Conversations(vec![direct, group])),
        concat!(
            r#"42["conversation:receive",{"success":true,"data":["#,
            r#"{"_id":"conv_1","type":"direct","name":null,"avatar":null,"participants":["#,
            r#"{"userId":"ann","username":"ANN","email":"ann@example.org","role":"user"},"#,
            r#"{"userId":"bob","username":"BOB","email":"bob@example.org","role":"user"}],"#,
            r#""lastMessage":{"content":"hi","sender":"bob","timestamp":"2026-01-01T00:00:00.125Z","messageType":"text"},"#,
            r#""unreadCount":2,"createdAt":"2026-01-01T00:00:00.125Z","updatedAt":"2026-01-01T00:00:00.125Z"},"#,
            r#"{"_id":"C","type":"group","name":"Team","avatar":"/t.png","participants":[],"lastMessage":null,"#,
            r#""unreadCount":0,"createdAt":"2026-01-01T00:00:00.125Z","updatedAt":"2026-01-01T00:00:00.125Z"}],"#,
            r#""timestamp":"2026-01-01T00:00:00.125Z"}]"#
        )
    );
}

#[test]
fn a_sent_message_is_acked_as_it_is_shown() {
    let sent = |name: Option<&str>| {
        let message = message("ann", "hi").into();
        let reply = Reply::Sent(Sent { message, recipient: None, status: MessageStatus::Delivered, name: name.map(Arc::from) });
        assert_eq!(Agent.encode_reply(&asked("message:send"), &reply), None, "its event is the sender's own copy");
        format!(r#"42["message:receive",{}]"#, shortened(&Agent.encode_ack(&asked("message:send"), &reply)))
    };
    assert_eq!(sent(None), receive(DATA));
    assert_eq!(sent(Some("conv_1")), receive(&DATA.replace("\"C\"", "\"conv_1\"")));
}

#[test]
fn refusals_come_in_the_envelope_of_the_answer() {
    let limited = ChatError::RateLimited { retry_after: Duration::from_micros(99_001) };
    for (event, request_error, name, body) in [
        (
            "message:send",
            RequestError::Field("content".into()),
            "message:receive",
            r#""error":"Invalid content","code":"INVALID_PAYLOAD""#,
        ),
        (
            "message:send",
            ChatError::InvalidPayload { field: "recipient" }.into(),
            "message:receive",
            r#""error":"Invalid targetUserId","code":"INVALID_PAYLOAD""#,
        ),
        ("message:send", ChatError::NotAMember.into(), "message:receive", r#""error":"Not a member","code":"FORBIDDEN""#),
        (
            "notification:get",
            ChatError::StorageUnavailable.into(),
            "notification:receive",
            r#""error":"Could not be read, try again later","code":"STORAGE_UNAVAILABLE""#,
        ),
        (
            "message:send",
            ChatError::StorageUnavailable.into(),
            "message:receive",
            r#""error":"The message could not be stored, try again later","code":"STORAGE_UNAVAILABLE""#,
        ),
        (
            "connection:get",
            limited.into(),
            "connection:receive",
            r#""error":"Too many requests, try again later","code":"RATE_LIMITED","retryAfterMs":100"#,
        ),
        ("conversation:get", ChatError::Internal.into(), "conversation:receive", r#""error":"Internal error","code":"INTERNAL""#),
    ] {
        let envelope = format!(r#"{{"success":false,{body},"timestamp":"2026-01-01T00:00:00.125Z"}}"#);
        assert_eq!(Agent.encode_refusal(&asked(event), &request_error), format!(r#"42["{name}",{envelope}]"#));
        assert_eq!(Agent.encode_refusal_ack(&asked(event), &request_error), envelope);
    }
}

#[test]
fn the_exchanges_are_those_of_the_front_ends_document() {
    assert_eq!(
        agent_exchanges(),
        [
            "notification:get → notification:receive",
            "connection:get → connection:receive",
            "conversation:get → conversation:receive",
            "message:send → message:receive",
        ]
    );
}
