//! State that a session needs only while something is going on; an idle one has none of it.
use std::time::Instant;

use super::gate::Gate;
use super::missed::Missed;
use super::pending::PendingRequests;
use super::turns::Turns;

/// Dropped as soon as nothing in it is worth remembering.
#[derive(Debug, Default)]
pub struct Active {
    /// The rate limits and what waits for them.
    pub turns: Turns,
    /// Requests that the broker has not answered.
    pub pending: PendingRequests,
    /// Events that wait.
    pub gate: Gate,
    /// Moment by which a packet's attachments have to be here, while some are outstanding.
    pub attachments_due: Option<Instant>,
    /// Presence and typing that was dropped.
    pub missed: Missed,
}

impl Active {
    /// Returns what is left of it when its client leaves the chat: what was taken of the rates, where that is anything.
    pub fn left(self) -> Option<Box<Self>> {
        let turns = self.turns.left();
        (!turns.is_idle()).then(|| Box::new(Self { turns, ..Self::default() }))
    }

    /// Tells whether all of it can be forgotten.
    pub fn is_idle(&self) -> bool {
        self.attachments_due.is_none()
            && self.pending.is_empty()
            && self.gate.is_idle()
            && self.missed.is_empty()
            && self.turns.is_idle()
    }
}
