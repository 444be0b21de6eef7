//! Consequences of a change that is stored, or is not.
use std::sync::Arc;

use log::warn;

use super::Broker;
use crate::chat::ports::{ChatError, Notice, Notified, OwnCopy, Reply, Sent, USED_OTHERWISE};
use crate::chat::query::{KnownMessage, Query};
use crate::chat::state::{
    AfterCommit, Audience, DeliveryReceipt, DispatchedMessage, FailedSend, InFlight, ReplyTo, RingKey, SentId,
};
use crate::config::Delivery;
use crate::engineio::ConnectionKey;
use crate::hash::{HashMap, HashSet};
use crate::model::{LastMessage, Message, MessageId, MessageStatus, Place, UserId};
use crate::store::{StoreError, Written};

impl Broker {
    /// Returns who waits for what follows from a change.
    pub(super) fn reply_to(&self, after: &AfterCommit) -> Option<ReplyTo> {
        match after {
            AfterCommit::Message(id) => self.sends.get(id).map(|in_flight| in_flight.reply_to),
            other => other.reply_to(),
        }
    }

    /// A change was stored, or given up.
    pub(super) fn on_stored(&mut self, after: AfterCommit, outcome: Result<Written, StoreError>) {
        match after {
            AfterCommit::Nothing => {}
            AfterCommit::Online { came, gone } => {
                if matches!(outcome, Err(StoreError::Unavailable | StoreError::Unknown)) {
                    self.presence.unstored.put_back(came, gone);
                }
            }
            AfterCommit::Message(id) => {
                self.on_message_stored(id, outcome);
                self.sends.forget_departed();
            }
            AfterCommit::ConversationMade(id) => {
                if outcome.is_err() {
                    self.forget_conversation(id);
                }
            }
            AfterCommit::Named(given) => {
                if outcome.is_err() {
                    self.take_name_back(given);
                }
            }
            AfterCommit::Read { message, reader, read_at, reply_to } => {
                self.reading_ended(&message, &reader);
                match outcome {
                    Ok(_) => {
                        let read_on = self.requester_of(&reader, &reply_to);
                        self.answer(reply_to, Ok(Reply::Done));
                        self.notify_read(&message, reader, read_at, read_on);
                    }
                    Err(error) => self.answer(reply_to, Err(error.into())),
                }
            }
            AfterCommit::Changed { message, position, audience, reply_to } => {
                let deleted_in = message.place.conversation().filter(|_| message.deleted_at.is_some());
                let (id, was_deleted) = (message.id, outcome.is_ok());
                self.on_change_stored(message, position, audience, reply_to, outcome);
                if let Some(conversation) = deleted_in {
                    self.deletion_ended(conversation, Some(id), was_deleted);
                }
            }
            AfterCommit::Conversation { change, reply_to } => {
                let id = change.conversation();
                match outcome {
                    Ok(_) => self.apply_change(change, reply_to),
                    Err(error) => {
                        self.deletion_ended(id, None, false);
                        self.answer(reply_to, Err(error.into()));
                    }
                }
                let waiters = self.conversations.end_change(id);
                self.resume_waiters(waiters);
            }
            AfterCommit::Status { user, status, reply_to } => match outcome {
                Ok(_) => {
                    self.answer(reply_to, Ok(Reply::Done));
                    self.choose_status(&user, status);
                    let now = self.now();
                    self.fan_out_presence(now);
                }
                Err(error) => self.answer(reply_to, Err(error.into())),
            },
            AfterCommit::Profile { user, full_name, avatar, reply_to } => match outcome {
                Ok(_) => self.apply_profile(&user, full_name, avatar, reply_to),
                Err(error) => self.answer(reply_to, Err(error.into())),
            },
            AfterCommit::Gathered(owed) => {
                if matches!(outcome, Err(StoreError::Unavailable | StoreError::Unknown)) {
                    self.due.gathered.put_back(owed);
                }
            }
            AfterCommit::Notified { notification, sockets, reply_to } => {
                let reply = match outcome {
                    Ok(_) => Ok(Reply::Notified(Notified { notification, sockets })),
                    Err(StoreError::Unavailable) if sockets > 0 => Err(ChatError::NotStored),
                    Err(error) => Err(error.into()),
                };
                self.answer(reply_to, reply);
            }
            AfterCommit::Titled { listing, title, answer } => {
                if outcome.is_ok() {
                    self.conversations.titles.change(listing, title);
                }
                // Who does not wait any more needs no answer.
                drop(answer.send(outcome.map(drop)));
            }
        }
    }

