//! The parts of what the broker knows that belong together.
use std::sync::Arc;

use tokio::sync::oneshot;

use super::catch_up::{PageReads, Settling};
use super::commits::AfterCommit;
use super::counters::Counters;
use super::delivery::Progress;
use super::hooks::HookWaits;
use super::notifications::Gathered;
use super::traces::Traces;
use crate::feed::Feed;
use crate::hash::{HashMap, HashSet};
use crate::logging::Refusals;
use crate::model::{MessageId, UserId};

/// Changes that were given to the store, and what follows from each.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    awaiting: HashMap<u64, AfterCommit>,
    next_tag: u64,
}

impl Commits {
    /// Returns a number that none had before.
    pub(crate) fn new_tag(&mut self) -> u64 {
        self.next_tag += 1;
        self.next_tag
    }

    /// A change was given to the store under this number.
    pub(crate) fn expect(&mut self, tag: u64, awaiting: AfterCommit) {
        self.awaiting.insert(tag, awaiting);
    }

    /// Takes what follows from a change, once.
    pub(crate) fn take(&mut self, tag: u64) -> Option<AfterCommit> {
        self.awaiting.remove(&tag)
    }

    /// Returns whether nothing is being stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.awaiting.is_empty()
    }
}

/// Prefetched that are only known here until they are stored.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub progress: Progress,
    pub gathered: Gathered,
    /// Receipts that are being stored.
    pub reading: HashSet<(MessageId, UserId)>,
}

/// Work under way beside sends and changes.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Number of reads that somebody waits for.
    pub reads: usize,
    pub pages: PageReads,
    pub settling: Settling,
    /// Commands that wait for the operator's hook.
    pub hooks: HookWaits,
    /// Number of times that files named by nothing were dropped: a lookup from before is too old.
    pub files_dropped: u64,
    pub is_draining: bool,
    /// Callers that wait until nothing is under way any more.
    pub awaiting_rest: Vec<oneshot::Sender<()>>,
}

/// Observers: nothing depends on them.
#[derive(Debug, Default)]
pub(crate) struct Observers {
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
        commits.expect(one, AfterCommit::Nothing);
        assert!(commits.take(other).is_none() && !commits.is_empty());
        assert!(commits.take(one).is_some() && commits.take(one).is_none() && commits.is_empty());
    }
}
