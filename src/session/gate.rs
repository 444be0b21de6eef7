//! Events that wait at one socket: behind its catch-up, or behind the sender's copy of a message that is being stored.
//!
//! They are bounded, and a client that reads is not cut for them. Above the bound the messages that come are left out: the
//! store has them, and once all that waits has left, the catch-up goes on from there. What the store would not bring is
//! kept ([`Lag`]) and leaves in its place between the messages.
use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::lag::Lag;
use super::waiting::{Bound, Waiting};
use crate::chat::{Broadcast, Event, Replay, ReplayKind};
use crate::model::{ChangesTold, Message, MessageId, Part, SocketId};

/// More waits than may, and no catch-up could bring it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

/// An event that may leave.
#[derive(Debug)]
pub struct Leaving {
    /// The event.
    pub event: Arc<Broadcast>,
    /// The client had its packets up to this one before.
    pub had: Option<Part>,
    /// The way that it is shown.
    pub kind: LeavingKind,
}

/// The way that an event is shown.
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
    /// Set while the catch-up is under way: nothing leaves here until it is done. With the number of the last event before it.
    catching_up: Option<u64>,
    /// Set while a page of it is in the outbox.
    page_is_out: bool,
    /// Number of those that wait which may leave although the catch-up is under way: a page of one that went on, in its order.
    released: usize,
    /// Set if the catch-up is one that went on.
    goes_on: bool,
    /// A catch-up has ended: once all up to the event with this number has left, that is to be said.
    ended: Option<Ended>,
    waiting: VecDeque<Waiting>,
    /// Of those that wait, the ones that count; those behind a lag are counted there.
    waiting_events: usize,
    waiting_bytes: usize,
    /// Own copies among those that wait.
    held: usize,
    lag: Option<Box<Lag>>,
}

/// The end of a catch-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Number of the last event before it.
    pub serial: u64,
    /// Set if it was one that went on.
    pub went_on: bool,
}

impl Gate {
    /// The catch-up begins.
    pub fn begin_catch_up(&mut self, serial: u64) {
        self.catching_up = Some(serial);
    }

    /// Takes what was missed while the connection was lost, and the seed behind it. They count against no limit: what the broker
    /// keeps has its own.
    pub fn push_missed(&mut self, missed: Vec<Replay>, seed: Arc<Broadcast>) {
        let replays = missed.into_iter().map(|Replay { event, had, kind }| match kind {
            ReplayKind::Held => Waiting::Held { event, had, stored: None },
            ReplayKind::Own => Waiting::Missed { event, had, is_own: true },
            ReplayKind::Shared => Waiting::Missed { event, had, is_own: false },
        });
        self.waiting.extend(replays);
        self.held = self.waiting.iter().filter(|waiting| matches!(waiting, Waiting::Held { .. })).count();
        self.waiting.push_back(Waiting::Seed(seed));
    }

    /// A further catch-up begins, behind the event with this number.
    pub fn go_on(&mut self, serial: u64) {
        let Some(lag) = self.lag.take() else { return };
        self.waiting_events += lag.events;
        self.waiting_bytes += lag.bytes;
        self.catching_up = Some(serial);
        self.goes_on = true;
    }

    /// Tells whether the catch-up is one that went on.
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Takes a page of a catch-up that went on: each message behind what was handed out before it, and that waits here.
    pub fn push_page(&mut self, page: &[Arc<Broadcast>]) {
        let mut released = VecDeque::with_capacity(page.len() + self.waiting.len());
        for event in page {
            let position = event.offset().map(|offset| offset.position);
            while self.waiting.front().is_some_and(|first| first.position() < position) {
                released.extend(self.waiting.pop_front());
            }
            released.push_back(Waiting::Missed { event: Arc::clone(event), had: None, is_own: false });
        }
        if let Some(lag) = &mut self.lag {
            lag.before += page.len();
        }
        self.released += released.len();
        released.append(&mut self.waiting);
        self.waiting = released;
        self.page_is_out = true;
    }

    /// Brings what waits up to date with a page that leaves before it: edits are dropped of messages which it brings as they
    /// became by these, or by later ones; messages that it tells to be changed are shown as they are now, deleted ones not.
    pub fn update_behind(&mut self, page: &[Arc<Broadcast>], socket: SocketId) {
        if !self.waiting.iter().any(|waiting| waiting.form().is_some()) {
            return;
        }
        let forms: HashMap<_, _> = page.iter().filter_map(|event| form_told_by(event.event())).collect();
        let mut index = 0;
        while let Some(waiting) = self.waiting.get_mut(index) {
            let told = waiting.form().and_then(|form| Some((form, *forms.get(&form.id)?)));
            match told {
                Some((_, Form::Deleted)) => self.remove(index, socket),
                Some((form, Form::Message(told))) if form.updated_at <= told.updated_at && waiting.is_edit() => {
                    self.remove(index, socket);
                }
                Some((form, Form::Message(told))) if form.updated_at < told.updated_at => {
                    waiting.show_as(told);
                    index += 1;
                }
                _ => index += 1,
            }
        }
    }

