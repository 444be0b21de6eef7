//! Messages on their way to the store.
use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::questions::Question;
use super::requests::{ReplyTo, Running};
use crate::chat::ports::{Broadcast, Event, RoomKey};
use crate::engineio::{ConnectionKey, Slot};
use crate::hash::HashMap;
use crate::model::{Conversation, ConversationId, ConversationKind, Message, MessageId, Place, Profile, Timestamp, UserId};

/// Maximum number of sends that were given up whose ids are remembered.
const FAILED_MAX: usize = 10_000;

/// An admitted message that is being stored.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub message: Arc<Message>,
    pub audience: Audience,
    pub reply_to: ReplyTo,
    /// Set if recipients have it already.
    pub is_dispatched: bool,
    /// Set if a live socket of a recipient has been sent it.
    pub is_delivered: bool,
    /// Sockets that were notified: the rooms' lists as they were then, and single ones.
    pub dispatched_lists: DispatchedLists,
    pub dispatched_sockets: SmallVec<[ConnectionKey; 4]>,
    /// Members who had no socket when it was dispatched.
    pub absent: Arc<[UserId]>,
    /// Set if it is dispatched only once it is stored, whatever `DELIVERY` says.
    pub waits_for_commit: bool,
    /// Earlier try that was given up; the database may have stored it nevertheless.
    pub given_up: Option<FailedSend>,
    /// Of the request, where it bears a `clientMessageId`.
    pub request_hash: Option<[u8; 32]>,
    /// Event that recipients have.
    pub event: Option<Arc<Broadcast>>,
    /// Question to the model, asked once the message is stored.
    pub question: Option<Box<Question>>,
    /// Commands about it, and repeats of it, that wait until it is stored.
    pub waiters: Vec<Running>,
}

impl InFlight {
    /// A message that nobody has been notified of yet.
    pub(crate) fn new(message: Message, audience: Audience, reply_to: ReplyTo) -> Self {
        Self {
            message: Arc::new(message),
            audience,
            reply_to,
            is_dispatched: false,
            is_delivered: false,
            dispatched_lists: SmallVec::new(),
            dispatched_sockets: SmallVec::new(),
            absent: Arc::default(),
            waits_for_commit: false,
            given_up: None,
            request_hash: None,
            event: None,
            question: None,
            waiters: Vec::new(),
        }
    }
}

/// The connections of a room, by worker.
pub(crate) type DispatchedLists = SmallVec<[(u16, Arc<Vec<Slot>>); 2]>;

/// Recipients of a message.
#[derive(Debug, Clone)]
pub(crate) enum Audience {
    /// The users of a direct conversation or one with the model.
    Pair { kind: ConversationKind, recipient: Arc<Profile> },
    /// A group's unmuted sockets.
    Group(ConversationId),
    /// A public room or the common chat; the room's id as the sender wrote it.
    Room { key: RoomKey, shown_as: Box<str> },
}

impl Audience {
    pub(crate) fn event(&self, message: Arc<Message>) -> Event {
        match self {
            Self::Pair { kind, recipient, .. } => Event::Message { message, kind: *kind, recipient: Some(recipient.clone()) },
            Self::Group(_) => Event::Message { message, kind: ConversationKind::Group, recipient: None },
            Self::Room { shown_as, .. } => Event::RoomMessage { message, shown_as: shown_as.clone() },
        }
    }

    /// Of a direct conversation: the other one.
    pub(crate) fn recipient(&self) -> Option<Arc<Profile>> {
        match self {
            Self::Pair { recipient, .. } => Some(recipient.clone()),
            Self::Group(_) | Self::Room { .. } => None,
        }
    }
}

/// Messages on their way to the store. Their positions rise in the order of their admission, and so they are dispatched: nobody
/// overtakes one that waits for its commit.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    in_flight: HashMap<MessageId, InFlight>,
    /// Messages that the store had already, while what it has is read.
    known: HashMap<u64, InFlight>,
    /// Admitted messages that are not dispatched yet, in order.
    undispatched: VecDeque<MessageId>,
    failed: FailedSends,
    /// Users of the sockets that left while messages up to a position were under way.
    departed: VecDeque<(i64, ConnectionKey, UserId)>,
    /// Position of the last message that is in flight no more.
    landed: i64,
    /// Position of the last message, or change of one, that was admitted.
    position: i64,
}

