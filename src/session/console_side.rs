//! State of a connection in the administrators' namespace.
use std::time::Instant;

use super::limits::{Bucket, Rate};

/// Requests of one connection passed on per second; further ones are dropped.
const REQUESTS_PER_SECOND: u32 = 10;
/// Requests of one connection passed on in a burst.
const REQUESTS_AT_ONCE: u32 = 20;

/// State of a connection there, from its CONNECT on.
#[derive(Debug, Default)]
pub(super) struct ConsoleSide {
    requests: Bucket,
    /// Set while the console waits for the outbox to become empty.
    pub(super) is_awaited: bool,
}

impl ConsoleSide {
    /// Counts a request; returns `false` if there were too many.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        let rate = Rate::new(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE);
        rate.is_none_or(|rate| self.requests.take(rate, now).is_ok())
    }
}
