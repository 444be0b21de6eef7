//! One event on its way to many, encoded once per dialect.
use std::sync::{Arc, OnceLock};

use crate::engineio::Encoded;
use crate::model::UserId;

use super::Event;

/// How many different encodings of one event there can be: one per dialect.
pub const ENCODINGS: usize = 6;
/// The number of the encoding of an event that is worded already: the same for all.
pub const WORDED: usize = ENCODINGS;

/// An event and its encodings, made by the first who needs them. The broker never looks at them.
#[derive(Debug)]
pub struct Broadcast {
    event: Event,
    names: Names,
    encodings: [OnceLock<Option<Encoded>>; ENCODINGS + 1],
}

/// What some of those who are told of an event call its conversation.
pub type Names = Vec<(UserId, Arc<str>)>;

impl Broadcast {
    /// An event that nobody has encoded yet.
    pub fn new(event: Event) -> Self {
        Self::named(event, Names::new())
    }

    /// An event in a conversation for which some have names of their own.
    pub fn named(event: Event, names: Names) -> Self {
        Self { event, names, encodings: Default::default() }
    }

    /// What happened.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// What `viewer` calls its conversation, where that is not its id.
    pub fn name_for(&self, viewer: &UserId) -> Option<&str> {
        self.names.iter().find(|(owner, _)| owner == viewer).map(|(_, name)| &**name)
    }

    /// Its encoding number `index`, made by `encode` where nobody did before; `None` where it has no words there.
    pub fn encoding(&self, index: usize, encode: impl FnOnce(&Event) -> Option<Encoded>) -> Option<&Encoded> {
        self.encodings.get(index)?.get_or_init(|| encode(&self.event)).as_ref()
    }
}
