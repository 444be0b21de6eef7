//! Targets of commands: the conversation or the place that one is about, where its user may reach it.
use std::sync::Arc;

use super::Broker;
use super::step::{Step, Stop};
use crate::chat::ports::{ChatError, RoomKey, SendTo};
use crate::chat::query::Lookup;
use crate::chat::state::{Audience, Running, Target, new_direct, new_pair};
use crate::model::{Conversation, ConversationId, ConversationKind, MODEL_USER, Place, UserId};

impl Broker {
    /// Returns the conversation, where the requester is a member of it.
    pub(super) fn own_conversation(&mut self, running: &Running, id: ConversationId) -> Step<Arc<Conversation>> {
        let now = self.now();
        match self.conversations.get_mut(&id) {
            Some(cached) if cached.conversation.has(&running.user) => {
                cached.used_at = now;
                Ok(cached.conversation.clone())
            }
            Some(_) => Err(ChatError::NotAMember.into()),
            None if running.prefetched.conversation_read => Err(ChatError::ConversationNotFound.into()),
            None => Err(Lookup::Conversation(id).into()),
        }
    }

    /// Returns where a send goes, if its sender may send there.
    pub(super) fn target(&mut self, running: &Running, to: &SendTo) -> Step<Target> {
        match to {
            SendTo::Room { room, shown_as } => {
                let key = RoomKey::Public(room.clone());
                Ok(Target::new(Place::Room(room.clone()), Audience::Room { key, shown_as: shown_as.clone() }))
            }
            SendTo::CommonChat => {
                Ok(Target::new(Place::CommonChat, Audience::Room { key: RoomKey::CommonChat, shown_as: "".into() }))
            }
            SendTo::User(recipient) => self.pair_target(running, recipient),
            SendTo::Named { name, recipient } => self.named_target(running, name, recipient.as_ref()),
            SendTo::Model { chat, .. } => self.chat_target(running, chat),
            SendTo::Conversation(conversation) => {
                let conversation = self.own_conversation(running, *conversation)?;
                self.conversation_target(running, &conversation)
            }
        }
    }

    /// A conversation of the sender's. A direct one whose other user was deleted is closed, as to that user's id.
    fn conversation_target(&self, running: &Running, conversation: &Conversation) -> Step<Target> {
        let audience = self.audience_of(running, conversation)?;
        if let Audience::Pair { recipient, .. } = &audience
            && self.users.get(&recipient.id).is_some_and(|user| user.account.is_deleted)
        {
            return Err(ChatError::UserNotFound.into());
        }
        Ok(Target::new(Place::Conversation(conversation.id), audience))
    }

    /// Returns who is sent what a member says in a conversation.
    pub(super) fn audience_of(&self, running: &Running, conversation: &Conversation) -> Result<Audience, Lookup> {
        if conversation.kind == ConversationKind::Group {
            return Ok(Audience::Group(conversation.id));
        }
        let other = conversation.other_than(&running.user);
        let Some(recipient) = self.users.get(other) else { return Err(Lookup::Users(vec![other.clone()])) };
        Ok(Audience::Pair { kind: conversation.kind, recipient: recipient.profile().clone() })
    }

    /// Returns the direct conversation with a user; with the model, the chat of its name.
    pub(super) fn pair_target(&mut self, running: &Running, other: &UserId) -> Step<Target> {
        if other.as_str() == MODEL_USER {
            return self.chat_target(running, MODEL_USER);
        }
        self.direct_target(running, other)
    }

