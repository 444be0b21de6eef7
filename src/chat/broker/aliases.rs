//! Names that users give their conversations.
use std::sync::Arc;

use super::Broker;
use crate::chat::ports::{Broadcast, ChatError, Event, Names};
use crate::chat::state::{AfterCommit, Audience, GivenName};
use crate::model::{ConversationId, Message, Place, Timestamp, UserId};
use crate::store::Write;

impl Broker {
    /// From here on an owner calls a conversation so, unless it turns out that this is not stored.
    pub(super) fn give_name(
        &mut self,
        owner: &UserId,
        name: String,
        conversation: ConversationId,
        named_at: Timestamp,
    ) -> Result<(), ChatError> {
        let before = self.users.get(owner).and_then(|user| user.name_of(conversation)).cloned();
        let given = GivenName { owner: owner.clone(), conversation, name: Arc::from(name.as_str()), before };
        let shown = given.name.clone();
        let write = Write::NameConversation { owner: owner.clone(), name, conversation, named_at };
        self.store(write, AfterCommit::Named(given))?;
        self.set_name(owner, conversation, Some(shown));
        Ok(())
    }

    /// A name was not stored: what was there before is shown again.
    pub(super) fn take_name_back(&mut self, given: GivenName) {
        let GivenName { owner, conversation, name, before } = given;
        if self.users.get(&owner).and_then(|user| user.name_of(conversation)) == Some(&name) {
            self.set_name(&owner, conversation, before);
        }
    }

    fn set_name(&mut self, owner: &UserId, conversation: ConversationId, name: Option<Arc<str>>) {
        let Some(user) = self.users.get_mut(owner) else { return };
        user.names_given += 1;
        user.has_names |= name.is_some();
        if let Some(membership) = user.membership(conversation) {
            membership.name = name;
        }
    }

    /// Returns the alias that the sender of a message has for its conversation.
    pub(super) fn senders_name(&self, message: &Message) -> Option<Arc<str>> {
        let Place::Conversation(conversation) = message.place else { return None };
        self.users.get(&message.sender.id)?.name_of(conversation).cloned()
    }

    /// The event that shows a message to its audience, each by the own name.
    pub(super) fn message_event(&self, audience: &Audience, message: Arc<Message>) -> Broadcast {
        let names = match (audience, &message.place) {
            (Audience::Pair { recipient, .. }, Place::Conversation(conversation)) => {
                self.names_of(*conversation, [&message.sender.id, &recipient.id])
            }
            // Only direct conversations are named.
            _ => Vec::new(),
        };
        Broadcast::new(audience.event(message)).named(names)
    }

    /// An event in a direct conversation, or one with the model, for these.
    pub(super) fn event_for<'a>(
        &self,
        viewers: impl IntoIterator<Item = &'a UserId>,
        conversation: ConversationId,
        event: Event,
    ) -> Broadcast {
        Broadcast::new(event).named(self.names_of(conversation, viewers))
    }

    fn names_of<'a>(&self, conversation: ConversationId, viewers: impl IntoIterator<Item = &'a UserId>) -> Names {
        let named = |viewer: &UserId| Some((viewer.clone(), self.users.get(viewer)?.name_of(conversation)?.clone()));
        viewers.into_iter().filter_map(named).collect()
    }
}