    /// Takes one out that waits.
    fn remove(&mut self, index: usize, socket: SocketId) {
        let Some(waiting) = self.waiting.remove(index) else { return };
        self.held -= usize::from(matches!(waiting, Waiting::Held { .. }));
        if index < self.released {
            self.released -= 1;
        }
        match (&mut self.lag, waiting) {
            (Some(lag), Waiting::Event { event, bytes }) if index >= lag.before => {
                lag.events -= 1;
                lag.bytes -= bytes;
                lag.own -= usize::from(event.is_live_copy_of(socket));
            }
            (lag, waiting) => {
                if let Some(lag) = lag {
                    lag.before -= 1;
                }
                if let Waiting::Event { bytes, .. } = waiting {
                    self.waiting_events -= 1;
                    self.waiting_bytes -= bytes;
                }
            }
        }
    }

    /// All that was to leave before the messages that were left out has left: the position after which these are. Once.
    pub fn take_fell_behind(&mut self) -> Option<(i64, ChangesTold)> {
        let lag = self.lag.as_mut().filter(|lag| lag.before == 0 && !lag.is_asked && self.catching_up.is_none())?;
        lag.is_asked = true;
        Some((lag.after, lag.changes))
    }

    /// A page of the catch-up is on its way.
    pub fn send_page(&mut self) {
        self.page_is_out = true;
    }

    /// The outbox is empty; whether that was a page of the catch-up.
    pub fn page_left(&mut self) -> bool {
        self.released == 0 && std::mem::take(&mut self.page_is_out)
    }

    /// The catch-up is complete.
    pub fn end_catch_up(&mut self) {
        if let Some(serial) = self.catching_up.take() {
            self.released = 0;
            self.ended = Some(Ended { serial, went_on: std::mem::take(&mut self.goes_on) });
        }
    }

    /// The catch-up that has ended, when nothing that came before its end waits any more. Once.
    pub fn take_ended(&mut self) -> Option<Ended> {
        let ended = self.ended?;
        let is_later = |first: &Waiting| match first {
            Waiting::Missed { .. } => false,
            first => first.event().serial().is_none_or(|serial| serial > ended.serial),
        };
        self.waiting.front().is_none_or(is_later).then(|| self.ended = None)?;
        Some(ended)
    }

    /// Tells whether events have to wait.
    pub fn is_shut(&self) -> bool {
        self.catching_up.is_some() || !self.waiting.is_empty() || self.lag.is_some()
    }

    /// Returns how many copies of the client's own messages wait.
    pub fn own_copies(&self) -> usize {
        self.held + self.lag.as_ref().map_or(0, |lag| lag.own)
    }

    /// Tells whether there is nothing to remember.
    pub fn is_idle(&self) -> bool {
        !self.is_shut() && !self.page_is_out && self.ended.is_none()
    }

    /// Puts an event behind the others, or leaves it out. `is_own`: it is the client's own message, which no catch-up brings.
    ///
    /// # Errors
    /// [`Overflow`] if as much waits already as may, and nothing says from where on a catch-up would have to go on.
    pub fn push(&mut self, event: &Arc<Broadcast>, bytes: usize, is_own: bool, bound: Bound) -> Result<(), Overflow> {
        if self.lag.is_none() && (self.waiting_events >= bound.events || self.waiting_bytes >= bound.bytes) {
            let last = self.waiting.back().and_then(|last| last.event().offset()).ok_or(Overflow)?;
            // By the time that the catch-up goes on the last one has left whole, be it a change or not.
            let changes = ChangesTold::all(last.changes.up_to);
            self.lag = Some(Box::new(Lag::new(last.position, changes, self.waiting.len())));
        }
        let waiting = Waiting::Event { event: Arc::clone(event), bytes };
        match &mut self.lag {
            Some(lag) => lag.keep(waiting, is_own, &mut self.waiting, bound),
            None => {
                self.waiting_events += 1;
                self.waiting_bytes += bytes;
                self.waiting.push_back(waiting);
            }
        }
        Ok(())
    }

    /// Keeps the sender's copy of a message. Copies count against no limit: unanswered requests have their own, and these
    /// count as such.
    pub fn hold(&mut self, event: Arc<Broadcast>) {
        self.held += 1;
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
        while self.lets_one_go() {
            let next = self.waiting.pop_front()?;
            self.released = self.released.saturating_sub(1);
            self.held -= usize::from(matches!(next, Waiting::Held { .. }));
            if let Some(lag) = &mut self.lag {
                lag.before -= 1;
            }
            match next {
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

    fn lets_one_go(&self) -> bool {
        let is_held = matches!(self.waiting.front(), None | Some(Waiting::Held { stored: None, .. }));
        let is_behind = self.lag.as_ref().is_some_and(|lag| lag.before == 0);
        !is_held && !is_behind && (self.catching_up.is_none() || self.released > 0)
    }
}

/// A message as a page tells that it became.
#[derive(Debug, Clone, Copy)]
enum Form<'a> {
    Message(&'a Arc<Message>),
    Deleted,
}

fn form_told_by(event: &Event) -> Option<(MessageId, Form<'_>)> {
    match event {
        Event::Message { message, .. } | Event::MessageUpdated { message, .. } => Some((message.id, Form::Message(message))),
        Event::MessageDeleted { message, .. } => Some((*message, Form::Deleted)),
        _ => None,
    }
}

fn message_of(event: &Broadcast) -> Option<MessageId> {
    match event.event() {
        Event::Message { message, .. } | Event::RoomMessage { message, .. } => Some(message.id),
        _ => None,
    }
}
