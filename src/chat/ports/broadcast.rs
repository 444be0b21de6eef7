//! One event on its way to many, encoded once per dialect.
use std::sync::{Arc, OnceLock};

use super::event::Event;
use crate::engineio::Encoded;
use crate::model::{FIXED_ENCODINGS, Message, Offset, OffsetKind, Part, SocketId, UserId};

/// Number of different encodings that one event can have: one per dialect.
pub const ENCODINGS: usize = 64;

/// The number of the encoding of an event that is worded already: the same for all.
pub const WORDED: usize = ENCODINGS;

/// Room for a dialect's encoding, made by the first who needs it.
type Room = OnceLock<Option<Encoded>>;

/// Bytes of an event's packets beside its texts, about.
const ENVELOPE_BYTES: usize = 1_500;

/// An event and its encodings, made by the first who needs them. The broker never looks at them.
#[derive(Debug)]
pub struct Broadcast {
    event: Event,
    names: Names,
    offset: Option<Offset>,
    /// Set if its packets have one place all together.
    is_one_place: bool,
    had: Option<Part>,
    confirmation_wanted: ConfirmationWanted,
    shown_live_to: Option<SocketId>,
    encodings: Encodings,
    /// The same without offsets; made by the first client that wants none.
    bare: OnceLock<Box<Encodings>>,
}

/// A room for each encoding.
#[derive(Debug, Default)]
struct Encodings {
    /// Encodings of the compiled dialects.
    fixed: [Room; FIXED_ENCODINGS],
    /// That of an event which is worded already.
    worded: Room,
    /// Encodings of all other dialects, if any is needed.
    further: OnceLock<Box<[Room]>>,
}

impl Encodings {
    fn room(&self, index: usize) -> Option<&Room> {
        match self.fixed.get(index) {
            Some(room) => Some(room),
            None if index == WORDED => Some(&self.worded),
            None => {
                let further = self.further.get_or_init(|| (FIXED_ENCODINGS..ENCODINGS).map(|_| Room::new()).collect());
                further.get(index - FIXED_ENCODINGS)
            }
        }
    }
}

/// Urgency with which somebody waits to hear that an event has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConfirmationWanted {
    /// Nobody waits.
    #[default]
    No,
    /// Wanted before long: an event that is not confirmed comes again.
    Soon,
    /// A sender who is here waits for it.
    AtOnce,
}

/// Aliases that some of the users notified of an event have for its conversation.
pub type Names = Vec<(UserId, Arc<str>)>;

impl Broadcast {
    /// An event that nobody has encoded yet and that has no place in the order: a volatile one.
    pub fn new(event: Event) -> Self {
        Self {
            event,
            names: Names::new(),
            offset: None,
            is_one_place: false,
            had: None,
            confirmation_wanted: ConfirmationWanted::No,
            shown_live_to: None,
            encodings: Encodings::default(),
            bare: OnceLock::new(),
        }
    }

    /// The same, in a conversation for which some have names of their own.
    #[must_use]
    pub fn named(self, names: Names) -> Self {
        Self { names, ..self }
    }

    /// The same with a place in the order, of which every packet bears its own part.
    #[must_use]
    pub fn placed(self, offset: Offset) -> Self {
        Self { offset: Some(offset), ..self }
    }

    /// The same with an offset of which it is not the event itself: all its packets bear just that.
    #[must_use]
    pub fn with_initial_offset(self, offset: Offset) -> Self {
        Self { offset: Some(offset), is_one_place: true, ..self }
    }

    /// The same for one who had its packets up to this one before.
    #[must_use]
    pub fn behind(self, had: Option<Part>) -> Self {
        Self { had, ..self }
    }

    /// The same with somebody who waits to hear that it has arrived.
    #[must_use]
    pub fn wanting(self, confirmation_wanted: ConfirmationWanted) -> Self {
        Self { confirmation_wanted, ..self }
    }

    /// The same, of a message that the socket which sent it is shown with all others, where it is one.
    #[must_use]
    pub fn shown_live_to(self, socket: Option<SocketId>) -> Self {
        Self { shown_live_to: socket, ..self }
    }

    /// The same with its message as that has become; `None`: it brings none.
    pub fn with_message(&self, message: &Arc<Message>) -> Option<Self> {
        let Event::Message { kind, recipient, .. } = &self.event else { return None };
        let event = Event::Message { message: Arc::clone(message), kind: *kind, recipient: recipient.clone() };
        let Self { offset, is_one_place, had, confirmation_wanted, shown_live_to, .. } = *self;
        let names = self.names.clone();
        Some(Self { offset, is_one_place, had, confirmation_wanted, shown_live_to, ..Self::new(event).named(names) })
    }

    /// Returns whether it is a socket's own message, shown to it with all others.
    pub fn is_live_copy_of(&self, socket: SocketId) -> bool {
        self.shown_live_to == Some(socket)
    }

    /// Returns the event itself.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The message that is new by it.
    pub fn message(&self) -> Option<&Arc<Message>> {
        match &self.event {
            Event::Message { message, .. } | Event::RoomMessage { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Its place in the order.
    pub fn offset(&self) -> Option<Offset> {
        self.offset
    }

    /// The place of one of its packets.
    pub fn offset_of(&self, part: Part) -> Option<Offset> {
        self.offset.map(|offset| if self.is_one_place { offset } else { offset.at(part) })
    }

    /// Returns its number among the events since the start; volatile ones have none.
    pub fn event_seq(&self) -> Option<u64> {
        match self.offset?.kind {
            OffsetKind::Event { event_seq, .. } => Some(event_seq),
            OffsetKind::CaughtUp | OffsetKind::Unreceived { .. } => None,
        }
    }

    /// Its receiver had the packets up to this one before.
    pub fn had(&self) -> Option<Part> {
        self.had
    }

    /// Returns whether somebody waits to hear that it has reached `viewer`; nobody does for the message's own sender.
    pub fn confirmation_wanted_of(&self, viewer: &UserId) -> ConfirmationWanted {
        match self.confirmation_wanted {
            ConfirmationWanted::No => ConfirmationWanted::No,
            _ if self.message().is_some_and(|message| message.sender.id == *viewer) => ConfirmationWanted::No,
            wanted => wanted,
        }
    }

    /// Returns the alias that `viewer` has for its conversation, if any.
    pub fn name_for(&self, viewer: &UserId) -> Option<&str> {
        self.names.iter().find(|(owner, _)| owner == viewer).map(|(_, name)| &**name)
    }

    /// Its encoding number `index`, with or without offsets, made by `encode` where nobody did before; `None` where that
    /// dialect cannot show it.
    pub fn encoding(&self, index: usize, has_offsets: bool, encode: impl FnOnce(&Self) -> Option<Encoded>) -> Option<&Encoded> {
        let encodings = if has_offsets || self.offset.is_none() { &self.encodings } else { self.bare.get_or_init(Box::default) };
        encodings.room(index)?.get_or_init(|| encode(self)).as_ref()
    }

    /// The memory that it takes as long as it is kept, about.
    pub fn weight(&self) -> usize {
        let texts = match &self.event {
            // In a few dialects' words.
            Event::Message { message, .. } | Event::RoomMessage { message, .. } | Event::MessageUpdated { message, .. } => {
                3 * message.content.len()
            }
            Event::Notification(notification) => notification.message.len() + notification.data.as_ref().map_or(0, String::len),
            Event::ConversationChanged(conversation) => 40 * conversation.participants.len(),
            Event::Emitted(emitted) => 2 * emitted.data.as_ref().map_or(0, |data| data.len()),
            _ => 0,
        };
        texts + ENVELOPE_BYTES
    }
}
