//! The server's end of a wire: a session, its heartbeat, and what waits to be sent. No socket: bytes come in and go out.
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parlance::chat::{
    Broadcast, CapabilitiesChanged, CatchUpDrained, Confirmed, Connect, Disconnect, FellBehind, Limited, Notice, Request,
    ToBroker, Upgraded,
};
use parlance::engineio::{
    Beat, CloseReason, ConnectionKey, Encoded, Heartbeat, HeartbeatTimes, Opening, Output, Packet, Peer, Sid, TransportKind,
    decode_packet, open_packet,
};
use parlance::session::{AskConnect, AtConsole, Broker, CallContext, ForwardEvent, KeysWanted, Now, Rules, Session};
use parlance::transport::{FrameDecoder, Message};

/// Time between pings, and for an answer.
pub const TIMES: HeartbeatTimes = HeartbeatTimes { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };
/// Time for which a write may make no progress.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Largest message of a client, in bytes.
const MAX_BYTES: usize = 1_000_000;
/// Number of times that a session may refill its empty outbox in one go.
const ROUNDS: usize = 4;

/// What a session tells the broker in one call.
pub struct Mail<'a>(pub &'a mut Vec<ToBroker>);

impl Broker for Mail<'_> {
    fn connect(&mut self, message: Connect) {
        self.0.push(ToBroker::Connect(Box::new(message)));
    }

    fn request(&mut self, message: Request) {
        self.0.push(ToBroker::Request(Box::new(message)));
    }

    fn limited(&mut self, message: Limited) {
        self.0.push(ToBroker::Limited(message));
    }

    fn capabilities_changed(&mut self, message: CapabilitiesChanged) {
        self.0.push(ToBroker::CapabilitiesChanged(message));
    }

    fn upgraded(&mut self, message: Upgraded) {
        self.0.push(ToBroker::Upgraded(message));
    }

    fn catch_up_drained(&mut self, message: CatchUpDrained) {
        self.0.push(ToBroker::CatchUpDrained(message));
    }

    fn fell_behind(&mut self, message: FellBehind) {
        self.0.push(ToBroker::FellBehind(message));
    }

    fn confirmed(&mut self, message: Confirmed) {
        self.0.push(ToBroker::Confirmed(message));
    }

    fn disconnect(&mut self, message: Disconnect) {
        self.0.push(ToBroker::Disconnect(Box::new(message)));
    }

    fn keys_wanted(&mut self, _: KeysWanted) {}

    fn ask_connect(&mut self, _: AskConnect) {}

    fn forward(&mut self, _: ForwardEvent) {}

    fn at_console(&mut self, _: AtConsole) {}
}

/// Packets that wait, within the bounds of a real connection.
#[derive(Default)]
struct Outbox {
    waiting: VecDeque<Encoded>,
    bytes: usize,
    packets: usize,
}

/// The outbox during one call of the session.
struct Outlet<'a> {
    outbox: &'a mut Outbox,
    is_full: bool,
    is_half_full: bool,
    close: Option<CloseReason>,
}

impl<'a> Outlet<'a> {
    fn new(outbox: &'a mut Outbox, rules: &Rules) -> Self {
        let (packets, bytes) = (rules.outbox_packets, rules.outbox_bytes);
        let is_full = outbox.packets >= packets || outbox.bytes >= bytes;
        let is_half_full = outbox.packets >= packets / 2 || outbox.bytes >= bytes / 2;
        Self { outbox, is_full, is_half_full, close: None }
    }
}

impl Output for Outlet<'_> {
    fn send(&mut self, packets: &Encoded) {
        if self.close.is_some() {
            return;
        }
        if self.is_full {
            self.close = Some(CloseReason::SlowConsumer);
            return;
        }
        self.outbox.bytes += packets.frames().len();
        self.outbox.packets += packets.packets();
        self.outbox.waiting.push_back(packets.clone());
    }

    fn send_volatile(&mut self, packets: &Encoded) -> bool {
        if self.is_half_full || self.close.is_some() {
            return false;
        }
        self.send(packets);
        true
    }

    fn close(&mut self, reason: CloseReason) {
        self.close.get_or_insert(reason);
    }

    fn queued_bytes(&self) -> usize {
        self.outbox.bytes
    }
}

