//! Events that a client is shown, and their order.
use super::*;

#[test]
fn an_undetermined_client_hears_all_and_then_what_it_speaks() {
    let mut case = Case::joined();
    case.shared(deleted());
    let event = room_message("m");
    case.with(|session, now, cx| session.on_shared(&event, now.instant, cx));
    assert_eq!(names(&case.sent()), ["message_deleted", "m"]);
    case.text(r#"2["joinRoom",{}]"#);
    assert!(!case.broker.capabilities[0].group_message, "a refused event teaches, too");
    assert_eq!(names(&case.sent()), ["error"]);
    case.shared(deleted());
    case.with(|session, now, cx| session.on_shared(&event, now.instant, cx));
    assert_eq!(names(&case.sent()), ["m"]);
    case.text(r#"2["typing_stop",{}]"#);
    assert!(case.broker.capabilities[1].group_message);
}

#[test]
fn a_cookie_alone_proves_nothing_until_something_is_said() {
    let cookie = Opening { cookie_token: Some("ann".to_owned()), ..Opening::default() };
    let mut case = Case::open(rules(), &cookie);
    case.text("0");
    assert!(case.broker.connects[0].capabilities.unconfirmed);
    case.admit(None, false);
    case.text(r#"2["dance"]"#);
    assert!(case.broker.capabilities.is_empty());
    case.text(r#"2["typing_stop",{}]"#);
    assert!(!case.broker.capabilities[0].unconfirmed);
    let mut requested = Case::open(rules(), &cookie);
    requested.text(r#"0{"dialect":"messenger"}"#);
    assert!(!requested.broker.connects[0].capabilities.unconfirmed);
}

#[test]
fn messenger_shows_ones_own_direct_messages_to_those_who_pinned_it() {
    let event = || Event::Message {
        message: message("ann", "hi").into(),
        kind: ConversationKind::Direct,
        recipient: Some(profile("bob")),
    };
    let mut case = Case::joined();
    case.shared(event());
    assert_eq!(names(&case.sent()), ["directMessage"], "listing shows it to all");
    let mut case = Case::joined_with(rules(), r#"{"token":"ann","dialect":["messenger"]}"#);
    case.shared(event());
    assert_eq!(names(&case.sent()), ["new_message"]);
}

fn direct(sender: &str, recipient: &str) -> Event {
    let (message, recipient) = (message(sender, "hi").into(), Some(profile(recipient)));
    Event::Message { message, kind: ConversationKind::Direct, recipient }
}

#[test]
fn ones_own_copy_is_for_those_who_take_it_for_the_confirmation() {
    let mut case = Case::joined_with(rules_of_all(), r#"{"token":"ann","dialect":["agent","messenger"]}"#);
    case.notice(Notice::Hold(Arc::new(Broadcast::new(direct("ann", "bob")))));
    case.shared(direct("bob", "ann"));
    case.notice(Notice::Settle { message: message_id(), stored: true });
    assert_eq!(names(&case.sent()), ["message:receive", "message:receive", "new_message"]);
}

#[test]
fn who_speaks_conversation_and_agent_is_shown_the_own_message_once() {
    let mut case = Case::joined_with(rules_of_all(), r#"{"token":"ann"}"#);
    case.text(r#"2["message:send",{}]"#);
    case.sent();
    case.notice(Notice::Hold(Arc::new(Broadcast::new(direct("ann", "bob")))));
    case.notice(Notice::Settle { message: message_id(), stored: true });
    assert_eq!(names(&case.sent()), ["message:receive"]);
    case.shared(direct("bob", "ann"));
    assert_eq!(names(&case.sent()), ["message:new", "message:receive"]);
}

#[test]
fn each_viewer_is_shown_the_own_name_of_a_conversation() {
    let mut case = Case::joined_with(rules_of_all(), r#"{"token":"ann","dialect":["agent","messenger"]}"#);
    let show = |case: &mut Case, owner: &str| {
        let event = Arc::new(Broadcast::new(direct("bob", "ann")).named(vec![(profile(owner).id.clone(), "conv_1".into())]));
        case.with(|session, now, cx| session.on_shared(&event, now.instant, cx));
        case.sent()
    };
    let others = show(&mut case, "bob");
    let own = show(&mut case, "ann");
    assert_eq!(names(&own), ["message:receive", "new_message"]);
    assert_eq!(own[0], others[0].replace(CONVERSATION, "conv_1"));
    assert_eq!(own[1], others[1], "only one front end knows names");
}

#[test]
fn events_wait_behind_a_held_copy() {
    let mut case = Case::joined();
    case.text(r#"2["joinRoom",1]"#);
    let ticket = case.broker.requests[0].ticket;
    case.notice(Notice::Hold(room_message("own 1")));
    let other = room_message("other");
    case.with(|session, now, cx| session.on_shared(&other, now.instant, cx));
    case.notice(Notice::Hold(room_message("own 2")));
    case.notice(Notice::Hold(room_message("own 3")));
    case.with(|session, now, cx| session.on_shared(&other, now.instant, cx));
    assert!(case.sent().is_empty());
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) });
    assert_eq!(names(&case.sent()), ["joinedRoom"], "replies pass");
    case.notice(Notice::Settle { message: numbered("own 2"), stored: false });
    assert!(case.sent().is_empty());
    case.notice(Notice::Settle { message: numbered("own 1"), stored: true });
    assert_eq!(names(&case.sent()), ["own 1", "other"]);
    case.notice(Notice::Settle { message: numbered("own 3"), stored: true });
    assert_eq!(names(&case.sent()), ["own 3", "other"]);
    case.with(|session, now, cx| session.on_shared(&other, now.instant, cx));
    assert_eq!(names(&case.sent()), ["other"]);
}

#[test]
fn volatile_events_pass_what_waits() {
    let mut case = Case::joined();
    case.notice(Notice::Hold(room_message("own")));
    case.shared(typing(true));
    case.shared(deleted());
    assert_eq!(names(&case.sent()), ["user_typing"]);
}

#[test]
fn live_events_wait_behind_the_catch_up() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    case.admit(None, true);
    case.sent();
    case.drain();
    assert_eq!(case.broker.drained, 0);
    case.shared(deleted());
    case.notice(Notice::CatchUp(vec![room_message("1"), room_message("2")]));
    assert_eq!(names(&case.sent()), ["1", "2"]);
    case.shared(deleted());
    assert_eq!(case.broker.drained, 0);
    case.drain();
    assert_eq!(case.broker.drained, 1);
    case.notice(Notice::CatchUp(vec![Arc::new(Broadcast::new(Event::ConversationDeleted { conversation: conversation() }))]));
    assert_eq!(case.broker.drained, 2, "there was nothing to show");
    case.notice(Notice::CatchUpDone);
    assert_eq!(names(&case.sent()), ["message_deleted", "message_deleted"]);
    case.shared(deleted());
    assert_eq!(names(&case.sent()), ["message_deleted"]);
}

#[test]
fn what_waits_leaves_no_faster_than_it_is_read() {
    let mut case = Case::open(Rules { outbox_packets: 8, ..rules() }, &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    case.admit(None, true);
    (0..5).for_each(|_| case.shared(deleted()));
    case.sent();
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.sent().len(), 2);
    case.shared(typing(true));
    case.shared(deleted());
    assert_eq!(names(&case.sent()), ["user_typing"]);
    case.drain();
    assert_eq!(case.sent().len(), 2);
    case.drain();
    assert_eq!(case.sent().len(), 2);
    assert!(case.session.is_idle() && case.output.closed.is_none());
}

#[test]
fn dropped_state_is_sent_when_there_is_room() {
    let mut case = Case::joined();
    case.output.drops_volatile = true;
    case.shared(typing(true));
    case.output.drops_volatile = false;
    case.shared(typing(false));
    case.shared(typing(true));
    assert!(case.sent().is_empty(), "nothing overtakes it");
    case.drain();
    assert_eq!(names(&case.sent()), ["user_typing"]);
    assert!(case.session.is_idle());
}