    fn on_message_stored(&mut self, id: MessageId, outcome: Result<Written, StoreError>) {
        match outcome {
            Ok(Written::Message { is_repeat: true, .. }) => {
                self.sends.drop_undispatched(id);
                let Some(in_flight) = self.land(id) else { return };
                self.answer_known(in_flight);
            }
            Ok(written) => {
                let seq = if let Written::Message { seq, .. } = written { seq } else { 0 };
                if self.sends.take_first_undispatched(id) {
                    self.dispatch(id);
                }
                let Some(in_flight) = self.land(id) else { return };
                self.confirm(in_flight, seq);
            }
            Err(error) => {
                self.sends.drop_undispatched(id);
                let Some(in_flight) = self.land(id) else { return };
                self.give_up(in_flight, error);
            }
        }
    }

    /// A message is in flight no more.
    fn land(&mut self, id: MessageId) -> Option<InFlight> {
        let in_flight = self.sends.land(id)?;
        if let Some(cached) = self.cached(&in_flight.message.place) {
            cached.in_flight = cached.in_flight.saturating_sub(1);
        }
        Some(in_flight)
    }

    /// The commit is there: the sender is notified first, then all that waited.
    fn confirm(&mut self, in_flight: InFlight, seq: i64) {
        let InFlight { message, reply_to, is_delivered, absent, given_up, waiters, audience, event, question, .. } = in_flight;
        let mut message = Arc::unwrap_or_clone(message);
        // The store numbers a conversation's messages, so the number is known only now.
        message.seq = seq;
        let message = Arc::new(message);
        let is_newest = self.note_stored(&message, &audience, absent.clone());
        self.settle(&message.sender.id, &reply_to, message.id, true);
        let status = if is_delivered { MessageStatus::Delivered } else { MessageStatus::Sent };
        // A repeat that comes from now on is answered with the same status.
        if let Some(client_id) = &message.client_message_id
            && let Some(sent) = self.users.get_mut(&message.sender.id).and_then(|user| user.sent.as_mut())
        {
            sent.note_status(client_id, status);
        }
        let name = self.senders_name(&message);
        self.answer(reply_to, Ok(Reply::Sent(Sent { message: message.clone(), recipient: audience.recipient(), status, name })));
        // An old one that was confirmed late stays out: dispatched messages are searched by their `seq`, which has to rise.
        if let (true, Some(receipt), Some(event_seq)) =
            (is_newest, DeliveryReceipt::of(&message), event.and_then(|event| event.event_seq()))
        {
            let at = self.now();
            let excluded = self.who_has(&receipt, given_up.map(|earlier| earlier.notified).unwrap_or_default());
            self.note_dispatched(DispatchedMessage { receipt, event_seq, is_delivered, absent, excluded, is_deleted: false, at });
        }
        // Only a stored question is asked: the answer to one that is given up would stand alone.
        if let Some(question) = question {
            self.ask_model(*question);
        }
        self.resume_waiters(waiters);
    }

    /// Looks up a message that the store had already. If nobody remembered it, it is a repeat, answered as the first one was;
    /// if it was given up and is stored all the same, it goes the way of a new message only now.
    fn answer_known(&mut self, in_flight: InFlight) {
        let (message, answer) = (in_flight.message.id, in_flight.question.as_ref().map(|question| question.answer_id()));
        self.settle(&in_flight.message.sender.id, &in_flight.reply_to, message, false);
        let ticket = self.commits.new_tag();
        self.sends.keep_known(ticket, in_flight);
        self.outside.read(Query::Known { ticket, message, answer });
    }

