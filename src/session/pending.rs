//! Requests that the broker has not answered yet.
use std::collections::VecDeque;

use crate::dialect::{Asked, Dialect, DialectSet};

/// Everything that is needed to answer a request.
#[derive(Debug)]
pub struct Pending {
    /// The session's number for it.
    pub ticket: u32,
    /// The dialect that carried it out.
    pub dialect: Dialect,
    /// The dialects in whose words it is refused.
    pub dialects: DialectSet,
    /// State that the dialect kept.
    pub asked: Asked,
    /// The client waits for this ack.
    pub ack_id: Option<u64>,
}

/// All of one socket, the oldest first: answers come roughly in that order.
#[derive(Debug, Default)]
pub struct PendingRequests(VecDeque<Pending>);

impl PendingRequests {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Remembers one.
    pub fn insert(&mut self, pending: Pending) {
        self.0.push_back(pending);
    }

    /// Takes out the oldest.
    pub fn pop(&mut self) -> Option<Pending> {
        self.0.pop_front()
    }

    /// Takes out the one with this number.
    pub fn take(&mut self, ticket: u32) -> Option<Pending> {
        let place = self.0.iter().position(|pending| pending.ticket == ticket)?;
        self.0.remove(place)
    }
}
