//! Messages on their way to the store.
use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::questions::Question;
use super::requests::{Asker, Pending};
use crate::chat::ports::{Broadcast, Event, RoomKey};
use crate::engineio::{ConnectionKey, Seat};
use crate::model::{Conversation, ConversationId, ConversationKind, Message, MessageId, Place, Profile, Timestamp, UserId};

/// At most so many ids of sends that were given up are remembered.
const FAILED_MAX: usize = 10_000;

/// An admitted message that is being stored.
#[derive(Debug)]
pub struct InFlight {
    pub message: Arc<Message>,
    pub audience: Audience,
    pub asker: Asker,
    /// Whether recipients have it already.
    pub is_handed: bool,
    /// Whether a live socket of a recipient has been handed it.
    pub is_delivered: bool,
    /// Who was told: the rooms' lists as they were then, and single sockets.
    pub handed_lists: HandedLists,
    pub handed_sockets: SmallVec<[ConnectionKey; 4]>,
    /// Members who had no socket when it was handed out.
    pub absent: Arc<[UserId]>,
    /// Whether it is handed out only once it is stored, whatever `DELIVERY` says.
    pub waits_for_commit: bool,
    /// An earlier try was given up; the database may have stored it nevertheless.
    pub was_given_up: bool,
    /// Users who were told of that try, by the event with this number.
    pub spared: HashMap<UserId, u64>,
    /// Of the request, where it bears a `clientMessageId`.
    pub request_hash: Option<[u8; 32]>,
    /// What recipients have.
    pub event: Option<Arc<Broadcast>>,
    /// What the model is asked once it is stored.
    pub question: Option<Box<Question>>,
    /// Commands about it, and repeats of it, that wait until it is stored.
    pub waiters: Vec<Pending>,
}

impl InFlight {
    /// A message that nobody has been told of yet.
    pub fn new(message: Message, audience: Audience, asker: Asker) -> Self {
        Self {
            message: Arc::new(message),
            audience,
            asker,
            is_handed: false,
            is_delivered: false,
            handed_lists: SmallVec::new(),
            handed_sockets: SmallVec::new(),
            absent: Arc::default(),
            waits_for_commit: false,
            was_given_up: false,
            spared: HashMap::new(),
            request_hash: None,
            event: None,
            question: None,
            waiters: Vec::new(),
        }
    }
}

/// The connections of a room, by worker.
pub type HandedLists = SmallVec<[(u16, Arc<Vec<Seat>>); 2]>;

/// Who a message is for.
#[derive(Debug, Clone)]
pub enum Audience {
    /// The users of a direct conversation or one with the model.
    Pair { kind: ConversationKind, recipient: Arc<Profile> },
    /// A group's unmuted sockets.
    Group(ConversationId),
    /// A public room or the common chat; the room's id as the sender wrote it.
    Room { key: RoomKey, shown_as: Box<str> },
}

impl Audience {
    pub fn event(&self, message: Arc<Message>) -> Event {
        match self {
            Self::Pair { kind, recipient, .. } => Event::Message { message, kind: *kind, recipient: Some(recipient.clone()) },
            Self::Group(_) => Event::Message { message, kind: ConversationKind::Group, recipient: None },
            Self::Room { shown_as, .. } => Event::RoomMessage { message, shown_as: shown_as.clone() },
        }
    }

    /// Of a direct conversation: the other one.
    pub fn recipient(&self) -> Option<Arc<Profile>> {
        match self {
            Self::Pair { recipient, .. } => Some(recipient.clone()),
            Self::Group(_) | Self::Room { .. } => None,
        }
    }
}

/// Named sends that were given up, and who had been told of them by which event: a retry goes to the others.
#[derive(Debug, Default)]
pub struct FailedSends {
    told: HashMap<MessageId, HashMap<UserId, u64>>,
    order: VecDeque<(Timestamp, MessageId)>,
}

impl FailedSends {
    /// Remembers who was told.
    pub fn insert(&mut self, message: MessageId, told: HashMap<UserId, u64>, now: Timestamp) {
        self.told.entry(message).or_default().extend(told);
        self.order.push_back((now, message));
        while self.order.len() > FAILED_MAX {
            self.order.pop_front().map(|(_, oldest)| self.told.remove(&oldest));
        }
    }

    /// Who was told of an earlier try, if one was given up.
    pub fn take(&mut self, message: MessageId) -> Option<HashMap<UserId, u64>> {
        self.told.remove(&message)
    }

    /// Forgets what is older.
    pub fn forget_before(&mut self, then: Timestamp) {
        while self.order.front().is_some_and(|(at, _)| *at < then) {
            self.order.pop_front().map(|(_, oldest)| self.told.remove(&oldest));
        }
    }
}

/// What is known of a target once it may be sent to.
pub struct Target {
    pub place: Place,
    pub audience: Audience,
    /// A conversation that has to be made first: a direct one, or a chat with the model.
    pub new_conversation: Option<Arc<Conversation>>,
    /// What the sender calls the conversation from now on.
    pub new_name: Option<String>,
}

impl Target {
    pub fn new(place: Place, audience: Audience) -> Self {
        Self { place, audience, new_conversation: None, new_name: None }
    }
}
