//! Messages of a conversation that were dispatched of late: by them a confirmation, which is of all events up to one, becomes
//! one of messages.
use std::collections::VecDeque;
use std::sync::Arc;

use crate::hash::HashSet;
use crate::model::{ConversationId, Message, MessageId, Timestamp, UserId};

/// Maximum number of messages of one conversation that are remembered: the senders of older ones hear of no more receivers.
const MESSAGES_MAX: usize = 4_096;

/// A message of which its sender may want to know who has received it.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryReceipt {
    pub conversation: ConversationId,
    pub seq: i64,
    pub message: MessageId,
    pub sender: UserId,
    pub client_message_id: Option<Box<str>>,
}

impl DeliveryReceipt {
    /// Of a message that is stored; `None` in public rooms.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        Some(Self {
            conversation: message.place.conversation()?,
            seq: message.seq,
            message: message.id,
            sender: message.sender.id.clone(),
            client_message_id: message.client_message_id.as_deref().map(Into::into),
        })
    }
}

/// A stored message that was dispatched.
#[derive(Debug)]
pub(crate) struct DispatchedMessage {
    pub receipt: DeliveryReceipt,
    /// The number of its event.
    pub event_seq: u64,
    /// Set if a live socket of a recipient showed it then.
    pub is_delivered: bool,
    /// Members who had no socket then.
    pub absent: Arc<[UserId]>,
    /// Users who had it before.
    pub excluded: HashSet<UserId>,
    /// Set if it was deleted since: a member who had not received it by then never will.
    pub is_deleted: bool,
    pub at: Timestamp,
}

impl DispatchedMessage {
    /// Returns whether a member is taken to have had it when the send was answered.
    pub(crate) fn was_dispatched_to(&self, user: &UserId) -> bool {
        self.is_delivered && !self.absent.contains(user)
    }

    fn needs_no_confirmation_of(&self, user: &UserId) -> bool {
        self.receipt.sender == *user || self.excluded.contains(user)
    }
}

/// The latest messages of a conversation, in order.
#[derive(Debug, Default)]
pub(crate) struct DispatchedMessages(VecDeque<DispatchedMessage>);

impl DispatchedMessages {
    /// The next one.
    pub(crate) fn push(&mut self, message: DispatchedMessage) {
        if self.0.len() >= MESSAGES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(message);
    }

    /// Number of the newest one in the conversation; 0: none is remembered.
    pub(crate) fn last_seq(&self) -> i64 {
        self.0.back().map_or(0, |last| last.receipt.seq)
    }

    /// Returns the messages after `seq` that a user has received: all that are confirmed, and those after them that are the
    /// user's own.
    pub(crate) fn received_by(
        &self,
        user: &UserId,
        seq: i64,
        is_confirmed: impl Fn(&DispatchedMessage) -> bool,
    ) -> impl Iterator<Item = &DispatchedMessage> {
        let first = self.0.partition_point(|dispatched| dispatched.receipt.seq <= seq);
        let mut last = seq;
        self.0.range(first..).take_while(move |dispatched| {
            let is_next = dispatched.receipt.seq == last + 1;
            last = dispatched.receipt.seq;
            is_confirmed(dispatched) || is_next && dispatched.needs_no_confirmation_of(user)
        })
    }

    /// A message that is remembered.
    pub(crate) fn find(&self, seq: i64) -> Option<&DispatchedMessage> {
        self.0.binary_search_by_key(&seq, |dispatched| dispatched.receipt.seq).ok().and_then(|place| self.0.get(place))
    }

    /// Notes that one was deleted.
    pub(crate) fn delete(&mut self, seq: i64) {
        let place = self.0.binary_search_by_key(&seq, |dispatched| dispatched.receipt.seq).ok();
        if let Some(deleted) = place.and_then(|place| self.0.get_mut(place)) {
            deleted.is_deleted = true;
        }
    }

    /// Forgets those that nobody can prove any more.
    pub(crate) fn forget_before(&mut self, at: Timestamp) {
        let old = self.0.partition_point(|dispatched| dispatched.at < at);
        self.0.drain(..old);
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    /// Messages 1, 2, … by these, each the event with ten times its number.
    fn dispatched(senders: &[&str]) -> DispatchedMessages {
        let mut dispatched = DispatchedMessages::default();
        for (seq, sender) in (1..).zip(senders) {
            let receipt = DeliveryReceipt {
                conversation: ConversationId::from_uuid(uuid::Uuid::nil()),
                seq,
                message: MessageId::of_client_id(&user(sender), &seq.to_string()),
                sender: user(sender),
                client_message_id: None,
            };
            let at = Timestamp::from_millis(seq);
            let absent = if seq == 2 { [user("cid")].into() } else { Arc::default() };
            dispatched.push(DispatchedMessage {
                receipt,
                event_seq: 10 * seq as u64,
                is_delivered: seq != 3,
                absent,
                excluded: HashSet::default(),
                is_deleted: false,
                at,
            });
        }
        dispatched
    }

    #[test]
    fn what_is_confirmed_is_received_and_own_ones_right_after_it() {
        let dispatched = dispatched(&["ann", "bob", "bob", "ann", "bob", "ann"]);
        let received = |name: &str, seq, confirmed| {
            let user = user(name);
            let received = dispatched.received_by(&user, seq, |dispatched| dispatched.event_seq <= confirmed);
            received.map(|dispatched| dispatched.receipt.seq).collect::<Vec<_>>()
        };
        assert_eq!(received("ann", 0, 35), [1, 2, 3, 4]);
        assert_eq!(received("bob", 0, 35), [1, 2, 3]);
        assert_eq!(received("bob", 1, 0), [2, 3], "nobody has to prove what he wrote");
        assert_eq!(received("cid", 2, 100), [3, 4, 5, 6]);
        assert_eq!(received("cid", 0, 9), [0; 0]);
        assert_eq!(received("bob", 6, 100), [0; 0]);
    }

    #[test]
    fn a_gap_is_not_jumped_by_own_ones() {
        let mut dispatched = dispatched(&["ann", "bob", "bob"]);
        dispatched.forget_before(Timestamp::from_millis(2));
        assert_eq!(dispatched.received_by(&user("bob"), 0, |_| false).count(), 0);
        dispatched.forget_before(Timestamp::from_millis(9));
        assert_eq!(dispatched.last_seq(), 0);
    }

    #[test]
    fn who_was_away_or_deaf_was_not_sent_it() {
        let dispatched = dispatched(&["ann", "ann", "ann"]);
        let was_dispatched = |seq| dispatched.find(seq).map(|dispatched| dispatched.was_dispatched_to(&user("cid")));
        assert_eq!([1, 2, 3, 4].map(was_dispatched), [Some(true), Some(false), Some(false), None]);
    }
}
