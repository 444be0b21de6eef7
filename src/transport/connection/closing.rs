//! Closing connections, and cancelling upgrades.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use log::{debug, error, warn};

use super::farewell::dismiss;
use super::polling::{CLOSE, NOOP, Probe};
use super::state::{ConnectionState, Phase, Transport};
use super::websocket_io::close_frame;
use super::worker_state::WorkerState;
use crate::engineio::{CloseReason, Service};

/// Time for the peer of a closed WebSocket to close its side, and for one that timed out to take the remaining bytes.
pub(super) const CLOSE_LINGER: Duration = Duration::from_secs(2);
/// Time for which a gracefully closed session waits for a GET to tell the client.
const POLLING_LINGER: Duration = Duration::from_secs(30);

impl<S: Service> ConnectionState<S> {
    /// Closes the connection: notifies the service at once, the client as its transport allows.
    pub(in crate::transport) fn close(&mut self, worker: &WorkerState<S>, reason: CloseReason, now: Instant) {
        if self.phase != Phase::Open {
            return;
        }
        match reason {
            CloseReason::SlowConsumer => {
                let (worker_seat, queued_packets, queued_bytes) = (self.slot().index, self.outbox.packets(), self.outbox.bytes());
                warn!(worker_seat, queued_packets, queued_bytes; "closing slow connection");
            }
            _ => debug!(worker_seat = self.slot().index, reason = reason.as_str(); "closing connection"),
        }
        worker.stats.count_close(reason);
        if let Some(mut service) = self.service.take()
            && catch_unwind(AssertUnwindSafe(move || service.on_close(reason, now))).is_err()
        {
            error!(worker_seat = self.slot().index; "a connection panicked while it closed");
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

    /// Notifies the client through its waiting request. If there is none, a graceful close waits for the next one.
    fn close_polling(&mut self, worker: &WorkerState<S>, reason: CloseReason) {
        self.cancel_upgrade();
        let Transport::Polling(polling) = &mut self.transport else { return };
        polling.post = None;
        let has_get = polling.exchange.has_get();
        match reason {
            CloseReason::TransportClose => polling.answer_get(NOOP),
            CloseReason::TransportError | CloseReason::PingTimeout | CloseReason::ParseError | CloseReason::SlowConsumer => {
                polling.answer_get(CLOSE);
            }
            _ if has_get && self.outbox.is_empty() => polling.answer_get(CLOSE),
            _ => {
                if has_get {
                    polling.answer_get(self.outbox.take_payload());
                }
                return;
            }
        }
        self.finish(worker);
    }

    /// Sends a close frame on the WebSocket. A client that is too slow is cut off instead.
    fn close_websocket(&mut self, worker: &WorkerState<S>, reason: CloseReason) {
        if reason == CloseReason::SlowConsumer {
            return self.finish(worker);
        }
        self.queue_close(None);
        self.wake();
    }

    /// Drops the transport and ends the task.
    pub(in crate::transport) fn finish(&mut self, worker: &WorkerState<S>) {
        match std::mem::replace(&mut self.transport, Transport::Gone) {
            Transport::Polling(_) => worker.stats.polling_sessions.subtract(1),
            Transport::Websocket(_) => worker.stats.websocket_sessions.subtract(1),
            Transport::Gone => {}
        }
        if self.phase != Phase::Finished {
            self.phase = Phase::Finished;
            self.blocked_until = None;
            self.outbox.clear();
            worker.directory.remove(self.sid());
            self.wake();
        }
    }

    /// Queues a close frame, unless one is queued already.
    pub(super) fn queue_close(&mut self, code: Option<u16>) {
        if !std::mem::replace(&mut self.ending.has_close_frame, true) {
            self.outbox.push(Rc::new(close_frame(code)));
        }
    }

    /// Cancels the upgrade; the session stays on polling and may try again.
    pub(super) fn cancel_upgrade(&mut self) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        polling.exchange.cancel_upgrade();
        if let Some(probe) = polling.probe.take() {
            debug!(worker_seat = self.slot().index; "upgrade cancelled");
            let Probe { ws_io, mut outbox, until: _ } = *probe;
            outbox.push(Rc::new(close_frame(None)));
            actix::spawn(dismiss(ws_io.socket, outbox));
        }
    }
}
