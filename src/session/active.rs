//! State that a session has only while something is pending.
use std::time::Instant;

use super::hold_queue::HoldQueue;
use super::missed::Missed;
use super::pending::PendingRequests;
use super::request_queue::{QueuedRequest, RequestQueue};

/// Dropped as soon as nothing in it needs remembering.
#[derive(Debug, Default)]
pub(super) struct Active {
    /// Rate limits, and the requests that they delay.
    pub request_queue: RequestQueue,
    /// Requests not yet answered by the broker.
    pub pending: PendingRequests,
    /// Events held back.
    pub hold_queue: HoldQueue,
    /// Time by which a packet's attachments have to arrive, while some are outstanding.
    pub attachments_due: Option<Instant>,
    /// Presence and typing events that were dropped.
    pub missed: Missed,
    /// A request with a token whose issuer is being asked for the key.
    pub awaits_keys: Option<Box<QueuedRequest>>,
}

impl Active {
    /// Returns the part that outlives the client's stay in the chat: the state of its rate limits, if any.
    pub(super) fn left(self) -> Option<Box<Self>> {
        let request_queue = self.request_queue.left();
        (!request_queue.is_idle()).then(|| Box::new(Self { request_queue, ..Self::default() }))
    }

    /// Returns whether nothing in it needs remembering.
    pub(super) fn is_idle(&self) -> bool {
        self.attachments_due.is_none()
            && self.pending.is_empty()
            && self.hold_queue.is_idle()
            && self.missed.is_empty()
            && self.awaits_keys.is_none()
            && self.request_queue.is_idle()
    }
}
