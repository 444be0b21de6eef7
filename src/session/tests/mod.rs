//! A session between a recorded connection and a recorded broker, with a given clock.
mod anything;
mod asking;
mod behind;
mod coming;
mod console;
mod hearing;
mod leaving;
mod limiting;
mod refusing;
mod returning;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call_context::{CallContext, Now};
use super::ports::{AskConnect, AtConsole, Broker, ConsoleAct, ForwardEvent, KeysWanted};
use super::rules::Rules;
use super::state::Session;
use crate::auth::{Claims, TokenError};
use crate::chat::{
    Admission, Broadcast, Capabilities, CapabilitiesChanged, CatchUpDrained, ChatError, ClientDialects, Command,
    ConfirmationWanted, Confirmed, Connect, ConnectVerdict, Disconnect, Event, FellBehind, HookRefusal, LateRequest, LeftBehind,
    Limited, Notice, OwnCopy, RefusedConnect, Replay, ReplayKind, Reply, Request, ResumeData, Upgraded, Watermark,
};
use crate::dialect::DialectSet;
use crate::dialect::fixtures::{CONVERSATION, MESSAGE, account, conversation, message, message_id, profile, user};
use crate::engineio::{CloseReason, ConnectionKey, Encoded, Opening, Output, Slot};
use crate::model::{
    ChangesNotified, ConversationKind, Epoch, MessageId, MessageStatus, Offset, OffsetKind, Part, PrivateId, Timestamp, UserId,
};
use crate::session::Limits;

const SECOND: Duration = Duration::from_secs(1);
const WALL: i64 = 1_767_225_600_000;

#[derive(Default)]
struct TestOutput {
    sent: Vec<String>,
    closed: Option<CloseReason>,
    queued_bytes: usize,
    drops_volatile: bool,
}

impl Output for TestOutput {
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
    capabilities: Vec<Capabilities>,
    client_dialect_counts: Vec<ClientDialects>,
    limited: Vec<u32>,
    drained: usize,
    fell_behind: Vec<i64>,
    disconnects: Vec<(bool, CloseReason)>,
    may_return: Vec<bool>,
    left: Vec<LeftBehind>,
    upgrades: usize,
    console: Vec<ConsoleAct>,
    keys_wanted: usize,
    /// Questions to the operator's server, by their tickets; an event that is handed on, by its name.
    backend: Vec<Result<u32, Box<str>>>,
    /// Confirmations that were asked for, in order,
    proofs: Vec<Watermark>,
    /// and the final one.
    confirmed: Watermark,
}

impl Broker for Spy {
    fn forward(&mut self, message: ForwardEvent) {
        self.backend.push(Err(message.event));
    }

    fn ask_connect(&mut self, message: AskConnect) {
        self.backend.push(Ok(message.ticket));
    }

    fn connect(&mut self, message: Connect) {
        self.connects.push(message);
    }

    fn request(&mut self, message: Request) {
        self.requests.push(message);
    }

    fn capabilities_changed(&mut self, message: CapabilitiesChanged) {
        self.capabilities.push(message.capabilities);
        self.client_dialect_counts.push(message.client_dialects);
    }

    fn upgraded(&mut self, _message: Upgraded) {
        self.upgrades += 1;
    }

    fn limited(&mut self, message: Limited) {
        self.limited.push(message.refused);
    }

    fn catch_up_drained(&mut self, _message: CatchUpDrained) {
        self.drained += 1;
    }

    fn fell_behind(&mut self, message: FellBehind) {
        self.fell_behind.push(message.after);
    }

    fn confirmed(&mut self, message: Confirmed) {
        self.proofs.push(message.watermark);
    }

    fn disconnect(&mut self, message: Disconnect) {
        self.disconnects.push((message.on_purpose, message.reason));
        self.may_return.push(message.may_return);
        self.confirmed = message.confirmed;
        self.left.push(message.left);
    }

    fn keys_wanted(&mut self, _message: KeysWanted) {
        self.keys_wanted += 1;
    }

    fn at_console(&mut self, message: AtConsole) {
        self.console.push(message.act);
    }
}

struct Case {
    rules: Rules,
    session: Session,
    output: TestOutput,
    broker: Spy,
    now: Now,
}

/// A token is the name of its user, `expired`, or bad. Messenger and listing are enabled.
fn rules() -> Rules {
    let verify = |token: &str, _now: Timestamp| match token {
        "expired" | "ann" | "bob" => Ok(Claims {
            expires_at: (token == "expired").then_some(Timestamp::from_millis(WALL)),
            ..Claims::of(UserId::parse(token).unwrap(), "key")
        }),
        "rotated" => Err(TokenError::KeyUnknown),
        _ => Err(TokenError::Invalid),
    };
    // Other dialects' capabilities are covered by their own tests.
    let dialects = DialectSet::parse(["listing", "messenger"]).unwrap();
    Rules { dialects, ..Rules::new(Box::new(verify)) }
}

