use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;

use super::FileDialect;
use crate::chat::{ChatError, Event, PresenceChange, Reply, Sent};
use crate::dialect::fixtures::{CONVERSATION, MESSAGE, account, args, conversation, file, message, message_id, profile, user};
use crate::dialect::{Asked, Dialect, RequestError, Vocabulary};
use crate::model::{
    ChosenStatus, ConversationKind, Listing, ListingId, Message, MessageStatus, Place, ReadMark, RoomId, Timestamp,
};

const AT: Timestamp = Timestamp::from_millis(1_767_225_600_123);

const FILES: [(&str, &str); 2] = [
    ("messenger", include_str!("../../../tests/js/dialects/messenger-file.toml")),
    ("listing", include_str!("../../../tests/js/dialects/listing-file.toml")),
];

fn parse(name: &str) -> &'static FileDialect {
    let (_, text) = FILES.iter().find(|(known, _)| *known == name).unwrap();
    FileDialect::parse(Path::new(name), text, 1_000_000).unwrap()
}

/// Returns the packet as JSON, without the two digits before it.
fn packet(text: &str) -> Json {
    serde_json::from_str(text.get(2..).unwrap()).unwrap()
}

fn packets(dialect: &dyn Vocabulary, event: &Event) -> Option<Vec<Json>> {
    dialect.encode(event).map(|packets| packets.iter().map(|text| packet(text)).collect())
}

/// Returns messages that differ in all that a dialect shows.
fn messages() -> Vec<Message> {
    let plain = message("ann", "Hi \"Bob\"\n");
    let read_by = vec![ReadMark { user: user("bob"), read_at: AT }];
    vec![
        Message { status: MessageStatus::Read, read_by, client_message_id: Some("c-1".to_owned()), ..plain.clone() },
        Message { file: Some(file("a")), message_type: "sticker".to_owned(), ..plain.clone() },
        Message { content: String::new(), file: Some(file("a")), attachments: vec![file("b"), file("c")], ..plain.clone() },
        Message { attachments: vec![file("b")], message_type: "image".to_owned(), is_truncated: true, ..plain.clone() },
        Message {
            listing: Some(Listing { id: ListingId::parse("flat-7").unwrap(), title: None }),
            sender: Arc::new(crate::model::Profile { full_name: Some("Ann A".to_owned()), ..(*profile("ann")).clone() }),
            ..plain
        },
    ]
}

fn events() -> Vec<Event> {
    use ConversationKind::{Ai, Direct, Group};
    let mut events = Vec::new();
    for it in messages() {
        let shared = Arc::new(it.clone());
        for (kind, recipient) in [(Direct, Some(profile("bob"))), (Group, None), (Ai, Some(profile("model")))] {
            events.push(Event::Message { message: shared.clone(), kind, recipient: recipient.clone() });
            events.push(Event::MessageUpdated { message: shared.clone(), kind, recipient });
        }
        for (place, shown_as) in [(Place::Room(RoomId::parse("7").unwrap()), "7"), (Place::CommonChat, "")] {
            let message = Arc::new(Message { place, ..it.clone() });
            events.push(Event::RoomMessage { message, shown_as: shown_as.into() });
        }
    }
    for kind in [Direct, Group, Ai] {
        events.push(Event::MessageDeleted { message: message_id(), conversation: conversation(), kind, deleted_at: AT });
    }
    for at_once in [true, false] {
        let (users, client_message_id) = (vec![user("bob"), user("cat")], Some("c-1".to_owned()));
        let (message, conversation) = (message_id(), conversation());
        events.push(Event::Delivered { message, conversation, users, delivered_at: AT, client_message_id, at_once });
    }
    for active in [true, false] {
        events.push(Event::Typing { user: profile("ann"), conversation: conversation(), active });
        events.push(Event::GroupOpened { user: profile("ann"), conversation: conversation(), opened: active });
        let chat = "\"c-1\"".into();
        events.push(Event::AnswerPiece { chat, delta: "piece".to_owned(), done: active });
    }
    events.push(Event::Read { message: message_id(), conversation: conversation(), user: user("bob"), read_at: AT });
    events.push(Event::Presence(vec![
        PresenceChange::Online { user: profile("ann"), status: ChosenStatus::Online, came: true },
        PresenceChange::Online { user: profile("ann"), status: ChosenStatus::Away, came: false },
        PresenceChange::Offline { user: user("bob"), last_seen: AT },
    ]));
    events.push(Event::ConversationDeleted { conversation: conversation() });
    let error = ChatError::RateLimited { retry_after: std::time::Duration::from_secs(1) };
    events.push(Event::AnswerFailed { chat: "\"c-1\"".into(), error, error_id: None });
    events
}

