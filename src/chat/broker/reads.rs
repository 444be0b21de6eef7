//! Reads that commands and coming clients wait for.
use super::Broker;
use crate::chat::query::{Lookup, LookupFor, LookupQuery, Query};
use crate::chat::state::Allowance;
use crate::model::Timestamp;

impl Broker {
    /// Starts a read; its waiter goes on when it is there.
    pub(super) fn start_lookup(&mut self, lookup: Lookup, waiter: LookupFor) {
        let now = self.now();
        let allowance = self.allow_made(&lookup, &waiter, now);
        self.work.reads += 1;
        let seen = (self.changes_of(&lookup), self.conversations.titles.changes);
        self.outside.read(Query::Lookup(Box::new(LookupQuery { lookup, waiter, allowance, seen, now })));
    }

    /// Returns the number of users that a read may make; `None`: none are made.
    fn allow_made(&mut self, lookup: &Lookup, waiter: &LookupFor, now: Timestamp) -> Option<Allowance> {
        let LookupFor::Command(running) = waiter else { return None };
        let wanted = match lookup {
            Lookup::Users(users) => users.len(),
            Lookup::Direct(..) => 1,
            _ => return None,
        };
        // Strangers have nobody made.
        let provision = self.options.auto_provision_users && !running.user.is_guest();
        let max = self.options.made_users_max;
        provision.then(|| self.users.made.reserve(&running.user, wanted, max, now))
    }

    /// Returns the number of the newest change to the subject of a read.
    pub(super) fn changes_of(&self, lookup: &Lookup) -> u64 {
        match lookup {
            Lookup::Users(users) => self.users.changes.newest_of(users),
            Lookup::Provision(user) => self.users.changes.newest_of([&user.id]),
            Lookup::Described(user, _) => self.users.changes.newest_of([user]),
            Lookup::Direct(_, other) => self.users.changes.newest_of([other]),
            Lookup::Uploads(_) => self.work.files_dropped,
            Lookup::Alias(user, _) => self.users.get(user).map_or(0, |user| u64::from(user.names_given)),
            Lookup::Conversation(_)
            | Lookup::Overviews(_)
            | Lookup::Title(_)
            | Lookup::Notifications(..)
            | Lookup::Message(_)
            | Lookup::History(..)
            | Lookup::Answer(_)
            | Lookup::SentIds(_) => 0,
        }
    }
}
