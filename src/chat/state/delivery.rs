//! Receipts that are not stored or told yet.
use std::cmp::Reverse;
use std::collections::VecDeque;

use hashbrown::HashMap;

use super::handed::Receipt;
use crate::chat::ports::Mark;
use crate::model::{ConversationId, MessageId, Timestamp, UserId};

/// Of what is proven at once so many messages of a conversation are told to their senders, the newest: front ends know no "up
/// to". The others' status stands in the history.
pub const NEWEST_TOLD: usize = 100;

/// What is not stored, or not told, yet.
#[derive(Debug, Default)]
pub struct Progress {
    /// Conversations with messages that were stored of late: some may have proven them before that.
    stored: Vec<ConversationId>,
    settled: HashMap<(ConversationId, UserId), i64>,
    last_seen: HashMap<UserId, Timestamp>,
    untold: Vec<Received>,
    /// Where in `untold` a message is.
    places: HashMap<(MessageId, bool), usize>,
    is_telling: bool,
}

/// A message and who has received it.
#[derive(Debug)]
pub struct Received {
    pub receipt: Receipt,
    pub users: Vec<UserId>,
    /// Whether they had it when the send was answered.
    pub at_once: bool,
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

    /// Tells whether a member has received all up to `seq`, as far as that is not stored yet.
    pub fn has_settled(&self, conversation: ConversationId, user: &UserId, seq: i64) -> bool {
        self.settled.get(&(conversation, user.clone())).is_some_and(|settled| *settled >= seq)
    }

    /// Messages of a conversation were stored that somebody may have proven before.
    pub fn note_stored(&mut self, conversation: ConversationId) {
        self.stored.push(conversation);
    }

    /// Takes the conversations of which messages were stored since the last time.
    pub fn take_stored(&mut self) -> Vec<ConversationId> {
        std::mem::take(&mut self.stored)
    }

    /// Takes what members have received since the last time.
    pub fn take_settled(&mut self) -> HashMap<(ConversationId, UserId), i64> {
        std::mem::take(&mut self.settled)
    }

    /// Takes those whose last socket closed since the last time.
    pub fn take_last_seen(&mut self) -> Vec<(UserId, Timestamp)> {
        std::mem::take(&mut self.last_seen).into_iter().collect()
    }

    /// Tells whether telling senders is to be begun: there is something to tell, and nobody is about to.
    pub fn begin_telling(&mut self) -> bool {
        !self.untold.is_empty() && !std::mem::replace(&mut self.is_telling, true)
    }

    /// A round of telling has ended. Tells whether another is needed.
    pub fn goes_on_telling(&mut self) -> bool {
        self.is_telling = !self.untold.is_empty();
        self.is_telling
    }

    /// A message's sender is to learn that a user has received it.
    pub fn tell(&mut self, receipt: &Receipt, user: &UserId, at_once: bool) {
        let place = *self.places.entry((receipt.message, at_once)).or_insert(self.untold.len());
        match self.untold.get_mut(place) {
            Some(received) => received.users.push(user.clone()),
            None => self.untold.push(Received { receipt: receipt.clone(), users: vec![user.clone()], at_once }),
        }
    }

    /// What is to be told now, the newest of each conversation first. The rest waits: a sender is told of no more receivers at
    /// once than `most`.
    pub fn take_untold(&mut self, most: usize) -> Vec<Received> {
        self.places.clear();
        let mut untold = std::mem::take(&mut self.untold);
        untold.sort_by_key(|received| Reverse(received.receipt.seq));
        if untold.len() > NEWEST_TOLD {
            let mut of_conversation: HashMap<ConversationId, usize> = HashMap::new();
            untold.retain(|received| {
                let count = of_conversation.entry(received.receipt.conversation).or_default();
                *count += 1;
                *count <= NEWEST_TOLD
            });
        }
        let receivers: usize = untold.iter().map(|received| received.users.len()).sum();
        if receivers <= most {
            return untold;
        }
        let mut of_sender: HashMap<UserId, usize> = HashMap::new();
        let mut told = Vec::new();
        for mut received in untold {
            let count = of_sender.entry(received.receipt.sender.clone()).or_default();
            let now = most.saturating_sub(*count).min(received.users.len());
            *count += now;
            let rest = received.users.split_off(now);
            if !rest.is_empty() {
                self.places.insert((received.receipt.message, received.at_once), self.untold.len());
                self.untold.push(Received { users: rest, receipt: received.receipt.clone(), ..received });
            }
            if now > 0 {
                told.push(received);
            }
        }
        told
    }
}

