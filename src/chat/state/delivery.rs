//! Receipts that are not stored yet, or not sent to the senders yet.
use std::cmp::Reverse;
use std::collections::VecDeque;

use super::dispatched::DeliveryReceipt;
use crate::chat::ports::Watermark;
use crate::hash::HashMap;
use crate::model::{ConversationId, MessageId, Timestamp, UserId};

/// Maximum number of messages of a conversation whose senders hear of a confirmation at once, the newest: front ends know no
/// "up to". The others' status stands in the history.
pub(crate) const NEWEST_NOTIFIED: usize = 100;

/// Receipts that are not stored, or not sent, yet.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Conversations with messages that were stored of late: some may have confirmed them before that.
    stored: Vec<ConversationId>,
    settled: HashMap<(ConversationId, UserId), i64>,
    last_seen: HashMap<UserId, Timestamp>,
    unsent: Vec<Received>,
    /// Index of each message in `unsent`.
    places: HashMap<(MessageId, bool), usize>,
    is_notifying: bool,
}

/// A message and who has received it.
#[derive(Debug)]
pub(crate) struct Received {
    pub receipt: DeliveryReceipt,
    pub users: Vec<UserId>,
    /// Set if they had it when the send was answered.
    pub at_once: bool,
}

impl Progress {
    /// A user's last socket closed.
    pub(crate) fn saw_last(&mut self, user: &UserId, at: Timestamp) {
        self.last_seen.insert(user.clone(), at);
    }

    /// A member has received all up to `seq`.
    pub(crate) fn settle(&mut self, conversation: ConversationId, user: &UserId, seq: i64) {
        let known = self.settled.entry((conversation, user.clone())).or_default();
        *known = seq.max(*known);
    }

    /// Returns whether a member has received all up to `seq`, as far as that is not stored yet.
    pub(crate) fn has_settled(&self, conversation: ConversationId, user: &UserId, seq: i64) -> bool {
        self.settled.get(&(conversation, user.clone())).is_some_and(|settled| *settled >= seq)
    }

    /// Messages of a conversation were stored that somebody may have confirmed before.
    pub(crate) fn note_stored(&mut self, conversation: ConversationId) {
        self.stored.push(conversation);
    }

    /// Takes the conversations of which messages were stored since the last time.
    pub(crate) fn take_stored(&mut self) -> Vec<ConversationId> {
        std::mem::take(&mut self.stored)
    }

    /// Takes what members have received since the last time.
    pub(crate) fn take_settled(&mut self) -> HashMap<(ConversationId, UserId), i64> {
        std::mem::take(&mut self.settled)
    }

    /// Takes those whose last socket closed since the last time.
    pub(crate) fn take_last_seen(&mut self) -> Vec<(UserId, Timestamp)> {
        std::mem::take(&mut self.last_seen).into_iter().collect()
    }

    /// Returns whether telling senders is to be begun: there is something to tell, and nobody is about to.
    pub(crate) fn begin_notifying(&mut self) -> bool {
        !self.unsent.is_empty() && !std::mem::replace(&mut self.is_notifying, true)
    }

    /// A round of telling has ended. Tells whether another is needed.
    pub(crate) fn goes_on_notifying(&mut self) -> bool {
        self.is_notifying = !self.unsent.is_empty();
        self.is_notifying
    }

    /// A message's sender is to learn that a user has received it.
    pub(crate) fn notify(&mut self, receipt: &DeliveryReceipt, user: &UserId, at_once: bool) {
        let place = *self.places.entry((receipt.message, at_once)).or_insert(self.unsent.len());
        match self.unsent.get_mut(place) {
            Some(received) => received.users.push(user.clone()),
            None => self.unsent.push(Received { receipt: receipt.clone(), users: vec![user.clone()], at_once }),
        }
    }

    /// Takes the receipts to send now, the newest of each conversation first. The rest waits: a sender is notified of no more
    /// receivers at once than `most`.
    pub(crate) fn take_unsent(&mut self, most: usize) -> Vec<Received> {
        self.places.clear();
        let mut unsent = std::mem::take(&mut self.unsent);
        // Newest first, so that the limits below hold back the oldest: of these the history shows the status.
        unsent.sort_by_key(|received| Reverse(received.receipt.seq));
        if unsent.len() > NEWEST_NOTIFIED {
            let mut of_conversation: HashMap<ConversationId, usize> = HashMap::default();
            unsent.retain(|received| {
                let count = of_conversation.entry(received.receipt.conversation).or_default();
                *count += 1;
                *count <= NEWEST_NOTIFIED
            });
        }
        // No sender can be owed more than all together, so that the count by sender is seldom needed.
        let receivers: usize = unsent.iter().map(|received| received.users.len()).sum();
        if receivers <= most {
            return unsent;
        }
        let mut of_sender: HashMap<UserId, usize> = HashMap::default();
        let mut notified = Vec::new();
        for mut received in unsent {
            let count = of_sender.entry(received.receipt.sender.clone()).or_default();
            let now = most.saturating_sub(*count).min(received.users.len());
            *count += now;
            let rest = received.users.split_off(now);
            if !rest.is_empty() {
                // Who receives the message meanwhile joins these, and the sender is sent one event.
                self.places.insert((received.receipt.message, received.at_once), self.unsent.len());
                self.unsent.push(Received { users: rest, receipt: received.receipt.clone(), ..received });
            }
            if now > 0 {
                notified.push(received);
            }
        }
        notified
    }
}

