//! Telling the store who is online, in turns.
use super::Broker;
use crate::chat::state::Awaiting;
use crate::store::Write;

impl Broker {
    /// Stores who came and went, and that the server runs.
    pub(super) fn save_online(&mut self) {
        let now = self.now();
        let is_anybody_here = self.presence.online() > 0;
        let Some((came, gone)) = self.presence.unstored.take(is_anybody_here, now) else { return };
        let write = Write::Online { came: came.clone(), gone: gone.clone(), at: now };
        if let Err(refused) = self.store(write, Awaiting::Online { came, gone })
            && let Awaiting::Online { came, gone } = refused.1
        {
            self.presence.unstored.put_back(came, gone);
        }
    }
}
