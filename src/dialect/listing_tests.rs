use std::sync::Arc;

use super::*;
use crate::chat::{ChatError, SendTo, Sent};
use crate::dialect::fixtures::{
    MESSAGE, account, args, conversation, file, message, message_id, profile, request_error_of, user,
};
use crate::model::{MessageStatus, ReadMark, RoomId};

fn decode(event: &str, json: &str) -> (Asked, Result<Decoded, RequestError>) {
    let entry = Listing.events().iter().find(|entry| entry.name == event).unwrap();
    let mut asked = Asked { event: entry.name, ..Asked::default() };
    let decoded = Listing.decode(&mut asked, &args(json).unwrap());
    (asked, decoded)
}

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

#[test]
fn rooms_are_joined_and_left_by_the_name_that_came() {
    for (json, id) in [("\"flat-7\"", "flat-7"), ("7", "7"), ("\"7\"", "7"), ("9007199254740991", "9007199254740991")] {
        let (asked, decoded) = decode("joinRoom", json);
        assert_eq!(decoded, Ok(Command::JoinRoom { room: room(id) }.into()));
        assert_eq!(Listing.encode_ack(&asked, &Reply::Done), format!(r#"{{"success":true,"roomId":{json}}}"#));
        assert_eq!(
            Listing.encode_reply(&asked, &Reply::Done).unwrap(),
            format!(r#"42["joinedRoom",{{"success":true,"roomId":{json}}}]"#)
        );
        let (asked, decoded) = decode("leaveRoom", json);
        assert_eq!(decoded, Ok(Command::LeaveRoom { room: room(id) }.into()));
        assert_eq!(
            Listing.encode_reply(&asked, &Reply::Done).unwrap(),
            format!(r#"42["leftRoom",{{"success":true,"roomId":{json}}}]"#)
        );
    }
}

#[test]
fn the_common_chat_is_joined_and_left() {
    for json in ["", "null", "{}", "\"anything\"", "[1]"] {
        for (event, command, reply) in [
            ("joinCommonChat", Command::JoinCommonChat, "joinedCommonChat"),
            ("leaveCommonChat", Command::LeaveCommonChat, "leftCommonChat"),
        ] {
            let (asked, decoded) = decode(event, json);
            assert_eq!(decoded, Ok(command.into()));
            assert_eq!(Listing.encode_ack(&asked, &Reply::Done), r#"{"success":true}"#);
            assert_eq!(Listing.encode_reply(&asked, &Reply::Done).unwrap(), format!(r#"42["{reply}",{{"success":true}}]"#));
        }
    }
}

#[test]
fn who_sets_up_learns_who_it_is() {
    for json in ["", "null", r#"{"userId":"somebody else"}"#, "7"] {
        let (asked, decoded) = decode("setupUser", json);
        assert_eq!(decoded, Ok(Decoded::OwnAccount));
        let reply = Reply::Account(account("ann"));
        assert_eq!(Listing.encode_ack(&asked, &reply), r#"{"success":true,"userId":"ann"}"#);
        assert_eq!(Listing.encode_reply(&asked, &reply).unwrap(), r#"42["userSetup",{"success":true,"userId":"ann"}]"#);
    }
}

#[test]
fn direct_and_common_messages_are_understood() {
    let text = |content: &str| Draft { content: content.to_owned(), ..Draft::default() };
    let listing = |id: &str| Some(ListingId::parse(id).unwrap());
    for (json, recipient, draft) in [
        (r#"{"receiverId":"bob","content":"hi"}"#, "bob", text("hi")),
        (r#"{"receiverId":7,"content":" ","listingId":null,"messageType":null,"file":{"url":1}}"#, "7", text(" ")),
        (r#"{"receiverId":"bob","content":"hi","listingId":"l 1"}"#, "bob", Draft { listing_id: listing("l 1"), ..text("hi") }),
        (r#"{"receiverId":"bob","content":"hi","listingId":17}"#, "bob", Draft { listing_id: listing("17"), ..text("hi") }),
        (
            r#"{"receiverId":"bob","content":"hi","messageType":"offer","clientMessageId":5}"#,
            "bob",
            Draft { message_type: Some("offer".to_owned()), client_message_id: Some("5".to_owned()), ..text("hi") },
        ),
    ] {
        let command = Command::Send { to: SendTo::User(user(recipient)), draft };
        assert_eq!(decode("sendDirectMessage", json).1, Ok(Decoded::Command { command, own_copy: OwnCopy::Held }), "{json}");
    }
    let command = Command::Send { to: SendTo::CommonChat, draft: text("hi") };
    let decoded = decode("sendCommonChatMessage", r#"{"content":"hi","listingId":"ignored"}"#).1;
    assert_eq!(decoded, Ok(Decoded::Command { command, own_copy: OwnCopy::Held }));
}

#[test]
fn room_messages_are_understood() {
    let (_, decoded) = decode("sendRoomMessage", r#"{"roomId":7,"content":"hi","messageType":"offer","clientMessageId":"c"}"#);
    let draft = Draft {
        content: "hi".to_owned(),
        message_type: Some("offer".to_owned()),
        client_message_id: Some("c".to_owned()),
        ..Draft::default()
    };
    let command = Command::Send { to: SendTo::Room { room: room("7"), shown_as: "7".into() }, draft };
    assert_eq!(decoded, Ok(Decoded::Command { command, own_copy: OwnCopy::Held }));
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    let long = format!("\"{}\"", "x".repeat(201));
    for (event, json, field) in [
        ("joinRoom", "", "roomId"),
        ("joinRoom", "null", "roomId"),
        ("joinRoom", "\"\"", "roomId"),
        ("joinRoom", "[]", "roomId"),
        ("joinRoom", "1.5", "roomId"),
        ("joinRoom", "-7", "roomId"),
        ("joinRoom", "\"a\\u0000\"", "roomId"),
        ("joinRoom", &long, "roomId"),
        ("leaveRoom", "true", "roomId"),
        ("setupUser", "\"\\u0000\"", "payload"),
        ("joinCommonChat", "{\"a\":\"\\ud800\"}", "payload"),
        ("leaveCommonChat", "1,\"\\ud800\"", "payload"),
        ("sendDirectMessage", "", "receiverId"),
        ("sendDirectMessage", "[]", "payload"),
        ("sendDirectMessage", r#"{"content":"hi"}"#, "receiverId"),
        ("sendDirectMessage", r#"{"receiverId":"a\u200bb","content":"hi"}"#, "receiverId"),
        ("sendDirectMessage", r#"{"receiverId":{},"content":"hi"}"#, "receiverId"),
        ("sendDirectMessage", r#"{"receiverId":"bob"}"#, "content"),
        ("sendDirectMessage", r#"{"receiverId":"bob","content":""}"#, "content"),
        ("sendDirectMessage", r#"{"receiverId":"bob","content":"","file":{"url":"/uploads/a.png"}}"#, "content"),
        ("sendDirectMessage", r#"{"receiverId":"bob","content":"hi","listingId":""}"#, "listingId"),
        ("sendDirectMessage", r#"{"receiverId":"bob","content":"hi","listingId":{"_id":"l1"}}"#, "listingId"),
        ("sendDirectMessage", r#"{"receiverId":"bob","content":"hi","messageType":7}"#, "messageType"),
        ("sendCommonChatMessage", "\"hi\"", "payload"),
        ("sendCommonChatMessage", "{}", "content"),
        ("sendRoomMessage", "", "roomId"),
        ("sendRoomMessage", "\"hi\"", "payload"),
        ("sendRoomMessage", r#"{"content":"hi"}"#, "roomId"),
        ("sendRoomMessage", r#"{"roomId":"r"}"#, "content"),
        ("sendRoomMessage", r#"{"roomId":"r","content":""}"#, "content"),
        ("sendRoomMessage", r#"{"roomId":"r","content":[]}"#, "content"),
        ("sendRoomMessage", r#"{"roomId":"r","content":"hi","messageType":""}"#, "messageType"),
        ("sendRoomMessage", r#"{"roomId":"r","content":"hi","messageType":"123456789012345678901234567890123"}"#, "messageType"),
        ("sendRoomMessage", r#"{"roomId":"r","content":"hi","clientMessageId":-1}"#, "clientMessageId"),
    ] {
        assert_eq!(decode(event, json).1, Err(request_error_of(field, json)), "{event} {json}");
    }
}

#[test]
fn a_refused_send_reads_as_the_front_end_knows_it() {
    for event in ["sendDirectMessage", "sendCommonChatMessage", "sendRoomMessage"] {
        let asked = Asked { event, ..Asked::default() };
        assert_eq!(
            Listing.encode_refusal(&asked, &ChatError::StorageUnavailable.into()),
            concat!(
                r#"42["error",{"message":"Failed to send message","error":"The message could not be stored, try again later","#,
                r#""code":"STORAGE_UNAVAILABLE","event":"EVENT"}]"#
            )
            .replace("EVENT", event)
        );
        assert_eq!(
            Listing.encode_refusal_ack(&asked, &ChatError::UserNotFound.into()),
            r#"{"success":false,"error":"User not found","code":"NOT_FOUND"}"#
        );
    }
    let asked = Asked { event: "joinRoom", ..Asked::default() };
    assert_eq!(
        Listing.encode_refusal(&asked, &RequestError::Field("roomId".into())),
        r#"42["error",{"message":"Invalid roomId","error":"Invalid roomId","code":"INVALID_PAYLOAD","event":"joinRoom"}]"#
    );
}

const SHOWN: &str = concat!(
    r#""_id":"M","user":{"_id":"ann","fullName":"ANN","username":"ANN","profilePicture":"/ann.png"},"#,
    r#""roomId":7,"message":"hi","timestamp":"2026-01-01T00:00:00.123Z","messageType":"text""#
);

#[test]
fn room_messages_are_shown_whole() {
    let event = Event::RoomMessage { message: message("ann", "hi").into(), shown_as: "7".into() };
    let encoded = Listing.encode(&event).unwrap();
    let text = encoded.join("\u{1e}").replace(MESSAGE, "M");
    assert_eq!(text, format!(r#"42["roomMessage",{{{SHOWN}}}]"#));
    let reply =
        Reply::Sent(Sent { message: message("ann", "hi").into(), recipient: None, status: MessageStatus::Sent, name: None });
    let asked = Asked { event: "sendRoomMessage", echo: "7".into(), ..Asked::default() };
    assert_eq!(Listing.encode_ack(&asked, &reply).replace(MESSAGE, "M"), format!(r#"{{"success":true,{SHOWN}}}"#));
    assert_eq!(Listing.encode_reply(&asked, &reply), None);
}

#[test]
fn common_chat_messages_are_shown_whole() {
    const SHOWN: &str = concat!(
        r#""_id":"M","user":{"_id":"ann","fullName":"ANN","username":"ANN","profilePicture":"/ann.png"},"#,
        r#""message":"hi","timestamp":"2026-01-01T00:00:00.123Z","messageType":"text""#
    );
    let message = Arc::new(Message { place: Place::CommonChat, ..message("ann", "hi") });
    let event = Event::RoomMessage { message: message.clone(), shown_as: "".into() };
    assert_eq!(shown(&event), Some(format!(r#"42["commonChatMessage",{{{SHOWN}}}]"#)));
    let reply = Reply::Sent(Sent { message, recipient: None, status: MessageStatus::Sent, name: None });
    let asked = Asked { event: "sendCommonChatMessage", ..Asked::default() };
    assert_eq!(Listing.encode_ack(&asked, &reply).replace(MESSAGE, "M"), format!(r#"{{"success":true,{SHOWN}}}"#));
    assert_eq!(Listing.encode_reply(&asked, &reply), None);
}

fn shown(event: &Event) -> Option<String> {
    let encoded = Listing.encode(event)?;
    Some(encoded.join("\u{1e}").replace(MESSAGE, "M"))
}

const DIRECT: &str = concat!(
    r#""_id":"M","senderId":{"_id":"ann","fullName":"ANN","username":"ANN","profilePicture":"/ann.png"},"#,
    r#""receiverId":{"_id":"bob","fullName":"BOB","username":"BOB","profilePicture":"/bob.png"},"message":"hi","#,
    r#""listingId":null,"messageType":"text","isRead":false,"createdAt":"2026-01-01T00:00:00.123Z","updatedAt":"2026-01-01T00:00:00.124Z""#
);

#[test]
fn direct_messages_are_shown_whole() {
    let (message, bob) = (Arc::new(message("ann", "hi")), profile("bob"));
    for kind in [ConversationKind::Direct, ConversationKind::Ai] {
        let event = Event::Message { message: message.clone(), kind, recipient: Some(bob.clone()) };
        assert_eq!(shown(&event), Some(format!(r#"42["directMessage",{{{DIRECT}}}]"#)));
        let event = Event::MessageUpdated { message: message.clone(), kind, recipient: Some(bob.clone()) };
        assert_eq!(shown(&event), Some(format!(r#"42["messageUpdated",{{{DIRECT}}}]"#)));
        let event =
            Event::MessageDeleted { message: message_id(), conversation: conversation(), kind, deleted_at: Timestamp::default() };
        assert_eq!(shown(&event), Some(r#"42["messageDeleted",{"_id":"M"}]"#.to_owned()));
    }
    let reply = Reply::Sent(Sent { message, recipient: Some(bob), status: MessageStatus::Delivered, name: None });
    let asked = Asked { event: "sendDirectMessage", ..Asked::default() };
    assert_eq!(Listing.encode_ack(&asked, &reply).replace(MESSAGE, "M"), format!(r#"{{"success":true,{DIRECT}}}"#));
    assert_eq!(Listing.encode_reply(&asked, &reply), None);
}

#[test]
fn there_are_no_words_for_groups() {
    let message = Arc::new(message("ann", "hi"));
    let kind = ConversationKind::Group;
    for event in [
        Event::Message { message: message.clone(), kind, recipient: None },
        Event::MessageUpdated { message, kind, recipient: None },
        Event::MessageDeleted { message: message_id(), conversation: conversation(), kind, deleted_at: Timestamp::default() },
        Event::Typing { user: profile("bob"), conversation: conversation(), active: true },
    ] {
        assert_eq!(shown(&event), None, "{event:?}");
    }
}

#[test]
fn what_a_direct_message_may_carry_is_shown() {
    let view = |change: &dyn Fn(&mut Message)| {
        let mut message = message("ann", "hi");
        change(&mut message);
        serde_json::to_value(DirectMessageView::new(&message, &profile("bob"))).unwrap()
    };
    let offer = |title: Option<&str>| Offer { id: ListingId::parse("l1").unwrap(), title: title.map(str::to_owned) };
    let untitled = view(&|message| message.listing = Some(offer(None)));
    assert_eq!(untitled["listingId"], serde_json::json!({"_id": "l1", "title": null}));
    let titled = view(&|message| message.listing = Some(offer(Some("Loft"))));
    assert_eq!(titled["listingId"], serde_json::json!({"_id": "l1", "title": "Loft"}));
    let read = view(&|message| message.read_by = vec![ReadMark { user: user("bob"), read_at: Timestamp::default() }]);
    assert_eq!(read["isRead"], true);
    let named = view(&|message| {
        message.message_type = "sticker".to_owned();
        let sender = Profile { full_name: Some("Ann Lee".to_owned()), avatar: None, ..(*profile("ann")).clone() };
        message.sender = Arc::new(sender);
    });
    let ann = serde_json::json!({"_id": "ann", "fullName": "Ann Lee", "username": "ANN", "profilePicture": null});
    assert_eq!((&named["messageType"], &named["senderId"]), (&"sticker".into(), &ann));
}

#[test]
fn content_without_a_field_is_not_dropped() {
    let view = |content: &str, first: Option<File>, further: &[&str]| {
        let attachments = further.iter().map(|name| file(name)).collect();
        let message = Message { file: first, attachments, ..message("ann", content) };
        let value = serde_json::to_value(RoomMessageView::new(&message, "r")).unwrap();
        (value["message"].as_str().unwrap().to_owned(), value["file"]["url"].as_str().map(str::to_owned))
    };
    for (content, first, further, expected, shown) in [
        ("", Some("a"), &[][..], "a.png /uploads/a.png", Some("/uploads/a.png")),
        ("hi", Some("a"), &[], "hi", Some("/uploads/a.png")),
        ("", None, &["a"], "a.png /uploads/a.png", Some("/uploads/a.png")),
        ("hi", None, &["a", "b", "c"], "hi\n/uploads/b.png\n/uploads/c.png", Some("/uploads/a.png")),
        ("", Some("a"), &["b"], "a.png /uploads/a.png\n/uploads/b.png", Some("/uploads/a.png")),
        ("", None, &[], "", None),
    ] {
        assert_eq!(view(content, first.map(file), further), (expected.to_owned(), shown.map(str::to_owned)));
    }
}
