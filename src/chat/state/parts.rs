//! The parts of what the broker knows that belong together.
use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use tokio::sync::oneshot;

use super::account_changes::AccountChanges;
use super::catch_up::PageReads;
use super::census::Census;
use super::commits::Awaiting;
use super::conversations::CachedConversation;
use super::counters::Counters;
use super::delivery::Progress;
use super::detached::ParkedSessions;
use super::made_users::MadeUsers;
use super::notifications::Gathered;
use super::requests::Pending;
use super::sends::{FailedSends, InFlight};
use super::sessions::Session;
use super::titles::Titles;
use super::traces::Traces;
use super::users::User;
use crate::auth::Revocations;
use crate::chat::ports::Connect;
use crate::engineio::ConnectionKey;
use crate::feed::Feed;
use crate::logging::Refusals;
use crate::model::{ConversationId, MessageId, UserId};

/// Users, and what changed of them.
#[derive(Debug, Default)]
pub struct Users {
    pub at_hand: HashMap<UserId, Box<User>>,
    pub changes: AccountChanges,
    /// Users who are made because somebody writes to them.
    pub made: MadeUsers,
    pub revocations: Revocations,
}

/// Sockets that are in, that want in, and that were lost a short while ago.
#[derive(Debug, Default)]
pub struct Sessions {
    pub open: HashMap<ConnectionKey, Box<Session>>,
    pub connecting: HashMap<ConnectionKey, Connect>,
    pub detached: ParkedSessions,
    /// Counts the open ones by how they speak.
    pub census: Census,
}

/// Conversations that are at hand.
#[derive(Debug, Default)]
pub struct Conversations {
    pub at_hand: HashMap<ConversationId, CachedConversation>,
    /// Direct ones, by their users.
    pub directs: HashMap<String, ConversationId>,
    /// Groups of which a change is being stored, and the changes that wait for that: each is computed from the last.
    pub changing: HashMap<ConversationId, Vec<Pending>>,
    /// Titles of the listings that messages are about.
    pub titles: Titles,
}

/// Messages on their way to the store.
#[derive(Debug, Default)]
pub struct Sends {
    pub in_flight: HashMap<MessageId, InFlight>,
    /// Those that the store had already, while what it has is read.
    pub known: HashMap<u64, InFlight>,
    /// Admitted messages that are not dispatched yet, in order.
    pub unhanded: VecDeque<MessageId>,
    pub failed: FailedSends,
    /// Who had which socket, of those that left while messages up to a position were under way.
    pub departed: VecDeque<(i64, ConnectionKey, UserId)>,
    /// Position of the last message that is in flight no more.
    pub landed: i64,
    /// Position of the last message, or change of one, that was admitted.
    pub position: i64,
}

/// Changes that were given to the store, and what follows from each.
#[derive(Debug, Default)]
pub struct Commits {
    awaiting: HashMap<u64, Awaiting>,
    next_tag: u64,
}

impl Commits {
    /// Returns a number that none had before.
    pub fn new_tag(&mut self) -> u64 {
        self.next_tag += 1;
        self.next_tag
    }

    /// A change was given to the store under this number.
    pub fn expect(&mut self, tag: u64, awaiting: Awaiting) {
        self.awaiting.insert(tag, awaiting);
    }

    /// Takes what follows from a change, once.
    pub fn take(&mut self, tag: u64) -> Option<Awaiting> {
        self.awaiting.remove(&tag)
    }

    /// Tells whether nothing is being stored.
    pub fn is_empty(&self) -> bool {
        self.awaiting.is_empty()
    }
}

/// Facts that are only known here until they are stored.
#[derive(Debug, Default)]
pub struct Due {
    pub progress: Progress,
    pub gathered: Gathered,
    /// Receipts that are being stored.
    pub reading: HashSet<(MessageId, UserId)>,
}

/// Work under way beside sends and changes.
#[derive(Debug, Default)]
pub struct Work {
    /// Number of reads that somebody waits for.
    pub reads: usize,
    pub pages: PageReads,
    /// How often files were dropped that nothing named: what was looked up before is too old.
    pub files_dropped: u64,
    pub is_draining: bool,
    /// Who waits until nothing is under way any more.
    pub awaiting_rest: Vec<oneshot::Sender<()>>,
}

/// Observers: nothing depends on them.
#[derive(Debug, Default)]
pub struct Observers {
    pub feed: Feed,
    pub traces: Traces,
    pub counters: Counters,
    pub refusals: Arc<Refusals>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_change_follows_once() {
        let mut commits = Commits::default();
        let (one, other) = (commits.new_tag(), commits.new_tag());
        assert_ne!(one, other);
        commits.expect(one, Awaiting::Nothing);
        assert!(commits.take(other).is_none() && !commits.is_empty());
        assert!(commits.take(one).is_some() && commits.take(one).is_none() && commits.is_empty());
    }
}
