//! Events that wait at one socket: behind its catch-up, or behind the sender's copy of a message that is being stored.
use std::collections::VecDeque;
use std::sync::Arc;

use crate::chat::{Broadcast, Event};
use crate::model::MessageId;

/// More waits than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

#[derive(Debug)]
enum Waiting {
    Event {
        event: Arc<Broadcast>,
        bytes: usize,
    },
    /// `stored`: `None` while that is open.
    Held {
        event: Arc<Broadcast>,
        stored: Option<bool>,
    },
}

/// An event that may leave.
#[derive(Debug)]
pub struct Leaving {
    /// The event.
    pub event: Arc<Broadcast>,
    /// Whether it is the copy of a message at the socket that sent it.
    pub is_own: bool,
}

/// The queue in front of the outbox. Volatile events, acks, replies and errors pass it by.
#[derive(Debug, Default)]
pub struct Gate {
    /// Whether the catch-up is under way: nothing leaves here until it is done.
    catching_up: bool,
    /// Whether a page of it is in the outbox.
    page_is_out: bool,
    waiting: VecDeque<Waiting>,
    waiting_events: usize,
    waiting_bytes: usize,
}

impl Gate {
    /// The catch-up begins.
    pub fn begin_catch_up(&mut self) {
        self.catching_up = true;
    }

    /// A page of the catch-up is on its way.
    pub fn send_page(&mut self) {
        self.page_is_out = true;
    }

    /// The outbox is empty; whether that was a page of the catch-up.
    pub fn page_left(&mut self) -> bool {
        std::mem::take(&mut self.page_is_out)
    }

    /// The catch-up is complete.
    pub fn end_catch_up(&mut self) {
        self.catching_up = false;
    }

    /// Whether events have to wait.
    pub fn is_shut(&self) -> bool {
        self.catching_up || !self.waiting.is_empty()
    }

    /// Whether there is nothing to remember.
    pub fn is_idle(&self) -> bool {
        !self.is_shut() && !self.page_is_out
    }

    /// Puts an event behind the others.
    ///
    /// # Errors
    /// [`Overflow`] if as much waits already as an outbox may hold.
    pub fn push(&mut self, event: &Arc<Broadcast>, bytes: usize, max_events: usize, max_bytes: usize) -> Result<(), Overflow> {
        if self.waiting_events >= max_events || self.waiting_bytes >= max_bytes {
            return Err(Overflow);
        }
        self.waiting_events += 1;
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting::Event { event: Arc::clone(event), bytes });
        Ok(())
    }

    /// Keeps the sender's copy of a message. Copies count against no limit: unanswered requests have their own.
    pub fn hold(&mut self, event: Arc<Broadcast>) {
        self.waiting.push_back(Waiting::Held { event, stored: None });
    }

    /// A held copy is to be shown, or dropped.
    pub fn settle(&mut self, message: MessageId, is_stored: bool) {
        let open = self.waiting.iter_mut().find_map(|waiting| match waiting {
            Waiting::Held { event, stored } if stored.is_none() && message_of(event) == Some(message) => Some(stored),
            _ => None,
        });
        if let Some(stored) = open {
            *stored = Some(is_stored);
        }
    }

    /// The next event that may leave.
    pub fn pop(&mut self) -> Option<Leaving> {
        while !self.catching_up {
            if matches!(self.waiting.front()?, Waiting::Held { stored: None, .. }) {
                return None;
            }
            match self.waiting.pop_front()? {
                Waiting::Event { event, bytes } => {
                    self.waiting_events -= 1;
                    self.waiting_bytes -= bytes;
                    return Some(Leaving { event, is_own: false });
                }
                Waiting::Held { event, stored: Some(true) } => return Some(Leaving { event, is_own: true }),
                Waiting::Held { .. } => {}
            }
        }
        None
    }
}

fn message_of(event: &Broadcast) -> Option<MessageId> {
    match event.event() {
        Event::Message { message, .. } | Event::RoomMessage { message, .. } => Some(message.id),
        _ => None,
    }
}
