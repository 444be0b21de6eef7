use proptest::prelude::*;

use super::*;
use crate::auth::{Claims, TokenError};
use crate::chat::{Command, Event};
use crate::dialect::fixtures::{CONVERSATION, MESSAGE, account, conversation, message, message_id, profile};
use crate::engineio::Seat;
use crate::model::{ConversationKind, MessageId, MessageStatus};
use crate::session::Limits;

const SECOND: Duration = Duration::from_secs(1);
const WALL: i64 = 1_767_225_600_000;

#[derive(Default)]
struct Wire {
    sent: Vec<String>,
    closed: Option<CloseReason>,
    queued_bytes: usize,
    drops_volatile: bool,
}

impl Output for Wire {
    fn send(&mut self, packets: &Encoded) {
        let payload = String::from_utf8(packets.payload().to_vec()).unwrap();
        self.sent.extend(payload.split('\x1e').map(str::to_owned));
        self.queued_bytes += packets.payload().len();
    }

    fn send_volatile(&mut self, packets: &Encoded) -> bool {
        if !self.drops_volatile {
            self.send(packets);
        }
        !self.drops_volatile
    }

    fn close(&mut self, reason: CloseReason) {
        self.closed.get_or_insert(reason);
    }

    fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }
}

#[derive(Default)]
struct Spy {
    connects: Vec<Connect>,
    requests: Vec<Request>,
    words: Vec<Words>,
    drained: usize,
    disconnects: Vec<(bool, CloseReason)>,
}

impl Broker for Spy {
    fn connect(&mut self, message: Connect) {
        self.connects.push(message);
    }

    fn request(&mut self, message: Request) {
        self.requests.push(message);
    }

    fn words_learned(&mut self, message: WordsLearned) {
        self.words.push(message.words);
    }

    fn catch_up_drained(&mut self, _message: CatchUpDrained) {
        self.drained += 1;
    }

    fn disconnect(&mut self, message: Disconnect) {
        self.disconnects.push((message.on_purpose, message.reason));
    }
}

struct Case {
    rules: Rules,
    session: Session,
    wire: Wire,
    broker: Spy,
    now: Now,
}

/// A token is the name of its user, `expired`, or bad.
fn rules() -> Rules {
    let verify = |token: &str, _now: Timestamp| match token {
        "expired" => Err(TokenError::Expired),
        "ann" | "bob" => Ok(Claims {
            user: UserId::parse(token).unwrap(),
            expires_at: None,
            issued_at: None,
            login: None,
            revocation_key: "key".into(),
            username: None,
            full_name: None,
            email: None,
            role: None,
        }),
        _ => Err(TokenError::Invalid),
    };
    Rules::new(Box::new(verify))
}

impl Case {
    fn open(rules: Rules, opening: &Opening) -> Self {
        let key = ConnectionKey { worker: 0, seat: Seat { slot: 1, generation: 1 } };
        let now = Now { instant: Instant::now(), wall: Timestamp::from_millis(WALL) };
        let session = Session::open(&rules, key, opening, now.instant);
        Self { rules, session, wire: Wire::default(), broker: Spy::default(), now }
    }

    /// Ann is in, and nothing else has happened.
    fn joined_with(rules: Rules, auth: &str) -> Self {
        let mut case = Self::open(rules, &Opening::default());
        case.text(&format!("0{auth}"));
        case.admit(None, false);
        case.wire.sent.clear();
        case.drain();
        case
    }

    fn joined() -> Self {
        Self::joined_with(rules(), r#"{"token":"ann"}"#)
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Session, Now, &mut Surroundings<'_>) -> T) -> T {
        let Self { rules, session, wire, broker, now } = self;
        act(session, *now, &mut Surroundings { rules, wire, broker })
    }

    fn text(&mut self, text: &str) {
        self.with(|session, now, around| session.on_text(text, now, around));
    }

    fn notice(&mut self, notice: Notice) {
        self.with(|session, now, around| session.on_notice(notice, now, around));
    }

    fn admit(&mut self, expires_at: Option<Timestamp>, catch_up: bool) {
        self.notice(Notice::Admitted(Box::new(Admission { account: account("ann"), expires_at, catch_up })));
    }

    fn shared(&mut self, event: Event) {
        let event = Arc::new(Broadcast::new(event));
        self.with(|session, _, around| session.on_shared(&event, around));
    }

    fn drain(&mut self) {
        self.wire.queued_bytes = 0;
        self.with(|session, now, around| session.on_drained(now, around));
    }

    /// Lets time pass, and the deadlines in it.
    fn wait(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while let Some(at) = self.session.deadline(&self.rules).filter(|at| *at <= end) {
            self.now.instant = at.max(self.now.instant);
            self.with(|session, now, around| session.on_deadline(now, around));
        }
        self.now.instant = end;
    }

    fn sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wire.sent)
    }

    fn commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.broker.requests).into_iter().map(|request| request.command).collect()
    }
}

