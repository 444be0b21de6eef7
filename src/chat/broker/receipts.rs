//! Reading, editing and deleting messages.
use std::sync::Arc;

use super::Broker;
use super::fan_out::Exclude;
use super::step::{DONE, Outcome, Step, Stop};
use crate::chat::ports::{Broadcast, ChatError, Command, Event, HookSubject};
use crate::chat::query::Lookup;
use crate::chat::state::{AfterCommit, Audience, Requester, Running};
use crate::config::HookEvent;
use crate::model::{Message, MessageId, Place, Role, Timestamp, UserId};
use crate::store::Write;

impl Broker {
    /// Returns the message that a command is about, once it is stored and read.
    fn message_of(&self, running: &Running, id: MessageId) -> Step<Arc<Message>> {
        if self.sends.contains(&id) {
            return Err(Stop::Behind(id));
        }
        match &running.prefetched.message {
            None => Err(Lookup::Message(id).into()),
            Some(Some(message)) if message.deleted_at.is_none() => Ok(message.clone()),
            Some(_) => Err(ChatError::MessageNotFound.into()),
        }
    }

    pub(super) fn mark_read(&mut self, running: &Running, id: MessageId) -> Outcome {
        let message = self.message_of(running, id)?;
        let Place::Conversation(conversation) = message.place else { return Err(ChatError::Forbidden.into()) };
        self.own_conversation(running, conversation)?;
        let reader = running.user.clone();
        let is_known = message.read_by.iter().any(|mark| mark.user == reader);
        if message.sender.id == reader || is_known || self.due.reading.contains(&(id, reader.clone())) {
            return DONE;
        }
        let read_at = self.next_time_in(&message.place);
        let write = Write::MarkRead { message: id, conversation, reader: reader.clone(), read_at };
        let being_read = (id, reader.clone());
        self.store(write, AfterCommit::Read { message, reader, read_at, reply_to: running.reply_to })?;
        self.due.reading.insert(being_read);
        Ok(None)
    }

    pub(super) fn reading_ended(&mut self, message: &Message, reader: &UserId) {
        self.due.reading.remove(&(message.id, reader.clone()));
    }

    /// Notifies the author's devices, and the reader's less the socket that it was `read_on`.
    pub(super) fn notify_read(&mut self, message: &Message, reader: UserId, read_at: Timestamp, read_on: Option<Requester>) {
        let Place::Conversation(conversation) = message.place else { return };
        // First that it was received.
        self.note_read(&reader, message);
        self.notify_received();
        let event = Event::Read { message: message.id, conversation, user: reader.clone(), read_at };
        let excluded = Exclude::one(read_on.and_then(|read_on| read_on.connection), read_on.map(|read_on| read_on.socket));
        self.fan_out_to_users_except([&message.sender.id, &reader], Broadcast::new(event), excluded);
    }

    pub(super) fn change_message(&mut self, running: &Running) -> Outcome {
        let (id, content) = match &running.command {
            Command::EditMessage { message, content } => (*message, Some(content.clone())),
            Command::DeleteMessage { message } => (*message, None),
            _ => return Err(ChatError::Internal.into()),
        };
        let message = self.message_of(running, id)?;
        // An answer of the model is its user's to delete.
        let is_answer = message.role == Role::Model && content.is_none();
        if message.sender.id != running.user && !is_answer {
            return Err(ChatError::Forbidden.into());
        }
        let audience = match message.place {
            Place::Conversation(id) => {
                let conversation = self.own_conversation(running, id)?;
                match self.audience_of(running, &conversation)? {
                    Audience::Pair { kind, .. } if is_answer => {
                        let user = self.users.get(&running.user).ok_or(ChatError::UserNotFound)?;
                        Some(Audience::Pair { kind, recipient: user.profile().clone() })
                    }
                    audience => Some(audience),
                }
            }
            Place::Room(_) | Place::CommonChat => None,
        };
        let has_files = message.file.is_some() || !message.attachments.is_empty();
        if content.as_ref().is_some_and(|content| content.is_empty() && !has_files) {
            return Err(ChatError::InvalidPayload { field: "content" }.into());
        }
        let limit = self.options.max_message_length;
        if limit > 0 && content.as_ref().is_some_and(|content| content.chars().count() > limit) {
            return Err(ChatError::TooLarge("the text is too long").into());
        }
        let event = if content.is_some() { HookEvent::Edit } else { HookEvent::Delete };
        let answer = self.ask_before(running, event, |broker| {
            let (place, message) = (broker.hook_place(&message.place), message.clone());
            match content.clone() {
                Some(content) => HookSubject::Edit { place, message, content },
                None => HookSubject::Delete { place, message },
            }
        })?;
        let content = content.map(|content| answer.and_then(|answer| answer.content.clone()).unwrap_or(content));
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
        let deleted_in = changed.place.conversation().filter(|_| changed.deleted_at.is_some());
        if let Some(conversation) = deleted_in {
            self.save_notifications_in(conversation);
        }
        self.store_message_change(changed, audience, running.reply_to)?;
        if let Some(conversation) = deleted_in {
            self.questions.withdraw(conversation, Some(id));
        }
        Ok(None)
    }
}
