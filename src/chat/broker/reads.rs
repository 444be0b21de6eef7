//! Reads that commands and coming clients wait for.
use super::Broker;
use crate::chat::query::{Load, LoadFor, LoadQuery, Query};
use crate::chat::state::Allowance;
use crate::model::Timestamp;

impl Broker {
    /// Starts a read; its waiter goes on when it is there.
    pub(super) fn start_load(&mut self, load: Load, waiter: LoadFor) {
        let now = self.now();
        let allowance = self.allow_made(&load, &waiter, now);
        self.work.reads += 1;
        let seen = (self.changes_of(&load), self.conversations.titles.changes);
        self.outside.read(Query::Load(Box::new(LoadQuery { load, waiter, allowance, seen, now })));
    }

    /// How many users a read may make; `None`: none are made.
    fn allow_made(&mut self, load: &Load, waiter: &LoadFor, now: Timestamp) -> Option<Allowance> {
        let LoadFor::Command(running) = waiter else { return None };
        let wanted = match load {
            Load::Users(users) => users.len(),
            Load::Direct(..) => 1,
            _ => return None,
        };
        let (provision, max) = (self.options.auto_provision_users, self.options.made_users_max);
        provision.then(|| self.users.made.reserve(&running.user, wanted, max, now))
    }

    /// Which change was the newest of what a read is about.
    pub(super) fn changes_of(&self, load: &Load) -> u64 {
        match load {
            Load::Users(users) => self.users.changes.newest_of(users),
            Load::Provision(user) => self.users.changes.newest_of([&user.id]),
            Load::Described(user, _) => self.users.changes.newest_of([user]),
            Load::Direct(_, other) => self.users.changes.newest_of([other]),
            Load::Uploads(_) => self.work.files_dropped,
            Load::Called(user, _) => self.users.get(user).map_or(0, |user| user.names_given),
            Load::Conversation(_)
            | Load::Overviews(_)
            | Load::Title(_)
            | Load::Notifications(..)
            | Load::Message(_)
            | Load::Answer(_)
            | Load::SentIds(_) => 0,
        }
    }
}
