//! Telling the store who is online, in turns.
use super::Broker;
use crate::chat::state::Awaiting;
use crate::store::Write;

/// While somebody is online it is stored this often that the server runs: half of what a last seen may be wrong by.
const ALIVE_EVERY_MS: i64 = 30_000;

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
