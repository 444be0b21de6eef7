//! State that a session has only while something is pending.
use std::time::Instant;

use super::gate::Gate;
use super::missed::Missed;
use super::pending::PendingRequests;
use super::turns::Turns;

/// Dropped as soon as nothing in it needs remembering.
#[derive(Debug, Default)]
pub struct Active {
    /// Rate limits, and the requests that they delay.
    pub turns: Turns,
    /// Requests not yet answered by the broker.
    pub pending: PendingRequests,
    /// Events held back.
    pub gate: Gate,
    /// Time by which a packet's attachments have to arrive, while some are outstanding.
    pub attachments_due: Option<Instant>,
    /// Presence and typing events that were dropped.
    pub missed: Missed,
}

impl Active {
    /// Returns the part that outlives the client's stay in the chat: the state of its rate limits, if any.
    pub fn left(self) -> Option<Box<Self>> {
        let turns = self.turns.left();
        (!turns.is_idle()).then(|| Box::new(Self { turns, ..Self::default() }))
    }

    /// Returns whether nothing in it needs remembering.
    pub fn is_idle(&self) -> bool {
        self.attachments_due.is_none()
            && self.pending.is_empty()
            && self.gate.is_idle()
            && self.missed.is_empty()
            && self.turns.is_idle()
    }
}