#[test]
fn a_file_says_what_the_compiled_dialect_says() {
    for (name, _) in FILES {
        let (own, ours) = (parse(name), Dialect::find(name).unwrap());
        for event in events() {
            assert_eq!(packets(own, &event), packets(&*ours, &event), "{name} {event:?}");
            for viewer in ["ann", "bob", "cat"] {
                for is_requested in [true, false] {
                    let [own_shows, our_shows] = [own as &dyn Vocabulary, &*ours]
                        .map(|dialect| dialect.shows(&event, &user(viewer), is_requested) && dialect.encode(&event).is_some());
                    assert_eq!(own_shows, our_shows, "{name} {viewer} {is_requested} {event:?}");
                }
            }
        }
        for is_requested in [true, false] {
            let [mut own, ours] = [own as &dyn Vocabulary, &*ours].map(|dialect| dialect.capabilities(is_requested));
            own.answer = ours.answer;
            assert_eq!(own, ours, "{name}");
        }
        assert_eq!(own.confirms_by_event(), ours.confirms_by_event());
    }
}

#[test]
fn a_file_understands_what_the_compiled_dialect_understands() {
    let id = format!("\"{CONVERSATION}\"");
    let payloads = [
        String::new(),
        "null".to_owned(),
        "7".to_owned(),
        "\"flat-7\"".to_owned(),
        "\"\"".to_owned(),
        "\"a\\u0000b\"".to_owned(),
        "\"a\\ud800b\"".to_owned(),
        "[1]".to_owned(),
        "{}".to_owned(),
        id.clone(),
        format!(r#"{{"messageId":"{MESSAGE}"}}"#),
        r#"{"messageId":"nothing"}"#.to_owned(),
        format!(r#"{{"conversationId":{id},"content":"hi","clientMessageId":5}}"#),
        format!(r#"{{"conversationId":{id},"content":"hi","stream":true}}"#),
        r#"{"conversationId":"nowhere","content":"hi"}"#.to_owned(),
        r#"{"recipientId":"bob","content":"hi","file":{"url":"/uploads/1.png"}}"#.to_owned(),
        r#"{"recipientId":"model","content":"hi","stream":true}"#.to_owned(),
        r#"{"recipientId":7,"content":"\ud83d\ude00","content":"new"}"#.to_owned(),
        r#"{"recipientId":"bob","content":""}"#.to_owned(),
        r#"{"recipientId":"bob","content":"\ud800"}"#.to_owned(),
        r#"{"recipientId":"bob","content":7}"#.to_owned(),
        r#"{"recipientId":"bob","content":"hi","file":"x"}"#.to_owned(),
        r#"{"recipientId":"bob","content":"hi","clientMessageId":""}"#.to_owned(),
        r#"{"recipientId":{},"content":"hi"}"#.to_owned(),
        r#"{"content":"hi"}"#.to_owned(),
        r#"{"roomId":"flat-7","content":"hi"}"#.to_owned(),
        r#"{"roomId":7,"content":"hi","messageType":"image"}"#.to_owned(),
        r#"{"roomId":-1,"content":"hi"}"#.to_owned(),
        r#"{"receiverId":"bob","content":"hi","listingId":"flat-7","messageType":"image"}"#.to_owned(),
        r#"{"receiverId":"bob","content":"hi","listingId":[]}"#.to_owned(),
        r#"{"receiverId":"bob","content":"hi","messageType":""}"#.to_owned(),
    ];
    for (name, _) in FILES {
        let (own, ours) = (parse(name), Dialect::find(name).unwrap());
        let names = |dialect: &dyn Vocabulary| dialect.events().iter().map(|entry| (entry.name, entry.class)).collect::<Vec<_>>();
        assert_eq!(names(own), names(&*ours));
        for entry in own.events() {
            for json in &payloads {
                let args = args(json).unwrap();
                let decode = |dialect: &dyn Vocabulary| {
                    let mut asked = Asked { event: entry.name, ..Asked::default() };
                    (dialect.decode(&mut asked, &args), asked)
                };
                let ((own, own_asked), (ours, our_asked)) = (decode(own), decode(&*ours));
                match (&own, &ours) {
                    // Where a value is wanted and an object with such a text came, either may be named.
                    (Err(RequestError::Field(_)), Err(RequestError::Field(_))) if json.contains("\\ud800") => {}
                    _ => assert_eq!(own, ours, "{name} {} {json}", entry.name),
                }
                if ours.is_ok() {
                    assert_eq!(own_asked.echo, our_asked.echo, "{name} {} {json}", entry.name);
                }
            }
        }
    }
}

#[test]
fn a_file_answers_as_the_compiled_dialect_answers() {
    for (name, _) in FILES {
        let (own, ours) = (parse(name), Dialect::find(name).unwrap());
        for entry in own.events() {
            let asked = |echo: &str| Asked { event: entry.name, echo: echo.into(), at: AT, ..Asked::default() };
            let mut replies = vec![(asked(""), Reply::Done)];
            if name == "listing" {
                let is_in_room = entry.name.ends_with("Room") && !entry.name.starts_with("send");
                replies = match entry.name {
                    "setupUser" => vec![(asked(""), Reply::Account(account("ann")))],
                    _ if is_in_room => vec![(asked("7"), Reply::Done)],
                    _ => replies,
                };
            }
            if entry.name.starts_with("send") {
                replies.clear();
                for it in messages() {
                    let place = match entry.name {
                        "send_room_message" | "sendRoomMessage" => Place::Room(RoomId::parse("flat-7").unwrap()),
                        "sendCommonChatMessage" => Place::CommonChat,
                        _ => Place::Conversation(conversation()),
                    };
                    let is_direct = entry.name == "sendDirectMessage" || entry.name == "send_direct_message";
                    let echo = if entry.name == "sendRoomMessage" { "\"flat-7\"" } else { "" };
                    for status in [MessageStatus::Sent, MessageStatus::Delivered] {
                        let message = Arc::new(Message { place: place.clone(), ..it.clone() });
                        let recipient = is_direct.then(|| profile("bob"));
                        replies.push((asked(echo), Reply::Sent(Sent { message, recipient, status, name: None })));
                    }
                }
            }
            for (asked, reply) in replies {
                let ack =
                    |dialect: &dyn Vocabulary| -> Json { serde_json::from_str(&dialect.encode_ack(&asked, &reply)).unwrap() };
                assert_eq!(ack(own), ack(&*ours), "{name} {} {reply:?}", entry.name);
                let answer = |dialect: &dyn Vocabulary| dialect.encode_reply(&asked, &reply).map(|text| packet(&text));
                assert_eq!(answer(own), answer(&*ours), "{name} {}", entry.name);
            }
            for error in [
                RequestError::Missing("content"),
                RequestError::Field("content".into()),
                ChatError::ConversationNotFound.into(),
                ChatError::NotAMember.into(),
                ChatError::Forbidden.into(),
                ChatError::FileNotFound.into(),
                ChatError::RateLimited { retry_after: std::time::Duration::from_millis(1_500) }.into(),
            ] {
                let refusals = |dialect: &dyn Vocabulary| -> (Json, Json) {
                    let ack = dialect.encode_refusal_ack(&asked(""), &error);
                    (serde_json::from_str(&ack).unwrap(), packet(&dialect.encode_refusal(&asked(""), &error)))
                };
                assert_eq!(refusals(own), refusals(&*ours), "{name} {} {error:?}", entry.name);
            }
        }
    }
}
