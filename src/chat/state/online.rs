//! Who came and went since the store was told.
use hashbrown::HashSet;

use crate::model::{Timestamp, UserId};

/// Those who came and went since the store was told.
#[derive(Debug, Default)]
pub struct OnlineChanges {
    pub came: HashSet<UserId>,
    pub gone: HashSet<UserId>,
    pub told_at: Timestamp,
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
