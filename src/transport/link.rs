//! The state of one connection, whatever its transport.
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use log::{debug, error, warn};

use super::deadlines::{self, Armed};
use super::deflate::Deflate;
use super::outbox::{Form, Outbox, Outlet, Queued};
use super::polling::Polling;
use super::websocket::Wire;
use super::worker::Worker;
use crate::engineio::{
    Beat, CloseReason, ConnectionKey, ConnectionView, Encoded, Heartbeat, Opening, Output, Packet, PacketError, Seat, Service,
    Sid, decode_packet, open_packet,
};

/// How long a closed WebSocket may take to close its side, and a dead one to take what is left.
pub(super) const CLOSE_LINGER: Duration = Duration::from_secs(2);
/// How long a gracefully closed session waits for the GET that tells the client so.
const POLLING_LINGER: Duration = Duration::from_secs(30);

/// How the client is reached.
pub(super) enum Transport {
    /// By answers to its requests.
    Polling(Box<Polling>),
    /// By a socket of its own.
    Websocket(Wire),
    /// No more.
    Gone,
}

impl Transport {
    fn deflate(&self) -> Option<Deflate> {
        if let Self::Websocket(wire) = self { wire.deflate } else { None }
    }
}

/// How far the connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is served.
    Open,
    /// Its service is gone; what is queued, and the word that it is over, may leave until then.
    Closing(Instant),
    /// All is over; its task ends.
    Finished,
}

/// A connection: its service, its transport and what waits between them.
pub(super) struct Link<S: Service> {
    pub(super) transport: Transport,
    pub(super) outbox: Outbox,
    pub(super) phase: Phase,
    /// Until when a write that makes no progress is borne.
    pub(super) blocked_until: Option<Instant>,
    /// Whether the outbox has run empty and the service was not told.
    pub(super) owes_drained: bool,
    /// Whether our side of the WebSocket is closed.
    pub(super) is_shut: bool,
    /// Whether a close frame is queued, or none is needed any more.
    pub(super) has_close_frame: bool,
    /// Whether the socket takes no more: the connection ends once all that came in on it is taken in.
    pub(super) has_failed: bool,
    service: Option<S>,
    pub(super) heartbeat: Heartbeat,
    armed: Armed,
    waker: Option<Waker>,
    seat: Seat,
    address: Option<IpAddr>,
    sid: Sid,
    wants_base64: bool,
    is_dirty: bool,
}

/// What a new connection is made of.
pub(super) struct NewLink<'a> {
    pub(super) sid: Sid,
    pub(super) transport: Transport,
    pub(super) opening: &'a Opening,
    pub(super) wants_base64: bool,
}

impl<S: Service> Link<S> {
    /// A connection whose open packet, and what the service says first, is queued; `before` goes ahead of it.
    pub(super) fn open(worker: &Worker<S>, key: ConnectionKey, new: NewLink<'_>, before: Option<Queued>, now: Instant) -> Self {
        let NewLink { sid, transport, opening, wants_base64 } = new;
        let options = worker.options();
        let can_upgrade = matches!(transport, Transport::Polling(_));
        let mut link = Self {
            transport,
            outbox: Outbox::default(),
            phase: Phase::Open,
            blocked_until: None,
            owes_drained: false,
            is_shut: false,
            has_close_frame: false,
            has_failed: false,
            service: None,
            heartbeat: Heartbeat::new(now, &options.heartbeat()),
            armed: Armed::default(),
            waker: None,
            seat: key.seat,
            address: opening.peer.address,
            sid,
            wants_base64,
            is_dirty: false,
        };
        if let Some(before) = before {
            link.outbox.push(Rc::new(before));
        }
        let open = open_packet(&sid, can_upgrade, options.ping_interval, options.ping_timeout, options.max_packet_bytes);
        link.outbox.push(Rc::new(Queued::Packets(Encoded::text(&open))));
        worker.stats.opened.add(1);
        if can_upgrade { &worker.stats.polling_sessions } else { &worker.stats.websocket_sessions }.add(1);
        link.guard(worker, now, |link, out| link.service = Some(S::open(&worker.context, key, opening, now, out)));
        link
    }

    pub(super) fn seat(&self) -> Seat {
        self.seat
    }

    pub(super) fn sid(&self) -> &Sid {
        &self.sid
    }