    /// Answers the sender of a message that the store had already, by the stored one.
    pub(super) fn on_known(&mut self, ticket: u64, found: Result<KnownMessage, StoreError>) {
        let Some(in_flight) = self.sends.take_known(ticket) else { return };
        let ((known, hash), answer) = match found {
            Ok((Some(found), answer)) => (found, answer),
            Ok((None, _)) => return self.give_up(in_flight, StoreError::Internal),
            Err(error) => return self.give_up(in_flight, error),
        };
        let id = in_flight.message.id;
        let is_same = hash.is_none() || hash == in_flight.request_hash;
        if in_flight.given_up.is_some() && is_same {
            return self.confirm_late(InFlight { message: Arc::new(known), ..in_flight });
        }
        if let Some(client_id) = &known.client_message_id
            && let Some(sent) = self.users.get_mut(&known.sender.id).and_then(|user| user.sent.as_mut())
        {
            sent.insert(client_id, SentId { message: id, request_hash: hash, status: known.status });
        }
        if is_same {
            let question = in_flight.question.filter(|question| question.is_due(&known));
            self.answer_again(in_flight.reply_to, &in_flight.audience, Arc::new(known));
            if let Some(question) = question {
                self.ask_again(*question, answer.as_ref());
            }
        } else {
            self.answer(in_flight.reply_to, Err(USED_OTHERWISE));
        }
        self.resume_waiters(in_flight.waiters);
    }

    fn confirm_late(&mut self, in_flight: InFlight) {
        let (id, seq) = (in_flight.message.id, in_flight.message.seq);
        self.sends.put_back(in_flight);
        self.dispatch(id);
        if let Some(in_flight) = self.sends.take(id) {
            self.confirm(in_flight, seq);
        }
    }

    /// Gives up a message that most likely is not stored: the answer depends on who has seen it.
    fn give_up(&mut self, in_flight: InFlight, error: StoreError) {
        let id = in_flight.message.id;
        let (sender, dispatched) = (&in_flight.message.sender.id, in_flight.is_dispatched);
        warn!(message_id:% = id, user:% = sender, handed = dispatched, cause:% = error; "message not stored");
        let was_seen = dispatched || in_flight.given_up.as_ref().is_some_and(|earlier| earlier.may_be_seen);
        // STORAGE_UNAVAILABLE promises that nobody has seen it and that it is stored nowhere. Neither is certain once it was
        // dispatched, or if the connection broke during the commit.
        let reply = match error {
            StoreError::Unknown => ChatError::NotStored,
            StoreError::Unavailable if was_seen => ChatError::NotStored,
            StoreError::Unavailable => ChatError::StorageUnavailable,
            _ => ChatError::Internal,
        };
        // A retry has the same `clientMessageId` and so the same id: by that it is kept from those who have seen this try.
        if in_flight.message.client_message_id.is_some() {
            let (notified, may_be_seen) = (self.who_was_notified(&in_flight), reply != ChatError::StorageUnavailable);
            let now = self.now();
            self.sends.note_failed(id, FailedSend { notified, may_be_seen }, now);
        }
        // Else the retry would count as a repeat of a message that is not there.
        if let Some(client_id) = &in_flight.message.client_message_id
            && let Some(sent) = self.users.get_mut(&in_flight.message.sender.id).and_then(|user| user.sent.as_mut())
        {
            sent.remove(client_id);
        }
        self.settle(&in_flight.message.sender.id, &in_flight.reply_to, id, false);
        self.answer(in_flight.reply_to, Err(reply));
        self.resume_waiters(in_flight.waiters);
    }

    /// The sender's own copy of a message is shown from here on, or dropped.
    fn settle(&mut self, sender: &UserId, reply_to: &ReplyTo, message: MessageId, stored: bool) {
        if reply_to.own_copy() != OwnCopy::Held {
            return;
        }
        let Some(requester) = self.requester_of(sender, reply_to) else { return };
        if !stored {
            self.replay.forget_message(&RingKey::Socket(requester.pid), message);
        }
        if let Some(connection) = requester.connection {
            self.notify(connection, Notice::Settle { message, stored });
        }
    }