fn rules_of_all() -> Rules {
    Rules { dialects: DialectSet::all(), ..rules() }
}

impl Case {
    fn open(rules: Rules, opening: &Opening) -> Self {
        let key = ConnectionKey { worker: 0, slot: Slot { index: 1, generation: 1 } };
        let now = Now { instant: Instant::now(), wall: Timestamp::from_millis(WALL) };
        let session = Session::open(&rules, key, opening, now.instant);
        Self { rules, session, output: TestOutput::default(), broker: Spy::default(), now }
    }

    /// Ann is connected, and nothing else has happened.
    fn joined_with(rules: Rules, auth: &str) -> Self {
        let mut case = Self::open(rules, &Opening::default());
        case.text(&format!("0{auth}"));
        case.admit(None, false);
        case.output.sent.clear();
        case.drain();
        case
    }

    fn joined() -> Self {
        Self::joined_with(rules(), r#"{"token":"ann"}"#)
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Session, Now, &mut CallContext<'_>) -> T) -> T {
        let Self { rules, session, output, broker, now } = self;
        act(session, *now, &mut CallContext { rules, output, broker })
    }

    fn text(&mut self, text: &str) {
        self.with(|session, now, cx| session.on_text(text, now, cx));
    }

    fn notice(&mut self, notice: Notice) {
        self.with(|session, now, cx| session.on_notice(notice, now, cx));
    }

    fn admit(&mut self, expires_at: Option<Timestamp>, catch_up: bool) {
        let admission = self.admission(expires_at, catch_up);
        self.notice(Notice::Admitted(Box::new(admission)));
    }

    /// Admits the client that asked last.
    fn admission(&self, expires_at: Option<Timestamp>, catch_up: bool) -> Admission {
        let Connect { socket, pid, .. } = *self.broker.connects.last().unwrap();
        let connected = Event::Connected { user: user("ann"), socket, token: None };
        let initial_offset = Arc::new(Broadcast::new(connected).with_initial_offset(offset(5, Part::ALL)));
        Admission { account: account("ann"), expires_at, catch_up, socket, pid, initial_offset, event_seq: 5, resume_data: None }
    }

    /// Returns the dialect state of the client that asked last.
    fn client_dialects(&self) -> ClientDialects {
        self.broker.connects.last().unwrap().client_dialects
    }

    /// Ends the connection.
    fn close(&mut self, reason: CloseReason) {
        self.with(|session, now, cx| session.on_close(reason, now.instant, cx.rules, cx.broker));
    }

    fn shared(&mut self, event: Event) {
        let event = Arc::new(Broadcast::new(event));
        self.with(|session, now, cx| session.on_shared(&event, now.instant, cx));
    }

    fn drain(&mut self) {
        self.output.queued_bytes = 0;
        self.with(|session, now, cx| session.on_drained(now.instant, cx));
    }

    fn ping(&mut self) {
        self.session.on_ping();
    }

    fn pong(&mut self) {
        self.with(|session, _, cx| session.on_pong(cx.broker));
    }

    /// Lets time pass, and calls the deadlines in it.
    fn wait(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while let Some(at) = self.session.deadline(&self.rules).filter(|at| *at <= end) {
            self.now.instant = at.max(self.now.instant);
            self.with(|session, now, cx| session.on_deadline(now, cx));
        }
        self.now.instant = end;
    }

    fn sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.output.sent)
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

/// Returns the offset of an event.
fn offset(event_seq: u64, part: Part) -> Offset {
    let epoch = Epoch { number: 1, mark: 0 };
    let kind = OffsetKind::Event { event_seq, is_message: false };
    Offset { epoch, position: 3, part, kind, changes: ChangesNotified::all(3) }
}

fn typing(active: bool) -> Event {
    Event::Typing { user: profile("bob"), conversation: conversation(), active }
}

fn deleted() -> Event {
    Event::MessageDeleted {
        message: message_id(),
        conversation: conversation(),
        kind: ConversationKind::Group,
        deleted_at: Timestamp::default(),
    }
}

/// Returns the names of events; for room messages, their text.
fn names(sent: &[String]) -> Vec<&str> {
    sent.iter()
        .map(|packet| match packet.split_once("\"message\":\"") {
            Some((_, rest)) if packet.contains("roomMessage") => rest.split('"').next().unwrap(),
            _ => packet.split('"').nth(1).unwrap_or(packet),
        })
        .collect()
}
