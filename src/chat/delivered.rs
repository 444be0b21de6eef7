//! Who has received what: kept in memory, stored in turns.
//!
//! What a live socket was handed counts as received.
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::event::Event;
use super::server::ChatServer;
use super::stored::Awaiting;
use crate::engineio::ConnectionKey;
use crate::model::{ConversationId, ConversationKind, Message, MessageStatus, Place, Timestamp, UserId};
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
            session.words.has_word_for(kind)
                && !session.words.unproven
                && session.catch_up.is_none()
                && !session.has_muted(conversation)
        })
    }

    /// A message that was read from the store, delivered where somebody was handed it whose progress is not stored yet.
    pub(super) fn with_progress(&self, mut message: Arc<Message>) -> Arc<Message> {
        let Place::Conversation(id) = message.place else { return message };
        let Some(conversation) = self.conversations.get(&id).map(|cached| &cached.conversation) else { return message };
        let mut others = conversation.participants.iter().filter(|user| **user != message.sender.id);
        if message.status == MessageStatus::Sent && others.any(|user| self.has_received_live(user, id, conversation.kind)) {
            Arc::make_mut(&mut message).status = MessageStatus::Delivered;
        }
        message
    }

    // ---- telling the senders ----

    /// Whether a sender has a device with a word for those who have a message when its send is answered.
    pub(super) fn has_word_of_receipts(&self, sender: &UserId) -> bool {
        self.sockets_of(sender)
            .iter()
            .filter_map(|socket| self.sessions.get(socket))
            .any(|session| session.words.received_at_once)
    }

    /// A stored message was handed to these users: its sender learns who of them has received it.
    pub(super) fn tell_received(&mut self, message: &Arc<Message>, seen_by: &HashSet<UserId>) {
        let Place::Conversation(id) = message.place else { return };
        let Some(kind) = self.conversations.get(&id).map(|cached| cached.conversation.kind) else { return };
        let mut users = Vec::new();
        for user in seen_by.iter().filter(|user| **user != message.sender.id) {
            if self.has_received_live(user, id, kind) {
                users.push(user.clone());
                continue;
            }
            // It waits behind their catch-up.
            let sockets = self.users.get(user).map_or(&[][..], |user| &user.sessions);
            for socket in sockets {
                if let Some(catch_up) = self.sessions.get_mut(socket).and_then(|session| session.catch_up.as_mut()) {
                    catch_up.behind.push(message.clone());
                }
            }
        }
        users.sort_unstable();
        self.tell_delivered(message, users, true);
    }

    /// A socket was handed a page of its catch-up: the senders learn of it, once for each recipient.
    pub(super) fn note_caught_up(&mut self, connection: ConnectionKey, page: &[Arc<Message>]) {
        self.note_late(connection, page, false);
    }

    /// A socket has caught up, and what waited behind that was shown.
    pub(super) fn note_caught_up_whole(&mut self, connection: ConnectionKey, behind: &[Arc<Message>]) {
        self.note_late(connection, behind, true);
        let Some(user) = self.sessions.get(&connection).map(|session| session.user.clone()) else { return };
        let memberships = self.users.get(&user).map_or(&[][..], |user| &user.memberships);
        let newer: Vec<_> = memberships
            .iter()
            .filter_map(|membership| {
                let handed_seq = self.conversations.get(&membership.conversation)?.handed_seq;
                (handed_seq > membership.delivered_seq).then_some((membership.conversation, membership.kind, handed_seq))
            })
            .collect();
        for (id, kind, handed_seq) in newer {
            if self.has_received_live(&user, id, kind) {
                self.settle_progress(id, &user, handed_seq);
            }
        }
    }

    fn note_late(&mut self, connection: ConnectionKey, messages: &[Arc<Message>], at_once: bool) {
        let Some(session) = self.sessions.get(&connection).filter(|session| !session.words.unproven) else { return };
        let (user, words) = (session.user.clone(), session.words);
        for message in messages {
            let Place::Conversation(id) = message.place else { continue };
            let Some(membership) = self.users.get_mut(&user).and_then(|user| user.membership(id)) else { continue };
            if membership.delivered_seq >= message.seq || !words.has_word_for(membership.kind) {
                continue;
            }
            self.settle_progress(id, &user, message.seq);
            if message.sender.id != user {
                self.tell_delivered(message, vec![user.clone()], at_once);
            }
        }
    }

    fn tell_delivered(&mut self, message: &Message, users: Vec<UserId>, at_once: bool) {
        let Place::Conversation(conversation) = message.place else { return };
        if users.is_empty() {
            return;
        }
        let event = Event::Delivered {
            message: message.id,
            conversation,
            users,
            delivered_at: self.now(),
            client_message_id: message.client_message_id.clone(),
            at_once,
        };
        self.tell_users([&message.sender.id], event);
    }
}
