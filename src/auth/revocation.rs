//! Revoked logins and tokens.

use super::token::Claims;
use crate::hash::HashMap;
use crate::model::Timestamp;

/// Revoked keys (see [`Claims::revocation_key`]), each kept until nothing with it could be valid any more.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    until: HashMap<Box<str>, Timestamp>,
}

impl Revocations {
    /// Starts with the revocations in the store.
    pub fn new(stored: impl IntoIterator<Item = (String, Timestamp)>) -> Self {
        let mut revocations = Self::default();
        for (key, until) in stored {
            revocations.revoke(&key, until);
        }
        revocations
    }

    /// Revokes a key; the entry may be dropped after `until`. Returns whether it was new.
    pub fn revoke(&mut self, key: &str, until: Timestamp) -> bool {
        if let Some(kept) = self.until.get_mut(key) {
            *kept = until.max(*kept);
            return false;
        }
        self.until.insert(key.into(), until);
        true
    }

    /// Returns whether the token, or its login, was revoked.
    pub fn has(&self, claims: &Claims) -> bool {
        !self.until.is_empty() && self.until.contains_key(&*claims.revocation_key)
    }

    /// Drops entries that expired before `now`; called by a timer.
    pub fn forget_expired(&mut self, now: Timestamp) {
        self.until.retain(|_, until| *until >= now);
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.until.len()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }
}
