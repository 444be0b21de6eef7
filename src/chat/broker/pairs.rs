//! Conversations of two, with a user or with the model: in use as soon as they are made.
use std::sync::Arc;

use super::Broker;
use crate::chat::ports::{ChatError, Event};
use crate::chat::state::AfterCommit;
use crate::model::{self, Conversation, ConversationId, ConversationKind};
use crate::store::Write;

impl Broker {
    /// Stores and opens a direct conversation, or a chat with the model, that did not exist.
    pub(super) fn make_conversation(&mut self, conversation: &Arc<Conversation>) -> Result<(), ChatError> {
        let write = Write::CreateConversation { conversation: conversation.clone(), joined_position: self.sends.position() };
        self.store(write, AfterCommit::ConversationMade(conversation.id))?;
        self.conversations.keep((**conversation).clone(), None, conversation.created_at);
        self.join_members(conversation, &conversation.participants);
        self.fan_out_to_users(&conversation.participants, Event::ConversationChanged(conversation.clone()));
        if conversation.kind == ConversationKind::Ai { self.name_chat(conversation) } else { Ok(()) }
    }

    /// Its owner calls a new chat so, from now on.
    fn name_chat(&mut self, chat: &model::Conversation) -> Result<(), ChatError> {
        let (Some(name), Some(owner)) = (&chat.name, chat.participants.first()) else { return Ok(()) };
        self.give_name(owner, name.clone(), chat.id, chat.created_at)
    }

    pub(super) fn forget_conversation(&mut self, id: ConversationId) {
        let Some(cached) = self.conversations.remove(&id) else { return };
        let participants = &cached.conversation.participants;
        for member in participants {
            if let Some(user) = self.users.get_mut(member) {
                user.memberships.retain(|membership| membership.conversation != id);
            }
        }
        self.fan_out_to_users(participants, Event::ConversationDeleted { conversation: id });
    }
}