/// Pages of a catch-up that a socket was sent and has not confirmed yet.
#[derive(Debug, Default)]
pub(crate) struct UnconfirmedPages {
    notified: u32,
    waiting: VecDeque<(u32, Vec<DeliveryReceipt>)>,
}

impl UnconfirmedPages {
    pub(crate) fn push(&mut self, page: Vec<DeliveryReceipt>) {
        self.notified = self.notified.saturating_add(1);
        self.waiting.push_back((self.notified, page));
    }

    pub(crate) fn confirm(&mut self, watermark: Watermark) -> Vec<DeliveryReceipt> {
        let confirmed = self.waiting.partition_point(|(number, _)| Watermark::Page(*number) <= watermark);
        self.waiting.drain(..confirmed).flat_map(|(_, page)| page).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(sender: &str, seq: i64) -> DeliveryReceipt {
        let sender = UserId::parse(sender).unwrap();
        DeliveryReceipt {
            conversation: ConversationId::from_uuid(uuid::Uuid::nil()),
            seq,
            message: MessageId::of_client_id(&sender, &seq.to_string()),
            sender,
            client_message_id: None,
        }
    }

    /// Lists senders with their messages, and how many have received each.
    fn notified(progress: &mut Progress) -> Vec<(String, i64, usize)> {
        let notified = progress.take_unsent(8);
        notified
            .iter()
            .map(|notified| (notified.receipt.sender.to_string(), notified.receipt.seq, notified.users.len()))
            .collect()
    }

    #[test]
    fn a_sender_hears_of_no_more_receivers_at_once_than_a_part_of_an_outbox() {
        let mut progress = Progress::default();
        let users: Vec<UserId> = (0..5).map(|number| UserId::parse(&format!("u{number}")).unwrap()).collect();
        for (sender, seq) in [("ann", 1), ("ann", 2), ("ann", 3), ("bob", 4)] {
            users.iter().for_each(|user| progress.notify(&receipt(sender, seq), user, false));
        }
        let of = |sender: &str, seq, users| (sender.to_owned(), seq, users);
        assert_eq!(notified(&mut progress), [of("bob", 4, 5), of("ann", 3, 5), of("ann", 2, 3)]);
        // What comes meanwhile comes together with what waits.
        progress.notify(&receipt("ann", 2), &UserId::parse("late").unwrap(), false);
        assert_eq!(notified(&mut progress), [of("ann", 2, 3), of("ann", 1, 5)]);
        assert!(notified(&mut progress).is_empty());
    }

    #[test]
    fn of_a_conversation_the_newest_are_sent() {
        let mut progress = Progress::default();
        let bob = UserId::parse("bob").unwrap();
        let all = i64::try_from(NEWEST_NOTIFIED).unwrap() + 3;
        (1..=all).for_each(|seq| progress.notify(&receipt("ann", seq), &bob, false));
        let notified: Vec<_> = progress.take_unsent(usize::MAX).iter().map(|notified| notified.receipt.seq).collect();
        assert_eq!((notified.len(), notified.first(), notified.last()), (NEWEST_NOTIFIED, Some(&all), Some(&4)));
        assert!(progress.take_unsent(usize::MAX).is_empty());
    }

    #[test]
    fn a_mark_proves_the_pages_that_were_sent_before_it() {
        let mut pages = UnconfirmedPages::default();
        (1..=3).for_each(|seq| pages.push(vec![receipt("ann", seq)]));
        let confirmed = |pages: &mut UnconfirmedPages, watermark| {
            pages.confirm(watermark).iter().map(|receipt| receipt.seq).collect::<Vec<_>>()
        };
        assert_eq!(confirmed(&mut pages, Watermark::Nothing), Vec::<i64>::new());
        assert_eq!(confirmed(&mut pages, Watermark::Page(2)), [1, 2]);
        assert_eq!(confirmed(&mut pages, Watermark::Page(2)), Vec::<i64>::new(), "once");
        assert_eq!(confirmed(&mut pages, Watermark::Event(1)), [3], "events come behind the catch-up");
    }
}