    /// Returns the users that surely have a message, of those who were sent an earlier try.
    fn who_has(&self, receipt: &DeliveryReceipt, notified: HashMap<UserId, u64>) -> HashSet<UserId> {
        let Some(cached) = self.conversations.get(&receipt.conversation) else { return HashSet::default() };
        let (id, kind) = (receipt.conversation, cached.conversation.kind);
        notified
            .into_iter()
            .filter(|(user, event_seq)| self.was_notified(user, id, kind, *event_seq))
            .map(|(user, _)| user)
            .collect()
    }

    /// Returns the users to whom it was dispatched, each with the number of the event; those notified of its earlier try with
    /// that of the earlier event.
    fn who_was_notified(&self, in_flight: &InFlight) -> HashMap<UserId, u64> {
        let event_seq = in_flight.event.as_ref().and_then(|event| event.event_seq()).unwrap_or_default();
        let lists = in_flight
            .dispatched_lists
            .iter()
            .flat_map(|(worker, list)| list.iter().map(move |slot| ConnectionKey { worker: *worker, slot: *slot }));
        let own = in_flight.reply_to.connection().filter(|_| in_flight.reply_to.own_copy() != OwnCopy::Live);
        let dispatched = lists
            .chain(in_flight.dispatched_sockets.iter().copied())
            .filter(|socket| Some(*socket) != own)
            .filter_map(|socket| match self.sessions.get(&socket) {
                Some(session) => Some(session.user.clone()),
                None => self.sends.departed(socket).cloned(),
            });
        let before =
            in_flight.given_up.iter().flat_map(|earlier| &earlier.notified).map(|(user, event_seq)| (user.clone(), *event_seq));
        before.chain(dispatched.map(|user| (user, event_seq))).collect()
    }

    /// In `live`, the first success after an outage: all that still waits is dispatched, in order.
    pub(super) fn dispatch_waiting(&mut self) {
        if self.options.delivery == Delivery::Live && !self.outside.is_failing() {
            while let Some(id) = self.sends.next_undispatched() {
                self.dispatch(id);
            }
        }
    }

    /// Makes a stored message its conversation's last one, unless it is an old one that was confirmed late. Returns whether it
    /// is the last one now.
    fn note_stored(&mut self, message: &Arc<Message>, audience: &Audience, absent: Arc<[UserId]>) -> bool {
        let Place::Conversation(id) = message.place else { return false };
        let Some(cached) = self.conversations.get_mut(&id) else { return false };
        let conversation = Arc::make_mut(&mut cached.conversation);
        if message.seq <= conversation.last_seq {
            return false;
        }
        conversation.last_seq = message.seq;
        conversation.updated_at = message.created_at;
        let is_bare_file = message.content.is_empty();
        conversation.last_message = Some(LastMessage {
            content: if is_bare_file { "File".to_owned() } else { message.content.clone() },
            sender: message.sender.id.clone(),
            timestamp: message.created_at,
            message_type: message.message_type.clone(),
        });
        self.due.gathered.add(id, message, absent);
        if let Audience::Pair { recipient, .. } = audience {
            for member in [&recipient.id, &message.sender.id] {
                if let Some(membership) = self.users.get_mut(member).and_then(|user| user.membership(id)) {
                    membership.last_seq = message.seq;
                }
            }
        }
        true
    }

    fn apply_profile(
        &mut self,
        id: &UserId,
        full_name: Option<Option<String>>,
        avatar: Option<Option<String>>,
        reply_to: ReplyTo,
    ) {
        let now = self.now();
        self.users.changes.note([id], now);
        let Some(user) = self.users.get_mut(id) else { return self.answer(reply_to, Err(ChatError::UserNotFound)) };
        let profile = Arc::make_mut(&mut Arc::make_mut(&mut user.account).profile);
        profile.full_name = full_name.unwrap_or_else(|| profile.full_name.take());
        profile.avatar = avatar.unwrap_or_else(|| profile.avatar.take());
        let account = user.account.clone();
        self.answer(reply_to, Ok(Reply::Account(account)));
    }
}
