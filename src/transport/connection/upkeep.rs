//! Writes, pings and deadlines of a connection.
use std::task::Context;
use std::time::Instant;

use super::state::{ConnectionState, Phase, Transport};
use super::worker_state::WorkerState;
use crate::engineio::{Beat, CloseReason, Service};

impl<S: Service> ConnectionState<S> {
    /// Sends queued packets.
    pub(in crate::transport) fn flush(&mut self, worker: &WorkerState<S>, context: &mut Context<'_>, now: Instant) {
        if self.phase == Phase::Open && self.heartbeat.is_ping_due(now, self.ping_wanted(), &worker.options().heartbeat()) {
            // Sent in one write with the packets that it is to confirm.
            self.beat(worker, now);
        }
        match self.transport {
            Transport::Polling(_) => self.flush_polling(worker, context, now),
            Transport::Websocket(_) => self.flush_websocket(worker, context, now),
            Transport::Gone => {}
        }
    }

    /// Returns the earliest time at which [`ConnectionState::on_deadline`] has something to do.
    #[inline]
    pub(in crate::transport) fn deadline(&self, worker: &WorkerState<S>) -> Option<Instant> {
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

    /// Handles everything that is due.
    pub(in crate::transport) fn on_deadline(&mut self, worker: &WorkerState<S>, now: Instant) {
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

    fn beat(&mut self, worker: &WorkerState<S>, now: Instant) {
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
}
