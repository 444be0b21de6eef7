//! Events that wait at one socket, and how many of them may.
use std::sync::Arc;

use crate::chat::{Broadcast, Event};
use crate::model::{Message, Part};

/// Most that may wait.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Events.
    pub events: usize,
    /// Bytes of their packets.
    pub bytes: usize,
}

/// An event that waits.
#[derive(Debug)]
pub enum Waiting {
    /// Of now, with the bytes of its packets.
    Event { event: Arc<Broadcast>, bytes: usize },
    /// Of what was missed while the connection was lost, or while too much waited.
    Missed { event: Arc<Broadcast>, had: Option<Part>, is_own: bool },
    /// Behind that.
    Seed(Arc<Broadcast>),
    /// `stored`: `None` while that is open.
    Held { event: Arc<Broadcast>, had: Option<Part>, stored: Option<bool> },
}

impl Waiting {
    /// The event.
    pub fn event(&self) -> &Arc<Broadcast> {
        match self {
            Self::Event { event, .. } | Self::Missed { event, .. } | Self::Seed(event) | Self::Held { event, .. } => event,
        }
    }

    /// The message, as it shows it; `None`: it shows none.
    pub fn form(&self) -> Option<&Arc<Message>> {
        match self.event().event() {
            Event::Message { message, .. } | Event::MessageUpdated { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Tells whether it is an edit.
    pub fn is_edit(&self) -> bool {
        matches!(self.event().event(), Event::MessageUpdated { .. })
    }

    /// Has it show its message as that has become.
    pub fn show_as(&mut self, message: &Arc<Message>) {
        let (Self::Event { event, .. } | Self::Missed { event, .. } | Self::Seed(event) | Self::Held { event, .. }) = self;
        if let Some(changed) = event.with_message(message) {
            *event = Arc::new(changed);
        }
    }

    /// Position of the last message that was handed out by then.
    pub fn position(&self) -> Option<i64> {
        self.event().offset().map(|offset| offset.position)
    }
}