    fn direct_target(&mut self, running: &Running, recipient: &UserId) -> Step<Target> {
        let read_both = || Err(Lookup::Direct(running.user.clone(), recipient.clone()).into());
        let Some(other) = self.users.get(recipient) else {
            let is_unknown = running.prefetched.users_read.contains(recipient);
            return if is_unknown { Err(ChatError::UserNotFound.into()) } else { read_both() };
        };
        if other.account.is_deleted {
            return Err(ChatError::UserNotFound.into());
        }
        let recipient_profile = other.profile().clone();
        let known = self.conversations.direct_between(&running.user, recipient);
        let id = match known {
            Some(id) => id,
            None if !running.prefetched.conversation_read => return read_both(),
            None => ConversationId::from_uuid(self.new_id()),
        };
        let new_conversation = known.is_none().then(|| Arc::new(new_direct(id, &running.user, recipient, self.now())));
        let audience = Audience::Pair { kind: ConversationKind::Direct, recipient: recipient_profile };
        Ok(Target { new_conversation, ..Target::new(Place::Conversation(id), audience) })
    }

    /// Returns where a send to what its sender calls a conversation goes.
    fn named_target(&mut self, running: &Running, text: &str, recipient: Option<&UserId>) -> Step<Target> {
        match (self.resolve_alias(running, text)?, recipient) {
            (Some(conversation), Some(recipient)) if !conversation.has(recipient) => {
                Err(ChatError::InvalidPayload { field: "recipient" }.into())
            }
            (Some(conversation), _) => self.conversation_target(running, &conversation),
            (None, Some(recipient)) => Ok(Target { new_name: Some(text.to_owned()), ..self.pair_target(running, recipient)? }),
            (None, None) => Err(ChatError::ConversationNotFound.into()),
        }
    }

    /// Returns the conversation of the requester's that a text means; `None`: it means none yet.
    pub(super) fn resolve_alias(&mut self, running: &Running, text: &str) -> Step<Option<Arc<Conversation>>> {
        let lookup = || Err(Lookup::Alias(running.user.clone(), text.to_owned()).into());
        let Some(user) = self.users.get(&running.user) else { return Err(ChatError::UserNotFound.into()) };
        let read = running.prefetched.alias.filter(|alias| alias.names_given == u64::from(user.names_given));
        let id = match (user.conversation_of_alias(text), read) {
            (Some(id), _) => id,
            (None, None) => return lookup(),
            (None, Some(aliased)) => match aliased.conversation {
                Some(id) => id,
                None => return Ok(None),
            },
        };
        let now = self.now();
        match self.conversations.get_mut(&id) {
            Some(cached) if cached.conversation.has(&running.user) => {
                cached.used_at = now;
                Ok(Some(cached.conversation.clone()))
            }
            Some(_) => Err(ChatError::NotAMember.into()),
            None if read.is_some() => Err(ChatError::ConversationNotFound.into()),
            None => lookup(),
        }
    }

    /// One's own chat with the model, by one's own name for it or by its id; one that there is not is to be made.
    fn chat_target(&mut self, running: &Running, name: &str) -> Step<Target> {
        let Some(model) = self.users.get(MODEL_USER).map(|model| model.profile().clone()) else {
            return Err(look_up_model(running));
        };
        let Some(conversation) = self.resolve_alias(running, name)? else {
            let id = ConversationId::from_uuid(self.new_id());
            let members = [&running.user, &model.id];
            let conversation = new_pair(id, ConversationKind::Ai, Some(name.to_owned()), members, self.now());
            let audience = Audience::Pair { kind: ConversationKind::Ai, recipient: model };
            let target = Target::new(Place::Conversation(id), audience);
            return Ok(Target { new_conversation: Some(Arc::new(conversation)), ..target });
        };
        if conversation.kind != ConversationKind::Ai {
            return Err(ChatError::Forbidden.into());
        }
        let audience = Audience::Pair { kind: ConversationKind::Ai, recipient: model };
        Ok(Target::new(Place::Conversation(conversation.id), audience))
    }
}

fn look_up_model(running: &Running) -> Stop {
    let Ok(model) = UserId::parse(MODEL_USER) else { return ChatError::Internal.into() };
    if running.prefetched.users_read.contains(&model) {
        ChatError::UserNotFound.into()
    } else {
        Lookup::Users(vec![model]).into()
    }
}
