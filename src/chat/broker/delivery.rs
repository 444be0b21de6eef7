//! Who has received what: proven by clients' answers, kept in memory, stored in turns.
use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use crate::chat::outside::Callback;
use crate::chat::ports::{Event, Mark, RoomKey};
use crate::chat::state::{AfterCommit, HandedMessage, NEWEST_TOLD, Receipt, Received, Session, was_told};
use crate::engineio::ConnectionKey;
use crate::model::{Conversation, ConversationId, ConversationKind, Message, MessageStatus, Place, UserId};
use crate::store::{DeliveredUpTo, Membership, Write};

/// How long the rest waits where there is more to tell a sender than a part of an outbox.
const REST_AFTER: Duration = Duration::from_millis(20);

impl Broker {
    // ---- what is proven ----

    /// What a socket was told up to a mark has surely arrived.
    pub(in crate::chat) fn on_proven(&mut self, connection: ConnectionKey, mark: Mark) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let (user, words) = (session.user.clone(), session.words);
        let pages = session.unproven.as_mut().map_or_else(Vec::new, |pages| pages.prove(mark));
        if let Some(serial) = mark.serial() {
            session.unproven = None;
            session.proven = session.proven.max(serial);
        }
        if words.unproven {
            return;
        }
        for receipt in &pages {
            let Some(membership) = self.users.get_mut(&user).and_then(|user| user.membership(receipt.conversation)) else {
                continue;
            };
            if membership.delivered_seq >= receipt.seq || !words.has_word_for(membership.kind) {
                continue;
            }
            let known = membership.last_seq;
            self.settle_progress(receipt.conversation, &user, receipt.seq);
            let cached = self.conversations.get(&receipt.conversation);
            let last_seq = cached.map_or(known, |cached| cached.conversation.last_seq.max(known));
            let was_handed =
                cached.and_then(|cached| cached.handed.find(receipt.seq)).is_some_and(|handed| handed.was_handed_to(&user));
            // All pages of a catch-up are one bulk.
            let is_new = last_seq.saturating_sub(receipt.seq) < NEWEST_TOLD as i64;
            if is_new && self.is_news(receipt, &user, was_handed) {
                self.due.progress.tell(receipt, &user, was_handed);
            }
        }
        if mark.serial().is_some() {
            self.note_progress_of(&user);
        }
    }

    /// A client's offset proves that it had all up to an event.
    pub(super) fn note_had(&mut self, user: &UserId, serial: u64) {
        for id in self.conversations_behind(user) {
            self.note_received(user, id, |handed| handed.serial <= serial, |_, handed| handed.serial <= serial);
        }
    }

    /// Notes what a user is known to have received by now, in all conversations.
    pub(super) fn note_progress_of(&mut self, user: &UserId) {
        for id in self.conversations_behind(user) {
            self.note_progress_in(user, id);
        }
    }

    /// Where there is something that a user is not known to have received.
    fn conversations_behind(&self, user: &UserId) -> Vec<ConversationId> {
        let memberships = self.users.get(user).map_or(&[][..], |user| &user.memberships);
        let is_behind = |membership: &&Membership| {
            let cached = self.conversations.get(&membership.conversation);
            cached.is_some_and(|cached| cached.handed.last_seq() > membership.delivered_seq)
        };
        memberships.iter().filter(is_behind).map(|membership| membership.conversation).collect()
    }

    fn note_progress_of_members(&mut self, conversation: &Conversation) {
        for member in &conversation.participants {
            self.note_progress_in(member, conversation.id);
        }
    }

    /// Notes what a member is known to have received by now.
    fn note_progress_in(&mut self, user: &UserId, id: ConversationId) {
        let Some(kind) = self.conversations.get(&id).map(|cached| cached.conversation.kind) else { return };
        let proven = self.proven_to(user, id, kind);
        let was_told = |broker: &Self, handed: &HandedMessage| {
            handed.spared.contains(user) || broker.was_told(user, id, kind, handed.serial)
        };
        self.note_received(user, id, |handed| handed.serial <= proven, was_told);
    }

    /// A user has read a message, and so has received it. One who is still catching up may lack others before it.
    pub(super) fn note_read(&mut self, user: &UserId, message: &Message) {
        let Place::Conversation(id) = message.place else { return };
        let mut sessions = self.sockets_of(user).iter().filter_map(|socket| self.sessions.get(socket));
        if !sessions.any(|session| session.catch_up.is_some()) {
            self.note_received(user, id, |handed| handed.receipt.seq <= message.seq, |_, _| true);
        }
    }

    /// Notes that a member has received all that `is_proven`; the senders of what `was_told` learn of it.
    fn note_received(
        &mut self,
        user: &UserId,
        id: ConversationId,
        is_proven: impl Fn(&HandedMessage) -> bool,
        was_told: impl Fn(&Self, &HandedMessage) -> bool,
    ) {
        let Some(delivered_seq) = self.users.get_mut(user).and_then(|user| user.membership(id)).map(|known| known.delivered_seq)
        else {
            return;
        };
        let Some(cached) = self.conversations.get(&id) else { return };
        let mut seq = delivered_seq;
        for handed in cached.handed.received_by(user, delivered_seq, is_proven) {
            let receipt = &handed.receipt;
            seq = receipt.seq;
            let was_handed = handed.was_handed_to(user);
            if !handed.is_deleted && self.is_news(receipt, user, was_handed) && was_told(self, handed) {
                self.due.progress.tell(receipt, user, was_handed);
            }
        }
        if seq > delivered_seq {
            self.settle_progress(id, user, seq);
        }
    }

    /// Up to this event all that was said in a conversation has surely reached a live socket of this member, as far as it was
    /// told that.
    fn proven_to(&self, user: &UserId, id: ConversationId, kind: ConversationKind) -> u64 {
        let proven = |session: &Session| session.muted_since(id).map_or(session.proven, |since| session.proven.min(since));
        self.listening(user, kind).map(proven).max().unwrap_or(0)
    }

    /// Whether a live socket of this member was told an event of a conversation and has it.
    pub(super) fn was_told(&self, user: &UserId, id: ConversationId, kind: ConversationKind, serial: u64) -> bool {
        let room = RoomKey::Group(id);
        let was_told = |session: &Session| was_told(session.told_after, session.places.as_deref(), &room, serial);
        self.listening(user, kind).any(|session| session.proven >= serial && was_told(session))
    }

    /// The live sockets of a user that show messages of this kind.
    fn listening(&self, user: &UserId, kind: ConversationKind) -> impl Iterator<Item = &Session> {
        let sessions = self.sockets_of(user).iter().filter_map(|socket| self.sessions.get(socket));
        sessions.filter(move |session: &&Session| session.words.has_word_for(kind) && !session.words.unproven)
    }

    fn settle_progress(&mut self, id: ConversationId, user: &UserId, seq: i64) {
        self.due.progress.settle(id, user, seq);
        if let Some(membership) = self.users.get_mut(user).and_then(|user| user.membership(id)) {
            membership.delivered_seq = membership.delivered_seq.max(seq);
        }
    }

    // ---- what is handed out ----

    /// A message was stored that was handed out. Some may have proven it before; where a sender waits to hear that, they are
    /// looked for at once.
    pub(super) fn note_handed(&mut self, handed: HandedMessage) {
        let (id, sender) = (handed.receipt.conversation, handed.receipt.sender.clone());
        let Some(cached) = self.conversations.get_mut(&id) else { return };
        cached.handed.push(handed);
        let conversation = cached.conversation.clone();
        if conversation.kind != ConversationKind::Group || self.awaits_receipt(&sender, true) {
            self.note_progress_of_members(&conversation);
        } else if let Some(cached) = self.conversations.get_mut(&id)
            && !std::mem::replace(&mut cached.is_progress_due, true)
        {
            self.due.progress.note_stored(id);
        }
    }

    /// A socket was told a page of its catch-up.
    pub(super) fn note_page(&mut self, connection: ConnectionKey, page: &[Arc<Message>]) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            let receipts = page.iter().filter_map(|message| Receipt::of(message)).collect();
            session.unproven.get_or_insert_default().push(receipts);
        }
    }

    /// A message that was read from the store, delivered where somebody's progress is not stored yet.
    pub(super) fn with_progress(&self, mut message: Arc<Message>) -> Arc<Message> {
        let Place::Conversation(id) = message.place else { return message };
        let Some(conversation) = self.conversations.get(&id).map(|cached| &cached.conversation) else { return message };
        let mut others = conversation.participants.iter().filter(|user| **user != message.sender.id);
        if message.status == MessageStatus::Sent && others.any(|user| self.has_received(user, id, message.seq)) {
            Arc::make_mut(&mut message).status = MessageStatus::Delivered;
        }
        message
    }

    pub(super) fn has_received(&self, user: &UserId, id: ConversationId, seq: i64) -> bool {
        let memberships = self.users.get(user).map_or(&[][..], |user| &user.memberships);
        memberships.iter().any(|membership| membership.conversation == id && membership.delivered_seq >= seq)
            || self.due.progress.has_settled(id, user, seq)
    }

    // ---- storing ----

    /// Stores everybody's progress since the last time.
    pub(super) fn save_progress(&mut self) {
        for id in self.due.progress.take_stored() {
            let Some(cached) = self.conversations.get_mut(&id) else { continue };
            cached.is_progress_due = false;
            let conversation = cached.conversation.clone();
            self.note_progress_of_members(&conversation);
        }
        let settled = self.due.progress.take_settled();
        if !settled.is_empty() {
            let updates: Vec<_> =
                settled.into_iter().map(|((conversation, user), seq)| DeliveredUpTo { conversation, user, seq }).collect();
            if self.store(Write::Delivered(updates.clone()), AfterCommit::Nothing).is_err() {
                updates.iter().for_each(|update| self.due.progress.settle(update.conversation, &update.user, update.seq));
            }
        }
        let seen = self.due.progress.take_last_seen();
        self.store_last_seen(seen);
    }

    // ---- telling the senders ----

    /// Whether a sender has a device with a word for those who have received a message: all of them for those who had not
    /// been handed it when the send was answered, some also for the others.
    pub(super) fn awaits_receipt(&self, sender: &UserId, was_handed: bool) -> bool {
        let Some(user) = self.users.get(sender) else { return false };
        if !was_handed {
            return user.has_sessions();
        }
        let open = user.sessions.iter().filter_map(|socket| self.sessions.get(socket)).map(|session| session.words);
        let parked = user.parked.iter().filter_map(|pid| self.sessions.detached(pid)).map(|parked| parked.words);
        open.chain(parked).any(|words| words.received_at_once)
    }

    /// Whether a message's sender is to hear that a user has received it.
    fn is_news(&self, receipt: &Receipt, user: &UserId, was_handed: bool) -> bool {
        receipt.sender != *user && self.awaits_receipt(&receipt.sender, was_handed)
    }

    /// Has the senders told, behind all that is in the mailbox by now: proofs come in company.
    pub(super) fn tell_received_soon(&mut self) {
        if self.due.progress.begin_telling() {
            self.outside.call_back(Callback::Received, Duration::ZERO);
        }
    }

    /// Tells the senders, no more at a time than their outboxes take, and then again, while there are more.
    pub(in crate::chat) fn tell_received(&mut self) {
        self.tell_some_received();
        if self.due.progress.goes_on_telling() {
            self.outside.call_back(Callback::Received, REST_AFTER);
        }
    }

    fn tell_some_received(&mut self) {
        let most = self.options.replay_events.div_ceil(4).max(1);
        for Received { receipt, mut users, at_once } in self.due.progress.take_untold(most) {
            users.sort_unstable();
            let Receipt { conversation, seq: _, message, sender, client_message_id } = receipt;
            let client_message_id = client_message_id.map(String::from);
            let delivered_at = self.now();
            let event = Event::Delivered { message, conversation, users, delivered_at, client_message_id, at_once };
            self.tell_users([&sender], event);
        }
    }
}
