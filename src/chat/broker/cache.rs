//! Users and conversations that are at hand.
use std::sync::Arc;

use super::Broker;
use crate::chat::state::CachedConversation;
use crate::model::{Account, Conversation, ConversationId, Place, Timestamp};
use crate::store::Membership;

impl Broker {
    /// The conversation of a place, where it is one and at hand.
    pub(super) fn cached(&mut self, place: &Place) -> Option<&mut CachedConversation> {
        let Place::Conversation(id) = place else { return None };
        self.conversations.get_mut(id)
    }

    /// The time of the next change in a place: it rises strictly within a conversation.
    pub(super) fn next_time_in(&mut self, place: &Place) -> Timestamp {
        let now = self.now();
        self.cached(place).map_or(now, |cached| cached.next_time(now))
    }

    /// Keeps users as they were read. Who is at hand already is newer than any read.
    pub(super) fn keep_users(&mut self, users: Vec<(Account, Vec<Membership>)>, now: Timestamp) {
        for (account, memberships) in users {
            self.users.keep(account, memberships, now);
        }
    }

    /// Keeps a conversation as it was read. `changed_at`: when a message of it last changed, where that is not when it changed
    /// itself. Later changes come after both.
    pub(super) fn keep_conversation(&mut self, conversation: Conversation, changed_at: Option<Timestamp>, now: Timestamp) {
        self.conversations.keep(conversation, changed_at, now);
    }

    pub(super) fn edit_cached(&mut self, id: ConversationId, edit: impl FnOnce(&mut Conversation)) -> Option<Arc<Conversation>> {
        let cached: &mut CachedConversation = self.conversations.get_mut(&id)?;
        edit(Arc::make_mut(&mut cached.conversation));
        cached.absent = None;
        Some(cached.conversation.clone())
    }
}
