//! Requests that the broker has not answered yet.
use std::collections::VecDeque;

use crate::dialect::{Asked, Dialect, DialectSet};

/// Everything needed to answer a request.
#[derive(Debug)]
pub(super) struct PendingRequest {
    /// The session's number of the request.
    pub ticket: u32,
    /// The dialect that handled it.
    pub dialect: Dialect,
    /// The dialects in whose words it is refused.
    pub dialects: DialectSet,
    /// State kept by the dialect.
    pub asked: Asked,
    /// Id of the ack that the client waits for.
    pub ack_id: Option<u64>,
}

/// Pending requests of one socket, the oldest first: answers come roughly in that order.
#[derive(Debug, Default)]
pub(super) struct PendingRequests(VecDeque<PendingRequest>);

impl PendingRequests {
    /// Returns the number of pending requests.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a request.
    pub(super) fn insert(&mut self, pending: PendingRequest) {
        self.0.push_back(pending);
    }

    /// Removes and returns the oldest.
    pub(super) fn pop(&mut self) -> Option<PendingRequest> {
        self.0.pop_front()
    }

    /// Removes and returns the one with this number.
    pub(super) fn take(&mut self, ticket: u32) -> Option<PendingRequest> {
        let place = self.0.iter().position(|pending| pending.ticket == ticket)?;
        self.0.remove(place)
    }
}
