//! Offsets, and resuming a session after its connection was lost.
use super::*;

/// Makes a room message that is the event with this number.
fn numbered_event(event_seq: u64, text: &str) -> Arc<Broadcast> {
    let Event::RoomMessage { message, shown_as } = room_message(text).event().clone() else { panic!() };
    Arc::new(Broadcast::new(Event::RoomMessage { message, shown_as }).placed(offset(event_seq, Part::FIRST)))
}

fn missed(event: Arc<Broadcast>, had: Option<Part>, kind: ReplayKind) -> Replay {
    Replay { event, had, kind }
}

/// Makes a client that reconnected, and whose session is resumed.
fn resumed(rules: Rules, auth: &str, client_dialects: ClientDialects, missed: Vec<Replay>) -> Case {
    let mut case = Case::open(rules, &Opening::default());
    case.text(&format!("0{auth}"));
    let admission = Admission {
        resume_data: Some(ResumeData { client_dialects, missed, states: Vec::new() }),
        ..case.admission(None, false)
    };
    case.notice(Notice::Admitted(Box::new(admission)));
    case
}

/// Returns a private id as a session of this user has it.
fn private_id(name: &str) -> String {
    PrivateId::parse(&"p".repeat(20)).unwrap().of_user(&user(name)).expose().to_owned()
}

/// Returns the last arguments of events.
fn offsets(sent: &[String]) -> Vec<&str> {
    sent.iter().map(|packet| packet.rsplit_once(",\"").unwrap().1.trim_end_matches("\"]")).collect()
}

