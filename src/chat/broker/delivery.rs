//! Receipts: confirmed by clients' answers, kept in memory, stored in turns.
use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use crate::chat::outside::Callback;
use crate::chat::ports::{Capabilities, Event, RoomKey, Watermark};
use crate::chat::state::{AfterCommit, DeliveryReceipt, DispatchedMessage, NEWEST_NOTIFIED, Received, Session, was_notified};
use crate::engineio::ConnectionKey;
use crate::model::{Conversation, ConversationId, ConversationKind, Message, MessageStatus, Place, UserId};
use crate::store::{DeliveredUpTo, Membership, Write};

/// Time until the rest is sent if a sender is owed more receipts than a part of an outbox.
const REST_AFTER: Duration = Duration::from_millis(20);

impl Broker {
    // ---- what is confirmed ----

    /// Notes that all that a socket was sent up to a mark has arrived.
    pub(in crate::chat) fn on_confirmed(&mut self, connection: ConnectionKey, watermark: Watermark) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let (user, capabilities) = (session.user.clone(), session.capabilities);
        let pages = session.progress.unconfirmed.as_mut().map_or_else(Vec::new, |pages| pages.confirm(watermark));
        if let Some(event_seq) = watermark.event_seq() {
            session.progress.unconfirmed = None;
            session.progress.confirmed = session.progress.confirmed.max(event_seq);
        }
        if capabilities.unconfirmed {
            return;
        }
        for receipt in &pages {
            let Some(membership) = self.users.get_mut(&user).and_then(|user| user.membership(receipt.conversation)) else {
                continue;
            };
            if membership.delivered_seq >= receipt.seq || !capabilities.can_show(membership.kind) {
                continue;
            }
            let known = membership.last_seq;
            self.settle_progress(receipt.conversation, &user, receipt.seq);
            let cached = self.conversations.get(&receipt.conversation);
            let last_seq = cached.map_or(known, |cached| cached.conversation.last_seq.max(known));
            let was_dispatched = cached
                .and_then(|cached| cached.dispatched.find(receipt.seq))
                .is_some_and(|dispatched| dispatched.was_dispatched_to(&user));
            // All pages of a catch-up are one bulk.
            let is_new = last_seq.saturating_sub(receipt.seq) < NEWEST_NOTIFIED as i64;
            if is_new && self.is_news(receipt, &user, was_dispatched) {
                self.due.progress.notify(receipt, &user, was_dispatched);
            }
        }
        if watermark.event_seq().is_some() {
            self.note_progress_of(&user);
        }
    }

    /// The offset of a client whose session is gone proves that it had all up to an event, of the kinds of conversations that
    /// it can show. It proves nothing in groups: the session may have muted some, and what it had muted went with it.
    pub(super) fn note_had(&mut self, user: &UserId, capabilities: Capabilities, event_seq: u64) {
        for id in self.conversations_behind(user) {
            let kind = self.conversations.get(&id).map(|cached| cached.conversation.kind);
            if !kind.is_some_and(|kind| kind != ConversationKind::Group && capabilities.can_show(kind)) {
                continue;
            }
            self.note_received(
                user,
                id,
                |dispatched| dispatched.event_seq <= event_seq,
                |_, dispatched| dispatched.event_seq <= event_seq,
            );
        }
    }

    /// Notes what a user is known to have received by now, in all conversations.
    pub(super) fn note_progress_of(&mut self, user: &UserId) {
        for id in self.conversations_behind(user) {
            self.note_progress_in(user, id);
        }
    }

    /// Returns the conversations that have something a user is not known to have received.
    fn conversations_behind(&self, user: &UserId) -> Vec<ConversationId> {
        let memberships = self.users.get(user).map_or(&[][..], |user| &user.memberships);
        let is_behind = |membership: &&Membership| {
            let cached = self.conversations.get(&membership.conversation);
            cached.is_some_and(|cached| cached.dispatched.last_seq() > membership.delivered_seq)
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
        let confirmed = self.confirmed_to(user, id, kind);
        let was_notified = |broker: &Self, dispatched: &DispatchedMessage| {
            dispatched.excluded.contains(user) || broker.was_notified(user, id, kind, dispatched.event_seq)
        };
        self.note_received(user, id, |dispatched| dispatched.event_seq <= confirmed, was_notified);
    }

    /// A user has read a message, and so has received it. One who is still catching up may lack others before it.
    pub(super) fn note_read(&mut self, user: &UserId, message: &Message) {
        let Place::Conversation(id) = message.place else { return };
        let mut sessions = self.sockets_of(user).iter().filter_map(|socket| self.sessions.get(socket));
        if !sessions.any(|session| session.catch_up.is_some()) {
            self.note_received(user, id, |dispatched| dispatched.receipt.seq <= message.seq, |_, _| true);
        }
    }

    /// Notes that a member has received all that `is_confirmed`; the senders of what `was_notified` learn of it.
    fn note_received(
        &mut self,
        user: &UserId,
        id: ConversationId,
        is_confirmed: impl Fn(&DispatchedMessage) -> bool,
        was_notified: impl Fn(&Self, &DispatchedMessage) -> bool,
    ) {
        let Some(delivered_seq) = self.users.get_mut(user).and_then(|user| user.membership(id)).map(|known| known.delivered_seq)
        else {
            return;
        };
        let Some(cached) = self.conversations.get(&id) else { return };
        // One confirmation is of many messages: each sender hears of it, and the progress is stored once.
        let mut seq = delivered_seq;
        for dispatched in cached.dispatched.received_by(user, delivered_seq, is_confirmed) {
            let receipt = &dispatched.receipt;
            seq = receipt.seq;
            let was_dispatched = dispatched.was_dispatched_to(user);
            // A deleted message counts for the progress, but nobody waits for its receipt.
            if !dispatched.is_deleted && self.is_news(receipt, user, was_dispatched) && was_notified(self, dispatched) {
                self.due.progress.notify(receipt, user, was_dispatched);
            }
        }
        if seq > delivered_seq {
            self.settle_progress(id, user, seq);
        }
    }

    /// Up to this event all that was said in a conversation has surely reached a live socket of this member, as far as it was
    /// sent that.
    fn confirmed_to(&self, user: &UserId, id: ConversationId, kind: ConversationKind) -> u64 {
        let confirmed = |session: &Session| {
            session.muted_since(id).map_or(session.progress.confirmed, |since| session.progress.confirmed.min(since))
        };
        self.listening(user, kind).map(confirmed).max().unwrap_or(0)
    }

    /// Returns whether a live socket of this member was sent an event of a conversation and has it.
    pub(super) fn was_notified(&self, user: &UserId, id: ConversationId, kind: ConversationKind, event_seq: u64) -> bool {
        let room = RoomKey::Group(id);
        let was_notified =
            |session: &Session| was_notified(session.progress.receives_after, session.subscriptions.as_deref(), &room, event_seq);
        self.listening(user, kind).any(|session| session.progress.confirmed >= event_seq && was_notified(session))
    }

    /// The live sockets of a user that show messages of this kind.
    fn listening(&self, user: &UserId, kind: ConversationKind) -> impl Iterator<Item = &Session> {
        let sessions = self.sockets_of(user).iter().filter_map(|socket| self.sessions.get(socket));
        sessions.filter(move |session: &&Session| session.capabilities.can_show(kind) && !session.capabilities.unconfirmed)
    }

    fn settle_progress(&mut self, id: ConversationId, user: &UserId, seq: i64) {
        self.due.progress.settle(id, user, seq);
        if let Some(membership) = self.users.get_mut(user).and_then(|user| user.membership(id)) {
            membership.delivered_seq = membership.delivered_seq.max(seq);
        }
    }

    // ---- what is dispatched ----

    /// A message was stored that was dispatched. Some may have confirmed it before; where a sender waits to hear that, they are
    /// looked for at once.
    pub(super) fn note_dispatched(&mut self, dispatched: DispatchedMessage) {
        let (id, sender) = (dispatched.receipt.conversation, dispatched.receipt.sender.clone());
        let Some(cached) = self.conversations.get_mut(&id) else { return };
        cached.dispatched.push(dispatched);
        let conversation = cached.conversation.clone();
        if conversation.kind != ConversationKind::Group || self.awaits_receipt(&sender, true) {
            self.note_progress_of_members(&conversation);
        } else if let Some(cached) = self.conversations.get_mut(&id)
            && !std::mem::replace(&mut cached.is_progress_due, true)
        {
            self.due.progress.note_stored(id);
        }
    }

    /// A socket was sent a page of its catch-up.
    pub(super) fn note_page(&mut self, connection: ConnectionKey, page: &[Arc<Message>]) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            let receipts = page.iter().filter_map(|message| DeliveryReceipt::of(message)).collect();
            session.progress.unconfirmed.get_or_insert_default().push(receipts);
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

    /// Returns whether a sender has a device that shows who has received a message: all devices show those who had not been
    /// sent it when the send was answered, some also the others.
    pub(super) fn awaits_receipt(&self, sender: &UserId, was_dispatched: bool) -> bool {
        let Some(user) = self.users.get(sender) else { return false };
        if !was_dispatched {
            return user.has_sessions();
        }
        let open = user.sessions.iter().filter_map(|socket| self.sessions.get(socket)).map(|session| session.capabilities);
        let detached = user.detached.iter().filter_map(|pid| self.sessions.detached(pid)).map(|detached| detached.capabilities);
        open.chain(detached).any(|capabilities| capabilities.received_at_once)
    }

    /// Returns whether a message's sender is to hear that a user has received it.
    fn is_news(&self, receipt: &DeliveryReceipt, user: &UserId, was_dispatched: bool) -> bool {
        receipt.sender != *user && self.awaits_receipt(&receipt.sender, was_dispatched)
    }

    /// Notifies the senders behind all that is in the mailbox by now: confirmations come in company.
    pub(super) fn notify_received_soon(&mut self) {
        if self.due.progress.begin_notifying() {
            self.outside.call_back(Callback::Received, Duration::ZERO);
        }
    }

    /// Notifies the senders, no more at a time than their outboxes take, and then again, while there are more.
    pub(in crate::chat) fn notify_received(&mut self) {
        self.notify_some_received();
        if self.due.progress.goes_on_notifying() {
            self.outside.call_back(Callback::Received, REST_AFTER);
        }
    }

    fn notify_some_received(&mut self) {
        let most = self.options.replay_events.div_ceil(4).max(1);
        for Received { receipt, mut users, at_once } in self.due.progress.take_unsent(most) {
            users.sort_unstable();
            let DeliveryReceipt { conversation, seq: _, message, sender, client_message_id } = receipt;
            let client_message_id = client_message_id.map(String::from);
            let delivered_at = self.now();
            let event = Event::Delivered { message, conversation, users, delivered_at, client_message_id, at_once };
            self.fan_out_to_users([&sender], event);
        }
    }
}
