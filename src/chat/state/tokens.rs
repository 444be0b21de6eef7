//! Tokens that a session is in by.
use smallvec::{SmallVec, smallvec};

use crate::auth::Claims;
use crate::model::Timestamp;

/// Tokens by which a session is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// The logins that its tokens belong to, else their fingerprints in hex: the one that expires last, and the newest.
    pub keys: SmallVec<[Box<str>; 1]>,
    pub expires_at: Option<Timestamp>,
}

impl Tokens {
    /// One token.
    pub(crate) fn of(claims: &Claims) -> Self {
        Self { keys: smallvec![claims.revocation_key.clone()], expires_at: claims.expires_at }
    }

    /// These and a newer one: the later expiry counts.
    pub(crate) fn and(self, newer: Self, now: Timestamp) -> Self {
        let has_expired = newer.expires_at.is_some_and(|at| at <= now);
        let lasts = |tokens: &Self| tokens.expires_at.unwrap_or(Timestamp::from_millis(i64::MAX));
        match lasts(&newer) >= lasts(&self) {
            true => newer,
            false if has_expired || newer.keys == self.keys => self,
            false => Self { keys: self.keys.into_iter().take(1).chain(newer.keys).collect(), expires_at: self.expires_at },
        }
    }
}
