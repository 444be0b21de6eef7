//! More events come than a socket may hold: the catch-up continues from there, and a client that reads stays connected.
use super::*;
use crate::model::{ChangesNotified, Conversation, Message, SocketId};

/// Makes a message by bob, or another event, with this number; all earlier ones were messages.
fn placed(event: Event, position: i64) -> Broadcast {
    let epoch = Epoch { number: 1, mark: 0 };
    let kind = OffsetKind::Event { event_seq: position as u64, is_message: matches!(event, Event::Message { .. }) };
    Broadcast::new(event).placed(Offset { epoch, position, part: Part::FIRST, kind, changes: ChangesNotified::all(position) })
}

fn said(sender: &str, position: i64) -> Broadcast {
    let mut message = message(sender, &position.to_string());
    message.id = numbered(&position.to_string());
    message.position = position;
    message.updated_at = Timestamp::default();
    let event = Event::Message { message: message.into(), kind: ConversationKind::Group, recipient: None };
    placed(event, position).wanting(ConfirmationWanted::AtOnce)
}

fn changed(name: &str, position: i64) -> Broadcast {
    let group = Conversation {
        id: conversation(),
        kind: ConversationKind::Group,
        name: Some(name.to_owned()),
        avatar: None,
        admin: None,
        participants: vec![user("ann"), user("bob")],
        last_message: None,
        last_seq: 0,
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
    };
    placed(Event::ConversationChanged(group.into()), position)
}

fn read(number: i64, position: i64) -> Broadcast {
    let message = numbered(&number.to_string());
    let event = Event::Read { message, conversation: conversation(), user: user("bob"), read_at: Timestamp::from_millis(number) };
    placed(event, position)
}

/// Makes a message by bob, edited at this time.
fn edited(position: i64, edited_at: i64) -> Message {
    let mut message = message("bob", &format!("{position} as of {edited_at}"));
    message.id = numbered(&position.to_string());
    message.position = position;
    message.updated_at = Timestamp::from_millis(edited_at);
    message
}

fn edit(position: i64, edited_at: i64) -> Broadcast {
    let message = edited(position, edited_at).into();
    placed(Event::MessageUpdated { message, kind: ConversationKind::Group, recipient: None }, edited_at)
}

impl Case {
    /// Ann speaks `conversation` and is catching up; eight events may be held.
    fn catching_up() -> Self {
        let rules = Rules { outbox_packets: 8, dialects: DialectSet::all(), ..rules() };
        let mut case = Self::open(rules, &Opening::default());
        case.text(r#"0{"token":"ann","dialect":"conversation"}"#);
        case.admit(None, true);
        case.sent();
        case.drain();
        case
    }

    fn hear(&mut self, event: Broadcast) {
        let event = Arc::new(event);
        self.with(|session, now, cx| session.on_shared(&event, now.instant, cx));
    }

    fn page(&mut self, positions: &[i64]) {
        let page = positions.iter().map(|position| Arc::new(said("bob", *position))).collect();
        self.notice(Notice::CatchUp(page));
    }

    /// Reads until nothing more comes; returns texts of messages, names of conversations, and names of other events.
    fn read_all(&mut self) -> Vec<String> {
        // A page and the notice that it was the last are two reads.
        let (mut read, mut most) = (Vec::new(), 4);
        loop {
            let sent = self.sent();
            if sent.is_empty() {
                return read;
            }
            assert!(sent.len() <= most, "no more at a time than is read");
            most = 2;
            read.extend(sent.iter().map(|packet| shown(packet)));
            self.drain();
        }
    }

    fn socket(&self) -> SocketId {
        self.broker.connects.last().unwrap().socket
    }
}

fn shown(packet: &str) -> String {
    let field = |name: &str| packet.split(&format!("\"{name}\":\"")).nth(1)?.split('"').next().map(str::to_owned);
    let event = packet.split('"').nth(1).unwrap_or(packet);
    match event {
        "message:new" | "message:updated" => field("content"),
        "conversation:updated" => field("name"),
        "message:read" => field("readAt"),
        _ => None,
    }
    .unwrap_or_else(|| event.to_owned())
}

fn texts(positions: impl IntoIterator<Item = i64>) -> Vec<String> {
    positions.into_iter().map(|position| position.to_string()).collect()
}

#[test]
fn what_is_too_much_to_wait_comes_by_the_catch_up_in_order_and_once() {
    let mut case = Case::catching_up();
    for position in 6..=16 {
        case.hear(said("bob", position));
    }
    case.hear(changed("Team", 16));
    (17..=20).for_each(|position| case.hear(said("bob", position)));
    assert_eq!(case.output.closed, None, "it reads all that it is sent");
    assert!(case.broker.fell_behind.is_empty(), "the catch-up comes first, and what waits");
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.read_all(), texts(6..=13));
    assert_eq!(case.broker.fell_behind, [13]);
    case.hear(said("bob", 21));
    case.notice(Notice::CatchUpGoesOn { event_seq: 21 });
    case.hear(said("bob", 22));
    case.page(&[14, 15, 16]);
    assert_eq!(case.read_all(), texts(14..=16));
    assert_eq!(case.broker.drained, 1);
    case.page(&[17, 18, 19]);
    case.ping();
    case.pong();
    assert_eq!(case.broker.proofs, [Watermark::Event(17)], "what still waits is not proven");
    assert_eq!(case.read_all(), [vec!["Team".to_owned()], texts(17..=19)].concat());
    assert_eq!(case.broker.drained, 2);
    case.page(&[20, 21]);
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.read_all(), texts(20..=22));
    case.ping();
    case.pong();
    assert_eq!(case.broker.proofs.last(), Some(&Watermark::Event(22)));
    case.hear(said("bob", 23));
    assert_eq!(case.read_all(), texts([23]));
    assert!(case.session.is_idle() && case.output.closed.is_none());
    assert_eq!(case.broker.fell_behind, [13]);
}

