//! Events that wait at one socket: behind its catch-up, or behind the sender's copy of a message that is being stored.
use std::collections::VecDeque;
use std::sync::Arc;

use crate::chat::{Broadcast, Event, Replay, ReplayKind};
use crate::model::{MessageId, Part};

/// More waits than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

#[derive(Debug)]
enum Waiting {
    Event {
        event: Arc<Broadcast>,
        bytes: usize,
    },
    /// Of what was missed while the connection was lost.
    Missed {
        event: Arc<Broadcast>,
        had: Option<Part>,
        is_own: bool,
    },
    /// Behind that.
    Seed(Arc<Broadcast>),
    /// `stored`: `None` while that is open.
    Held {
        event: Arc<Broadcast>,
        had: Option<Part>,
        stored: Option<bool>,
    },
}

/// An event that may leave.
#[derive(Debug)]
pub struct Leaving {
    /// The event.
    pub event: Arc<Broadcast>,
    /// The client had its packets up to this one before.
    pub had: Option<Part>,
    /// How it is shown.
    pub kind: LeavingKind,
}

/// How an event is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeavingKind {
    /// As to all.
    Shared,
    /// As the copy of a message at the socket that sent it.
    Own,
    /// As the first event of a connection.
    Seed,
}

/// The queue in front of the outbox. Volatile events, acks, replies and errors pass it by.
#[derive(Debug, Default)]
pub struct Gate {
    /// Whether the catch-up is under way: nothing leaves here until it is done. With the number of the last event before it.
    catching_up: Option<u64>,
    /// Whether a page of it is in the outbox.
    page_is_out: bool,
    waiting: VecDeque<Waiting>,
    waiting_events: usize,
    waiting_bytes: usize,
}

impl Gate {
    /// The catch-up begins.
    pub fn begin_catch_up(&mut self, serial: u64) {
        self.catching_up = Some(serial);
    }

    /// What was missed while the connection was lost, and the seed behind it. They count against no limit: what the broker
    /// keeps has its own.
    pub fn push_missed(&mut self, missed: Vec<Replay>, seed: Arc<Broadcast>) {
        let replays = missed.into_iter().map(|Replay { event, had, kind }| match kind {
            ReplayKind::Held => Waiting::Held { event, had, stored: None },
            ReplayKind::Own => Waiting::Missed { event, had, is_own: true },
            ReplayKind::Shared => Waiting::Missed { event, had, is_own: false },
        });
        self.waiting.extend(replays);
        self.waiting.push_back(Waiting::Seed(seed));
    }

    /// A page of the catch-up is on its way.
    pub fn send_page(&mut self) {
        self.page_is_out = true;
    }

    /// The outbox is empty; whether that was a page of the catch-up.
    pub fn page_left(&mut self) -> bool {
        std::mem::take(&mut self.page_is_out)
    }

    /// The catch-up is complete. The number of the last event before it.
    pub fn end_catch_up(&mut self) -> Option<u64> {
        self.catching_up.take()
    }

    /// Whether events have to wait.
    pub fn is_shut(&self) -> bool {
        self.catching_up.is_some() || !self.waiting.is_empty()
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
        self.waiting.push_back(Waiting::Held { event, had: None, stored: None });
    }

    /// A held copy is to be shown, or dropped.
    pub fn settle(&mut self, message: MessageId, is_stored: bool) {
        let open = self.waiting.iter_mut().find_map(|waiting| match waiting {
            Waiting::Held { event, stored, .. } if stored.is_none() && message_of(event) == Some(message) => Some(stored),
            _ => None,
        });
        if let Some(stored) = open {
            *stored = Some(is_stored);
        }
    }

    /// The next event that may leave.
    pub fn pop(&mut self) -> Option<Leaving> {
        while self.catching_up.is_none() {
            if matches!(self.waiting.front()?, Waiting::Held { stored: None, .. }) {
                return None;
            }
            match self.waiting.pop_front()? {
                Waiting::Event { event, bytes } => {
                    self.waiting_events -= 1;
                    self.waiting_bytes -= bytes;
                    return Some(Leaving { event, had: None, kind: LeavingKind::Shared });
                }
                Waiting::Held { event, had, stored: Some(true) } | Waiting::Missed { event, had, is_own: true } => {
                    return Some(Leaving { event, had, kind: LeavingKind::Own });
                }
                Waiting::Missed { event, had, is_own: false } => {
                    return Some(Leaving { event, had, kind: LeavingKind::Shared });
                }
                Waiting::Seed(event) => return Some(Leaving { event, had: None, kind: LeavingKind::Seed }),
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
