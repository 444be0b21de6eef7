use super::*;
use crate::chat::{SendTo, Sent};
use crate::dialect::fixtures::{
    CONVERSATION, MESSAGE, args, conversation, file, message, message_id, profile, request_error_of, user,
};
use crate::model::{ChosenStatus, Message, MessageStatus, Place, ReadMark, RoomId, SocketId, Timestamp};

const AT: Timestamp = Timestamp::from_millis(1_767_225_600_123);

fn decode(event: &str, json: &str) -> Result<Decoded, RequestError> {
    let entry = Messenger.events().iter().find(|entry| entry.name == event).unwrap();
    let mut asked = Asked { event: entry.name, ..Asked::default() };
    Messenger.decode(&mut asked, &args(json).unwrap())
}

fn command(event: &str, json: &str) -> Command {
    let expected = if event == "send_group_message" { OwnCopy::Live } else { OwnCopy::None };
    match decode(event, json) {
        Ok(Decoded::Command { command, own_copy }) if own_copy == expected => command,
        other => panic!("{event} {json}: {other:?}"),
    }
}

fn shown(event: &Event) -> String {
    let encoded = Messenger.encode(event).unwrap();
    encoded.join("\u{1e}").replace(CONVERSATION, "C").replace(MESSAGE, "M")
}

