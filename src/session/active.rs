//! What a session needs only while something is going on; an idle one has none of it.
use super::gate::Gate;
use super::missed::Missed;
use super::pending::PendingRequests;
use super::turns::Turns;

/// Dropped as soon as nothing in it is worth remembering.
#[derive(Debug, Default)]
pub struct Active {
    /// The rate limits and what waits for them.
    pub turns: Turns,
    /// What the broker has not answered.
    pub pending: PendingRequests,
    /// Events that wait.
    pub gate: Gate,
    /// Presence and typing that was dropped.
    pub missed: Missed,
}

impl Active {
    /// Whether all of it can be forgotten.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.gate.is_idle() && self.missed.is_empty() && self.turns.is_idle()
    }
}
