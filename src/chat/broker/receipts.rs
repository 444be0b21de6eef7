//! Reading, editing and deleting messages.
use std::sync::Arc;

use super::dispatch::Spared;
use super::{Broker, Outcome, Progressed};
use crate::chat::ports::{Broadcast, ChatError, Command, Event, Reply};
use crate::chat::query::Load;
use crate::chat::state::{AskingSocket, Audience, Awaiting, Pending};
use crate::model::{Message, MessageId, Place, Role, Timestamp, UserId};
use crate::store::Write;

impl Broker {
    /// The message that a command is about, once it is stored and read.
    ///
    /// `Ok(Err(_))`: the command waits for that.
    fn message_of(&self, pending: &Pending, id: MessageId) -> Result<Result<Arc<Message>, Progressed>, ChatError> {
        if self.sends.in_flight.contains_key(&id) {
            return Ok(Err(Progressed::Then(Box::new(move |broker, pending| broker.wait_behind(id, pending)))));
        }
        match &pending.facts.message {
            None => Ok(Err(Progressed::Needs(Load::Message(id)))),
            Some(Some(message)) if message.deleted_at.is_none() => Ok(Ok(message.clone())),
            Some(_) => Err(ChatError::MessageNotFound),
        }
    }

    pub(super) fn mark_read(&mut self, pending: &Pending, id: MessageId) -> Outcome {
        let message = match self.message_of(pending, id)? {
            Ok(message) => message,
            Err(waits) => return Ok(waits),
        };
        let Place::Conversation(conversation) = message.place else { return Err(ChatError::Forbidden) };
        if let Err(load) = self.own_conversation(pending, conversation)? {
            return Ok(Progressed::Needs(load));
        }
        let reader = pending.user.clone();
        let is_known = message.read_by.iter().any(|mark| mark.user == reader);
        if message.sender.id == reader || is_known || self.due.reading.contains(&(id, reader.clone())) {
            return Ok(Progressed::Done(Reply::Done));
        }
        let read_at = self.next_time_in(&message.place);
        Ok(Progressed::Then(Box::new(move |broker, pending| {
            let write = Write::MarkRead { message: id, conversation, reader: reader.clone(), read_at };
            let being_read = (id, reader.clone());
            if broker.store_for(write, Awaiting::Read { message, reader, read_at, asker: pending.asker }) {
                broker.due.reading.insert(being_read);
            }
        })))
    }

    pub(super) fn reading_ended(&mut self, message: &Message, reader: &UserId) {
        self.due.reading.remove(&(message.id, reader.clone()));
    }

    /// Tells the author's devices, and the reader's less the socket that it was `read_on`.
    pub(super) fn tell_read(&mut self, message: &Message, reader: UserId, read_at: Timestamp, read_on: Option<AskingSocket>) {
        let Place::Conversation(conversation) = message.place else { return };
        // First that it was received.
        self.note_read(&reader, message);
        self.tell_received();
        let event = Event::Read { message: message.id, conversation, user: reader.clone(), read_at };
        let spared = Spared::one(read_on.and_then(|read_on| read_on.connection), read_on.map(|read_on| read_on.socket));
        self.tell_users_but([&message.sender.id, &reader], Broadcast::new(event), spared);
    }

    pub(super) fn change_message(&mut self, pending: &Pending) -> Outcome {
        let (id, content) = match &pending.command {
            Command::EditMessage { message, content } => (*message, Some(content.clone())),
            Command::DeleteMessage { message } => (*message, None),
            _ => return Err(ChatError::Internal),
        };
        let message = match self.message_of(pending, id)? {
            Ok(message) => message,
            Err(waits) => return Ok(waits),
        };
        // An answer of the model is its user's to delete.
        let is_answer = message.role == Role::Model && content.is_none();
        if message.sender.id != pending.user && !is_answer {
            return Err(ChatError::Forbidden);
        }
        let audience = match message.place {
            Place::Conversation(id) => {
                let own = self.own_conversation(pending, id)?;
                match own.and_then(|conversation| self.audience_of(pending, &conversation)) {
                    Ok(Audience::Pair { kind, .. }) if is_answer => {
                        let user = self.users.at_hand.get(&pending.user).ok_or(ChatError::UserNotFound)?;
                        Some(Audience::Pair { kind, recipient: user.profile().clone() })
                    }
                    Ok(audience) => Some(audience),
                    Err(load) => return Ok(Progressed::Needs(load)),
                }
            }
            Place::Room(_) | Place::CommonChat => None,
        };
        let has_files = message.file.is_some() || !message.attachments.is_empty();
        if content.as_ref().is_some_and(|content| content.is_empty() && !has_files) {
            return Err(ChatError::InvalidPayload { field: "content" });
        }
        let limit = self.options.max_message_length;
        if limit > 0 && content.as_ref().is_some_and(|content| content.chars().count() > limit) {
            return Err(ChatError::TooLarge("the text is too long"));
        }
        let changed_at = self.next_time_in(&message.place);
        let mut changed = (*message).clone();
        changed.updated_at = changed_at;
        match content {
            Some(content) => changed.content = content,
            None => {
                changed.content.clear();
                changed.file = None;
                changed.attachments.clear();
                changed.deleted_at = Some(changed_at);
            }
        }
        Ok(Progressed::Then(Box::new(move |broker, pending| {
            let deleted_in = changed.place.conversation().filter(|_| changed.deleted_at.is_some());
            if let Some(conversation) = deleted_in {
                broker.save_notifications_in(conversation);
            }
            if broker.store_message_change(changed, audience, pending.asker)
                && let Some(conversation) = deleted_in
            {
                broker.questions.withdraw(conversation, Some(id));
            }
        })))
    }
}
