//! Requests and their answers.
use super::*;
use crate::chat::SendTo;

#[test]
fn requests_are_answered_by_their_acks_or_by_events() {
    let mut case = Case::joined();
    case.text(r#"217["joinRoom",7]"#);
    let [Request { ticket, command: Command::JoinRoom { .. }, own_copy: OwnCopy::None, .. }] = case.broker.requests[..] else {
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
    assert_eq!(case.sent(), [r#"4318[{"success":false,"error":"Missing content","code":"INVALID_PAYLOAD"}]"#]);

    case.text(r#"2["sendRoomMessage",{"roomId":"r","content":"hi"}]"#);
    assert_eq!(case.broker.requests[2].own_copy, OwnCopy::Held);
    let ticket = case.broker.requests[2].ticket;
    case.notice(Notice::Reply { ticket, reply: Err(ChatError::NotStored) });
    let expected = concat!(
        r#"42["error",{"message":"Failed to send message","error":"The message was not stored, try again","#,
        r#""code":"NOT_STORED","event":"sendRoomMessage"}]"#
    );
    assert_eq!(case.sent(), [expected]);
}

/// Ann is connected and speaks `conversation`; her token expires in a minute.
fn conversing() -> (Case, String) {
    let mut case = Case::open(rules_of_all(), &Opening::default());
    case.text(r#"0{"token":"ann","dialect":"conversation"}"#);
    case.admit(Some(Timestamp::from_millis(WALL + 60_000)), false);
    let connected = case.sent().pop().unwrap();
    (case, connected)
}

#[test]
fn a_fresh_token_extends_the_session() {
    for ack_id in ["", "5"] {
        let (mut case, connected) = conversing();
        case.text(&format!(r#"2{ack_id}["authenticate",{{"token":"ann"}}]"#));
        let request = case.broker.requests.pop().unwrap();
        let Command::RenewToken { claims } = request.command else { panic!("{:?}", request.command) };
        assert_eq!(claims.user.as_str(), "ann");
        assert!(case.sent().is_empty());
        let renewed = Reply::Renewed { expires_at: Some(Timestamp::from_millis(WALL + 120_000)) };
        case.notice(Notice::Reply { ticket: request.ticket, reply: Ok(renewed) });
        // An answer has no offset.
        let answer =
            if ack_id.is_empty() { connected.replace(",\"e1.0.3.z.5\"", "") } else { r#"435[{"success":true}]"#.to_owned() };
        assert_eq!(case.sent(), [answer]);
        case.wait(119 * SECOND);
        assert!(case.sent().is_empty());
        case.wait(SECOND);
        assert_eq!(names(&case.sent()), ["error", "41"]);
    }
}

#[test]
fn a_token_that_will_not_do_changes_nothing() {
    let (mut case, _) = conversing();
    for token in ["nope", "expired"] {
        case.text(&format!(r#"25["authenticate",{{"token":"{token}"}}]"#));
        case.text(&format!(r#"2["authenticate",{{"token":"{token}"}}]"#));
        let error = concat!(
            r#"42["error",{"message":"Invalid token","error":"Invalid token","#,
            r#""code":"INVALID_TOKEN","event":"authenticate"}]"#
        );
        assert_eq!(case.sent(), [r#"435[{"success":false,"error":"Invalid token","code":"INVALID_TOKEN"}]"#, error]);
    }
    assert!(case.broker.requests.is_empty());
    case.text(r#"25["authenticate",{"token":"bob"}]"#);
    let ticket = case.broker.requests[0].ticket;
    case.notice(Notice::Reply { ticket, reply: Err(ChatError::Forbidden) });
    assert_eq!(case.sent(), [r#"435[{"success":false,"error":"Not allowed","code":"FORBIDDEN"}]"#]);
    case.wait(59 * SECOND);
    assert!(case.sent().is_empty());
    case.wait(SECOND);
    assert_eq!(names(&case.sent()), ["error", "41"], "the old token counts");
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
fn unknown_events_are_ignored_unless_somebody_waits_for_their_ack() {
    let mut case = Case::joined();
    case.text(r#"2["dance",{}]"#);
    assert!(case.sent().is_empty());
    case.text(r#"21["dance",{}]"#);
    assert_eq!(case.sent(), [r#"431[{"success":false,"error":"Unknown event","code":"UNKNOWN_EVENT"}]"#]);
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

#[test]
fn agent_is_answered_in_envelopes() {
    let mut case = Case::joined_with(rules_of_all(), r#"{"token":"ann","dialect":"agent"}"#);
    case.text(r#"2["message:send",{"conversationId":"conv_1"}]"#);
    let refusal =
        r#"{"success":false,"error":"Missing content","code":"INVALID_PAYLOAD","timestamp":"2026-01-01T00:00:00.000Z"}"#;
    assert_eq!(case.sent(), [format!(r#"42["message:receive",{refusal}]"#)]);
    case.text(r#"21["message:send",{"conversationId":"conv_1"}]"#);
    assert_eq!(case.sent(), [format!("431[{refusal}]")]);

    case.text(r#"2["message:send",{"targetUserId":"bob","content":"hi"}]"#);
    assert_eq!(case.broker.requests[0].own_copy, OwnCopy::Held);
    case.text(r#"22["connection:get",{}]"#);
    let ticket = case.broker.requests[1].ticket;
    case.now.wall = Timestamp::from_millis(WALL + 1);
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Connections { connections: Vec::new(), total: 0 }) });
    let envelope = r#"{"success":true,"data":[],"totalConnections":0,"timestamp":"2026-01-01T00:00:00.001Z"}"#;
    assert_eq!(case.sent(), [format!("432[{envelope}]"), format!(r#"42["connection:receive",{envelope}]"#)]);
}

#[test]
fn what_two_dialects_have_in_common_is_done_once_and_answered_in_each_ones_words() {
    let mut case = Case::joined_with(rules_of_all(), r#"{"token":"ann"}"#);
    case.text(&format!(r#"2["message:send",{{"conversationId":"{CONVERSATION}","content":"hi"}}]"#));
    let [Request { ticket, command: Command::Send { to: SendTo::Conversation(_), .. }, own_copy: OwnCopy::Held, .. }] =
        case.broker.requests[..]
    else {
        panic!("{:?}", case.broker.requests)
    };
    case.notice(Notice::Reply { ticket, reply: Err(ChatError::NotAMember) });
    let envelope = r#"{"success":false,"error":"Not a member","code":"FORBIDDEN","timestamp":"2026-01-01T00:00:00.000Z"}"#;
    let error = r#"{"message":"Not a member","error":"Not a member","code":"FORBIDDEN","event":"message:send"}"#;
    assert_eq!(case.sent(), [format!(r#"42["error",{error}]"#), format!(r#"42["message:receive",{envelope}]"#)]);

    case.text(r#"25["message:send",{"conversationId":"conv_1","targetUserId":"bob"}]"#);
    assert_eq!(
        case.sent(),
        [format!("435[{}]", envelope.replace("Not a member", "Missing content").replace("FORBIDDEN", "INVALID_PAYLOAD"))]
    );
    case.text(r#"2["message:send",{"conversationId":"conv_1","targetUserId":"bob","content":"hi"}]"#);
    assert!(matches!(case.commands()[1], Command::Send { to: SendTo::Named { .. }, .. }));

    case.text(r#"2["typing:stop",{}]"#);
    case.sent();
    case.text(&format!(r#"2["message:send",{{"conversationId":"{CONVERSATION}","targetUserId":"bob","content":"hi"}}]"#));
    let [Request { command: Command::Send { to: SendTo::Conversation(_), .. }, own_copy: OwnCopy::None, .. }] =
        case.broker.requests[..]
    else {
        panic!("it speaks only one of them now: {:?}", case.broker.requests)
    };
}
