//! Figures of one worker's connections.
use std::sync::Arc;

use crate::engineio::CloseReason;
use crate::meter::{Gauge, Meter};

/// Counters written by one worker thread and readable by any.
///
/// With a single writer, adding is a load and a store, and threads never contend for a cache line.
#[derive(Debug, Default)]
pub struct WorkerStats {
    /// Sessions now on polling.
    pub polling_sessions: Gauge,
    /// Sessions now on a WebSocket.
    pub websocket_sessions: Gauge,
    /// Sessions opened since the start.
    pub opened: Gauge,
    /// Sessions that moved from polling to a WebSocket.
    pub upgraded: Gauge,
    /// Requests that are not valid HTTP.
    pub malformed: Gauge,
    /// Engine.IO messages from clients.
    pub messages_in: Gauge,
    /// Bytes read from WebSockets and from polling bodies.
    pub bytes_in: Gauge,
    /// Engine.IO packets queued for clients.
    pub packets_out: Gauge,
    /// Bytes queued for clients.
    pub bytes_out: Gauge,
    /// Load of the thread's actor, which delivers to connections and writes for them.
    pub actor_meter: Arc<Meter>,
    /// Load of its connections. One in `TIMED` of their own steps is timed.
    pub connections: Meter,
    closed: [Gauge; REASONS.len()],
}

/// One of this many steps is timed, because reading the clock costs as much as a small step.
pub(super) const TIMED: u64 = 16;

/// The reasons, in the order of their counters.
const REASONS: [CloseReason; 11] = [
    CloseReason::TransportClose,
    CloseReason::TransportError,
    CloseReason::PingTimeout,
    CloseReason::ParseError,
    CloseReason::ForcedClose,
    CloseReason::ConnectTimeout,
    CloseReason::Disconnected,
    CloseReason::SlowConsumer,
    CloseReason::Unavailable,
    CloseReason::Shutdown,
    CloseReason::Internal,
];

impl WorkerStats {
    /// Returns the number of connections closed so far, by reason.
    pub fn closed(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        REASONS.into_iter().zip(self.closed.iter().map(Gauge::get))
    }

    pub(super) fn count_close(&self, reason: CloseReason) {
        let counter = REASONS.iter().zip(&self.closed).find(|(other, _)| **other == reason);
        if let Some((_, counter)) = counter {
            counter.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_are_counted_by_reason() {
        let stats = WorkerStats::default();
        stats.count_close(CloseReason::PingTimeout);
        stats.count_close(CloseReason::PingTimeout);
        stats.count_close(CloseReason::Internal);
        let counted: Vec<_> = stats.closed().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(CloseReason::PingTimeout, 2), (CloseReason::Internal, 1)]);
    }
}