#[test]
fn an_edit_that_waits_is_not_shown_behind_what_the_catch_up_brings_of_its_message() {
    for goes_on in [false, true] {
        let mut case = Case::catching_up();
        if goes_on {
            (6..=15).for_each(|position| case.hear(said("bob", position)));
            case.notice(Notice::CatchUpDone);
            case.read_all();
            case.notice(Notice::CatchUpGoesOn { event_seq: 15 });
        }
        for (position, edited_at) in [(14, 21), (15, 22), (14, 23), (14, 24), (3, 25)] {
            case.hear(edit(position, edited_at));
        }
        let event = Event::Message { message: edited(14, 23).into(), kind: ConversationKind::Group, recipient: None };
        case.notice(Notice::CatchUp(vec![Arc::new(placed(event, 14))]));
        case.notice(Notice::CatchUpDone);
        assert_eq!(case.read_all(), ["14 as of 23", "15 as of 22", "14 as of 24", "3 as of 25"], "went on: {goes_on}");
        case.ping();
        case.pong();
        assert_eq!(case.broker.proofs.last(), Some(&Watermark::Event(25)));
        // The bound is the same as before.
        assert_eq!(case.broker.fell_behind.len(), usize::from(goes_on));
    }
}

#[test]
fn an_own_message_that_waits_is_shown_as_the_catch_up_tells_that_it_became() {
    let own = |case: &Case, position: i64| said("ann", position).shown_live_to(Some(case.socket()));
    let became = |position: i64, changes: i64| {
        let edited = Message { sender: profile("ann"), ..edited(position, changes) };
        placed(Event::MessageUpdated { message: edited.into(), kind: ConversationKind::Group, recipient: None }, changes)
    };
    let deleted = |position: i64, changes: i64| {
        let message = numbered(&position.to_string());
        let deleted_at = Timestamp::from_millis(changes);
        placed(
            Event::MessageDeleted { message, conversation: conversation(), kind: ConversationKind::Group, deleted_at },
            changes,
        )
    };
    let mut case = Case::catching_up();
    (6..=13).for_each(|position| case.hear(said("bob", position)));
    // Behind these, own copies are kept, and their changes are left to the catch-up.
    for position in 14..=18 {
        let own = own(&case, position);
        case.hear(own);
    }
    for change in [became(14, 19), deleted(15, 20), became(16, 21), became(16, 22)] {
        case.hear(change);
    }
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.read_all(), texts(6..=13));
    case.notice(Notice::CatchUpGoesOn { event_seq: 22 });
    (23..=40).for_each(|position| case.hear(said("bob", position)));
    // Changes come with the offset from which the catch-up continues.
    let offset = said("bob", 13).offset().unwrap();
    let changes = [became(14, 19), deleted(15, 20), became(16, 22)].map(|change| Arc::new(change.placed(offset)));
    case.notice(Notice::CatchUp(changes.into()));
    case.notice(Notice::CatchUpDone);
    let read = case.read_all();
    let sent = ["14 as of 19", "message:deleted", "16 as of 22"];
    let copies = ["14 as of 19", "16 as of 22", "17", "18"];
    assert_eq!(read[..7], [&sent[..], &copies[..]].concat(), "{read:?}");
    assert_eq!((&read[7..], &case.broker.fell_behind[..]), (&texts(23..=25)[..], &[13, 25][..]));
    assert!(case.session.active.as_ref().is_none_or(|active| active.hold_queue.own_copies() == 0));
}

