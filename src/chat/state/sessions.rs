//! Sockets that are in.
use std::collections::VecDeque;

use smallvec::{SmallVec, smallvec};

use super::catch_up::{CatchUp, Unseen};
use super::delivery::UnprovenPages;
use super::offsets::Reached;
use super::requests::Pending;
use super::subscriptions::Places;
use crate::auth::Claims;
use crate::chat::ports::{Manner, Words};
use crate::engineio::Peer;
use crate::model::{ConversationId, PrivateId, SocketId, Timestamp, UserId, digest};

/// Who a session's client is, as it is stored with what it sends.
pub fn sent_by(pid: &PrivateId) -> [u8; 32] {
    digest([pid.client()])
}

/// An admitted socket.
#[derive(Debug)]
pub struct Session {
    pub user: UserId,
    pub socket: SocketId,
    pub pid: PrivateId,
    pub words: Words,
    pub manner: Manner,
    pub tokens: Tokens,
    /// How far its client is known to have come; `None`, while a catch-up began it: only the client knows.
    pub reached: Option<Reached>,
    /// Number of the last event up to which all that it was told is known to have arrived.
    pub proven: u64,
    /// Events after this one it was told live, or replayed.
    pub told_after: u64,
    /// Of the events up to this one messages may have been left out, which the catch-up brings once they are stored; 0: of none.
    pub left_out_up_to: u64,
    /// Pages of the catch-up that may not have arrived yet.
    pub unproven: Option<Box<UnprovenPages>>,
    pub is_in_common_chat: bool,
    /// Requests that wait for the first of them, in order.
    #[expect(clippy::box_collection, reason = "most sockets have none, and there are many sockets")]
    pub queue: Option<Box<VecDeque<Pending>>>,
    /// Whether the first request of the queue's owner is waiting for the store, or for what the user's sockets left behind.
    pub is_blocked: bool,
    /// Whether its client is being put out: nothing more of it is carried out.
    pub is_put_out: bool,
    pub catch_up: Option<Box<CatchUp>>,
    /// Notifications that are to be shown behind the catch-up.
    pub unseen: Option<Box<Unseen>>,
    pub places: Option<Box<Places>>,
    pub peer: Peer,
    pub connected_at: Timestamp,
}

/// What a session is in by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The logins that its tokens belong to, else their fingerprints in hex: the one that expires last, and the newest.
    pub keys: SmallVec<[Box<str>; 1]>,
    pub expires_at: Option<Timestamp>,
}

impl Tokens {
    /// One token.
    pub fn of(claims: &Claims) -> Self {
        Self { keys: smallvec![claims.revocation_key.clone()], expires_at: claims.expires_at }
    }

    /// These and a newer one: the later expiry counts.
    pub fn and(self, newer: Self, now: Timestamp) -> Self {
        let has_expired = newer.expires_at.is_some_and(|at| at <= now);
        let lasts = |tokens: &Self| tokens.expires_at.unwrap_or(Timestamp::from_millis(i64::MAX));
        match lasts(&newer) >= lasts(&self) {
            true => newer,
            false if has_expired || newer.keys == self.keys => self,
            false => Self { keys: self.keys.into_iter().take(1).chain(newer.keys).collect(), expires_at: self.expires_at },
        }
    }
}

impl Session {
    /// Events after this one it was told, whether they are stored in the end or not.
    pub fn surely_told_after(&self) -> u64 {
        self.told_after.max(self.left_out_up_to)
    }

    /// Since which event it hears nothing of a conversation, if it has muted that.
    pub fn muted_since(&self, conversation: ConversationId) -> Option<u64> {
        self.places.as_ref()?.muted.get(&conversation).copied()
    }
}
