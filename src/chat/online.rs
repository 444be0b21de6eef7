//! Who is online, told to the store in turns: after a crash it knows when they were last seen.
use hashbrown::HashSet;

use super::broker::Broker;
use super::stored::Awaiting;
use crate::model::{Timestamp, UserId};
use crate::store::Write;

/// While somebody is online it is stored this often that the server runs: half of what a last seen may be wrong by.
const ALIVE_EVERY_MS: i64 = 30_000;

/// Those who came and went since the store was told.
#[derive(Debug, Default)]
pub struct OnlineChanges {
    came: HashSet<UserId>,
    gone: HashSet<UserId>,
    told_at: Timestamp,
}

impl OnlineChanges {
    /// A user is here for others to see.
    pub fn came(&mut self, user: &UserId) {
        self.gone.remove(user);
        self.came.insert(user.clone());
    }

    /// A user is not any more.
    pub fn went(&mut self, user: &UserId) {
        self.came.remove(user);
        self.gone.insert(user.clone());
    }

    /// Those of whom the store was told in vain; what is known since then holds.
    pub fn put_back(&mut self, came: Vec<UserId>, gone: Vec<UserId>) {
        let Self { came: comes, gone: goes, told_at: _ } = self;
        comes.extend(came.into_iter().filter(|user| !goes.contains(user)));
        goes.extend(gone.into_iter().filter(|user| !comes.contains(user)));
    }
}

impl Broker {
    /// Stores who came and went, and that the server runs.
    pub(super) fn save_online(&mut self) {
        let now = self.now();
        let changes = &mut self.online_changes;
        let is_quiet = changes.came.is_empty() && changes.gone.is_empty();
        if is_quiet && (self.online == 0 || changes.told_at.plus_millis(ALIVE_EVERY_MS) > now) {
            return;
        }
        changes.told_at = now;
        let (came, gone): (Vec<_>, Vec<_>) = (changes.came.drain().collect(), changes.gone.drain().collect());
        let write = Write::Online { came: came.clone(), gone: gone.clone(), at: now };
        if let Err(refused) = self.store(write, Awaiting::Online { came, gone })
            && let Awaiting::Online { came, gone } = refused.1
        {
            self.online_changes.put_back(came, gone);
        }
    }
}