/// Surroundings of a connection during one call.
pub struct Around<'a> {
    pub rules: &'a Rules,
    pub now: Now,
    pub mail: &'a mut Vec<ToBroker>,
    /// The kernel takes no more bytes for the client.
    pub is_full: bool,
}

/// A connection.
pub struct Connection {
    pub wire: usize,
    pub key: ConnectionKey,
    session: Option<Session>,
    heartbeat: Heartbeat,
    outbox: Outbox,
    /// Bytes that the kernel has taken, and that are not on the wire yet.
    written: Vec<u8>,
    frames: FrameDecoder,
    owes_drained: bool,
    blocked_until: Option<Instant>,
    /// Nothing more comes from here once the outbox is empty.
    pub is_closing: bool,
    /// Time for which it is woken already.
    pub armed: Option<Instant>,
    /// It is to be flushed.
    pub is_dirty: bool,
}

impl Connection {
    pub fn open(wire: usize, key: ConnectionKey, sid: [u8; 15], around: &mut Around<'_>) -> Self {
        let peer = Peer { address: None, secure: false, transport: TransportKind::Websocket };
        let opening = Opening { query: "EIO=4&transport=websocket".to_owned(), peer, ..Opening::default() };
        let now = around.now.instant;
        let session = Session::open(around.rules, key, &opening, now);
        let mut connection = Self {
            wire,
            key,
            session: Some(session),
            heartbeat: Heartbeat::new(now, &TIMES),
            outbox: Outbox::default(),
            written: Vec::new(),
            frames: FrameDecoder::new(),
            owes_drained: false,
            blocked_until: None,
            is_closing: false,
            armed: None,
            is_dirty: false,
        };
        let open = open_packet(&Sid::from_random(sid), false, TIMES.interval, TIMES.timeout, MAX_BYTES);
        connection.push(&Encoded::text(&open));
        connection
    }

    fn push(&mut self, packets: &Encoded) {
        self.outbox.bytes += packets.frames().len();
        self.outbox.packets += packets.packets();
        self.outbox.waiting.push_back(packets.clone());
    }

