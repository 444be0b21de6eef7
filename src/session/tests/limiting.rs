//! Rate limits.
use super::*;

#[test]
fn events_beyond_the_burst_wait_and_those_beyond_that_are_refused() {
    let mut case = Case::joined();
    for index in 0..75 {
        case.text(&format!(r#"2{index}["joinRoom",{index}]"#));
    }
    let rooms = |commands: Vec<Command>| -> Vec<String> {
        let room = |command| match command {
            Command::JoinRoom { room } => room.as_str().to_owned(),
            other => panic!("{other:?}"),
        };
        commands.into_iter().map(room).collect()
    };
    let expected = |range: std::ops::Range<u32>| range.map(|index| index.to_string()).collect::<Vec<_>>();
    assert_eq!(rooms(case.commands()), expected(0..20));
    let refused = case.sent();
    assert_eq!(refused.len(), 5);
    assert_eq!(case.broker.limited, [1], "the others are counted with the next one");
    let limited =
        r#"4370[{"success":false,"error":"Too many requests, try again later","code":"RATE_LIMITED","retryAfterMs":100}]"#;
    assert_eq!(refused[0], limited);
    case.wait(SECOND);
    assert_eq!(rooms(case.commands()), expected(20..30));
    case.text(r#"2["mark_as_read",{"messageId":"nope"}]"#);
    assert!(case.sent().is_empty(), "a receipt does not overtake");
    case.wait(4 * SECOND);
    assert_eq!(rooms(case.commands()), expected(30..70));
    assert_eq!(names(&case.sent()), ["error"]);
    (0..80).for_each(|index| case.text(&format!(r#"2["joinRoom",{index}]"#)));
    assert_eq!(case.broker.limited, [1, 5]);
}

#[test]
fn refused_and_unknown_events_count() {
    let mut case = Case::joined();
    (0..10).for_each(|_| case.text(r#"2["joinRoom",{}]"#));
    (0..10).for_each(|_| case.text(r#"2["dance"]"#));
    case.text(r#"2["joinRoom",1]"#);
    assert!(case.commands().is_empty());
    case.wait(SECOND / 10);
    assert_eq!(case.commands().len(), 1);
}

#[test]
fn unknown_events_beyond_the_limit_are_refused_where_they_are_answered() {
    let mut case = Case::joined_with(Rules { strict_events: true, ..rules() }, r#"{"token":"ann"}"#);
    (0..71).for_each(|_| case.text(r#"2["dance"]"#));
    let sent = case.sent();
    assert_eq!(sent.iter().filter(|packet| packet.contains("UNKNOWN_EVENT")).count(), 70);
    assert!(sent[70].contains(r#""code":"RATE_LIMITED","event":"dance","retryAfterMs":100"#), "{}", sent[70]);
}

#[test]
fn typing_is_coalesced_and_receipts_wait() {
    let limits = Limits { receipts_per_second: 1, receipt_burst: 1, waiting_receipts: 3, ..Limits::default() };
    let mut case = Case::joined_with(Rules { limits, ..rules() }, r#"{"token":"ann"}"#);
    let send_typing = |case: &mut Case, word| case.text(&format!(r#"2["typing_{word}",{{"conversationId":"{CONVERSATION}"}}]"#));
    let read = format!(r#"2["mark_as_read",{{"messageId":"{MESSAGE}"}}]"#);
    for _ in 0..50 {
        send_typing(&mut case, "start");
        send_typing(&mut case, "stop");
    }
    case.text(&read);
    case.text(&read);
    assert!(case.sent().is_empty());
    case.text(&read);
    assert!(case.sent()[0].contains("RATE_LIMITED"));
    let conversation = conversation();
    assert_eq!(case.commands(), [Command::Typing { conversation, active: true }]);
    case.wait(5 * SECOND);
    let receipt = Command::MarkRead { message: message_id() };
    assert_eq!(case.commands(), [Command::Typing { conversation, active: false }, receipt.clone(), receipt]);
    assert_eq!(case.output.closed, None);
}

#[test]
fn a_flood_ends_the_session() {
    let mut case = Case::joined();
    for _ in 0..10 {
        (0..101).for_each(|_| case.text(r#"2["dance"]"#));
        if case.output.closed.is_none() {
            case.now.instant += SECOND;
        }
    }
    let sent = case.sent();
    assert_eq!(names(&sent), ["error", "41"]);
    assert!(sent[0].contains("RATE_LIMITED"));
    assert_eq!(case.output.closed, Some(CloseReason::Disconnected));
}

#[test]
fn without_limits_everything_runs_at_once() {
    let limits = Limits { events_per_second: 0, receipts_per_second: 0, unanswered: 500, ..Limits::default() };
    let mut case = Case::joined_with(Rules { limits, ..rules() }, r#"{"token":"ann"}"#);
    (0..501).for_each(|index| case.text(&format!(r#"2["joinRoom",{index}]"#)));
    assert_eq!(case.commands().len(), 500);
    assert!(case.sent()[0].contains("RATE_LIMITED"), "what the broker has not answered is bounded");
}

#[test]
fn an_idle_session_is_small() {
    let bytes = size_of::<Session>();
    assert!(bytes <= 300, "{bytes}");
    let mut case = Case::joined();
    assert!(case.session.is_idle());
    case.text(r#"2["joinRoom",1]"#);
    case.notice(Notice::Reply { ticket: 0, reply: Ok(Reply::Done) });
    case.wait(10 * SECOND);
    assert!(case.session.is_idle() && case.session.deadline(&case.rules).is_none());
}
