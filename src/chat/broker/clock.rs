//! Work that time brings: what is due, stored in turns, and forgotten.
use super::Broker;
use crate::chat::state::User;

/// Time for which users and conversations without a socket stay in memory after their last use.
const IDLE_CACHE_MS: i64 = 60_000;

impl Broker {
    /// At the end of a step: begins what may begin by now, and says when it is to be woken.
    pub(in crate::chat) fn end_step(&mut self) {
        self.begin_questions();
        self.notify_received_soon();
        self.note_rest();
        // Most steps leave nothing for which the clock must be asked.
        let now = self.presence.is_waiting().then(|| self.outside.now());
        let due = [now.and_then(|now| self.presence.due(now)), self.typing.next_lapse(), self.leftovers.next_due()];
        if let Some(next) = due.into_iter().flatten().min() {
            self.outside.wake_at(next);
        }
    }

    /// Does what is due by the clock.
    pub(in crate::chat) fn tick(&mut self) {
        let now = self.now();
        for change in self.typing.lapse(now) {
            self.fan_out_typing(&change, None);
        }
        self.forget_old_detached();
        self.carry_on_with_what_is_due(now);
        while let Some((at, user)) = self.presence.take_lapsed(now) {
            if self.users.get(&user).is_some_and(|entry| entry.offline_at == Some(at)) {
                self.announce_if_gone(&user, now);
            }
        }
        self.fan_out_presence(now);
    }

    /// Stores what of members' progress, of last-seen times and of notifications is only known here.
    pub(in crate::chat) fn save(&mut self) {
        self.save_progress();
        self.save_online();
        self.save_notifications();
        self.settle_doubted_changes();
    }

    /// Looks through the caches.
    pub(in crate::chat) fn sweep(&mut self) {
        let now = self.now();
        self.forget_unheard(now);
        let old = now.plus_millis(-IDLE_CACHE_MS);
        self.keep_chats_in_use(now);
        self.users.forget_unused(now, old);
        let users = &mut self.users;
        self.conversations.forget_unused(|id, cached| {
            let members = &cached.conversation.participants;
            let is_used = members.iter().any(|member| users.get(member).is_some_and(User::has_sessions));
            if is_used || cached.used_at > old || cached.is_progress_due || cached.in_flight > 0 {
                return true;
            }
            for member in members {
                // What is known of the user stays as new as what is forgotten here.
                if let Some(membership) = users.get_mut(member).and_then(|user| user.membership(id)) {
                    membership.last_seq = cached.conversation.last_seq;
                }
            }
            false
        });
        let unprovable = now.plus_millis(-self.options.confirmation_memory_ms());
        self.conversations.values_mut().for_each(|cached| cached.dispatched.forget_before(unprovable));
        self.forget_old_detached();
        self.replay.expire(now);
        self.sends.forget_failed_before(now.plus_millis(-24 * 3_600_000));
        self.users.changes.forget_before(old);
        self.users.made.forget_old(now);
        self.users.revocations.forget_expired(now);
    }
}
