//! One event on its way to many, encoded once per dialect.
use std::sync::OnceLock;

use crate::engineio::Encoded;

use super::Event;

/// How many different encodings of one event there can be: one per dialect.
pub const ENCODINGS: usize = 6;
/// The number of the encoding of an event that is worded already: the same for all.
pub const WORDED: usize = ENCODINGS;

/// An event and its encodings, made by the first who needs them. The broker never looks at them.
#[derive(Debug)]
pub struct Broadcast {
    event: Event,
    encodings: [OnceLock<Option<Encoded>>; ENCODINGS + 1],
}

impl Broadcast {
    /// An event that nobody has encoded yet.
    pub fn new(event: Event) -> Self {
        Self { event, encodings: Default::default() }
    }

    /// What happened.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Its encoding number `index`, made by `encode` where nobody did before; `None` where it has no words there.
    pub fn encoding(&self, index: usize, encode: impl FnOnce(&Event) -> Option<Encoded>) -> Option<&Encoded> {
        self.encodings.get(index)?.get_or_init(|| encode(&self.event)).as_ref()
    }
}
