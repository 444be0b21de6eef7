//! Connecting and disconnecting.
use super::*;

#[test]
fn a_session_with_its_connection_fills_an_allocation_and_no_more() {
    // The connection's part is 296 bytes with what counts its references; the allocator's sizes are 512 and 640.
    assert!(size_of::<crate::session::Client>() + 296 <= 512, "{}", size_of::<crate::session::Client>());
}

#[test]
fn a_client_comes_in() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    let connect = &case.broker.connects[0];
    let (socket, pid) = (connect.socket, connect.pid);
    assert_eq!(connect.claims.user.as_str(), "ann");
    assert!(connect.capabilities.direct_message && connect.capabilities.group_message && !connect.capabilities.unconfirmed);
    assert!(case.sent().is_empty());
    case.admit(None, false);
    let connected = format!(r#"40{{"sid":"{}","pid":"{}"}}"#, socket, pid.expose());
    assert_eq!(case.sent(), [connected, r#"42["recovery:seed","e1.0.3.z.5"]"#.to_owned()]);
    case.wait(1_000 * SECOND);
    assert_eq!(case.output.closed, None, "who is in has no time limit");
}

#[test]
fn a_client_that_may_speak_conversation_learns_who_it_is_before_all_else() {
    for auth in [r#"{"token":"ann"}"#, r#"{"token":"ann","dialect":"conversation"}"#] {
        let mut case = Case::open(rules_of_all(), &Opening::default());
        case.text(&format!("0{auth}"));
        let Connect { socket, pid, .. } = case.broker.connects[0];
        case.admit(None, true);
        case.shared(deleted());
        let connected = format!(r#"42["connected",{{"userId":"ann","socketId":"{socket}"}},"e1.0.3.z.5"]"#);
        assert_eq!(case.sent(), [format!(r#"40{{"sid":"{socket}","pid":"{}"}}"#, pid.expose()), connected]);
    }
}

#[test]
fn refused_connects_say_why() {
    let both = |code, sentence, own| (code, sentence, own);
    for (auth, (code, sentence, own)) in [
        ("", both("NO_TOKEN", "Authentication error: No token provided", "No token provided")),
        (r#"{"token":null}"#, both("NO_TOKEN", "Authentication error: No token provided", "No token provided")),
        (r#"{"token":"nope"}"#, both("INVALID_TOKEN", "Authentication error: Invalid token", "Authentication failed")),
        (r#"{"token":7}"#, both("INVALID_TOKEN", "Authentication error: Invalid token", "Authentication failed")),
        (r#"{"token":"expired"}"#, both("TOKEN_EXPIRED", "Authentication error: Invalid token", "Authentication failed")),
    ] {
        let error = |message| format!(r#"44{{"message":"{message}","data":{{"code":"{code}","status":401}}}}"#);
        let mut case = Case::open(rules(), &Opening::default());
        case.text(&format!("0{auth}"));
        assert_eq!(case.sent(), [error(sentence)]);
        case.text(r#"0{"token":"ann"}"#);
        assert_eq!((case.broker.connects.len(), case.output.closed), (1, None), "it may try again");

        let requested = Opening { query: "EIO=4&dialect=messenger".to_owned(), ..Opening::default() };
        let mut case = Case::open(rules(), &requested);
        case.text(&format!("0{auth}"));
        assert_eq!(case.sent(), [error(own)]);

        let only = DialectSet::parse(["messenger"]).unwrap();
        let mut case = Case::open(Rules { dialects: only, ..rules() }, &Opening::default());
        case.text(&format!("0{auth}"));
        assert_eq!(case.sent(), [error(own)]);
    }
}

#[test]
fn an_unknown_dialect_is_refused_before_the_token_is_looked_at() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"dialect":"morse"}"#);
    let expected =
        r#"44{"message":"Unknown dialect, known are: listing, messenger","data":{"code":"UNKNOWN_DIALECT","status":400}}"#;
    assert_eq!(case.sent(), [expected]);
    assert!(case.broker.connects.is_empty());
}

#[test]
fn the_broker_may_refuse_and_the_client_try_again() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    case.notice(Notice::Refused(RefusedConnect::UserNotFound));
    assert_eq!(
        case.sent(),
        [r#"44{"message":"Authentication error: User not found","data":{"code":"USER_NOT_FOUND","status":401}}"#]
    );
    case.text(r#"0{"token":"ann"}"#);
    let [first, second] = case.broker.connects.as_slice() else { panic!() };
    assert_ne!(first.socket, second.socket);
    assert!(case.broker.disconnects.is_empty());
}

#[test]
fn there_is_one_namespace() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0/nope,{"token":"ann"}"#);
    case.text(r#"0/nope,{"token":"ann"}"#);
    let refused = r#"44/nope,{"message":"Invalid namespace"}"#;
    assert_eq!(case.sent(), [refused, refused]);
    case.text(r#"0{"token":"ann"}"#);
    assert_eq!(case.broker.connects.len(), 1);
}

#[test]
fn violations_close_the_connection() {
    for texts in [
        &[r#"0{"token":"ann"}"#, r#"0{"token":"ann"}"#][..],
        &[r#"2["mark_as_read",{}]"#],
        &[r#"0{"token":"ann"}"#, r#"2["mark_as_read",{}]"#],
        &[r#"0{"token":"ann"}"#, "1"],
        &["x"],
    ] {
        let mut case = Case::open(rules(), &Opening::default());
        texts.iter().for_each(|text| case.text(text));
        assert_eq!(case.output.closed, Some(CloseReason::ForcedClose), "{texts:?}");
    }
    let mut case = Case::joined();
    case.text(r#"0{"token":"ann"}"#);
    assert_eq!(case.output.closed, Some(CloseReason::ForcedClose));
}

#[test]
fn who_does_not_come_in_in_time_is_closed() {
    let mut case = Case::open(rules(), &Opening::default());
    case.wait(44 * SECOND);
    assert_eq!(case.output.closed, None);
    case.wait(SECOND);
    assert_eq!(case.output.closed, Some(CloseReason::ConnectTimeout));
}

#[test]
fn a_client_may_leave_and_come_back() {
    let mut case = Case::joined();
    case.text(r#"21["mark_as_read",{"messageId":"01890a5d-ac96-774b-bcce-b302099a8058"}]"#);
    let ticket = case.broker.requests[0].ticket;
    case.text("1");
    assert_eq!(case.broker.disconnects, [(true, CloseReason::Disconnected)]);
    case.wait(100 * SECOND);
    assert_eq!(case.output.closed, None);
    case.shared(deleted());
    case.text(r#"0{"token":"ann"}"#);
    case.admit(None, false);
    case.sent();
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) });
    assert!(case.sent().is_empty(), "the answer to what was asked before is not sent");
    assert_ne!(case.broker.connects[0].socket, case.broker.connects[1].socket);
    case.close(CloseReason::TransportClose);
    assert_eq!(case.broker.disconnects.len(), 2);
}

#[test]
fn the_broker_is_notified_once_of_every_disconnect() {
    let close = |mut case: Case| {
        case.close(CloseReason::PingTimeout);
        case.broker.disconnects
    };
    assert_eq!(close(Case::open(rules(), &Opening::default())), []);
    assert_eq!(close(Case::joined()), [(false, CloseReason::PingTimeout)]);
    let mut connecting = Case::open(rules(), &Opening::default());
    connecting.text(r#"0{"token":"ann"}"#);
    assert_eq!(close(connecting), [(false, CloseReason::PingTimeout)]);
    let mut kicked = Case::joined();
    kicked.notice(Notice::Kick { code: "KICKED" });
    assert_eq!(close(kicked), [(true, CloseReason::Disconnected)]);
}

#[test]
fn an_expired_token_ends_the_session() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    case.admit(Some(Timestamp::from_millis(WALL + 60_000)), false);
    case.sent();
    case.wait(59 * SECOND);
    assert!(case.sent().is_empty());
    case.wait(SECOND);
    let error = r#"{"message":"Your session has expired","error":"Your session has expired","code":"TOKEN_EXPIRED"}"#;
    assert_eq!(case.sent(), [format!(r#"42["error",{error}]"#), "41".to_owned()]);
    assert_eq!(case.broker.disconnects, [(true, CloseReason::Disconnected)]);
    assert_eq!(case.output.closed, Some(CloseReason::Disconnected));
    case.text(r#"2["mark_as_read",{}]"#);
    assert!(case.sent().is_empty(), "what was on its way is ignored");
}

#[test]
fn a_token_whose_key_is_not_known_waits_until_it_is_read() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::auth::TokenError;
    use crate::session::Rules;

    let is_known = Arc::new(AtomicBool::new(false));
    let (inner, known) = (rules(), is_known.clone());
    let verify = Box::new(move |token: &str, now: Timestamp| match token {
        "rotated" if known.load(Ordering::Relaxed) => (inner.verify)("ann", now),
        "rotated" => Err(TokenError::KeyUnknown),
        other => (inner.verify)(other, now),
    });
    let mut case = Case::open(Rules { dialects: DialectSet::all(), ..Rules::new(verify) }, &Opening::default());
    case.text(r#"0{"token":"rotated"}"#);
    assert_eq!((case.broker.keys_wanted, case.broker.connects.len(), case.output.sent.len()), (1, 0, 0), "nobody is refused");
    // Only other keys were read.
    case.notice(Notice::KeysRead);
    assert_eq!((case.broker.keys_wanted, case.broker.connects.len()), (2, 0));
    is_known.store(true, Ordering::Relaxed);
    case.notice(Notice::KeysRead);
    assert_eq!((case.broker.keys_wanted, case.broker.connects.len()), (2, 1));
    assert_eq!(case.broker.connects[0].claims.user.as_str(), "ann");
    case.notice(Notice::KeysRead);
    assert_eq!(case.broker.connects.len(), 1, "once");

    // A renewed token waits as well, and is answered.
    case.admit(None, false);
    is_known.store(false, Ordering::Relaxed);
    case.text(r#"21["authenticate",{"token":"rotated"}]"#);
    assert_eq!((case.broker.keys_wanted, case.broker.requests.len()), (3, 0));
    is_known.store(true, Ordering::Relaxed);
    case.notice(Notice::KeysRead);
    assert_eq!(case.broker.requests.len(), 1);
}

#[test]
fn who_waits_for_keys_ends_with_the_time_to_come_in() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"rotated"}"#);
    case.now.instant += case.rules.connect_timeout;
    case.with(|session, now, cx| session.on_deadline(now, cx));
    assert_eq!(case.output.closed, Some(CloseReason::ConnectTimeout));
    case.notice(Notice::KeysRead);
    case.with(|session, now, cx| session.on_close(CloseReason::ConnectTimeout, now.instant, cx.rules, cx.broker));
    assert!(case.broker.disconnects.is_empty(), "the broker has never heard of it");
}

#[test]
fn the_operators_hook_is_asked_who_a_client_is_and_only_the_last_answer_counts() {
    let asking = || Rules { asks_connect: true, ..rules() };
    let judged = |ticket, verdict| Notice::ConnectJudged { ticket, verdict };
    let claims = (rules().verify)("bob", Timestamp::default()).unwrap();
    let mut case = Case::open(asking(), &Opening::default());
    case.text("0");
    let Some(&Ok(ticket)) = case.broker.backend.last() else { panic!() };
    assert!(case.broker.connects.is_empty(), "nobody comes in meanwhile");
    case.notice(judged(ticket.wrapping_add(1), ConnectVerdict::Failed));
    assert!(case.sent().is_empty(), "an answer to something else");
    case.notice(judged(ticket, ConnectVerdict::Named(Box::new(claims))));
    assert_eq!(case.broker.connects[0].claims.user.as_str(), "bob");
    let refusal = HookRefusal { code: "CLOSED".into(), message: "Come back at eight".into() };
    for (verdict, code) in [
        (ConnectVerdict::Refused(Box::new(refusal)), "CLOSED"),
        (ConnectVerdict::Failed, "HOOK_FAILED"),
        (ConnectVerdict::Allowed, "NO_TOKEN"),
    ] {
        let mut case = Case::open(asking(), &Opening::default());
        case.text("0");
        let Some(&Ok(ticket)) = case.broker.backend.last() else { panic!() };
        case.notice(judged(ticket, verdict));
        assert!(case.broker.connects.is_empty() && case.sent()[0].contains(code), "{code}");
    }
}

#[test]
fn what_no_dialect_knows_is_handed_on_where_somebody_takes_it() {
    let mut case = Case::joined_with(Rules { forwarded_bytes: 1_000, ..rules() }, r#"{"token":"ann"}"#);
    case.text(r#"2["auction:bid",{"price":7}]"#);
    assert_eq!(case.broker.backend, [Err("auction:bid".into())]);
    let mut case = Case::joined_with(rules(), r#"{"token":"ann"}"#);
    case.text(r#"2["auction:bid",{"price":7}]"#);
    assert!(case.broker.backend.is_empty());
}
