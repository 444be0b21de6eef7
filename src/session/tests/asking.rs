//! Requests and their answers.
use super::*;

#[test]
fn requests_are_answered_by_their_acks_or_by_events() {
    let mut case = Case::joined();
    case.text(r#"217["joinRoom",7]"#);
    let [Request { ticket, command: Command::JoinRoom { .. }, held_copy: false, .. }] = case.broker.requests[..] else {
        panic!()
    };
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) });
    assert_eq!(case.sent(), [r#"4317[{"success":true,"roomId":7}]"#, r#"42["joinedRoom",{"success":true,"roomId":7}]"#]);
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) });
    assert!(case.sent().is_empty(), "once");

    case.text(r#"2["leaveRoom","r"]"#);
    let ticket = case.broker.requests[1].ticket;
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) });
    assert_eq!(case.sent(), [r#"42["leftRoom",{"success":true,"roomId":"r"}]"#]);

    case.text(r#"219["setupUser"]"#);
    assert_eq!(case.sent(), [r#"4319[{"success":true,"userId":"ann"}]"#, r#"42["userSetup",{"success":true,"userId":"ann"}]"#]);
    assert_eq!(case.broker.requests.len(), 2, "nobody else is asked");

    case.text(r#"218["sendRoomMessage",{"roomId":"r"}]"#);
    assert_eq!(case.sent(), [r#"4318[{"success":false,"error":"Invalid content","code":"INVALID_PAYLOAD"}]"#]);

    case.text(r#"2["sendRoomMessage",{"roomId":"r","content":"hi"}]"#);
    assert!(case.broker.requests[2].held_copy);
    let ticket = case.broker.requests[2].ticket;
    case.notice(Notice::Reply { ticket, reply: Err(ChatError::NotStored) });
    let expected = concat!(
        r#"42["error",{"message":"Failed to send message","error":"The message was not stored, try again","#,
        r#""code":"NOT_STORED","event":"sendRoomMessage"}]"#
    );
    assert_eq!(case.sent(), [expected]);
}

#[test]
fn leaving_what_does_not_exist_succeeds_at_once() {
    let mut case = Case::joined();
    case.text(r#"23["leave_group","nowhere"]"#);
    case.text(r#"2["leave_group","nowhere"]"#);
    assert_eq!(case.sent(), [r#"433[{"success":true}]"#]);
    assert!(case.broker.requests.is_empty());
}

#[test]
fn unknown_events_are_ignored_unless_they_are_not() {
    let mut case = Case::joined();
    case.text(r#"21["dance",{}]"#);
    assert!(case.sent().is_empty());
    let mut case = Case::joined_with(Rules { strict_events: true, ..rules() }, r#"{"token":"ann","dialect":"listing"}"#);
    case.text(r#"21["dance",{}]"#);
    case.text(r#"2["mark_as_read",{}]"#);
    assert_eq!(
        case.sent(),
        [
            r#"431[{"success":false,"error":"Unknown event","code":"UNKNOWN_EVENT"}]"#,
            r#"42["error",{"message":"Unknown event","error":"Unknown event","code":"UNKNOWN_EVENT","event":"mark_as_read"}]"#
        ]
    );
}
