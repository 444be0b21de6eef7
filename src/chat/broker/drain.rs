//! The end of the broker's work: nothing more is taken in, and what was is carried out.
use tokio::sync::oneshot;

use super::Broker;
use crate::model::{ChosenStatus, UserId};

impl Broker {
    /// The server stops: nothing more is taken in. What is returned ends when all that was taken is carried out.
    pub(in crate::chat) fn drain(&mut self) -> oneshot::Receiver<()> {
        self.work.is_draining = true;
        let online: Vec<UserId> = self
            .users
            .iter()
            .map(|(_, user)| user)
            .filter(|user| !user.sessions.is_empty() && user.account.status != ChosenStatus::Offline)
            .map(|user| user.account.profile.id.clone())
            .collect();
        let now = self.now();
        for user in online {
            self.due.progress.saw_last(&user, now);
            self.presence.unstored.went(&user);
        }
        self.save_progress();
        self.save_online();
        self.save_notifications();
        self.carry_on_with_all();
        let (rested, rest) = oneshot::channel();
        self.work.awaiting_rest.push(rested);
        rest
    }

    /// Notifies those who wait for it that nothing is under way any more, where that is so.
    pub(super) fn note_rest(&mut self) {
        if self.work.awaiting_rest.is_empty() {
            return;
        }
        let has_rested = self.work.reads == 0
            && self.work.hooks.is_empty()
            && self.leftovers.is_empty()
            && self.sends.is_empty()
            && self.commits.is_empty()
            && !self.conversations.is_any_changing();
        if has_rested {
            for rested in self.work.awaiting_rest.drain(..) {
                // Who does not wait any more need not hear it.
                let _ = rested.send(());
            }
        }
    }
}
