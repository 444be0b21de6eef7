use super::*;
use crate::chat::ChatError;
use crate::dialect::fixtures::{MESSAGE, args, file, message};
use crate::model::{MessageStatus, RoomId};

fn decode(event: &str, json: &str) -> (Asked, Result<Decoded, Fault>) {
    let entry = Listing.events().iter().find(|entry| entry.name == event).unwrap();
    let mut asked = Asked { event: entry.name, echo: Box::default() };
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
            format!(r#"42["joinedRoom",{{"roomId":{json},"success":true}}]"#)
        );
        let (asked, decoded) = decode("leaveRoom", json);
        assert_eq!(decoded, Ok(Command::LeaveRoom { room: room(id) }.into()));
        assert_eq!(
            Listing.encode_reply(&asked, &Reply::Done).unwrap(),
            format!(r#"42["leftRoom",{{"roomId":{json},"success":true}}]"#)
        );
    }
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
    let command = Command::SendToRoom { room: room("7"), shown_as: "7".into(), draft };
    assert_eq!(decoded, Ok(Decoded::Command { command, own_copy: OwnCopy::Held }));
}

#[test]
fn what_is_malformed_is_refused_by_name() {
    let long = format!("\"{}\"", "x".repeat(201));
    for (event, json, field) in [
        ("joinRoom", "", "roomId"),
        ("joinRoom", "null", "roomId"),
        ("joinRoom", "\"\"", "roomId"),
        ("joinRoom", "{}", "roomId"),
        ("joinRoom", "1.5", "roomId"),
        ("joinRoom", "-7", "roomId"),
        ("joinRoom", "\"a\\u0000\"", "roomId"),
        ("joinRoom", &long, "roomId"),
        ("leaveRoom", "true", "roomId"),
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
        assert_eq!(decode(event, json).1, Err(Fault::Field(field.to_owned().into())), "{event} {json}");
    }
}

#[test]
fn a_refused_send_reads_as_the_front_end_knows_it() {
    let asked = Asked { event: "sendRoomMessage", echo: Box::default() };
    assert_eq!(
        Listing.encode_refusal(&asked, &ChatError::StorageUnavailable.into()),
        concat!(
            r#"42["error",{"message":"Failed to send message","error":"The message could not be stored, try again later","#,
            r#""code":"STORAGE_UNAVAILABLE","event":"sendRoomMessage"}]"#
        )
    );
    let asked = Asked { event: "joinRoom", echo: Box::default() };
    assert_eq!(
        Listing.encode_refusal(&asked, &Fault::Field("roomId".into())),
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
    let text = String::from_utf8(encoded.payload().to_vec()).unwrap().replace(MESSAGE, "M");
    assert_eq!(text, format!(r#"42["roomMessage",{{{SHOWN}}}]"#));
    let reply = Reply::Sent { message: message("ann", "hi").into(), status: MessageStatus::Sent };
    let asked = Asked { event: "sendRoomMessage", echo: "7".into() };
    assert_eq!(Listing.encode_ack(&asked, &reply).replace(MESSAGE, "M"), format!(r#"{{"success":true,{SHOWN}}}"#));
    assert_eq!(Listing.encode_reply(&asked, &reply), None);
}

#[test]
fn a_file_without_words_is_shown_as_its_name_and_address() {
    let message = Message { file: Some(file("a")), ..message("ann", "") };
    let room_id = RawValue::from_string("\"r\"".to_owned()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&to_json(&RoomMessageView::new(&message, &room_id))).unwrap();
    assert_eq!((&value["message"], &value["file"]["size"]), (&"a.png /uploads/a.png".into(), &7.into()));
}
