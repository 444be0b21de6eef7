//! Waiting requests when their connection ends.
use super::*;
use crate::model::RoomId;

fn room(number: u32) -> Command {
    Command::JoinRoom { room: RoomId::parse(&number.to_string()).unwrap() }
}

/// Returns the requests left by the last connection.
fn left(case: &Case) -> Vec<LateRequest> {
    match case.broker.left.last() {
        Some(LeftBehind::Requests(left)) => left.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_waits_for_the_rate_limit_outlives_its_connection() {
    for close in [
        |case: &mut Case| case.close(CloseReason::TransportClose),
        |case: &mut Case| case.close(CloseReason::PingTimeout),
        |case: &mut Case| case.close(CloseReason::SlowConsumer),
        |case: &mut Case| case.text("1"),
    ] {
        let mut case = Case::joined();
        (0..75).for_each(|number| case.text(&format!(r#"2["joinRoom",{number}]"#)));
        let typing = format!(r#"2["typing_start",{{"conversationId":"{CONVERSATION}"}}]"#);
        case.text(&typing);
        assert_eq!(case.commands().len(), 20);
        close(&mut case);
        let left = left(&case);
        let expected: Vec<_> = (20..70).map(room).collect();
        assert_eq!(left.iter().map(|late| late.command.clone()).collect::<Vec<_>>(), expected, "typing does not");
        let times: Vec<_> = left.iter().map(|late| late.after.as_millis()).collect();
        assert_eq!(times, (1..51).map(|number| 100 * number).collect::<Vec<_>>(), "no sooner than without the end");
        case.close(CloseReason::TransportClose);
        assert!(case.broker.left.len() == 1 || self::left(&case).is_empty(), "once");
    }
}

#[test]
fn receipts_wait_by_their_own_limit_and_held_copies_stay_held() {
    let limits = Limits { receipts_per_second: 1, receipt_burst: 1, events_per_second: 1, event_burst: 1, ..Limits::default() };
    let mut case = Case::joined_with(Rules { limits, ..rules() }, r#"{"token":"ann","dialect":"listing"}"#);
    let send = r#"2["sendDirectMessage",{"receiverId":"bob","content":"hello"}]"#;
    (0..3).for_each(|_| case.text(send));
    assert_eq!(case.commands().len(), 1);
    case.close(CloseReason::TransportClose);
    let left = left(&case);
    assert_eq!(left.iter().map(|late| late.after.as_secs()).collect::<Vec<_>>(), [1, 2]);
    assert!(left.iter().all(|late| late.own_copy == OwnCopy::Held), "{left:?}");
}

#[test]
fn who_is_kicked_loses_what_waits() {
    for kick in [|case: &mut Case| case.notice(Notice::Kick { code: "KICKED" }), |case: &mut Case| case.wait(60 * SECOND)] {
        let mut case = Case::open(rules(), &Opening::default());
        case.text(r#"0{"token":"ann"}"#);
        case.admit(Some(Timestamp::from_millis(WALL + 1_000)), false);
        (0..40).for_each(|number| case.text(&format!(r#"2["joinRoom",{number}]"#)));
        kick(&mut case);
        assert_eq!(case.broker.left, [LeftBehind::Dropped]);
    }
}

#[test]
fn at_a_stop_what_waits_is_carried_out_what_comes_is_refused_and_what_is_not_answered_by_its_end_is_too() {
    let mut case = Case::joined();
    (0..40).for_each(|number| case.text(&format!(r#"2{number}["joinRoom",{number}]"#)));
    assert_eq!(case.commands().len(), 20);
    case.with(|session, now, cx| session.on_stopping(now, cx));
    assert_eq!(case.commands(), (20..40).map(room).collect::<Vec<_>>());
    assert!(case.sent().is_empty());
    case.text(r#"240["joinRoom",40]"#);
    let refused = case.sent();
    assert!(refused[0].starts_with("4340[") && refused[0].contains(r#""code":"DRAINING""#), "{refused:?}");
    case.text(r#"241["send_direct_message",{"recipientId":"bob","content":"again?","clientMessageId":"one"}]"#);
    assert_eq!((case.sent(), case.commands()), (Vec::<String>::new(), Vec::new()), "its client repeats it at the next server");
    (0..39).for_each(|ticket| case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) }));
    case.sent();
    case.with(|session, now, cx| session.on_stopped(now, cx));
    let refused = case.sent();
    assert!(
        refused.len() == 1 && refused[0].starts_with("4339[") && refused[0].contains(r#""code":"NOT_STORED""#),
        "{refused:?}"
    );
    case.close(CloseReason::Shutdown);
    assert!(left(&case).is_empty());
}