impl Sends {
    /// None yet; the store's last position is this.
    pub(crate) fn new(position: i64) -> Self {
        Self { position, ..Self::default() }
    }

    // ---- positions ----

    /// Returns the last position that was given.
    pub(crate) fn position(&self) -> i64 {
        self.position
    }

    /// Returns the position that whatever is admitted next has.
    pub(crate) fn next_position(&self) -> i64 {
        self.position + 1
    }

    /// A change of a message has this position. Positions do not fall.
    pub(crate) fn take_position(&mut self, position: i64) {
        self.position = self.position.max(position);
    }

    /// Returns the position up to which all is dispatched: later messages reach a socket that joins now by themselves.
    pub(crate) fn dispatched_position(&self) -> i64 {
        let first = self.undispatched.front().and_then(|id| self.in_flight.get(id));
        first.map_or(self.position, |in_flight| in_flight.message.position - 1)
    }

    // ---- from the admission to the commit ----

    /// Admits a message at its position. Returns whether it is dispatched now: not behind another one, nor where an earlier try
    /// of it was given up, which the database may have stored.
    pub(crate) fn admit(&mut self, mut in_flight: InFlight, is_live: bool) -> bool {
        let id = in_flight.message.id;
        self.take_position(in_flight.message.position);
        // The database may have stored the earlier try: only the commit tells whether this one is new and to be dispatched.
        if let Some(failed) = self.failed.take(id) {
            in_flight.waits_for_commit = true;
            in_flight.given_up = Some(failed);
        }
        // Behind one that waits all wait, for an offset claims every position below its own.
        let is_dispatched = is_live && self.undispatched.is_empty() && !in_flight.waits_for_commit;
        if !is_dispatched {
            self.undispatched.push_back(id);
        }
        self.in_flight.insert(id, in_flight);
        is_dispatched
    }

    /// A message is stored. Returns whether it is dispatched now: where it is the first of those that wait for that.
    pub(crate) fn take_first_undispatched(&mut self, id: MessageId) -> bool {
        let is_first = self.undispatched.front() == Some(&id);
        if is_first {
            self.undispatched.pop_front();
        }
        is_first
    }

    /// Returns the next message that may be dispatched before it is stored.
    pub(crate) fn next_undispatched(&mut self) -> Option<MessageId> {
        let next = self.undispatched.front().copied()?;
        if self.in_flight.get(&next).is_some_and(|in_flight| in_flight.waits_for_commit) {
            return None;
        }
        self.undispatched.pop_front()
    }

    /// A message will not be dispatched any more.
    pub(crate) fn drop_undispatched(&mut self, id: MessageId) {
        self.undispatched.retain(|waiting| *waiting != id);
    }

    /// Takes a message out whose commit is there, or failed.
    pub(crate) fn land(&mut self, id: MessageId) -> Option<InFlight> {
        let in_flight = self.in_flight.remove(&id)?;
        self.landed = in_flight.message.position;
        Some(in_flight)
    }

    /// Takes a message out for a moment, or for good.
    pub(crate) fn take(&mut self, id: MessageId) -> Option<InFlight> {
        self.in_flight.remove(&id)
    }

    /// Puts back what was taken out.
    pub(crate) fn put_back(&mut self, in_flight: InFlight) {
        self.in_flight.insert(in_flight.message.id, in_flight);
    }

    /// Keeps a message that the store had already, while what it has is read under this ticket.
    pub(crate) fn keep_known(&mut self, ticket: u64, in_flight: InFlight) {
        self.known.insert(ticket, in_flight);
    }

    /// Takes out what is kept under a ticket.
    pub(crate) fn take_known(&mut self, ticket: u64) -> Option<InFlight> {
        self.known.remove(&ticket)
    }

    // ---- what is under way ----