#[test]
fn every_packet_of_an_event_bears_its_own_offset() {
    let mut case = Case::joined_with(rules(), r#"{"token":"ann","dialect":["listing","messenger"]}"#);
    let event =
        Event::Message { message: message("bob", "hi").into(), kind: ConversationKind::Direct, recipient: Some(profile("ann")) };
    let event = Arc::new(Broadcast::new(event).placed(offset(7, Part::FIRST)));
    case.with(|session, now, cx| session.on_shared(&event, now.instant, cx));
    assert_eq!(offsets(&case.sent()), ["e1.0.3.20.7", "e1.0.3.40.7"]);
    let users = vec![user("bob"), user("cid")];
    let delivered = Event::Delivered {
        message: message_id(),
        conversation: conversation(),
        users,
        delivered_at: Timestamp::default(),
        client_message_id: None,
        at_once: false,
    };
    let event = Arc::new(Broadcast::new(delivered).placed(offset(8, Part::FIRST)));
    case.with(|session, now, cx| session.on_shared(&event, now.instant, cx));
    assert_eq!(offsets(&case.sent()), ["e1.0.3.40.8", "e1.0.3.41.8"]);
    case.shared(typing(true));
    assert!(case.sent()[0].ends_with("}]"), "what may be dropped has none");
}

#[test]
fn a_client_without_recovery_is_told_of_none() {
    let wish = r#"{"token":"ann","recovery":false,"pid":"pppppppppppppppppppp","offset":"e1.0.3.20.7"}"#;
    let off = || Rules { offsets: false, ..rules() };
    for (rules, auth) in [(rules(), wish), (off(), r#"{"token":"ann"}"#), (off(), r#"{"token":"ann","recovery":true}"#)] {
        let mut case = Case::open(rules, &Opening::default());
        case.text(&format!("0{auth}"));
        let connect = case.broker.connects.last().unwrap();
        assert_eq!((connect.back_to, connect.offset), (None, None));
        let socket = connect.socket;
        case.admit(None, false);
        assert_eq!(case.sent(), [format!(r#"40{{"sid":"{socket}"}}"#)]);
        let event = numbered_event(6, "one");
        let mut other = Case::joined();
        let hear = |case: &mut Case| case.with(|session, now, cx| session.on_shared(&event, now.instant, cx));
        hear(&mut other);
        hear(&mut case);
        hear(&mut other);
        let bare = case.sent();
        assert!(bare.len() == 1 && bare[0].ends_with("}]"), "{bare:?}");
        assert_eq!(other.sent(), vec![bare[0].replace("}]", r#"},"e1.0.3.20.6"]"#); 2], "others have theirs, as before");
        case.close(CloseReason::PingTimeout);
        assert_eq!(case.broker.may_return, [false]);
    }
    let mut case = Case::joined();
    case.close(CloseReason::PingTimeout);
    assert_eq!(case.broker.may_return, [true]);
}

#[test]
fn a_client_without_recovery_is_told_who_it_is_all_the_same() {
    let mut case = Case::open(rules_of_all(), &Opening::default());
    case.text(r#"0{"token":"ann","recovery":"false"}"#);
    let socket = case.broker.connects[0].socket;
    case.admit(None, false);
    let connected = format!(r#"42["connected",{{"userId":"ann","socketId":"{socket}"}}]"#);
    assert_eq!(case.sent(), [format!(r#"40{{"sid":"{socket}"}}"#), connected]);
}

#[test]
fn a_wish_for_recovery_is_true_or_false() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"ann","recovery":"no"}"#);
    let refused = r#"44{"message":"Invalid recovery: neither true nor false","data":{"code":"INVALID_PAYLOAD","status":400}}"#;
    assert_eq!(case.sent(), [refused]);
    case.text(r#"0{"token":"ann","recovery":true}"#);
    assert_eq!(case.broker.connects.len(), 1, "it may try again");
}

#[test]
fn who_was_here_before_says_where() {
    let mut case = Case::open(rules(), &Opening::default());
    let pid = private_id("ann");
    case.text(&format!(r#"0{{"token":"ann","pid":"{pid}","offset":"e1.0.3.20.7"}}"#));
    let connect = case.broker.connects.pop().unwrap();
    assert_eq!(connect.back_to.unwrap().expose(), pid);
    assert_eq!(connect.pid.client(), connect.back_to.unwrap().client(), "it is the same client's");
    assert_ne!(Some(connect.pid), connect.back_to, "a stock client would take that for a recovery");
    assert_eq!(connect.offset, Some(offset(7, Part { encoding: 2, packet: 0 })));
    assert_ne!(connect.pid.expose(), pid, "if it has to come anew, it has a new one");
}

#[test]
fn a_token_past_its_time_serves_who_comes_back_at_most() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"expired"}"#);
    assert!(case.broker.connects.is_empty() && case.sent()[0].contains("TOKEN_EXPIRED"));
    case.text(&format!(r#"0{{"token":"expired","pid":"{}"}}"#, private_id("expired")));
    assert!(case.broker.connects[0].claims.is_expired(case.now.wall));
    case.notice(Notice::Refused(RefusedConnect::TokenExpired));
    assert!(case.sent()[0].contains("TOKEN_EXPIRED"));
}

#[test]
fn what_was_missed_comes_after_connect_and_before_the_seed() {
    let replays = vec![
        missed(numbered_event(6, "one"), None, ReplayKind::Shared),
        missed(numbered_event(7, "own"), None, ReplayKind::Own),
        missed(numbered_event(8, "two"), None, ReplayKind::Shared),
    ];
    let mut case = resumed(rules(), r#"{"token":"ann"}"#, ClientDialects::default(), replays);
    case.with(|session, now, cx| session.on_shared(&numbered_event(9, "new"), now.instant, cx));
    let sent = case.sent();
    assert!(sent[0].starts_with("40"));
    assert_eq!(names(&sent[1..]), ["one", "own", "two", "recovery:seed", "new"]);
}

#[test]
fn who_comes_back_speaks_as_before_whatever_is_said_now() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    case.admit(None, false);
    case.text(r#"2["mark_as_read",{}]"#);
    let client_dialects = case.broker.client_dialect_counts[0];
    let mut case = resumed(rules(), r#"{"token":"ann"}"#, client_dialects, Vec::new());
    case.sent();
    let event = numbered_event(9, "for others");
    case.with(|session, now, cx| session.on_shared(&event, now.instant, cx));
    assert!(case.sent().is_empty(), "it was learned that it speaks messenger");
}

#[test]
fn of_an_event_that_came_in_part_the_rest_comes() {
    let message =
        Event::Message { message: message("bob", "hi").into(), kind: ConversationKind::Direct, recipient: Some(profile("ann")) };
    let shown = |had: Option<Part>| {
        let event = Arc::new(Broadcast::new(message.clone()).placed(offset(7, Part::FIRST)));
        let case = &mut resumed(
            rules(),
            r#"{"token":"ann"}"#,
            Case::joined().client_dialects(),
            vec![missed(event, had, ReplayKind::Shared)],
        );
        names(&case.sent()[1..]).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(shown(None), ["directMessage", "new_message", "recovery:seed"]);
    assert_eq!(shown(Some(Part { encoding: 2, packet: 0 })), ["new_message", "recovery:seed"]);
    assert_eq!(shown(Some(Part { encoding: 4, packet: 0 })), ["recovery:seed"]);
}

#[test]
fn a_copy_that_was_held_is_held_again_at_its_place() {
    let replays = vec![
        missed(numbered_event(6, "one"), None, ReplayKind::Shared),
        missed(numbered_event(7, "own"), None, ReplayKind::Held),
        missed(numbered_event(8, "two"), None, ReplayKind::Shared),
    ];
    let mut case = resumed(rules(), r#"{"token":"ann"}"#, ClientDialects::default(), replays);
    assert_eq!(names(&case.sent()[1..]), ["one"]);
    case.with(|session, now, cx| session.on_shared(&numbered_event(9, "new"), now.instant, cx));
    case.notice(Notice::Settle { message: numbered("own"), stored: true });
    assert_eq!(names(&case.sent()), ["own", "two", "recovery:seed", "new"]);
}

#[test]
fn what_was_missed_leaves_no_faster_than_it_is_read() {
    let replays = (6..16).map(|event_seq| missed(numbered_event(event_seq, "missed"), None, ReplayKind::Shared)).collect();
    let mut case = resumed(Rules { outbox_packets: 16, ..rules() }, r#"{"token":"ann"}"#, ClientDialects::default(), replays);
    let mut packets = vec![case.sent().len()];
    while !case.session.is_idle() {
        case.drain();
        packets.push(case.sent().len());
    }
    assert_eq!(packets, [5, 4, 3]);
}

#[test]
fn only_an_answered_ping_proves_that_something_arrived() {
    let confirmed = |act: &dyn Fn(&mut Case)| {
        let mut case = Case::joined();
        act(&mut case);
        case.close(CloseReason::TransportClose);
        case.broker.confirmed
    };
    assert_eq!(confirmed(&|case| hear(case, 7)), Watermark::Nothing);
    assert_eq!(confirmed(&|case| (hear(case, 7), case.ping()).1), Watermark::Nothing);
    assert_eq!(confirmed(&|case| (case.ping(), case.pong()).1), Watermark::Event(5), "the initial offset's");
    assert_eq!(confirmed(&|case| (hear(case, 7), case.ping(), hear(case, 8), case.pong()).3), Watermark::Event(7));
    let behind_a_copy = |case: &mut Case| {
        case.notice(Notice::Hold(numbered_event(7, "own")));
        hear(case, 8);
        case.ping();
        case.pong();
    };
    assert_eq!(confirmed(&behind_a_copy), Watermark::Event(5), "it waits and was not sent");
    let anew = |case: &mut Case| {
        hear(case, 7);
        case.ping();
        case.text("1");
        case.text(r#"0{"token":"ann"}"#);
        case.pong();
    };
    assert_eq!(confirmed(&anew), Watermark::Nothing);
}

#[test]
fn nothing_is_confirmed_while_the_catch_up_is_under_way() {
    for (is_done, expected) in [(false, Watermark::Nothing), (true, Watermark::Event(5))] {
        let mut case = Case::open(rules(), &Opening::default());
        case.text(r#"0{"token":"ann"}"#);
        case.admit(None, true);
        if is_done {
            case.notice(Notice::CatchUpDone);
        }
        case.ping();
        case.pong();
        case.close(CloseReason::TransportClose);
        assert_eq!(case.broker.confirmed, expected);
    }
}

fn hear(case: &mut Case, event_seq: u64) {
    case.with(|session, now, cx| session.on_shared(&numbered_event(event_seq, "x"), now.instant, cx));
}

/// Makes a message of a conversation, and the confirmation wanted for it.
fn wanting(event_seq: u64, sender: &str, wanted: ConfirmationWanted) -> Arc<Broadcast> {
    let event = Event::Message { message: message(sender, "hello").into(), kind: ConversationKind::Group, recipient: None };
    Arc::new(Broadcast::new(event).placed(offset(event_seq, Part::FIRST)).wanting(wanted))
}

#[test]
fn a_message_is_to_be_confirmed_before_long_and_at_once_where_its_sender_waits() {
    let wanted = |event: Arc<Broadcast>| {
        let mut case = Case::joined();
        case.with(|session, now, cx| session.on_shared(&event, now.instant, cx));
        case.session.ping_wanted().map(|at| at - case.now.instant)
    };
    assert_eq!(wanted(wanting(7, "bob", ConfirmationWanted::Soon)), Some(rules().proof_interval));
    assert_eq!(wanted(wanting(7, "bob", ConfirmationWanted::AtOnce)), Some(Duration::ZERO));
    assert_eq!(wanted(wanting(7, "bob", ConfirmationWanted::No)), None);
    assert_eq!(wanted(wanting(7, "ann", ConfirmationWanted::AtOnce)), None, "it is her own");
    let mut listing = Case::joined_with(rules(), r#"{"token":"ann","dialect":"listing"}"#);
    listing.with(|session, now, cx| session.on_shared(&wanting(7, "bob", ConfirmationWanted::Soon), now.instant, cx));
    assert_eq!(listing.session.ping_wanted(), None, "it has no word for groups");
}

#[test]
fn the_broker_hears_of_proofs_that_somebody_waits_for() {
    let mut case = Case::joined();
    case.ping();
    case.pong();
    case.with(|session, now, cx| session.on_shared(&wanting(7, "bob", ConfirmationWanted::Soon), now.instant, cx));
    case.ping();
    assert_eq!(case.session.ping_wanted(), None, "one is on its way");
    hear(&mut case, 8);
    case.pong();
    case.pong();
    assert_eq!(case.broker.proofs, [Watermark::Event(7)]);
}

#[test]
fn pages_of_the_catch_up_are_confirmed_one_by_one() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    case.admit(None, true);
    for number in 1..=2 {
        case.notice(Notice::CatchUp(vec![numbered_event(3, "missed")]));
        assert_eq!(case.session.ping_wanted(), Some(case.now.instant), "its senders wait");
        case.ping();
        case.pong();
        assert_eq!(case.broker.proofs.last(), Some(&Watermark::Page(number)));
    }
    case.with(|session, now, cx| session.on_shared(&wanting(7, "bob", ConfirmationWanted::Soon), now.instant, cx));
    assert_eq!(case.session.ping_wanted(), None, "it waits behind the catch-up");
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.session.ping_wanted(), Some(case.now.instant + rules().proof_interval));
}

#[test]
fn presence_and_typing_are_shown_as_they_are_now() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    let states = [typing(true), typing(false), typing(true)].map(|event| Arc::new(Broadcast::new(event))).to_vec();
    let resume_data = ResumeData { client_dialects: case.client_dialects(), missed: Vec::new(), states };
    let admission = Admission { resume_data: Some(resume_data), ..case.admission(None, false) };
    case.notice(Notice::Admitted(Box::new(admission)));
    case.sent();
    case.drain();
    assert_eq!(names(&case.sent()), ["user_typing"]);
}