#[test]
fn direct_messages_are_understood() {
    let draft = |content: &str| Draft { content: content.to_owned(), ..Draft::default() };
    for (json, recipient, draft) in [
        (r#"{"recipientId":"bob","content":"hi"}"#, "bob", draft("hi")),
        (r#"{"recipientId":7,"content":" ","unknown":{"a":[1]}}"#, "7", draft(" ")),
        (r#"{"recipientId":"bob","content":"\ud83d\ude00","file":null,"clientMessageId":null}"#, "bob", draft("😀")),
        (r#"{"recipientId":"bob","content":"old","content":"new"}"#, "bob", draft("new")),
        (
            r#"{"recipientId":"bob","file":{"url":"/uploads/1.png","size":"huge"},"clientMessageId":5}"#,
            "bob",
            Draft { file_url: Some("/uploads/1.png".to_owned()), client_message_id: Some("5".to_owned()), ..Draft::default() },
        ),
    ] {
        assert_eq!(command("send_direct_message", json), Command::Send { to: SendTo::User(user(recipient)), draft });
    }
}

#[test]
fn the_other_requests_are_understood() {
    let id = format!(r#"{{"conversationId":"{CONVERSATION}","content":"hi"}}"#);
    let draft = Draft { content: "hi".to_owned(), ..Draft::default() };
    assert_eq!(command("send_group_message", &id), Command::Send { to: SendTo::Conversation(conversation()), draft });
    assert_eq!(command("mark_as_read", &format!(r#"{{"messageId":"{MESSAGE}"}}"#)), Command::MarkRead { message: message_id() });
    assert_eq!(command("typing_start", &id), Command::Typing { conversation: conversation(), active: true });
    assert_eq!(command("typing_stop", &id), Command::Typing { conversation: conversation(), active: false });
    let text = format!("\"{CONVERSATION}\"");
    assert_eq!(command("join_group", &text), Command::OpenConversation { conversation: conversation(), groups_only: true });
    assert_eq!(command("leave_group", &text), Command::LeaveConversation { conversation: conversation() });
    assert_eq!(decode("leave_group", "\"nowhere\""), Ok(Decoded::Done), "it always succeeds");
}

#[test]
fn public_rooms_are_understood() {
    let room = RoomId::parse("flat-7").unwrap();
    assert_eq!(command("join_room", "\"flat-7\""), Command::JoinRoom { room: room.clone() });
    assert_eq!(command("leave_room", "\"flat-7\""), Command::LeaveRoom { room: room.clone() });
    let draft = Draft { content: "hi".to_owned(), ..Draft::default() };
    let shown_as = "\"flat-7\"".into();
    assert_eq!(
        command("send_room_message", r#"{"roomId":"flat-7","content":"hi"}"#),
        Command::Send { to: SendTo::Room { room, shown_as }, draft }
    );
}

#[test]
fn a_question_is_answered_piece_by_piece_where_that_is_asked_for() {
    let asked = |event, json: &str| match decode(event, json) {
        Ok(Decoded::Command {
            command: Command::Send { to: SendTo::Model { chat, shown_as, stream: true }, draft },
            own_copy: OwnCopy::None,
        }) => {
            assert_eq!(draft.content, "why?");
            (chat, shown_as.into_string())
        }
        other => panic!("{event} {json}: {other:?}"),
    };
    let to_model = r#"{"recipientId":"model","content":"why?","stream":true}"#;
    assert_eq!(asked("send_direct_message", to_model), ("model".to_owned(), "\"model\"".to_owned()));
    let in_chat = format!(r#"{{"conversationId":"{CONVERSATION}","content":"why?","stream":true}}"#);
    assert_eq!(asked("send_group_message", &in_chat), (CONVERSATION.to_owned(), format!("\"{CONVERSATION}\"")));
    for (event, json) in [
        ("send_direct_message", r#"{"recipientId":"model","content":"why?","stream":false}"#.to_owned()),
        ("send_direct_message", r#"{"recipientId":"bob","content":"why?","stream":true}"#.to_owned()),
        ("send_group_message", format!(r#"{{"conversationId":"{CONVERSATION}","content":"why?"}}"#)),
    ] {
        assert!(!matches!(command(event, &json), Command::Send { to: SendTo::Model { .. }, .. }), "{event} {json}");
    }
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    let long = |length: usize| "x".repeat(length);
    for (event, json, field) in [
        ("send_direct_message", "", "recipientId"),
        ("send_direct_message", "null", "recipientId"),
        ("send_direct_message", "[]", "payload"),
        ("send_direct_message", "\"bob\"", "payload"),
        ("send_direct_message", "7", "payload"),
        ("send_direct_message", r#"{"content":"hi"}"#, "recipientId"),
        ("send_direct_message", r#"{"recipientId":"","content":"hi"}"#, "recipientId"),
        ("send_direct_message", r#"{"recipientId":"a\u200bb","content":"hi"}"#, "recipientId"),
        ("send_direct_message", r#"{"recipientId":1.5,"content":"hi"}"#, "recipientId"),
        ("send_direct_message", r#"{"recipientId":-1,"content":"hi"}"#, "recipientId"),
        ("send_direct_message", r#"{"recipientId":9007199254740992,"content":"hi"}"#, "recipientId"),
        ("send_direct_message", r#"{"recipientId":["bob"],"content":"hi"}"#, "recipientId"),
        ("send_direct_message", r#"{"recipientId":"bob"}"#, "content"),
        ("send_direct_message", r#"{"recipientId":"bob","content":""}"#, "content"),
        ("send_direct_message", r#"{"recipientId":"bob","content":5}"#, "content"),
        ("send_direct_message", r#"{"recipientId":"bob","content":"a\u0000"}"#, "content"),
        ("send_direct_message", r#"{"recipientId":"bob","content":"\ud83d"}"#, "content"),
        ("send_direct_message", r#"{"recipientId":"bob","content":"\ude00\ud83d"}"#, "content"),
        ("send_direct_message", r#"{"recipientId":"bob","content":"hi","x":[{"y":"\u0000"}]}"#, "x"),
        ("send_direct_message", r#"{"recipientId":"bob","content":"hi","\u0000":1}"#, "payload"),
        ("send_direct_message", r#"{"recipientId":"bob","content":"hi","\ud800":1}"#, "payload"),
        ("send_direct_message", r#"{"recipientId":"bob","content":"hi"},"\ud800""#, "payload"),
        ("send_direct_message", r#"{"recipientId":"bob","file":{}}"#, "file"),
        ("send_direct_message", r#"{"recipientId":"bob","file":{"url":""}}"#, "file"),
        ("send_direct_message", r#"{"recipientId":"bob","file":{"url":{}}}"#, "file"),
        ("send_direct_message", r#"{"recipientId":"bob","file":"/uploads/1.png"}"#, "file"),
        ("send_direct_message", r#"{"recipientId":"bob","content":"hi","clientMessageId":""}"#, "clientMessageId"),
        ("send_direct_message", r#"{"recipientId":"bob","content":"hi","clientMessageId":{}}"#, "clientMessageId"),
        ("send_group_message", r#"{"content":"hi"}"#, "conversationId"),
        ("send_group_message", r#"{"conversationId":true,"content":"hi"}"#, "conversationId"),
        ("send_group_message", r#"{"conversationId":"x"}"#, "content"),
        ("mark_as_read", "", "messageId"),
        ("mark_as_read", r#"{"messageId":""}"#, "messageId"),
        ("mark_as_read", r#"{"messageId":{}}"#, "messageId"),
        ("typing_start", "{}", "conversationId"),
        ("typing_stop", r#"{"conversationId":[]}"#, "conversationId"),
        ("join_group", "", "conversationId"),
        ("join_group", "[]", "conversationId"),
        ("join_group", "\"\\u0000\"", "conversationId"),
        ("leave_group", "", "conversationId"),
        ("leave_group", "[]", "conversationId"),
        ("join_room", "", "roomId"),
        ("join_room", "[]", "roomId"),
        ("leave_room", "\"\"", "roomId"),
        ("send_room_message", r#"{"content":"hi"}"#, "roomId"),
        ("send_room_message", r#"{"roomId":"flat-7"}"#, "content"),
        ("send_direct_message", r#"{"recipientId":"model","content":"hi","stream":1}"#, "stream"),
    ] {
        assert_eq!(decode(event, json), Err(request_error_of(field, json)), "{event} {json}");
    }
    let too_long = format!(r#"{{"recipientId":"bob","content":"hi","clientMessageId":"{}"}}"#, long(201));
    assert_eq!(decode("send_direct_message", &too_long), Err(RequestError::Field("clientMessageId".into())));
    let longest = format!(r#"{{"recipientId":"bob","content":"hi","clientMessageId":"{}"}}"#, "ä".repeat(200));
    assert!(decode("send_direct_message", &longest).is_ok());
    assert_eq!(
        decode("mark_as_read", &format!(r#"{{"messageId":"{}"}}"#, long(201))),
        Err(RequestError::Field("messageId".into()))
    );
}

#[test]
fn ids_that_we_never_give_out_are_unknown() {
    for (event, json, error) in [
        ("mark_as_read", r#"{"messageId":"msg123"}"#, ChatError::MessageNotFound),
        ("mark_as_read", r#"{"messageId":12}"#, ChatError::MessageNotFound),
        ("typing_start", r#"{"conversationId":"c1"}"#, ChatError::ConversationNotFound),
        ("send_group_message", r#"{"conversationId":"c1","content":"hi"}"#, ChatError::ConversationNotFound),
        ("join_group", "\"c1\"", ChatError::ConversationNotFound),
        ("join_group", "5", ChatError::ConversationNotFound),
    ] {
        assert_eq!(decode(event, json), Err(error.into()), "{event} {json}");
    }
}

#[test]
fn refusals_read_as_the_front_end_knows_them() {
    for (event, error, ack) in [
        ("join_group", ChatError::ConversationNotFound, r#"{"success":false,"error":"Not a member","code":"FORBIDDEN"}"#),
        ("join_group", ChatError::NotAMember, r#"{"success":false,"error":"Not a member","code":"FORBIDDEN"}"#),
        ("send_group_message", ChatError::NotAMember, r#"{"success":false,"error":"Not a member","code":"FORBIDDEN"}"#),
        ("mark_as_read", ChatError::MessageNotFound, r#"{"success":false,"error":"Message not found","code":"NOT_FOUND"}"#),
        ("send_direct_message", ChatError::UserNotFound, r#"{"success":false,"error":"User not found","code":"NOT_FOUND"}"#),
        (
            "send_direct_message",
            ChatError::RateLimited { retry_after: std::time::Duration::from_micros(99_001) },
            r#"{"success":false,"error":"Too many requests, try again later","code":"RATE_LIMITED","retryAfterMs":100}"#,
        ),
    ] {
        let asked = Asked { event, ..Asked::default() };
        assert_eq!(Messenger.encode_refusal_ack(&asked, &error.into()), ack);
    }
    let asked = Asked { event: "send_direct_message", ..Asked::default() };
    assert_eq!(
        Messenger.encode_refusal(&asked, &RequestError::Field("content".into())),
        r#"42["error",{"message":"Invalid content","error":"Invalid content","code":"INVALID_PAYLOAD","event":"send_direct_message"}]"#
    );
}

const PLAIN: &str = concat!(
    r#"{"_id":"M","conversationId":"C","sender":{"_id":"ann","username":"ANN","avatar":"/ann.png"},"content":"hi","#,
    r#""messageType":"text","file":null,"status":"sent","readBy":[],"#,
    r#""createdAt":"2026-01-01T00:00:00.123Z","updatedAt":"2026-01-01T00:00:00.124Z"}"#
);

const IN_ROOM: &str = concat!(
    r#"{"_id":"M","roomId":"flat-7","sender":{"_id":"ann","username":"ANN","avatar":"/ann.png"},"content":"hi","#,
    r#""messageType":"text","file":null,"createdAt":"2026-01-01T00:00:00.123Z","updatedAt":"2026-01-01T00:00:00.124Z"}"#
);

#[test]
fn messages_are_shown_whole() {
    let message: std::sync::Arc<_> = message("ann", "hi").into();
    for (kind, name) in [
        (ConversationKind::Direct, "new_message"),
        (ConversationKind::Ai, "new_message"),
        (ConversationKind::Group, "new_group_message"),
    ] {
        let event = Event::Message { message: message.clone(), kind, recipient: None };
        assert_eq!(shown(&event), format!(r#"42["{name}",{{"conversationId":"C","message":{PLAIN}}}]"#));
    }
    let in_room = Message { place: Place::Room(RoomId::parse("flat-7").unwrap()), ..Message::clone(&message) };
    let event = Event::RoomMessage { message: in_room.into(), shown_as: "\"flat-7\"".into() };
    assert_eq!(shown(&event), format!(r#"42["new_room_message",{{"roomId":"flat-7","message":{IN_ROOM}}}]"#));
    let event = Event::MessageUpdated { message, kind: ConversationKind::Direct, recipient: None };
    assert_eq!(shown(&event), format!(r#"42["message_updated",{{"conversationId":"C","message":{PLAIN}}}]"#));
}

#[test]
fn what_a_message_may_carry_is_shown() {
    let view = |change: &dyn Fn(&mut Message)| {
        let mut message = message("ann", "hi");
        change(&mut message);
        serde_json::to_value(MessageView::of(&message)).unwrap()
    };
    let image = view(&|message| {
        message.file = Some(file("a"));
        message.message_type = "image".to_owned();
        message.client_message_id = Some("c1".to_owned());
        message.status = MessageStatus::Read;
        message.read_by = vec![ReadMark { user: user("bob"), read_at: AT }];
    });
    assert_eq!(
        image["file"],
        serde_json::json!({"url":"/uploads/a.png","filename":"a.png","size":7,"mimetype":"image/png","messageType":"image"})
    );
    assert_eq!((&image["messageType"], &image["clientMessageId"]), (&"image".into(), &"c1".into()));
    assert_eq!(
        (&image["status"], &image["readBy"]),
        (&"read".into(), &serde_json::json!([{"user":"bob","readAt":AT.to_string()}]))
    );
    let odd = view(&|message| message.message_type = "sticker".to_owned());
    assert_eq!(odd["messageType"], "text");
    let attached = view(&|message| message.attachments = vec![file("a"), file("b"), file("c")]);
    assert_eq!(
        (&attached["file"]["url"], &attached["content"]),
        (&"/uploads/a.png".into(), &"hi\n/uploads/b.png\n/uploads/c.png".into())
    );
    let both = view(&|message| {
        message.content = String::new();
        message.file = Some(file("a"));
        message.attachments = vec![file("b")];
    });
    assert_eq!((&both["file"]["url"], &both["content"]), (&"/uploads/a.png".into(), &"/uploads/b.png".into()));
}

#[test]
fn the_other_events_are_shown_whole() {
    let (message, conversation) = (message_id(), conversation());
    for (event, expected) in [
        (
            Event::MessageDeleted { message, conversation, kind: ConversationKind::Direct, deleted_at: AT },
            r#"42["message_deleted",{"messageId":"M","conversationId":"C"}]"#,
        ),
        (
            Event::Delivered {
                message,
                conversation,
                users: vec![user("bob")],
                delivered_at: AT,
                client_message_id: Some("x".to_owned()),
                at_once: false,
            },
            r#"42["message_delivered",{"messageId":"M","conversationId":"C","userId":"bob","deliveredAt":"2026-01-01T00:00:00.123Z"}]"#,
        ),
        (
            Event::Read { message, conversation, user: user("bob"), read_at: AT },
            r#"42["message_read",{"messageId":"M","conversationId":"C","readBy":"bob","readAt":"2026-01-01T00:00:00.123Z"}]"#,
        ),
        (
            Event::Typing { user: profile("bob"), conversation, active: true },
            r#"42["user_typing",{"userId":"bob","username":"BOB","conversationId":"C"}]"#,
        ),
        (
            Event::Typing { user: profile("bob"), conversation, active: false },
            r#"42["user_stopped_typing",{"userId":"bob","conversationId":"C"}]"#,
        ),
        (
            Event::GroupOpened { user: profile("bob"), conversation, opened: true },
            r#"42["user_joined_group",{"userId":"bob","username":"BOB","conversationId":"C"}]"#,
        ),
        (
            Event::GroupOpened { user: profile("bob"), conversation, opened: false },
            r#"42["user_left_group",{"userId":"bob","username":"BOB","conversationId":"C"}]"#,
        ),
        (
            Event::AnswerPiece { chat: "\"model\"".into(), delta: "Be".to_owned(), done: false },
            r#"42["answer_piece",{"chat":"model","delta":"Be","done":false}]"#,
        ),
        (Event::ConversationDeleted { conversation }, r#"42["conversation_deleted",{"conversationId":"C"}]"#),
        (
            Event::Presence(vec![
                PresenceChange::Online { user: profile("bob"), status: ChosenStatus::Online, came: true },
                PresenceChange::Online { user: profile("eve"), status: ChosenStatus::Away, came: false },
                PresenceChange::Online { user: profile("dan"), status: ChosenStatus::Busy, came: true },
                PresenceChange::Offline { user: user("ann"), last_seen: AT },
            ]),
            concat!(
                "42[\"user_online\",{\"userId\":\"bob\",\"username\":\"BOB\"}]\x1e",
                "42[\"user_online\",{\"userId\":\"dan\",\"username\":\"DAN\"}]\x1e",
                "42[\"user_offline\",{\"userId\":\"ann\",\"lastSeen\":\"2026-01-01T00:00:00.123Z\"}]"
            ),
        ),
    ] {
        assert_eq!(shown(&event), expected);
    }
}

#[test]
fn there_are_no_words_for_the_rest() {
    let message: std::sync::Arc<_> = message("ann", "hi").into();
    let common = Message { place: Place::CommonChat, ..Message::clone(&message) };
    for event in [
        Event::RoomMessage { message: common.into(), shown_as: "".into() },
        Event::Apology { chat: "1".into(), text: "Sorry".into(), code: "MODEL_FAILED" },
        Event::Presence(vec![
            PresenceChange::Online { user: profile("bob"), status: ChosenStatus::Busy, came: false },
            PresenceChange::Online { user: profile("bob"), status: ChosenStatus::Online, came: false },
        ]),
        Event::Delivered {
            message: message_id(),
            conversation: conversation(),
            users: vec![user("bob")],
            delivered_at: AT,
            client_message_id: None,
            at_once: true,
        },
        Event::Connected { user: user("bob"), socket: SocketId::parse("0123456789abcdefghij").unwrap(), token: None },
    ] {
        assert_eq!(Messenger.encode(&event), None, "{event:?}");
    }
}

#[test]
fn acks_say_what_became_of_it() {
    let message = message("ann", "hi").into();
    let reply = Reply::Sent(Sent { message, recipient: None, status: MessageStatus::Delivered, name: None });
    let ack = |event, reply| {
        let asked = Asked { event, ..Asked::default() };
        Messenger.encode_ack(&asked, reply).replace(CONVERSATION, "C").replace(MESSAGE, "M")
    };
    let delivered = PLAIN.replace("\"sent\"", "\"delivered\"");
    assert_eq!(ack("send_direct_message", &reply), format!(r#"{{"success":true,"message":{delivered},"status":"delivered"}}"#));
    assert_eq!(ack("send_group_message", &reply), format!(r#"{{"success":true,"message":{delivered}}}"#));
    assert_eq!(ack("mark_as_read", &Reply::Done), r#"{"success":true}"#);
    let in_room =
        Message { place: Place::Room(RoomId::parse("flat-7").unwrap()), ..crate::dialect::fixtures::message("ann", "hi") };
    let reply = Reply::Sent(Sent { message: in_room.into(), recipient: None, status: MessageStatus::Sent, name: None });
    assert_eq!(ack("send_room_message", &reply), format!(r#"{{"success":true,"message":{IN_ROOM}}}"#));
}

#[test]
fn ones_own_direct_message_is_shown_to_those_who_pinned() {
    let event = |sender, kind, recipient: &str| Event::Message {
        message: message(sender, "hi").into(),
        kind,
        recipient: Some(profile(recipient)),
    };
    for (event, is_requested, expected) in [
        (event("ann", ConversationKind::Direct, "bob"), false, false),
        (event("ann", ConversationKind::Direct, "bob"), true, true),
        (event("bob", ConversationKind::Direct, "ann"), false, true),
        (event("ann", ConversationKind::Group, "bob"), false, true),
        (event("ann", ConversationKind::Direct, "ann"), false, true),
    ] {
        assert_eq!(Messenger.shows(&event, &user("ann"), is_requested), expected, "{event:?}");
    }
    let gone = Event::ConversationDeleted { conversation: conversation() };
    assert_eq!([true, false].map(|is_requested| Messenger.shows(&gone, &user("ann"), is_requested)), [true, false]);
}