    /// What it is at this moment.
    pub(super) fn view(&self) -> ConnectionView {
        ConnectionView {
            queued_packets: self.outbox.packets(),
            queued_bytes: self.outbox.bytes(),
            is_blocked: self.blocked_until.is_some(),
        }
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(super) fn armed_mut(&mut self) -> &mut Armed {
        &mut self.armed
    }

    /// Notes how the connection's task is woken.
    pub(super) fn keep_waker(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|current| current.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    pub(super) fn waker(&self) -> Option<Waker> {
        self.waker.clone()
    }

    /// Marks the connection as one whose outbox is to be looked at; `false` if it was marked already.
    pub(super) fn set_dirty(&mut self, is_dirty: bool) -> bool {
        std::mem::replace(&mut self.is_dirty, is_dirty) != is_dirty
    }

    /// Has the service react to something, unless the connection is closed.
    // Told for each receiver of each broadcast, as are those below that say `inline`: with many codegen units only these are
    // certain to be inlined, and calls cost a delivery a tenth of its instructions.
    #[inline]
    pub(super) fn call(&mut self, worker: &Worker<S>, now: Instant, react: impl FnOnce(&mut S, &mut dyn Output)) {
        if self.service.is_none() {
            return;
        }
        self.make_room(worker, now);
        self.guard(worker, now, |link, out| {
            if let Some(service) = &mut link.service {
                react(service, out);
            }
        });
    }

    /// Bytes that a message of its client may have.
    pub(super) fn max_message_bytes(&self, worker: &Worker<S>) -> usize {
        let max = worker.options().max_packet_bytes;
        self.service.as_ref().and_then(S::stranger_bytes).map_or(max, |stranger| stranger.min(max))
    }

    /// Tells the service of what asks for nothing.
    pub(super) fn tell_control(&mut self, worker: &Worker<S>, now: Instant) {
        self.call(worker, now, |service, out| service.on_control(now, out));
    }

    /// Tells the service that the transport is a WebSocket now.
    pub(super) fn tell_upgraded(&mut self) {
        if let Some(service) = &mut self.service {
            service.on_upgraded();
        }
    }

    /// Tells the service that its outbox has run empty, where it was not told and wants to know. Whether it was told.
    pub(super) fn tell_drained(&mut self, worker: &Worker<S>, now: Instant) -> bool {
        let is_due = std::mem::take(&mut self.owes_drained) && self.service.as_ref().is_some_and(S::wants_drained);
        if is_due {
            self.call(worker, now, |service, out| service.on_drained(now, out));
        }
        is_due
    }

    /// Takes in a text frame or an entry of a payload.
    pub(super) fn on_text(&mut self, worker: &Worker<S>, text: &str, now: Instant) -> Result<(), PacketError> {
        let packet = decode_packet(text)?;
        self.on_packet(worker, packet, now);
        Ok(())
    }

    /// Takes in a packet. What comes after the end is dropped.
    pub(super) fn on_packet(&mut self, worker: &Worker<S>, packet: Packet<'_>, now: Instant) {
        if self.phase != Phase::Open {
            return;
        }
        match packet {
            Packet::Message(text) => {
                worker.stats.messages_in.add(1);
                self.call(worker, now, |service, out| service.on_text(text, now, out));
            }
            Packet::Binary(data) => {
                worker.stats.messages_in.add(1);
                self.call(worker, now, |service, out| service.on_binary(data, now, out));
            }
            Packet::Pong(_) => {
                if !self.heartbeat.on_pong(now, &worker.options().heartbeat()) {
                    return self.tell_control(worker, now);
                }
                if let Some(service) = &mut self.service {
                    service.on_pong();
                }
            }
            Packet::Close => self.close(worker, CloseReason::TransportClose, now),
            // the server pings here, not the client
            Packet::Ping(_) => self.close(worker, CloseReason::TransportError, now),
            Packet::Open | Packet::Upgrade | Packet::Noop => self.tell_control(worker, now),
        }
    }

    /// Writes or hands out what waits.
    pub(super) fn flush(&mut self, worker: &Worker<S>, context: &mut Context<'_>, now: Instant) {
        if self.phase == Phase::Open && self.heartbeat.is_ping_due(now, self.ping_wanted(), &worker.options().heartbeat()) {
            // In one write with what it is to prove.
            self.beat(worker, now);
        }
        match self.transport {
            Transport::Polling(_) => self.flush_polling(worker, context, now),
            Transport::Websocket(_) => self.flush_websocket(worker, context, now),
            Transport::Gone => {}
        }
    }

    /// The earliest moment at which [`Link::on_deadline`] has something to do.
    #[inline]
    pub(super) fn deadline(&self, worker: &Worker<S>) -> Option<Instant> {
        let own = match self.phase {
            Phase::Open => Some(self.heartbeat.deadline(self.ping_wanted(), &worker.options().heartbeat())),
            Phase::Closing(until) => Some(until),
            Phase::Finished => return None,
        };
        let polling = match &self.transport {
            Transport::Polling(polling) => polling.deadline(),
            Transport::Websocket(_) | Transport::Gone => None,
        };
        [own, self.service.as_ref().and_then(S::deadline), self.blocked_until, polling].into_iter().flatten().min()
    }

    /// A moment of this connection has come. Returns whether it was one that it still had.
    pub(super) fn take_deadline(&mut self, at: Instant) -> bool {
        deadlines::disarm(&mut self.armed, at)
    }

    /// Does what is due.
    pub(super) fn on_deadline(&mut self, worker: &Worker<S>, now: Instant) {
        if self.blocked_until.is_some_and(|until| now >= until) {
            self.close(worker, CloseReason::SlowConsumer, now);
        }
        match self.phase {
            Phase::Open => {}
            Phase::Closing(until) if now >= until => return self.finish(worker),
            Phase::Closing(_) | Phase::Finished => return,
        }
        self.beat(worker, now);
        if self.phase != Phase::Open {
            return;
        }
        self.on_polling_deadline(worker, now);
        if self.service.as_ref().and_then(S::deadline).is_some_and(|due| now >= due) {
            self.call(worker, now, |service, out| service.on_deadline(now, out));
        }
    }

    fn ping_wanted(&self) -> Option<Instant> {
        self.service.as_ref().and_then(S::ping_wanted)
    }

    fn beat(&mut self, worker: &Worker<S>, now: Instant) {
        match self.heartbeat.on_deadline(now, self.ping_wanted(), &worker.options().heartbeat()) {
            Beat::Wait => {}
            Beat::Ping => {
                self.outbox.push(worker.common.ping.clone());
                if let Some(service) = &mut self.service {
                    service.on_ping();
                }
            }
            Beat::TimedOut => self.close(worker, CloseReason::PingTimeout, now),
        }
    }

    /// Ends the connection: the service is told at once, the client as its transport allows.
    pub(super) fn close(&mut self, worker: &Worker<S>, reason: CloseReason, now: Instant) {
        if self.phase != Phase::Open {
            return;
        }
        match reason {
            CloseReason::SlowConsumer => {
                let (worker_seat, queued_packets, queued_bytes) = (self.seat.slot, self.outbox.packets(), self.outbox.bytes());
                warn!(worker_seat, queued_packets, queued_bytes; "closing slow connection");
            }
            _ => debug!(worker_seat = self.seat.slot, reason = reason.as_str(); "closing connection"),
        }
        worker.stats.count_close(reason);
        if let Some(mut service) = self.service.take()
            && catch_unwind(AssertUnwindSafe(move || service.on_close(reason, now))).is_err()
        {
            error!(worker_seat = self.seat.slot; "a connection panicked while it closed");
        }
        match &self.transport {
            Transport::Polling(_) => {
                self.phase = Phase::Closing(now + POLLING_LINGER);
                self.close_polling(worker, reason);
            }
            Transport::Websocket(_) => {
                let may_take = if reason == CloseReason::PingTimeout { CLOSE_LINGER } else { worker.options().write_timeout };
                self.phase = Phase::Closing(now + may_take);
                self.close_websocket(worker, reason);
            }
            Transport::Gone => self.finish(worker),
        }
    }

    /// Lets go of the transport and has the task end.
    pub(super) fn finish(&mut self, worker: &Worker<S>) {
        match std::mem::replace(&mut self.transport, Transport::Gone) {
            Transport::Polling(_) => worker.stats.polling_sessions.subtract(1),
            Transport::Websocket(_) => worker.stats.websocket_sessions.subtract(1),
            Transport::Gone => {}
        }
        if self.phase != Phase::Finished {
            self.phase = Phase::Finished;
            self.blocked_until = None;
            self.outbox.clear();
            worker.shared.registry.remove(&self.sid);
            self.wake();
        }
    }

    /// Has the connection's own task run.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Writes first when much waits, so that only a client that does not read is ever found full.
    #[inline]
    pub(super) fn make_room(&mut self, worker: &Worker<S>, now: Instant) {
        let limits = worker.limits();
        let is_crowded = self.outbox.packets() >= limits.packets / 2 || self.outbox.bytes() >= limits.bytes / 2;
        if is_crowded || self.has_failed {
            self.write_ahead(worker, now);
        }
    }

    #[cold]
    fn write_ahead(&mut self, worker: &Worker<S>, now: Instant) {
        if self.has_failed {
            self.outbox.clear();
        } else if let Some(waker) = self.waker.clone() {
            self.write_websocket(worker, &mut Context::from_waker(&waker), now);
        }
    }

    /// Runs the service's part of something. A panic there ends this connection and nothing else.
    #[inline]
    fn guard(&mut self, worker: &Worker<S>, now: Instant, run: impl FnOnce(&mut Self, &mut dyn Output)) {
        let (bytes, packets) = (self.outbox.bytes(), self.outbox.packets());
        let mut outbox = std::mem::take(&mut self.outbox);
        let form = Form { base64: self.wants_base64, deflate: self.transport.deflate() };
        let mut outlet = Outlet::new(&mut outbox, &worker.last, worker.limits(), form);
        let outcome = catch_unwind(AssertUnwindSafe(|| run(self, &mut outlet)));
        let close_reason = outlet.close_reason();
        self.outbox = outbox;
        worker.stats.bytes_out.add(self.outbox.bytes().saturating_sub(bytes) as u64);
        worker.stats.packets_out.add(self.outbox.packets().saturating_sub(packets) as u64);
        if outcome.is_err() {
            error!(worker_seat = self.seat.slot; "a connection panicked");
            self.close(worker, CloseReason::Internal, now);
        } else if let Some(reason) = close_reason {
            self.close(worker, reason, now);
        }
    }
}