#[test]
fn it_goes_on_as_often_as_it_takes() {
    let mut case = Case::catching_up();
    (6..=15).for_each(|position| case.hear(said("bob", position)));
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.read_all(), texts(6..=13));
    case.notice(Notice::CatchUpGoesOn { event_seq: 15 });
    (16..=30).for_each(|position| case.hear(said("bob", position)));
    case.page(&[14, 15]);
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.read_all(), texts(14..=23));
    assert_eq!(case.broker.fell_behind, [13, 23]);
    case.notice(Notice::CatchUpGoesOn { event_seq: 30 });
    case.page(&[24, 25, 26, 27, 28, 29, 30]);
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.read_all(), texts(24..=30));
    assert!(case.session.is_idle());
}

#[test]
fn what_a_slow_commit_holds_up_is_left_to_the_catch_up_too() {
    let mut case = Case::catching_up();
    case.notice(Notice::CatchUpDone);
    case.notice(Notice::Hold(Arc::new(said("ann", 6))));
    (7..=16).for_each(|position| case.hear(said("bob", position)));
    case.notice(Notice::Settle { message: numbered("6"), stored: true });
    assert_eq!(case.read_all(), texts(7..=14), "its front end shows what it sends by itself");
    assert_eq!(case.broker.fell_behind, [14]);
    case.notice(Notice::CatchUpGoesOn { event_seq: 16 });
    case.page(&[15, 16]);
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.read_all(), texts([15, 16]));
    assert!(case.session.is_idle() && case.output.closed.is_none());
}

#[test]
fn what_no_catch_up_brings_is_kept_within_bounds_the_newest() {
    let mut case = Case::catching_up();
    (6..=13).for_each(|position| case.hear(said("bob", position)));
    for number in 0..1_000 {
        case.hear(read(number, 13));
    }
    for number in 0..1_000 {
        case.hear(changed(&format!("Team {number}"), 13));
    }
    case.hear(said("ann", 14).shown_live_to(Some(case.socket())));
    case.hear(said("ann", 15));
    for number in 0..3 {
        case.hear(placed(Event::ConversationDeleted { conversation: conversation() }, 15 + number));
    }
    assert_eq!(case.output.closed, None);
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.read_all(), texts(6..=13));
    case.notice(Notice::CatchUpGoesOn { event_seq: 17 });
    // The one from her other device; her own send from here is left out.
    let other = Arc::new(said("ann", 15));
    case.notice(Notice::CatchUp(vec![other]));
    case.notice(Notice::CatchUpDone);
    let read = case.read_all();
    let receipts = (996..1_000).map(|number| format!("1970-01-01T00:00:00.{number}Z"));
    let rest = ["14", "15"].into_iter().chain(["conversation:deleted"; 3]).map(str::to_owned);
    let expected: Vec<String> = receipts.chain(rest).collect();
    assert_eq!(read, expected, "no more than may wait, the newest, and the names that a deletion made worthless not at all");
}

#[test]
fn too_much_that_waits_closes_the_connection_where_nothing_says_what_is_lacking() {
    let mut case = Case::open(Rules { outbox_packets: 8, ..rules() }, &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    case.admit(None, true);
    (0..100).for_each(|index| case.notice(Notice::Hold(room_message(&index.to_string()))));
    (0..8).for_each(|_| case.shared(deleted()));
    assert_eq!(case.output.closed, None, "held copies do not count");
    case.shared(deleted());
    assert_eq!(case.output.closed, Some(CloseReason::SlowConsumer));
}

#[test]
fn copies_that_wait_count_as_unanswered_requests() {
    let limits = Limits { events_per_second: 0, unanswered: 3, ..Limits::default() };
    let mut case = Case::joined_with(Rules { limits, ..rules() }, r#"{"token":"ann"}"#);
    case.notice(Notice::Hold(room_message("own 1")));
    case.notice(Notice::Hold(room_message("own 2")));
    case.text(r#"2["joinRoom",1]"#);
    case.text(r#"2["joinRoom",2]"#);
    assert_eq!(case.broker.requests.len(), 1);
    assert_eq!(names(&case.sent()), ["error"]);
    case.notice(Notice::Settle { message: numbered("own 1"), stored: true });
    case.notice(Notice::Settle { message: numbered("own 2"), stored: true });
    case.sent();
    case.text(r#"2["joinRoom",2]"#);
    assert_eq!(case.broker.requests.len(), 2);
}

#[test]
fn edits_and_deletions_are_left_to_the_catch_up() {
    let mut case = Case::catching_up();
    for position in 6..=13 {
        case.hear(said("bob", position));
    }
    let deleted_at = Timestamp::default();
    let (message, conversation, kind) = (numbered("6"), conversation(), ConversationKind::Group);
    case.hear(placed(Event::MessageDeleted { message, conversation, kind, deleted_at }, 13));
    case.notice(Notice::CatchUpDone);
    assert_eq!(case.read_all(), texts(6..=13));
    assert_eq!(case.broker.fell_behind, [13]);
}
