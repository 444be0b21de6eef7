//! Events held at one socket, and their bound.
use std::sync::Arc;

use crate::chat::{Broadcast, Event};
use crate::model::{Message, Part};

/// Maximum amount of held events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// Number of events.
    pub events: usize,
    /// Bytes of their packets.
    pub bytes: usize,
}

/// A held event.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A live event, with the bytes of its packets.
    Event { event: Arc<Broadcast>, bytes: usize },
    /// An event missed while the connection was lost, or while too many were held.
    Missed { event: Arc<Broadcast>, had: Option<Part>, is_own: bool },
    /// The event with the first offset, behind the missed ones.
    InitialOffset(Arc<Broadcast>),
    /// An own copy of a message; `stored` is `None` until that is decided.
    Held { event: Arc<Broadcast>, had: Option<Part>, stored: Option<bool> },
}

impl Waiting {
    /// Returns the event.
    pub(super) fn event(&self) -> &Arc<Broadcast> {
        match self {
            Self::Event { event, .. } | Self::Missed { event, .. } | Self::InitialOffset(event) | Self::Held { event, .. } => {
                event
            }
        }
    }

    /// Returns the message in the form shown; `None` if it shows none.
    pub(super) fn form(&self) -> Option<&Arc<Message>> {
        match self.event().event() {
            Event::Message { message, .. } | Event::MessageUpdated { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Returns whether it is an edit.
    pub(super) fn is_edit(&self) -> bool {
        matches!(self.event().event(), Event::MessageUpdated { .. })
    }

    /// Changes the message to its newer form.
    pub(super) fn show_as(&mut self, message: &Arc<Message>) {
        let (Self::Event { event, .. } | Self::Missed { event, .. } | Self::InitialOffset(event) | Self::Held { event, .. }) =
            self;
        if let Some(changed) = event.with_message(message) {
            *event = Arc::new(changed);
        }
    }

    /// Returns the position of the last message dispatched by then.
    pub(super) fn position(&self) -> Option<i64> {
        self.event().offset().map(|offset| offset.position)
    }
}
