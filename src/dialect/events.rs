//! Descriptions of a dialect's events, for rate limits and documentation.
use crate::schema::{Field, SchemaOf, Shape, kinds};

/// Cost class of a request, for the rate limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Sends, joins, and all other work.
    Work,
    /// A read receipt: front ends send one for each message shown.
    Receipt,
    /// Typing: front ends send one for each key press. Only the latest counts.
    Typing,
}

/// Documentation of an event that clients send.
#[derive(Debug, Clone, Copy)]
pub struct EventDoc {
    /// Effect, in one sentence.
    pub summary: &'static str,
    /// Its argument.
    pub takes: Shape,
    /// The argument of its ack, refusals included.
    pub ack: SchemaOf,
    /// Set if the front end always asks for the ack.
    pub is_acked: bool,
    /// Event that answers a success in addition to the ack.
    pub reply: Option<&'static str>,
}

impl EventDoc {
    /// The description of an undocumented event.
    const UNKNOWN: Self = Self {
        summary: "",
        takes: Shape::Value(Field::optional("payload", kinds::anything)),
        ack: kinds::anything,
        is_acked: false,
        reply: None,
    };
}

/// Occurrences of a server event that end with a recovery offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// All of them: it is numbered.
    Always,
    /// All but answers to requests of this socket.
    Unasked,
    /// None: it is volatile, or an answer.
    Never,
}

/// Documentation of an event that the server sends.
#[derive(Debug, Clone, Copy)]
pub struct ServerEvent {
    /// Name on the wire.
    pub name: &'static str,
    /// Occasion, in one sentence.
    pub summary: &'static str,
    /// Its argument, if it has one.
    pub payload: Option<SchemaOf>,
    /// Occurrences with an offset.
    pub offset: Offset,
}

impl ServerEvent {
    /// Describes a numbered event.
    pub const fn new(name: &'static str, payload: SchemaOf, summary: &'static str) -> Self {
        Self { name, summary, payload: Some(payload), offset: Offset::Always }
    }

    /// Describes a volatile event, or an answer.
    pub const fn unplaced(name: &'static str, payload: SchemaOf, summary: &'static str) -> Self {
        Self { offset: Offset::Never, ..Self::new(name, payload, summary) }
    }

    /// Describes an event that is sent unasked, and as an answer.
    pub const fn either(name: &'static str, payload: SchemaOf, summary: &'static str) -> Self {
        Self { offset: Offset::Unasked, ..Self::new(name, payload, summary) }
    }
}

/// An event that clients of a dialect send.
#[derive(Debug, Clone, Copy)]
pub struct ClientEvent {
    /// Name on the wire.
    pub name: &'static str,
    /// Cost class.
    pub class: Class,
    /// Documentation.
    pub doc: &'static EventDoc,
}

impl ClientEvent {
    /// Makes an event that asks for work.
    pub const fn work(name: &'static str) -> Self {
        Self { name, class: Class::Work, doc: &EventDoc::UNKNOWN }
    }

    /// Makes a receipt.
    pub const fn receipt(name: &'static str) -> Self {
        Self { class: Class::Receipt, ..Self::work(name) }
    }

    /// Makes a typing event.
    pub const fn typing(name: &'static str) -> Self {
        Self { class: Class::Typing, ..Self::work(name) }
    }

    /// Adds documentation.
    #[must_use]
    pub const fn doc(self, doc: &'static EventDoc) -> Self {
        Self { doc, ..self }
    }
}