    fn call(&mut self, around: &mut Around<'_>, act: impl FnOnce(&mut Session, Now, &mut CallContext<'_>)) {
        let is_crowded =
            self.outbox.packets >= around.rules.outbox_packets / 2 || self.outbox.bytes >= around.rules.outbox_bytes / 2;
        if is_crowded && !around.is_full {
            // Only a client that does not read can be found full.
            self.write_out();
            self.owes_drained = true;
        }
        let Some(session) = &mut self.session else { return };
        let mut outlet = Outlet::new(&mut self.outbox, around.rules);
        let mut mail = Mail(around.mail);
        act(session, around.now, &mut CallContext { rules: around.rules, output: &mut outlet, broker: &mut mail });
        if let Some(reason) = outlet.close {
            self.close(reason, around);
        }
    }

    /// Takes bytes of the client.
    pub fn read(&mut self, bytes: &mut [u8], around: &mut Around<'_>) {
        if self.is_closing {
            return;
        }
        self.heartbeat.on_bytes();
        let mut frames = std::mem::take(&mut self.frames);
        let outcome = frames.decode(bytes, MAX_BYTES, |message| {
            self.on_message(message, around);
            ControlFlow::Continue(())
        });
        self.frames = frames;
        if outcome.is_err() {
            self.close(CloseReason::TransportError, around);
        }
    }

    fn on_message(&mut self, message: Message<'_>, around: &mut Around<'_>) {
        if self.session.is_none() {
            return;
        }
        match message {
            Message::Text(text) => match decode_packet(text) {
                Ok(packet) => self.on_packet(packet, around),
                Err(_) => self.close(CloseReason::ParseError, around),
            },
            Message::Binary(data) => {
                let data = Bytes::copy_from_slice(data);
                self.call(around, |session, now, cx| session.on_binary(data, now, cx));
            }
            Message::Close(_) => self.close(CloseReason::TransportClose, around),
            Message::Ping(_) | Message::Pong(_) => self.call(around, |session, now, cx| session.on_control(now, cx)),
        }
    }

    fn on_packet(&mut self, packet: Packet<'_>, around: &mut Around<'_>) {
        match packet {
            Packet::Message(text) => self.call(around, |session, now, cx| session.on_text(text, now, cx)),
            Packet::Binary(data) => self.call(around, |session, now, cx| session.on_binary(data, now, cx)),
            Packet::Pong(_) => {
                if self.heartbeat.on_pong(around.now.instant, &TIMES) {
                    self.call(around, |session, _, cx| session.on_pong(cx.broker));
                } else {
                    self.call(around, |session, now, cx| session.on_control(now, cx));
                }
            }
            Packet::Close => self.close(CloseReason::TransportClose, around),
            Packet::Ping(_) => self.close(CloseReason::TransportError, around),
            Packet::Open | Packet::Upgrade | Packet::Noop => self.call(around, |session, now, cx| session.on_control(now, cx)),
        }
    }

    /// Takes an event shared by many.
    pub fn on_shared(&mut self, event: &std::sync::Arc<Broadcast>, around: &mut Around<'_>) {
        self.call(around, |session, now, cx| session.on_shared(event, now.instant, cx));
    }

    /// Takes a notice of the broker.
    pub fn on_notice(&mut self, notice: Notice, around: &mut Around<'_>) {
        self.call(around, |session, now, cx| session.on_notice(notice, now, cx));
    }

    /// Closes it: its client is told behind what waits, unless it was too slow.
    pub fn close(&mut self, reason: CloseReason, around: &mut Around<'_>) {
        let Some(mut session) = self.session.take() else { return };
        session.on_close(reason, around.now.instant, around.rules, &mut Mail(around.mail));
        self.is_closing = true;
        self.blocked_until = None;
        if matches!(reason, CloseReason::SlowConsumer | CloseReason::PingTimeout | CloseReason::TransportError) {
            self.outbox = Outbox::default();
        }
    }

    fn write_out(&mut self) {
        for packets in std::mem::take(&mut self.outbox).waiting {
            self.written.extend_from_slice(packets.frames());
        }
    }

    /// Returns the bytes to write now.
    pub fn flush(&mut self, around: &mut Around<'_>) -> Vec<u8> {
        let wanted = self.session.as_ref().and_then(Session::ping_wanted);
        if self.session.is_some() && self.heartbeat.is_ping_due(around.now.instant, wanted, &TIMES) {
            self.beat(around);
        }
        for _ in 0..ROUNDS {
            if around.is_full {
                if self.outbox.packets > 0 && self.session.is_some() {
                    self.blocked_until.get_or_insert(around.now.instant + WRITE_TIMEOUT);
                }
                break;
            }
            self.blocked_until = None;
            let has_written = self.outbox.packets > 0;
            self.write_out();
            let is_due = std::mem::take(&mut self.owes_drained) || has_written;
            if !is_due || self.session.as_ref().is_none_or(Session::is_idle) {
                break;
            }
            self.call(around, |session, now, cx| session.on_drained(now.instant, cx));
            if self.outbox.packets == 0 {
                break;
            }
        }
        std::mem::take(&mut self.written)
    }

    /// Returns whether nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.outbox.packets == 0
    }

    /// Returns the time of its next deadline.
    pub fn deadline(&self, rules: &Rules) -> Option<Instant> {
        let session = self.session.as_ref()?;
        let own = self.heartbeat.deadline(session.ping_wanted(), &TIMES);
        [Some(own), session.deadline(rules), self.blocked_until].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn on_deadline(&mut self, around: &mut Around<'_>) {
        let now = around.now.instant;
        if self.blocked_until.is_some_and(|until| now >= until) {
            return self.close(CloseReason::SlowConsumer, around);
        }
        self.beat(around);
        if self.session.as_ref().and_then(|session| session.deadline(around.rules)).is_some_and(|due| now >= due) {
            self.call(around, |session, now, cx| session.on_deadline(now, cx));
        }
    }

    fn beat(&mut self, around: &mut Around<'_>) {
        let Some(session) = &mut self.session else { return };
        match self.heartbeat.on_deadline(around.now.instant, session.ping_wanted(), &TIMES) {
            Beat::Wait => {}
            Beat::Ping => {
                session.on_ping();
                self.push(&Encoded::text("2"));
            }
            Beat::TimedOut => self.close(CloseReason::PingTimeout, around),
        }
    }
}
