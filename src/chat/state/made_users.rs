//! Users who are made because somebody writes to them before they have ever come.
use std::time::Duration;

use crate::hash::HashMap;
use crate::model::{Timestamp, UserId};

/// Time for which they are counted: one hour.
const WINDOW_MS: i64 = 3_600_000;

/// Number of users that each sender has had made of late.
#[derive(Debug, Default)]
pub(crate) struct MadeUsers {
    /// Start of the count and number, by sender.
    by_sender: HashMap<UserId, (Timestamp, usize)>,
}

/// Number of users that a sender may have made by a read; what of it is not used is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub users: usize,
}

impl MadeUsers {
    /// Allows a sender to have users made: as many as wanted, or what is left of `max`. 0: there is no limit.
    pub(crate) fn reserve(&mut self, sender: &UserId, wanted: usize, max: usize, now: Timestamp) -> Allowance {
        if max == 0 {
            return Allowance { users: wanted };
        }
        let (since, made) = self.by_sender.entry(sender.clone()).or_insert((now, 0));
        if now >= since.plus_millis(WINDOW_MS) {
            (*since, *made) = (now, 0);
        }
        let users = wanted.min(max.saturating_sub(*made));
        *made += users;
        Allowance { users }
    }

    /// Takes back what was not used.
    pub(crate) fn give_back(&mut self, sender: &UserId, left: Allowance) {
        if let Some((_, made)) = self.by_sender.get_mut(sender) {
            *made = made.saturating_sub(left.users);
        }
    }

    /// Returns the time that a sender has to wait for the next ones.
    pub(crate) fn wait_of(&self, sender: &UserId, now: Timestamp) -> Duration {
        let since = self.by_sender.get(sender).map_or(now, |(since, _)| *since);
        let wait = since.plus_millis(WINDOW_MS).as_millis().saturating_sub(now.as_millis());
        Duration::from_millis(u64::try_from(wait).unwrap_or_default())
    }

    /// Forgets what does not count any more.
    pub(crate) fn forget_old(&mut self, now: Timestamp) {
        self.by_sender.retain(|_, (since, made)| *made > 0 && now < since.plus_millis(WINDOW_MS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_has_so_many_an_hour() {
        let (ann, bob) = (UserId::parse("ann").unwrap(), UserId::parse("bob").unwrap());
        let at = |millis| Timestamp::from_millis(millis);
        let mut made = MadeUsers::default();
        assert_eq!(made.reserve(&ann, 70, 100, at(0)).users, 70);
        assert_eq!(made.reserve(&ann, 70, 100, at(1)).users, 30);
        assert_eq!(made.reserve(&bob, 70, 100, at(1)).users, 70);
        made.give_back(&ann, Allowance { users: 10 });
        assert_eq!(made.reserve(&ann, 70, 100, at(2)).users, 10);
        assert_eq!(made.wait_of(&ann, at(600_000)), Duration::from_secs(3_000));
        assert_eq!(made.reserve(&ann, 70, 100, at(WINDOW_MS)).users, 70);
        assert_eq!(made.reserve(&ann, 700, 0, at(WINDOW_MS)).users, 700);
        made.give_back(&bob, Allowance { users: 70 });
        made.forget_old(at(2));
        assert_eq!(made.by_sender.len(), 1);
    }
}