fn room_message(id: &str) -> Arc<Broadcast> {
    let mut message = message("ann", id);
    message.id = numbered(id);
    Arc::new(Broadcast::new(Event::RoomMessage { message: message.into(), shown_as: "1".into() }))
}

fn numbered(id: &str) -> MessageId {
    MessageId::of_client_id(&profile("ann").id, id)
}

fn typing(active: bool) -> Event {
    Event::Typing { user: profile("bob"), conversation: conversation(), active }
}

fn deleted() -> Event {
    Event::MessageDeleted { message: message_id(), conversation: conversation(), kind: ConversationKind::Direct }
}

/// The names of events, and of room messages their text.
fn names(sent: &[String]) -> Vec<&str> {
    sent.iter()
        .map(|packet| match packet.split_once("\"message\":\"") {
            Some((_, rest)) if packet.contains("roomMessage") => rest.split('"').next().unwrap(),
            _ => packet.split('"').nth(1).unwrap_or(packet),
        })
        .collect()
}

// ---- coming and going ----

#[test]
fn a_client_comes_in() {
    let mut case = Case::open(rules(), &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    let connect = case.broker.connects.pop().unwrap();
    assert_eq!(connect.claims.user.as_str(), "ann");
    assert!(connect.words.direct_message && connect.words.group_message && !connect.words.unproven);
    assert!(case.sent().is_empty());
    case.admit(None, false);
    assert_eq!(case.sent(), [format!(r#"40{{"sid":"{}"}}"#, connect.socket)]);
    case.wait(1_000 * SECOND);
    assert_eq!(case.wire.closed, None, "who is in has no time limit");
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
        assert_eq!((case.broker.connects.len(), case.wire.closed), (1, None), "it may try again");

        let pinned = Opening { query: "EIO=4&dialect=messenger".to_owned(), ..Opening::default() };
        let mut case = Case::open(rules(), &pinned);
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
        assert_eq!(case.wire.closed, Some(CloseReason::ForcedClose), "{texts:?}");
    }
    let mut case = Case::joined();
    case.text(r#"0{"token":"ann"}"#);
    assert_eq!(case.wire.closed, Some(CloseReason::ForcedClose));
}

#[test]
fn who_does_not_come_in_in_time_is_closed() {
    let mut case = Case::open(rules(), &Opening::default());
    case.wait(44 * SECOND);
    assert_eq!(case.wire.closed, None);
    case.wait(SECOND);
    assert_eq!(case.wire.closed, Some(CloseReason::ConnectTimeout));
}

#[test]
fn a_client_may_leave_and_come_back() {
    let mut case = Case::joined();
    case.text(r#"21["mark_as_read",{"messageId":"01890a5d-ac96-774b-bcce-b302099a8058"}]"#);
    let ticket = case.broker.requests[0].ticket;
    case.text("1");
    assert_eq!(case.broker.disconnects, [(true, CloseReason::Disconnected)]);
    case.wait(100 * SECOND);
    assert_eq!(case.wire.closed, None);
    case.shared(deleted());
    case.text(r#"0{"token":"ann"}"#);
    case.admit(None, false);
    case.sent();
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) });
    assert!(case.sent().is_empty(), "the answer to what was asked before is not told");
    assert_ne!(case.broker.connects[0].socket, case.broker.connects[1].socket);
    case.with(|session, _, around| session.on_close(CloseReason::TransportClose, around.broker));
    assert_eq!(case.broker.disconnects.len(), 2);
}

#[test]
fn the_broker_is_told_once_of_every_going() {
    let close = |mut case: Case| {
        case.with(|session, _, around| session.on_close(CloseReason::PingTimeout, around.broker));
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
    assert_eq!(case.wire.closed, Some(CloseReason::Disconnected));
    case.text(r#"2["mark_as_read",{}]"#);
    assert!(case.sent().is_empty(), "what was on its way is ignored");
}

// ---- asking and answering ----

#[test]
fn requests_are_answered_by_their_acks_or_by_events() {
    let mut case = Case::joined();
    case.text(r#"217["joinRoom",7]"#);
    let [Request { ticket, command: Command::JoinRoom { .. }, held_copy: false, .. }] = case.broker.requests[..] else {
        panic!()
    };
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) });
    assert_eq!(case.sent(), [r#"4317[{"success":true,"roomId":7}]"#, r#"42["joinedRoom",{"roomId":7,"success":true}]"#]);
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) });
    assert!(case.sent().is_empty(), "once");

    case.text(r#"2["leaveRoom","r"]"#);
    let ticket = case.broker.requests[1].ticket;
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) });
    assert_eq!(case.sent(), [r#"42["leftRoom",{"roomId":"r","success":true}]"#]);

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

// ---- what is heard ----

#[test]
fn an_undetermined_client_hears_all_and_then_what_it_speaks() {
    let mut case = Case::joined();
    case.shared(deleted());
    let event = room_message("m");
    case.with(|session, _, around| session.on_shared(&event, around));
    assert_eq!(names(&case.sent()), ["message_deleted", "m"]);
    case.text(r#"2["joinRoom",{}]"#);
    assert_eq!(case.broker.words, [Words::default()], "a refused event teaches, too");
    assert_eq!(names(&case.sent()), ["error"]);
    case.shared(deleted());
    case.with(|session, _, around| session.on_shared(&event, around));
    assert_eq!(names(&case.sent()), ["m"]);
    case.text(r#"2["typing_stop",{}]"#);
    assert!(case.broker.words[1].direct_message);
}

#[test]
fn a_cookie_alone_proves_nothing_until_something_is_said() {
    let cookie = Opening { cookie_token: Some("ann".to_owned()), ..Opening::default() };
    let mut case = Case::open(rules(), &cookie);
    case.text("0");
    assert!(case.broker.connects[0].words.unproven);
    case.admit(None, false);
    case.text(r#"2["dance"]"#);
    assert!(case.broker.words.is_empty());
    case.text(r#"2["typing_stop",{}]"#);
    assert!(!case.broker.words[0].unproven);
    let mut pinned = Case::open(rules(), &cookie);
    pinned.text(r#"0{"dialect":"messenger"}"#);
    assert!(!pinned.broker.connects[0].words.unproven);
}

#[test]
fn ones_own_direct_messages_are_for_those_who_pinned() {
    let event = || Event::Message {
        message: message("ann", "hi").into(),
        kind: ConversationKind::Direct,
        recipient: Some(profile("bob")),
    };
    let mut case = Case::joined();
    case.shared(event());
    assert!(case.sent().is_empty());
    let mut case = Case::joined_with(rules(), r#"{"token":"ann","dialect":["messenger"]}"#);
    case.shared(event());
    assert_eq!(names(&case.sent()), ["new_message"]);
}

// ---- what waits ----

#[test]
fn events_wait_behind_a_held_copy() {
    let mut case = Case::joined();
    case.text(r#"2["joinRoom",1]"#);
    let ticket = case.broker.requests[0].ticket;
    case.notice(Notice::Hold(room_message("own 1")));
    let other = room_message("other");
    case.with(|session, _, around| session.on_shared(&other, around));
    case.notice(Notice::Hold(room_message("own 2")));
    case.notice(Notice::Hold(room_message("own 3")));
    case.with(|session, _, around| session.on_shared(&other, around));
    assert!(case.sent().is_empty());
    case.notice(Notice::Reply { ticket, reply: Ok(Reply::Done) });
    assert_eq!(names(&case.sent()), ["joinedRoom"], "replies pass");
    case.notice(Notice::Settle { message: numbered("own 2"), stored: false });
    assert!(case.sent().is_empty());
    case.notice(Notice::Settle { message: numbered("own 1"), stored: true });
    assert_eq!(names(&case.sent()), ["own 1", "other"]);
    case.notice(Notice::Settle { message: numbered("own 3"), stored: true });
    assert_eq!(names(&case.sent()), ["own 3", "other"]);
    case.with(|session, _, around| session.on_shared(&other, around));
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
    assert!(case.session.active.is_none() && case.wire.closed.is_none());
}

#[test]
fn too_much_that_waits_closes_the_connection() {
    let mut case = Case::open(Rules { outbox_packets: 8, ..rules() }, &Opening::default());
    case.text(r#"0{"token":"ann"}"#);
    case.admit(None, true);
    (0..8).for_each(|_| case.shared(deleted()));
    (0..100).for_each(|index| case.notice(Notice::Hold(room_message(&index.to_string()))));
    assert_eq!(case.wire.closed, None, "held copies do not count");
    case.shared(deleted());
    assert_eq!(case.wire.closed, Some(CloseReason::SlowConsumer));
}

#[test]
fn dropped_state_is_told_when_there_is_room() {
    let mut case = Case::joined();
    case.wire.drops_volatile = true;
    case.shared(typing(true));
    case.wire.drops_volatile = false;
    case.shared(typing(false));
    case.shared(typing(true));
    assert!(case.sent().is_empty(), "nothing overtakes it");
    case.drain();
    assert_eq!(names(&case.sent()), ["user_typing"]);
    assert!(case.session.active.is_none());
}

// ---- limits ----

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
    assert_eq!(case.wire.closed, None);
}

#[test]
fn a_flood_ends_the_session() {
    let mut case = Case::joined();
    for _ in 0..10 {
        (0..101).for_each(|_| case.text(r#"2["dance"]"#));
        if case.wire.closed.is_none() {
            case.now.instant += SECOND;
        }
    }
    let sent = case.sent();
    assert_eq!(names(&sent), ["error", "41"]);
    assert!(sent[0].contains("RATE_LIMITED"));
    assert_eq!(case.wire.closed, Some(CloseReason::Disconnected));
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
    assert!(size_of::<Session>() <= 300, "{}", size_of::<Session>());
    let mut case = Case::joined();
    assert!(case.session.active.is_none());
    case.text(r#"2["joinRoom",1]"#);
    case.notice(Notice::Reply { ticket: 0, reply: Ok(Reply::Done) });
    case.wait(10 * SECOND);
    assert!(case.session.active.is_none() && case.session.deadline(&case.rules).is_none());
}

// ---- anything at all ----

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_filter("JSON has no others", |value| value.is_finite()).prop_map(|value| value.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"[a-z]{0,4}(\\\\u[0-9a-f]{4}){0,3}\"",
        Just(format!("\"{CONVERSATION}\"")),
        Just(r#"{"_placeholder":true,"num":0}"#.to_owned()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((any_key(), inner), 0..5).prop_map(|fields| {
                let fields: Vec<_> = fields.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] =
        &["recipientId", "content", "file", "url", "clientMessageId", "conversationId", "messageId", "roomId", "messageType"];
    prop_oneof![proptest::sample::select(KNOWN).prop_map(str::to_owned), Just("\\u0000".to_owned()), "[a-z]{0,3}"]
}

fn any_event() -> impl Strategy<Value = String> {
    let names: Vec<_> = DialectSet::all().iter().flat_map(|dialect| dialect.events()).map(|entry| entry.name).collect();
    proptest::sample::select(names).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn every_request_is_answered(event in any_event(), args in proptest::collection::vec(any_json(), 0..3), has_ack in any::<bool>()) {
        let mut case = Case::joined();
        let args: String = args.iter().map(|arg| format!(",{arg}")).collect();
        let ack_id = if has_ack { "7" } else { "" };
        case.text(&format!("2{ack_id}[\"{event}\"{args}]"));
        prop_assert_eq!(case.wire.closed, None);
        let is_known = event != "leave_group" || has_ack;
        let sent = case.sent();
        if case.broker.requests.is_empty() {
            prop_assert!(!is_known || sent.len() == 1, "{event} {args}: {sent:?}");
            let start = if has_ack { "437[" } else { "42[\"error\"" };
            prop_assert!(sent.iter().all(|packet| packet.starts_with(start)));
        } else {
            prop_assert!(sent.is_empty());
            let message = Arc::new(message("ann", "hi"));
            case.notice(Notice::Reply { ticket: 0, reply: Ok(Reply::Sent { message, status: MessageStatus::Sent }) });
            let is_acked = case.sent().first().is_some_and(|packet| packet.starts_with("437[{\"success\":true"));
            prop_assert!(is_acked || !has_ack);
        }
    }

    #[test]
    fn no_text_is_too_much(texts in proptest::collection::vec(prop_oneof![any::<String>(), "[0-6]{0,2}[/a-z,]{0,4}[0-9]{0,3}[\\[\\]{}\":,a-z0-9]{0,20}"], 1..4)) {
        let mut case = Case::joined();
        texts.iter().for_each(|text| case.text(text));
        prop_assert!(case.session.deadline(&case.rules).is_none_or(|at| at > case.now.instant));
    }
}
