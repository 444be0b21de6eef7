//! Functions that make guests: users without an account, by a name of their choice.
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::model::{Timestamp, UserId};

/// Counts a new guest of an address; returns whether there are not too many.
pub type MayCome = dyn Fn(Option<IpAddr>, Instant) -> bool + Send + Sync;

/// Issues a token to a guest.
pub type IssueToken = dyn Fn(&UserId, Timestamp) -> String + Send + Sync;

/// Functions that make guests.
#[derive(Clone)]
pub struct Guests {
    /// See [`MayCome`].
    pub may_come: Arc<MayCome>,
    /// See [`IssueToken`].
    pub issue: Arc<IssueToken>,
}
