//! Edits and deletions: their place in the order, and how others learn of them.
//!
//! A change takes the next position when it is admitted, as a message does, and is fanned out once it is stored. Until then
//! messages with later positions may be dispatched; what offsets say of changes stays behind it.
use std::sync::Arc;

use super::Broker;
use super::fan_out::Exclude;
use crate::chat::ports::{Broadcast, ChatError, Reply, RoomKey, change_event};
use crate::chat::query::Query;
use crate::chat::state::{AfterCommit, Audience, Doubted, ReplyTo};
use crate::model::{ConversationKind, Message, Place};
use crate::store::{StoreError, Write, Written};

impl Broker {
    /// Gives an edited or deleted message to the store; `audience` are those who learn of it. In public rooms nobody is, and the
    /// change has no place in the order.
    ///
    /// # Errors
    /// As [`Broker::store`].
    pub(super) fn store_message_change(
        &mut self,
        message: Message,
        audience: Option<Audience>,
        reply_to: ReplyTo,
    ) -> Result<(), ChatError> {
        let position = audience.is_some().then_some(self.sends.next_position());
        let (id, changed_at) = (message.id, message.updated_at);
        let write = match message.deleted_at {
            Some(deleted_at) => Write::DeleteMessage { message: id, deleted_at, position },
            None => Write::EditMessage { message: id, content: message.content.clone(), updated_at: changed_at, position },
        };
        self.store(write, AfterCommit::Changed { message: Arc::new(message), position, audience, reply_to })?;
        if let Some(position) = position {
            self.sends.take_position(position);
            self.replay.changes.note(position);
        }
        Ok(())
    }

    /// An edit or a deletion was stored, or given up.
    pub(super) fn on_change_stored(
        &mut self,
        message: Arc<Message>,
        position: Option<i64>,
        audience: Option<Audience>,
        reply_to: ReplyTo,
        outcome: Result<Written, StoreError>,
    ) {
        let place = audience.zip(position);
        if let (Some((audience, position)), Err(StoreError::Unknown)) = (&place, &outcome) {
            let doubted = Doubted { message, position: *position, audience: audience.clone() };
            self.replay.changes.doubt(doubted);
            return self.answer(reply_to, Err(StoreError::Unknown.into()));
        }
        if let Some((_, position)) = place {
            self.replay.changes.remove(position);
        }
        match outcome {
            Ok(Written::Gone) => self.answer(reply_to, Err(ChatError::MessageNotFound)),
            Ok(_) => {
                let message = self.changed(message);
                self.answer(reply_to, Ok(Reply::Message(message.clone())));
                if let Some((audience, position)) = place {
                    self.fan_out_change(message, audience, position);
                }
            }
            Err(error) => self.answer(reply_to, Err(error.into())),
        }
    }

    /// Looks what became of the changes in doubt, once the database is back, and tells those that are stored.
    pub(super) fn settle_doubted_changes(&mut self) {
        if !self.outside.has_room() {
            return;
        }
        let messages = self.replay.changes.look_up();
        if !messages.is_empty() {
            self.outside.read(Query::Doubted(messages));
        }
    }

    /// Notifies the changes in doubt that the database has stored.
    pub(super) fn on_doubted(&mut self, found: Result<Vec<Option<Message>>, StoreError>) {
        let doubted = self.replay.changes.take_looked_up(found.is_err());
        let found = found.unwrap_or_default();
        for (doubted, found) in doubted.into_iter().zip(found) {
            self.replay.changes.remove(doubted.position);
            if let Some(found) = found.filter(|found| doubted.is_stored(found)) {
                let message = self.changed(Arc::new(found));
                self.fan_out_change(message, doubted.audience, doubted.position);
            }
        }
    }

    /// A message as it is sent now that its change is stored; the conversation's last message follows.
    fn changed(&mut self, message: Arc<Message>) -> Arc<Message> {
        let message = self.with_progress(message);
        self.note_changed(&message);
        message
    }

    /// Tells an edited or deleted message's conversation.
    fn fan_out_change(&mut self, message: Arc<Message>, audience: Audience, position: i64) {
        let Place::Conversation(conversation) = message.place else { return };
        let (kind, recipient) = match audience {
            Audience::Pair { kind, recipient } => (kind, Some(recipient)),
            Audience::Group(_) => (ConversationKind::Group, None),
            Audience::Room { .. } => return,
        };
        let pair = recipient.as_ref().map(|recipient| [message.sender.id.clone(), recipient.id.clone()]);
        let event = change_event(message, conversation, kind, recipient);
        let viewers = match &pair {
            // Of a conversation with oneself both are the same.
            Some([one, other]) if one == other => std::slice::from_ref(one),
            Some(pair) => pair,
            None => {
                let event = self.replay.number_change(Broadcast::new(event), position);
                return drop(self.fan_out_to_room(&RoomKey::Group(conversation), event, Exclude::default()));
            }
        };
        let event = self.event_for(viewers, conversation, event);
        let event = self.replay.number_change(event, position);
        self.fan_out_to_users_except(viewers, event, Exclude::default());
    }

    /// The conversation's last message is shown as it is now; deleted, none is shown until the next.
    fn note_changed(&mut self, message: &Message) {
        let Some(cached) = self.cached(&message.place) else { return };
        if message.deleted_at.is_some() {
            cached.dispatched.delete(message.seq);
        }
        let last = &mut Arc::make_mut(&mut cached.conversation).last_message;
        let Some(shown) =
            last.as_mut().filter(|shown| shown.timestamp == message.created_at && shown.sender == message.sender.id)
        else {
            return;
        };
        if message.deleted_at.is_some() {
            *last = None;
        } else if message.content.is_empty() {
            "File".clone_into(&mut shown.content);
        } else {
            shown.content.clone_from(&message.content);
        }
    }
}
