//! Descriptions of a dialect's events, for rate limits and documents.
use crate::schema::{Field, SchemaOf, Shape, kinds};

/// The cost of a request, for the rate limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Sends, joins, all that asks for work.
    Work,
    /// A read receipt: front ends send one for each message that they show.
    Receipt,
    /// Typing: front ends send one for each key. Only the latest counts.
    Typing,
}

/// The description of an event that clients send, for documents.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its effect, in a sentence.
    pub summary: &'static str,
    /// Its argument.
    pub takes: Shape,
    /// The argument of its ack, refusals included.
    pub ack: SchemaOf,
    /// Its front end always asks for the ack.
    pub is_acked: bool,
    /// The event that answers a success beside the ack.
    pub reply: Option<&'static str>,
}

impl About {
    /// The description of an event that nobody has described.
    const UNKNOWN: Self = Self {
        summary: "",
        takes: Shape::Value(Field::optional("payload", kinds::anything)),
        ack: kinds::anything,
        is_acked: false,
        reply: None,
    };
}

/// The events of one name that have their recovery offset as last argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// It has a place in the order of events.
    Always,
    /// Where it does not answer a request of this socket.
    Unasked,
    /// It may be dropped, or is an answer.
    Never,
}

/// The description of an event that clients are told, for documents.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Its name on the wire.
    pub name: &'static str,
    /// When it comes, in a sentence.
    pub summary: &'static str,
    /// Its argument, where it has one.
    pub payload: Option<SchemaOf>,
    /// Says when an offset follows.
    pub offset: Offset,
}

impl Told {
    /// An event with a place in the order.
    pub const fn new(name: &'static str, payload: SchemaOf, summary: &'static str) -> Self {
        Self { name, summary, payload: Some(payload), offset: Offset::Always }
    }

    /// An event that may be dropped, or an answer.
    pub const fn unplaced(name: &'static str, payload: SchemaOf, summary: &'static str) -> Self {
        Self { offset: Offset::Never, ..Self::new(name, payload, summary) }
    }

    /// An event that comes by itself, and as an answer.
    pub const fn either(name: &'static str, payload: SchemaOf, summary: &'static str) -> Self {
        Self { offset: Offset::Unasked, ..Self::new(name, payload, summary) }
    }
}

/// An event that clients of a dialect send.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its cost.
    pub class: Class,
    /// Its description, for documents.
    pub about: &'static About,
}

impl Entry {
    /// An event that asks for work.
    pub const fn work(name: &'static str) -> Self {
        Self { name, class: Class::Work, about: &About::UNKNOWN }
    }

    /// A receipt.
    pub const fn receipt(name: &'static str) -> Self {
        Self { class: Class::Receipt, ..Self::work(name) }
    }

    /// Typing.
    pub const fn typing(name: &'static str) -> Self {
        Self { class: Class::Typing, ..Self::work(name) }
    }

    /// The same, described.
    #[must_use]
    pub const fn about(self, about: &'static About) -> Self {
        Self { about, ..self }
    }
}
