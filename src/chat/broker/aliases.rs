//! Names that users give their conversations.
use std::sync::Arc;

use super::Broker;
use crate::chat::ports::{Broadcast, ChatError, Event, Names};
use crate::chat::query::Load;
use crate::chat::state::{Audience, Awaiting, GivenName, Pending, Target};
use crate::model::{Conversation, ConversationId, Message, Place, Timestamp, UserId};
use crate::store::Write;

impl Broker {
    /// Where a send to what its sender calls a conversation goes. `Ok(Err(load))`: something must be read first.
    pub(super) fn named_target(
        &mut self,
        pending: &Pending,
        text: &str,
        recipient: Option<&UserId>,
    ) -> Result<Result<Target, Load>, ChatError> {
        let known = match self.called(pending, text)? {
            Ok(known) => known,
            Err(load) => return Ok(Err(load)),
        };
        match (known, recipient) {
            (Some(conversation), Some(recipient)) if !conversation.has(recipient) => {
                Err(ChatError::InvalidPayload { field: "recipient" })
            }
            (Some(conversation), _) => self.conversation_target(pending, &conversation),
            (None, Some(recipient)) => {
                let target = self.pair_target(pending, recipient)?;
                Ok(target.map(|target| Target { new_name: Some(text.to_owned()), ..target }))
            }
            (None, None) => Err(ChatError::ConversationNotFound),
        }
    }

    /// The conversation of the asker's that a text means; `Ok(Ok(None))`: it means none yet.
    pub(super) fn called(&mut self, pending: &Pending, text: &str) -> Result<Result<Option<Arc<Conversation>>, Load>, ChatError> {
        let load = || Ok(Err(Load::Called(pending.user.clone(), text.to_owned())));
        let Some(user) = self.users.at_hand.get(&pending.user) else { return Err(ChatError::UserNotFound) };
        let read = pending.facts.called.filter(|called| called.names_given == user.names_given);
        let id = match (user.conversation_called(text), read) {
            (Some(id), _) => id,
            (None, None) => return load(),
            (None, Some(called)) => match called.conversation {
                Some(id) => id,
                None => return Ok(Ok(None)),
            },
        };
        let now = self.now();
        match self.conversations.at_hand.get_mut(&id) {
            Some(cached) if cached.conversation.has(&pending.user) => {
                cached.used_at = now;
                Ok(Ok(Some(cached.conversation.clone())))
            }
            Some(_) => Err(ChatError::NotAMember),
            None if read.is_some() => Err(ChatError::ConversationNotFound),
            None => load(),
        }
    }

    /// From here on an owner calls a conversation so, unless it turns out that this is not stored.
    pub(super) fn give_name(
        &mut self,
        owner: &UserId,
        name: String,
        conversation: ConversationId,
        named_at: Timestamp,
    ) -> Result<(), ChatError> {
        let before = self.users.at_hand.get(owner).and_then(|user| user.name_of(conversation)).cloned();
        let given = GivenName { owner: owner.clone(), conversation, name: Arc::from(name.as_str()), before };
        let shown = given.name.clone();
        let write = Write::NameConversation { owner: owner.clone(), name, conversation, named_at };
        self.store(write, Awaiting::Named(given)).map_err(|refused| refused.0)?;
        self.set_name(owner, conversation, Some(shown));
        Ok(())
    }

    /// A name was not stored: what was there before is shown again.
    pub(super) fn take_name_back(&mut self, given: GivenName) {
        let GivenName { owner, conversation, name, before } = given;
        if self.users.at_hand.get(&owner).and_then(|user| user.name_of(conversation)) == Some(&name) {
            self.set_name(&owner, conversation, before);
        }
    }

    fn set_name(&mut self, owner: &UserId, conversation: ConversationId, name: Option<Arc<str>>) {
        let Some(user) = self.users.at_hand.get_mut(owner) else { return };
        user.names_given += 1;
        user.has_names |= name.is_some();
        if let Some(membership) = user.membership(conversation) {
            membership.name = name;
        }
    }

    // ---- showing ----

    /// What the sender of a message calls its conversation.
    pub(super) fn senders_name(&self, message: &Message) -> Option<Arc<str>> {
        let Place::Conversation(conversation) = message.place else { return None };
        self.users.at_hand.get(&message.sender.id)?.name_of(conversation).cloned()
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
        let named = |viewer: &UserId| Some((viewer.clone(), self.users.at_hand.get(viewer)?.name_of(conversation)?.clone()));
        viewers.into_iter().filter_map(named).collect()
    }
}