/// Pages of a catch-up that a socket was told and has not proven yet.
#[derive(Debug, Default)]
pub struct UnprovenPages {
    told: u32,
    waiting: VecDeque<(u32, Vec<Receipt>)>,
}

impl UnprovenPages {
    pub fn push(&mut self, page: Vec<Receipt>) {
        self.told = self.told.saturating_add(1);
        self.waiting.push_back((self.told, page));
    }

    pub fn prove(&mut self, mark: Mark) -> Vec<Receipt> {
        let proven = self.waiting.partition_point(|(number, _)| Mark::Page(*number) <= mark);
        self.waiting.drain(..proven).flat_map(|(_, page)| page).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(sender: &str, seq: i64) -> Receipt {
        let sender = UserId::parse(sender).unwrap();
        Receipt {
            conversation: ConversationId::from_uuid(uuid::Uuid::nil()),
            seq,
            message: MessageId::of_client_id(&sender, &seq.to_string()),
            sender,
            client_message_id: None,
        }
    }

    /// Of whom and which messages, and how many have received each.
    fn told(progress: &mut Progress) -> Vec<(String, i64, usize)> {
        let told = progress.take_untold(8);
        told.iter().map(|told| (told.receipt.sender.to_string(), told.receipt.seq, told.users.len())).collect()
    }

    #[test]
    fn a_sender_is_told_of_no_more_receivers_at_once_than_a_part_of_an_outbox() {
        let mut progress = Progress::default();
        let users: Vec<UserId> = (0..5).map(|number| UserId::parse(&format!("u{number}")).unwrap()).collect();
        for (sender, seq) in [("ann", 1), ("ann", 2), ("ann", 3), ("bob", 4)] {
            users.iter().for_each(|user| progress.tell(&receipt(sender, seq), user, false));
        }
        let of = |sender: &str, seq, users| (sender.to_owned(), seq, users);
        assert_eq!(told(&mut progress), [of("bob", 4, 5), of("ann", 3, 5), of("ann", 2, 3)]);
        // What comes meanwhile comes together with what waits.
        progress.tell(&receipt("ann", 2), &UserId::parse("late").unwrap(), false);
        assert_eq!(told(&mut progress), [of("ann", 2, 3), of("ann", 1, 5)]);
        assert!(told(&mut progress).is_empty());
    }

    #[test]
    fn of_a_conversation_the_newest_are_told() {
        let mut progress = Progress::default();
        let bob = UserId::parse("bob").unwrap();
        let all = i64::try_from(NEWEST_TOLD).unwrap() + 3;
        (1..=all).for_each(|seq| progress.tell(&receipt("ann", seq), &bob, false));
        let told: Vec<_> = progress.take_untold(usize::MAX).iter().map(|told| told.receipt.seq).collect();
        assert_eq!((told.len(), told.first(), told.last()), (NEWEST_TOLD, Some(&all), Some(&4)));
        assert!(progress.take_untold(usize::MAX).is_empty());
    }

    #[test]
    fn a_mark_proves_the_pages_that_were_sent_before_it() {
        let mut pages = UnprovenPages::default();
        (1..=3).for_each(|seq| pages.push(vec![receipt("ann", seq)]));
        let proven = |pages: &mut UnprovenPages, mark| pages.prove(mark).iter().map(|receipt| receipt.seq).collect::<Vec<_>>();
        assert_eq!(proven(&mut pages, Mark::Nothing), Vec::<i64>::new());
        assert_eq!(proven(&mut pages, Mark::Page(2)), [1, 2]);
        assert_eq!(proven(&mut pages, Mark::Page(2)), Vec::<i64>::new(), "once");
        assert_eq!(proven(&mut pages, Mark::Event(1)), [3], "events come behind the catch-up");
    }
}