    /// Returns a message that is being stored.
    pub(crate) fn get(&self, id: &MessageId) -> Option<&InFlight> {
        self.in_flight.get(id)
    }

    /// [`Sends::get`], to change it.
    pub(crate) fn get_mut(&mut self, id: &MessageId) -> Option<&mut InFlight> {
        self.in_flight.get_mut(id)
    }

    /// Returns whether a message is being stored.
    pub(crate) fn contains(&self, id: &MessageId) -> bool {
        self.in_flight.contains_key(id)
    }

    /// Returns all messages that are being stored, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &InFlight> {
        self.in_flight.values()
    }

    /// Number of messages that are being stored.
    pub(crate) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.in_flight.is_empty() && self.known.is_empty()
    }

    // ---- who had a message that is given up ----

    /// A named send is given up.
    pub(crate) fn note_failed(&mut self, id: MessageId, failed: FailedSend, now: Timestamp) {
        self.failed.insert(id, failed, now);
    }

    /// Returns whether an earlier try of a named send was given up after it may have been seen.
    pub(crate) fn may_have_been_seen(&self, id: &MessageId) -> bool {
        self.failed.sends.get(id).is_some_and(|failed| failed.may_be_seen)
    }

    /// Forgets who had what was given up before then.
    pub(crate) fn forget_failed_before(&mut self, then: Timestamp) {
        self.failed.forget_before(then);
    }

    /// A socket goes. Whose it was is remembered while something is being stored that it may have been sent.
    pub(crate) fn note_departed(&mut self, connection: ConnectionKey, user: &UserId) {
        if !self.in_flight.is_empty() {
            self.departed.push_back((self.position, connection, user.clone()));
        }
    }

    /// Returns the user of a socket that went while something was being stored.
    pub(crate) fn departed(&self, connection: ConnectionKey) -> Option<&UserId> {
        self.departed.iter().find(|(_, gone, _)| *gone == connection).map(|(_, _, user)| user)
    }

    /// Forgets those who went before all that is being stored now was admitted.
    pub(crate) fn forget_departed(&mut self) {
        let is_idle = self.in_flight.is_empty();
        while self.departed.front().is_some_and(|(position, ..)| is_idle || *position <= self.landed) {
            self.departed.pop_front();
        }
    }
}

/// A named send that was given up: a retry goes to those who have not had it.
#[derive(Debug, Default)]
pub(crate) struct FailedSend {
    /// Users who were notified, each by the event with that number.
    pub notified: HashMap<UserId, u64>,
    /// Tells whether anybody may have seen it.
    pub may_be_seen: bool,
}

/// Named sends that were given up.
#[derive(Debug, Default)]
struct FailedSends {
    sends: HashMap<MessageId, FailedSend>,
    order: VecDeque<(Timestamp, MessageId)>,
}

impl FailedSends {
    /// Remembers a send, beside what is known of earlier tries.
    pub(crate) fn insert(&mut self, message: MessageId, failed: FailedSend, now: Timestamp) {
        let known = self.sends.entry(message).or_default();
        known.notified.extend(failed.notified);
        known.may_be_seen |= failed.may_be_seen;
        self.order.push_back((now, message));
        while self.order.len() > FAILED_MAX {
            self.order.pop_front().map(|(_, oldest)| self.sends.remove(&oldest));
        }
    }

    /// Takes what is known of an earlier try, if one was given up.
    pub(crate) fn take(&mut self, message: MessageId) -> Option<FailedSend> {
        self.sends.remove(&message)
    }

    /// Forgets what is older.
    pub(crate) fn forget_before(&mut self, then: Timestamp) {
        while self.order.front().is_some_and(|(at, _)| *at < then) {
            self.order.pop_front().map(|(_, oldest)| self.sends.remove(&oldest));
        }
    }
}

/// Target of a send, complete once it may be sent to.
pub(crate) struct Target {
    pub place: Place,
    pub audience: Audience,
    /// A conversation that has to be made first: a direct one, or a chat with the model.
    pub new_conversation: Option<Arc<Conversation>>,
    /// Alias that the sender has for the conversation from now on.
    pub new_name: Option<String>,
}

