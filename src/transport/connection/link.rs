//! The state of one connection, whatever its transport.
use std::net::IpAddr;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;

use super::deadlines::{self, Armed};
use super::outbox::Outbox;
use super::polling::Polling;
use super::wire::Wire;
use super::worker::Worker;
use crate::engineio::{ConnectionView, Heartbeat, Opening, Seat, Service, Sid};
use crate::transport::codec::Deflate;

/// The way that the client is reached.
pub(in crate::transport) enum Transport {
    /// By answers to its requests.
    Polling(Box<Polling>),
    /// By a socket of its own.
    Websocket(Wire),
    /// No more.
    Gone,
}

impl Transport {
    /// Returns how messages to the client are compressed, if they are.
    #[inline]
    pub(super) fn deflate(&self) -> Option<Deflate> {
        if let Self::Websocket(wire) = self { wire.deflate } else { None }
    }
}

/// Progress of the connection towards its end.
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
pub(in crate::transport) struct Link<S: Service> {
    pub(super) transport: Transport,
    pub(super) outbox: Outbox,
    pub(super) phase: Phase,
    /// Until when a write that makes no progress is borne.
    pub(super) blocked_until: Option<Instant>,
    /// Set when the outbox has run empty and the service was not told.
    pub(super) owes_drained: bool,
    /// Set when our side of the WebSocket is closed.
    pub(super) is_shut: bool,
    /// Set when a close frame is queued, or none is needed any more.
    pub(super) has_close_frame: bool,
    /// Set when the socket takes no more: the connection ends once all that came in on it is taken in.
    pub(super) has_failed: bool,
    pub(super) service: Option<S>,
    pub(super) heartbeat: Heartbeat,
    armed: Armed,
    waker: Option<Waker>,
    seat: Seat,
    address: Option<IpAddr>,
    sid: Sid,
    pub(super) wants_base64: bool,
    is_dirty: bool,
}

/// The parts that a new connection is made of.
pub(in crate::transport) struct NewLink<'a> {
    pub(in crate::transport) sid: Sid,
    pub(in crate::transport) transport: Transport,
    pub(in crate::transport) opening: &'a Opening,
    pub(in crate::transport) wants_base64: bool,
}

impl<S: Service> Link<S> {
    /// Returns a connection that has no service yet.
    pub(super) fn new(seat: Seat, new: NewLink<'_>, heartbeat: Heartbeat) -> Self {
        let NewLink { sid, transport, opening, wants_base64 } = new;
        Self {
            transport,
            outbox: Outbox::default(),
            phase: Phase::Open,
            blocked_until: None,
            owes_drained: false,
            is_shut: false,
            has_close_frame: false,
            has_failed: false,
            service: None,
            heartbeat,
            armed: Armed::default(),
            waker: None,
            seat,
            address: opening.peer.address,
            sid,
            wants_base64,
            is_dirty: false,
        }
    }

    pub(in crate::transport) fn seat(&self) -> Seat {
        self.seat
    }

    pub(super) fn sid(&self) -> &Sid {
        &self.sid
    }

    /// Returns what it is at this moment.
    pub(in crate::transport) fn view(&self) -> ConnectionView {
        ConnectionView {
            queued_packets: self.outbox.packets(),
            queued_bytes: self.outbox.bytes(),
            is_blocked: self.blocked_until.is_some(),
        }
    }

    pub(in crate::transport) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(in crate::transport) fn armed_mut(&mut self) -> &mut Armed {
        &mut self.armed
    }

    /// Tells whether all is over.
    pub(in crate::transport) fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// Notes how the connection's task is woken.
    pub(in crate::transport) fn keep_waker(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|current| current.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    pub(in crate::transport) fn waker(&self) -> Option<Waker> {
        self.waker.clone()
    }

    /// Has the connection's own task run.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Marks the connection as one whose outbox is to be looked at; `false` if it was marked already.
    pub(in crate::transport) fn set_dirty(&mut self, is_dirty: bool) -> bool {
        std::mem::replace(&mut self.is_dirty, is_dirty) != is_dirty
    }

    /// A moment of this connection has come. Returns whether it was one that it still had.
    pub(in crate::transport) fn take_deadline(&mut self, at: Instant) -> bool {
        deadlines::disarm(&mut self.armed, at)
    }

    /// Notes that the client sends something, of which no packet is whole yet.
    pub(in crate::transport) fn on_bytes(&mut self) {
        self.heartbeat.on_bytes();
    }

    /// Takes what waits as the body of a response.
    pub(in crate::transport) fn take_payload(&mut self) -> Bytes {
        self.outbox.take_payload()
    }

    /// Writes what waits, without the service. Returns whether all has left.
    // Every delivery passes here; `Link::call` says why this matters.
    #[inline]
    pub(super) fn write_websocket(&mut self, worker: &Worker<S>, context: &mut Context<'_>, now: Instant) -> bool {
        let Transport::Websocket(wire) = &mut self.transport else { return false };
        if self.has_failed {
            return false;
        }
        let waiting = self.outbox.bytes();
        // What has left the outbox may still wait under TLS.
        if waiting == 0 && self.blocked_until.is_none() {
            return true;
        }
        match self.outbox.poll_write_to(&mut wire.socket, context) {
            Poll::Ready(Ok(())) => {
                self.blocked_until = None;
                self.owes_drained = true;
                true
            }
            Poll::Pending => {
                if self.blocked_until.is_none() || self.outbox.bytes() < waiting {
                    self.blocked_until = Some(now + worker.options().write_timeout);
                }
                false
            }
            Poll::Ready(Err(_)) => {
                // Nobody reads on: what waits to leave would only fill the outbox, while what came before is still to be heard.
                self.outbox.clear();
                self.blocked_until = None;
                self.has_failed = true;
                self.wake();
                false
            }
        }
    }
}
