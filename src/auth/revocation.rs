//! Logins and tokens that were logged out.
use hashbrown::HashMap;

use super::token::Claims;
use crate::model::Timestamp;

/// The keys (see [`Claims::revocation_key`]) that are refused, each until nothing with it could be valid any more.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    until: HashMap<Box<str>, Timestamp>,
}

impl Revocations {
    /// Takes over what the store knows.
    pub fn new(stored: impl IntoIterator<Item = (String, Timestamp)>) -> Self {
        let mut revocations = Self::default();
        for (key, until) in stored {
            revocations.revoke(&key, until);
        }
        revocations
    }

    /// Refuses a key from now on; may be forgotten after `until`. Answers whether it was not refused before.
    pub fn revoke(&mut self, key: &str, until: Timestamp) -> bool {
        if let Some(kept) = self.until.get_mut(key) {
            *kept = until.max(*kept);
            return false;
        }
        self.until.insert(key.into(), until);
        true
    }

    /// Tells whether the token's login, or the token itself, was logged out.
    pub fn has(&self, claims: &Claims) -> bool {
        !self.until.is_empty() && self.until.contains_key(&*claims.revocation_key)
    }

    /// Drops what expired before `now`; for a timer.
    pub fn forget_expired(&mut self, now: Timestamp) {
        self.until.retain(|_, until| *until >= now);
    }

    /// Returns how many are kept.
    pub fn len(&self) -> usize {
        self.until.len()
    }

    /// Tells whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }
}
