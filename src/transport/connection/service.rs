//! Calls to a connection's service, and the packets that it queues during a call.
use std::future::Future as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use log::error;

use super::outbox::{Outlet, Queued};
use super::state::{ConnectionState, NewConnection, Transport};
use super::worker_state::WorkerState;
use crate::engineio::{CloseReason, ConnectionKey, Encoded, Heartbeat, Output, Service, open_packet};

impl<S: Service> ConnectionState<S> {
    /// Returns a new connection whose open packet and first packets of the service are queued; `before` precedes them.
    pub(in crate::transport) fn open(
        worker: &WorkerState<S>,
        key: ConnectionKey,
        new: NewConnection<'_>,
        before: Option<Queued>,
        now: Instant,
    ) -> Self {
        let (sid, opening, options) = (new.sid, new.opening, worker.options());
        let can_upgrade = matches!(new.transport, Transport::Polling(_));
        let mut state = Self::new(key.slot, new, Heartbeat::new(now, &options.heartbeat()));
        if let Some(before) = before {
            state.outbox.push(Rc::new(before));
        }
        let open = open_packet(&sid, can_upgrade, options.ping_interval, options.ping_timeout, options.max_packet_bytes);
        state.outbox.push(Rc::new(Queued::Packets(Encoded::text(&open))));
        worker.stats.opened.add(1);
        if can_upgrade { &worker.stats.polling_sessions } else { &worker.stats.websocket_sessions }.add(1);
        state.guard(worker, now, |state, out| state.service = Some(S::open(&worker.context, key, opening, now, out)));
        state
    }

    /// Calls the service, unless the connection is closed.
    // Runs for each receiver of each broadcast, like the others below marked `inline`. With several codegen units only
    // such functions are certain to be inlined, and calls would cost a delivery a tenth of its instructions.
    #[inline]
    pub(in crate::transport) fn call(
        &mut self,
        worker: &WorkerState<S>,
        now: Instant,
        react: impl FnOnce(&mut S, &mut dyn Output),
    ) {
        if self.service.is_none() {
            return;
        }
        self.make_room(worker, now);
        self.guard(worker, now, |state, out| {
            if let Some(service) = &mut state.service {
                react(service, out);
            }
        });
    }

    /// Returns the maximum size of a message from its client, in bytes.
    pub(in crate::transport) fn max_message_bytes(&self, worker: &WorkerState<S>) -> usize {
        let max = worker.options().max_packet_bytes;
        self.service.as_ref().and_then(S::stranger_bytes).map_or(max, |stranger| stranger.min(max))
    }

    /// Notifies the service of a packet that asks for nothing.
    pub(super) fn notify_control(&mut self, worker: &WorkerState<S>, now: Instant) {
        self.call(worker, now, |service, out| service.on_control(now, out));
    }

    /// Notifies the service that the transport is now a WebSocket.
    pub(super) fn notify_upgraded(&mut self) {
        if let Some(service) = &mut self.service {
            service.on_upgraded();
        }
    }

    /// Notifies the service that its outbox has become empty, if that is news and the service wants it. Returns whether
    /// it did.
    pub(super) fn notify_drained(&mut self, worker: &WorkerState<S>, now: Instant) -> bool {
        let is_due = std::mem::take(&mut self.owes_drained) && self.service.as_ref().is_some_and(S::wants_drained);
        if is_due {
            self.call(worker, now, |service, out| service.on_drained(now, out));
        }
        is_due
    }

    /// Writes first if much is waiting, so that only a client that does not read can be found full.
    #[inline]
    pub(super) fn make_room(&mut self, worker: &WorkerState<S>, now: Instant) {
        let limits = worker.limits();
        let is_crowded = self.outbox.packets() >= limits.packets / 2 || self.outbox.bytes() >= limits.bytes / 2;
        if is_crowded || self.ending.has_failed {
            self.write_ahead(worker, now);
        }
    }

    #[cold]
    fn write_ahead(&mut self, worker: &WorkerState<S>, now: Instant) {
        if self.ending.has_failed {
            self.outbox.clear();
        } else {
            self.with_waker(|state, context| {
                // Somebody else's poll: what its budget still allows says nothing about this socket.
                let write = std::future::poll_fn(|context| {
                    state.write_websocket(worker, context, now);
                    Poll::Ready(())
                });
                let _ = pin!(tokio::task::unconstrained(write)).poll(context);
            });
        }
    }

    /// Runs a call of the service. A panic in it ends this connection only.
    #[inline]
    fn guard(&mut self, worker: &WorkerState<S>, now: Instant, run: impl FnOnce(&mut Self, &mut dyn Output)) {
        let (bytes, packets) = (self.outbox.bytes(), self.outbox.packets());
        let mut outbox = std::mem::take(&mut self.outbox);
        let mut outlet = Outlet::new(&mut outbox, &worker.last, worker.limits(), self.form());
        let outcome = catch_unwind(AssertUnwindSafe(|| run(self, &mut outlet)));
        let close_reason = outlet.close_reason();
        self.outbox = outbox;
        worker.stats.bytes_out.add(self.outbox.bytes().saturating_sub(bytes) as u64);
        worker.stats.packets_out.add(self.outbox.packets().saturating_sub(packets) as u64);
        if outcome.is_err() {
            error!(worker_seat = self.slot().index; "a connection panicked");
            self.close(worker, CloseReason::Internal, now);
        } else if let Some(reason) = close_reason {
            self.close(worker, reason, now);
        }
    }
}