impl Target {
    pub(crate) fn new(place: Place, audience: Audience) -> Self {
        Self { place, audience, new_conversation: None, new_name: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{connection, message_at, user};
    use super::*;

    fn in_flight(position: i64, waits_for_commit: bool) -> InFlight {
        let message = message_at(position);
        let audience = Audience::Group(ConversationId::from_uuid(uuid::Uuid::from_u128(7)));
        let reply_to = ReplyTo::Http(0);
        InFlight { waits_for_commit, ..InFlight::new(message, audience, reply_to) }
    }

    fn id(position: i64) -> MessageId {
        message_at(position).id
    }

    #[test]
    fn positions_rise_whatever_is_admitted() {
        let mut sends = Sends::new(4);
        sends.admit(in_flight(sends.next_position(), false), true);
        sends.take_position(sends.next_position());
        sends.take_position(2);
        assert_eq!((sends.position(), sends.next_position()), (6, 7));
    }

    #[test]
    fn nobody_overtakes_one_that_waits_for_its_commit() {
        let mut sends = Sends::new(0);
        assert!(sends.admit(in_flight(1, false), true), "nothing is before it");
        assert!(!sends.admit(in_flight(2, true), true), "it waits");
        assert!(!sends.admit(in_flight(3, false), true), "behind the one that waits");
        assert_eq!(sends.dispatched_position(), 1);
        assert_eq!(sends.next_undispatched(), None);
        assert!(!sends.take_first_undispatched(id(3)), "stored first, it stays behind");
        assert!(sends.take_first_undispatched(id(2)));
        assert_eq!((sends.next_undispatched(), sends.dispatched_position()), (Some(id(3)), 3));
    }

    #[test]
    fn what_waits_goes_in_the_order_of_its_admission() {
        let mut sends = Sends::new(0);
        for position in 1..=3 {
            assert!(!sends.admit(in_flight(position, false), false), "the store is away");
        }
        sends.drop_undispatched(id(2));
        assert_eq!(
            [sends.next_undispatched(), sends.next_undispatched(), sends.next_undispatched()],
            [Some(id(1)), Some(id(3)), None]
        );
    }

    #[test]
    fn a_name_that_was_given_up_remembers_who_has_it() {
        let mut sends = Sends::new(0);
        let now = Timestamp::from_millis(1);
        let seen = || FailedSend { notified: HashMap::from_iter([(user("bob"), 9)]), may_be_seen: true };
        sends.note_failed(id(1), seen(), now);
        sends.note_failed(id(1), FailedSend::default(), now);
        sends.forget_failed_before(now);
        assert!(sends.may_have_been_seen(&id(1)) && !sends.may_have_been_seen(&id(2)));
        assert!(!sends.admit(in_flight(1, false), true), "the database may have stored it");
        let again = sends.get(&id(1)).unwrap();
        let seen_before = again.given_up.as_ref().unwrap();
        assert!(again.waits_for_commit && seen_before.may_be_seen && seen_before.notified.get(&user("bob")) == Some(&9));
        sends.note_failed(id(2), seen(), now);
        sends.forget_failed_before(Timestamp::from_millis(2));
        sends.admit(in_flight(2, false), true);
        assert!(sends.get(&id(2)).unwrap().given_up.is_none(), "after a day");
    }

    #[test]
    fn who_went_is_known_while_something_they_may_have_is_being_stored() {
        let mut sends = Sends::new(0);
        let (first, second) = (connection(1), connection(2));
        sends.note_departed(first, &user("ann"));
        assert_eq!(sends.departed(first), None, "nothing was under way");
        sends.admit(in_flight(1, false), true);
        sends.note_departed(first, &user("ann"));
        sends.admit(in_flight(2, false), true);
        sends.note_departed(second, &user("bob"));
        sends.land(id(1));
        sends.forget_departed();
        assert_eq!((sends.departed(first), sends.departed(second)), (None, Some(&user("bob"))));
        sends.land(id(2));
        sends.forget_departed();
        assert_eq!(sends.departed(second), None);
    }
}
