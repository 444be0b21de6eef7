//! Users who came and went since the store was notified.

use crate::hash::HashSet;
use crate::model::{Timestamp, UserId};

/// Interval at which it is stored that the server runs, while somebody is online: half of the error that a last-seen time may
/// have.
const ALIVE_EVERY_MS: i64 = 30_000;

/// Users who came and went since the store was notified.
#[derive(Debug, Default)]
pub(crate) struct OnlineChanges {
    came: HashSet<UserId>,
    gone: HashSet<UserId>,
    notified_at: Timestamp,
}

impl OnlineChanges {
    /// A user is here for others to see.
    pub(crate) fn came(&mut self, user: &UserId) {
        self.gone.remove(user);
        self.came.insert(user.clone());
    }

    /// A user is not any more.
    pub(crate) fn went(&mut self, user: &UserId) {
        self.came.remove(user);
        self.gone.insert(user.clone());
    }

    /// Takes those who came and went, if the store is to be notified now; `is_anybody_here`: it is also notified now and then
    /// that the server runs.
    pub(crate) fn take(&mut self, is_anybody_here: bool, now: Timestamp) -> Option<(Vec<UserId>, Vec<UserId>)> {
        let is_quiet = self.came.is_empty() && self.gone.is_empty();
        if is_quiet && (!is_anybody_here || self.notified_at.plus_millis(ALIVE_EVERY_MS) > now) {
            return None;
        }
        self.notified_at = now;
        Some((self.came.drain().collect(), self.gone.drain().collect()))
    }

    /// Puts back users of whom the store was notified in vain; anything known since then holds.
    pub(crate) fn put_back(&mut self, came: Vec<UserId>, gone: Vec<UserId>) {
        let Self { came: comes, gone: goes, notified_at: _ } = self;
        comes.extend(came.into_iter().filter(|user| !goes.contains(user)));
        goes.extend(gone.into_iter().filter(|user| !comes.contains(user)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_counts_and_what_was_given_in_vain_is_given_again() {
        let (ann, bob) = (UserId::parse("ann").unwrap(), UserId::parse("bob").unwrap());
        let at = Timestamp::from_millis;
        let mut changes = OnlineChanges::default();
        assert_eq!(changes.take(false, at(0)), None);
        changes.came(&ann);
        changes.went(&ann);
        changes.came(&bob);
        let (came, gone) = changes.take(true, at(0)).unwrap();
        assert_eq!((&came, &gone), (&vec![bob.clone()], &vec![ann.clone()]));
        changes.went(&bob);
        changes.put_back(came, gone);
        let (came, mut gone) = changes.take(true, at(1)).unwrap();
        gone.sort();
        assert_eq!((came, gone), (vec![], vec![ann, bob]));
        assert_eq!(changes.take(true, at(2)), None);
        assert_eq!(changes.take(true, at(1 + ALIVE_EVERY_MS)), Some((vec![], vec![])), "the server runs");
    }

    #[test]
    fn who_went_and_came_again_is_here() {
        let ann = UserId::parse("ann").unwrap();
        let mut changes = OnlineChanges::default();
        changes.went(&ann);
        changes.came(&ann);
        assert_eq!(changes.take(true, Timestamp::from_millis(0)), Some((vec![ann], vec![])));
    }
}
