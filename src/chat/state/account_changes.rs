//! Changes of accounts and memberships of late.

use crate::hash::HashMap;
use crate::model::{Timestamp, UserId};

/// Users whose account or memberships changed of late: a read of them that began before is too old to be kept.
#[derive(Debug, Default)]
pub(crate) struct AccountChanges {
    count: u64,
    newest: HashMap<UserId, (u64, Timestamp)>,
}

impl AccountChanges {
    /// Notes that accounts or memberships of these users changed.
    pub(crate) fn note<'a>(&mut self, users: impl IntoIterator<Item = &'a UserId>, now: Timestamp) {
        self.count += 1;
        self.newest.extend(users.into_iter().map(|user| (user.clone(), (self.count, now))));
    }

    /// The number of the newest change that concerns one of these users.
    pub(crate) fn newest_of<'a>(&self, users: impl IntoIterator<Item = &'a UserId>) -> u64 {
        users.into_iter().filter_map(|user| self.newest.get(user)).map(|(number, _)| *number).max().unwrap_or_default()
    }

    /// Forgets what no read can have begun before.
    pub(crate) fn forget_before(&mut self, then: Timestamp) {
        self.newest.retain(|_, (_, at)| *at >= then);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::user;
    use super::*;

    #[test]
    fn a_read_is_older_than_every_change_that_it_may_have_missed() {
        let (ann, bob, at) = (user("ann"), user("bob"), Timestamp::from_millis);
        let mut changes = AccountChanges::default();
        let read = changes.newest_of([&ann, &bob]);
        changes.note([&ann], at(1));
        assert_ne!(changes.newest_of([&ann, &bob]), read);
        let read = changes.newest_of([&bob]);
        changes.note([&ann], at(2));
        assert_eq!(changes.newest_of([&bob]), read, "another's change");
        let before = changes.newest_of([&ann]);
        changes.forget_before(at(2));
        assert_eq!(changes.newest_of([&ann]), before);
    }
}
