//! Who has received what: kept in memory, stored in turns.
//!
//! What a live socket was handed counts as received.
use std::sync::Arc;

use hashbrown::HashMap;

use super::Words;
use super::broadcast::Broadcast;
use super::event::Event;
use super::server::ChatServer;
use super::stored::Awaiting;
use crate::model::{ConversationId, ConversationKind, Message, Place, Timestamp, UserId};
use crate::store::{DeliveredUpTo, Write};

/// What is not stored yet.
#[derive(Debug, Default)]
pub struct Progress {
    /// Conversations with messages whose receivers are not stored.
    pub unsaved: Vec<ConversationId>,
    /// Members' progress that is settled already: those who left, and those who caught up.
    settled: HashMap<(ConversationId, UserId), i64>,
    last_seen: HashMap<UserId, Timestamp>,
}

impl Progress {
    /// A user's last socket closed.
    pub fn saw_last(&mut self, user: &UserId, at: Timestamp) {
        self.last_seen.insert(user.clone(), at);
    }

    /// A member has received all up to `seq`.
    pub fn settle(&mut self, conversation: ConversationId, user: &UserId, seq: i64) {
        let known = self.settled.entry((conversation, user.clone())).or_default();
        *known = seq.max(*known);
    }
}

impl ChatServer {
    /// Stores everybody's progress since the last time.
    pub(super) fn save_progress(&mut self) {
        for id in std::mem::take(&mut self.progress.unsaved) {
            let Some(cached) = self.conversations.get_mut(&id) else { continue };
            cached.is_progress_unsaved = false;
            let (seq, conversation) = (cached.handed_seq, cached.conversation.clone());
            for member in &conversation.participants {
                if self.has_received_live(member, id, conversation.kind) {
                    self.settle_progress(id, member, seq);
                }
            }
        }
        if !self.progress.settled.is_empty() {
            let settled = std::mem::take(&mut self.progress.settled);
            let updates: Vec<_> =
                settled.into_iter().map(|((conversation, user), seq)| DeliveredUpTo { conversation, user, seq }).collect();
            if self.store(Write::Delivered(updates.clone()), Awaiting::Nothing).is_err() {
                updates.iter().for_each(|update| self.progress.settle(update.conversation, &update.user, update.seq));
            }
        }
        let seen = std::mem::take(&mut self.progress.last_seen);
        self.store_last_seen(seen.into_iter().collect());
    }

    /// A socket goes: what its user had by now is settled while it is still known.
    pub(super) fn note_progress_of(&mut self, user: &UserId) {
        let Some(entry) = self.users.get(user) else { return };
        let unsaved: Vec<_> = entry
            .memberships
            .iter()
            .filter(|membership| {
                self.conversations.get(&membership.conversation).is_some_and(|cached| cached.is_progress_unsaved)
            })
            .map(|membership| (membership.conversation, membership.kind))
            .collect();
        for (id, kind) in unsaved {
            if self.has_received_live(user, id, kind)
                && let Some(seq) = self.conversations.get(&id).map(|cached| cached.handed_seq)
            {
                self.settle_progress(id, user, seq);
            }
        }
    }

    fn settle_progress(&mut self, id: ConversationId, user: &UserId, seq: i64) {
        self.progress.settle(id, user, seq);
        if let Some(membership) = self.users.get_mut(user).and_then(|user| user.membership(id)) {
            membership.delivered_seq = membership.delivered_seq.max(seq);
        }
    }

    /// Whether a live socket of this member was handed what was said in a conversation by now.
    fn has_received_live(&self, user: &UserId, conversation: ConversationId, kind: ConversationKind) -> bool {
        self.sockets_of(user).iter().filter_map(|socket| self.sessions.get(socket)).any(|session| {
            session.words.can_show(kind)
                && !session.words.unproven
                && session.catch_up.is_none()
                && !session.has_muted(conversation)
        })
    }

    /// A catch-up handed these to a socket that has these words: their senders learn of it, once for each recipient.
    pub(super) fn note_caught_up(&mut self, user: &UserId, words: Words, messages: &[Arc<Message>]) {
        let now = self.now();
        for message in messages {
            let Place::Conversation(id) = message.place else { continue };
            let Some(membership) = self.users.get_mut(user).and_then(|user| user.membership(id)) else { continue };
            let is_shown = words.can_show(membership.kind) && !words.unproven;
            if membership.delivered_seq >= message.seq || !is_shown {
                continue;
            }
            self.settle_progress(id, user, message.seq);
            let event = Event::Delivered {
                message: message.id,
                conversation: id,
                user: user.clone(),
                delivered_at: now,
                client_message_id: message.client_message_id.clone(),
            };
            let sender = self.sockets_of(&message.sender.id);
            if !sender.is_empty() {
                self.tell_few(sender.iter().copied(), &Arc::new(Broadcast::new(event)));
            }
        }
    }
}
