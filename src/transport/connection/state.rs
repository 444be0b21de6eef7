//! The state of one connection, independent of its transport.
use std::net::IpAddr;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;

use super::deadlines::{self, Armed};
use super::outbox::{Form, Outbox};
use super::polling::Polling;
use super::websocket_io::WebSocketIo;
use super::worker_state::WorkerState;
use crate::engineio::{ConnectionView, Heartbeat, Opening, Service, Sid, Slot};
use crate::transport::codec::Deflate;

/// The transport to the client.
pub(in crate::transport) enum Transport {
    /// Answers to its requests.
    Polling(Box<Polling>),
    /// A WebSocket.
    Websocket(WebSocketIo),
    /// None any more.
    Gone,
}

/// Progress of a connection towards its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Open.
    Open,
    /// The service has ended; queued packets and the close may be sent until this time.
    Closing(Instant),
    /// Finished; the task ends.
    Finished,
}

/// A connection: its service, its transport, and the queues between them.
pub(in crate::transport) struct ConnectionState<S: Service> {
    pub(super) transport: Transport,
    pub(super) outbox: Outbox,
    pub(super) phase: Phase,
    /// Time until which a write may make no progress.
    pub(super) blocked_until: Option<Instant>,
    /// Set when the outbox has become empty and the service was not notified.
    pub(super) owes_drained: bool,
    pub(super) ending: Ending,
    pub(super) service: Option<S>,
    pub(super) heartbeat: Heartbeat,
    armed: Armed,
    waker: Option<Waker>,
    slot: Slot,
    address: Option<IpAddr>,
    sid: Sid,
    /// Encoding that the client needs; compression counts on a WebSocket only. It stands here because there it would take
    /// eight bytes.
    pub(super) form: Form,
    is_dirty: bool,
    /// Set if the task is to be woken once its waker is back.
    owes_wake: bool,
}

/// Progress of a connection's end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Set when our side of the WebSocket is closed.
    pub(super) is_shut: bool,
    /// Set when a close frame is queued, or not needed any more.
    pub(super) has_close_frame: bool,
    /// Set when the socket accepts no more writes: the connection ends once everything received has been handled.
    pub(super) has_failed: bool,
}

/// Parts of a new connection.
pub(in crate::transport) struct NewConnection<'a> {
    pub(in crate::transport) sid: Sid,
    pub(in crate::transport) transport: Transport,
    pub(in crate::transport) opening: &'a Opening,
    pub(in crate::transport) deflate: Option<Deflate>,
    pub(in crate::transport) wants_base64: bool,
}

impl<S: Service> ConnectionState<S> {
    /// Returns a connection without a service.
    pub(super) fn new(slot: Slot, new: NewConnection<'_>, heartbeat: Heartbeat) -> Self {
        let NewConnection { sid, transport, opening, deflate, wants_base64 } = new;
        Self {
            transport,
            outbox: Outbox::default(),
            phase: Phase::Open,
            blocked_until: None,
            owes_drained: false,
            ending: Ending::default(),
            service: None,
            heartbeat,
            armed: Armed::default(),
            waker: None,
            slot,
            address: opening.peer.address,
            sid,
            form: Form { base64: wants_base64, deflate },
            is_dirty: false,
            owes_wake: false,
        }
    }

    pub(in crate::transport) fn slot(&self) -> Slot {
        self.slot
    }

    pub(super) fn sid(&self) -> &Sid {
        &self.sid
    }

    /// Returns the encoding that the client needs.
    #[inline]
    pub(super) fn form(&self) -> Form {
        let Form { base64, deflate } = self.form;
        Form { base64, deflate: deflate.filter(|_| matches!(self.transport, Transport::Websocket(_))) }
    }

    /// Returns its present state, for administrators.
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

    /// Returns whether the connection is finished.
    pub(in crate::transport) fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// Stores the waker of the connection's task.
    pub(in crate::transport) fn keep_waker(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|current| current.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// Acts with the waker of the connection's task, unless that has not run yet: then it acts by itself. The waker is lent,
    /// because a copy of it would touch the task's memory, once for each delivery.
    pub(in crate::transport) fn with_waker(&mut self, act: impl FnOnce(&mut Self, &mut Context<'_>)) {
        let Some(waker) = self.waker.take() else { return };
        act(self, &mut Context::from_waker(&waker));
        if std::mem::take(&mut self.owes_wake) {
            waker.wake_by_ref();
        }
        self.waker = Some(waker);
    }

    /// Wakes the connection's own task.
    pub(super) fn wake(&mut self) {
        match &self.waker {
            Some(waker) => waker.wake_by_ref(),
            None => self.owes_wake = true,
        }
    }

    /// Marks the outbox as needing a flush; `false` if it was marked already.
    pub(in crate::transport) fn set_dirty(&mut self, is_dirty: bool) -> bool {
        std::mem::replace(&mut self.is_dirty, is_dirty) != is_dirty
    }

    /// Handles a time that has come up in the heap. Returns whether it was still one of this connection's.
    pub(in crate::transport) fn take_deadline(&mut self, at: Instant) -> bool {
        deadlines::disarm(&mut self.armed, at)
    }

    /// Records that bytes came that do not complete a packet.
    pub(in crate::transport) fn on_bytes(&mut self) {
        self.heartbeat.on_bytes();
    }

    /// Takes the queued packets as the body of an answer.
    pub(in crate::transport) fn take_payload(&mut self) -> Bytes {
        self.outbox.take_payload()
    }

    /// Writes queued packets without involving the service. Returns whether all were written.
    // On the path of every delivery; `ConnectionState::call` explains why this matters.
    #[inline]
    pub(super) fn write_websocket(&mut self, worker: &WorkerState<S>, context: &mut Context<'_>, now: Instant) -> bool {
        let Transport::Websocket(ws_io) = &mut self.transport else { return false };
        if self.ending.has_failed {
            return false;
        }
        let waiting = self.outbox.bytes();
        // TLS may still hold bytes that have left the outbox.
        if waiting == 0 && self.blocked_until.is_none() {
            return true;
        }
        match self.outbox.poll_write_to(&mut ws_io.socket, context) {
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
                // The peer no longer reads, so the outbox would only fill up; but packets received earlier must still
                // be handled.
                self.outbox.clear();
                self.blocked_until = None;
                self.ending.has_failed = true;
                self.wake();
                false
            }
        }
    }
}
