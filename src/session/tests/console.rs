//! The administrators' namespace beside the chat's.
use super::super::namespaces::CONSOLE;
use super::*;
use crate::chat::ConsoleNotice;
use crate::model::SocketId;

fn rules_with_console() -> Rules {
    Rules { has_console: true, ..rules() }
}

fn admitted() -> Notice {
    Notice::Console(ConsoleNotice::Admitted { socket: SocketId::parse("abcdefghijklmnopqrst").unwrap() })
}

fn packets(text: &str, is_awaited: bool) -> Notice {
    Notice::Console(ConsoleNotice::Packets { packets: Encoded::text(text), is_awaited })
}

fn in_console() -> Case {
    let mut case = Case::open(rules_with_console(), &Opening::default());
    case.text("0/admin,{\"sessionId\":null}");
    case.notice(admitted());
    assert_eq!(case.sent(), [r#"40/admin,{"sid":"abcdefghijklmnopqrst"}"#]);
    case
}

#[test]
fn without_a_password_there_is_no_such_namespace() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text("0/admin,{}");
    assert_eq!(case.sent(), [r#"44/admin,{"message":"Invalid namespace"}"#]);
    assert!(case.broker.console.is_empty());
}

#[test]
fn who_is_in_it_is_in_time_and_no_user() {
    let mut case = in_console();
    case.wait(60 * SECOND);
    assert_eq!(case.output.closed, None);
    assert!(case.broker.connects.is_empty());
    case.close(CloseReason::TransportClose);
    assert!(case.broker.disconnects.is_empty());
    assert!(matches!(case.broker.console.last(), Some(ConsoleAct::Gone(CloseReason::TransportClose))));
}

#[test]
fn who_is_refused_has_to_be_in_time_and_may_try_again() {
    let mut case = Case::open(rules_with_console(), &Opening::default());
    case.text("0/admin,");
    case.notice(Notice::Console(ConsoleNotice::Refused { message: "invalid credentials".to_owned() }));
    assert_eq!(case.sent(), [r#"44/admin,{"message":"invalid credentials"}"#]);
    case.text("0/admin,");
    assert_eq!(case.broker.console.len(), 2);
    case.wait(45 * SECOND);
    assert_eq!(case.output.closed, Some(CloseReason::ConnectTimeout));
}

#[test]
fn before_that_it_can_say_nothing() {
    for text in [r#"2/admin,["emit","/",null,"x"]"#, "1/admin,", "0/admin,"] {
        let mut case = Case::open(rules_with_console(), &Opening::default());
        case.text("0/admin,");
        case.text(text);
        assert_eq!(case.output.closed, Some(CloseReason::ForcedClose), "{text}");
        assert_eq!(case.broker.console.len(), 1, "{text}");
    }
}

#[test]
fn a_flood_of_requests_is_dropped() {
    let mut case = in_console();
    for _ in 0..1_000 {
        case.text(r#"2/admin,["_disconnect","/",false]"#);
    }
    let requests = |case: &Case| case.broker.console.iter().filter(|act| matches!(act, ConsoleAct::Request { .. })).count();
    assert_eq!(requests(&case), 20);
    case.wait(SECOND);
    for _ in 0..1_000 {
        case.text(r#"2/admin,["_disconnect","/",false]"#);
    }
    assert_eq!(requests(&case), 30);
    assert_eq!(case.output.closed, None);
}

#[test]
fn one_connection_holds_both_and_loses_one() {
    let mut case = in_console();
    case.text(r#"0{"token":"ann"}"#);
    case.admit(None, false);
    case.sent();
    case.notice(Notice::Kick { code: "KICKED" });
    assert_eq!(case.output.closed, None, "the other one stays");
    assert!(case.session.protocol.has_joined(CONSOLE));
    case.notice(Notice::Console(ConsoleNotice::Out { closes: false }));
    assert_eq!(case.sent().last().unwrap(), "41/admin,");
    assert_eq!(case.output.closed, Some(CloseReason::Disconnected), "nothing is left");
}

#[test]
fn what_is_awaited_is_reported_once_when_it_has_left() {
    let mut case = in_console();
    assert!(case.session.is_idle());
    case.notice(packets("42/admin,[\"a\"]", true));
    assert!(!case.session.is_idle());
    let drained = |case: &Case| case.broker.console.iter().filter(|act| matches!(act, ConsoleAct::Drained)).count();
    assert_eq!(drained(&case), 0);
    case.drain();
    case.drain();
    assert_eq!(drained(&case), 1);
    case.output.drops_volatile = true;
    case.sent();
    case.notice(packets("42/admin,[\"b\"]", false));
    assert_eq!(case.sent(), [""; 0]);
    assert!(case.session.is_idle());
}

#[test]
fn who_has_left_hears_no_more() {
    let mut case = in_console();
    case.text("1/admin,");
    assert!(matches!(case.broker.console.last(), Some(ConsoleAct::Gone(CloseReason::Disconnected))));
    case.notice(packets("42/admin,[\"a\"]", true));
    case.notice(admitted());
    case.notice(Notice::Console(ConsoleNotice::Out { closes: true }));
    assert_eq!(case.sent(), [""; 0]);
    assert_eq!(case.output.closed, None);
}
