//! Events held back at one socket: behind its catch-up, or behind the sender's copy of a message being stored.
//!
//! Their number is bounded, but a client that keeps reading is not disconnected for it. Above the bound new messages
//! are left out: the store has them, and the catch-up continues from there once everything held has left. Events that
//! the store does not have are kept ([`Lag`]), and leave at their place between the messages.
use std::collections::VecDeque;
use std::sync::Arc;

use super::lag::Lag;
use super::waiting::{Bound, Waiting};
use crate::chat::{Broadcast, Event, Replay, ReplayKind};
use crate::hash::HashMap;
use crate::model::{ChangesNotified, Message, MessageId, Part, SocketId};

/// The bound is exceeded, and no catch-up could bring the event later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overflow;

/// An event to be sent now.
#[derive(Debug)]
pub(super) struct Released {
    /// The event.
    pub event: Arc<Broadcast>,
    /// Last of its packets that the client already has.
    pub had: Option<Part>,
    /// Way of showing it.
    pub kind: ReleasedKind,
}

/// Way of showing an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReleasedKind {
    /// Like to any other client.
    Shared,
    /// Like the copy of a message at the socket that sent it.
    Own,
    /// Like the first event of a connection.
    InitialOffset,
}

/// The queue in front of the outbox. Volatile events, acks, replies and errors bypass it.
#[derive(Debug, Default)]
pub(super) struct HoldQueue {
    /// Number of the last event before the catch-up, while one is running: nothing leaves until it ends.
    catching_up: Option<u64>,
    /// Set while a page of it is in the outbox.
    page_is_out: bool,
    /// Number of events at the front that may leave even while the catch-up runs: a page of a continued one, in its
    /// order.
    released: usize,
    /// Set if the catch-up is a continued one.
    goes_on: bool,
    /// A catch-up that ended: reported once all events up to its number have left.
    ended: Option<Ended>,
    waiting: VecDeque<Waiting>,
    /// Number of events held that count against the bound; those behind a lag are counted there.
    waiting_events: usize,
    waiting_bytes: usize,
    /// Number of own copies among the events held.
    held: usize,
    lag: Option<Box<Lag>>,
}

/// The end of a catch-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// Number of the last event before it.
    pub event_seq: u64,
    /// Set if it was a continued one.
    pub went_on: bool,
}

impl HoldQueue {
    /// Starts the catch-up.
    pub(super) fn begin_catch_up(&mut self, event_seq: u64) {
        self.catching_up = Some(event_seq);
    }

    /// Adds the events missed while the connection was lost, and the event with the first offset behind them. They do
    /// not count against the bound, because the broker's own limit applies to them.
    pub(super) fn push_missed(&mut self, missed: Vec<Replay>, initial_offset: Arc<Broadcast>) {
        let replays = missed.into_iter().map(|Replay { event, had, kind }| match kind {
            ReplayKind::Held => Waiting::Held { event, had, stored: None },
            ReplayKind::Own => Waiting::Missed { event, had, is_own: true },
            ReplayKind::Shared => Waiting::Missed { event, had, is_own: false },
        });
        self.waiting.extend(replays);
        self.held = self.waiting.iter().filter(|waiting| matches!(waiting, Waiting::Held { .. })).count();
        self.waiting.push_back(Waiting::InitialOffset(initial_offset));
    }

    /// Starts a continued catch-up, behind the event with this number.
    pub(super) fn go_on(&mut self, event_seq: u64) {
        let Some(lag) = self.lag.take() else { return };
        self.waiting_events += lag.events;
        self.waiting_bytes += lag.bytes;
        self.catching_up = Some(event_seq);
        self.goes_on = true;
    }

    /// Returns whether the catch-up is a continued one.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Adds a page of a continued catch-up: each message goes behind the events that were dispatched before it and are
    /// held here.
    pub(super) fn push_page(&mut self, page: &[Arc<Broadcast>]) {
        let mut released = VecDeque::with_capacity(page.len() + self.waiting.len());
        for event in page {
            let position = event.offset().map(|offset| offset.position);
            // Held events that were dispatched before a message of the page leave before it.
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

    /// Updates the events held to a page that leaves before them. Edits are dropped if the page shows their messages in
    /// this form or a later one; messages that the page reports as changed are shown in their new form, deleted ones
    /// not at all.
    pub(super) fn update_behind(&mut self, page: &[Arc<Broadcast>], socket: SocketId) {
        if !self.waiting.iter().any(|waiting| waiting.form().is_some()) {
            return;
        }
        let forms: HashMap<_, _> = page.iter().filter_map(|event| form_shown_by(event.event())).collect();
        let mut index = 0;
        while let Some(waiting) = self.waiting.get_mut(index) {
            let sent = waiting.form().and_then(|form| Some((form, *forms.get(&form.id)?)));
            match sent {
                Some((_, Form::Deleted)) => self.remove(index, socket),
                Some((form, Form::Message(sent))) if form.updated_at <= sent.updated_at && waiting.is_edit() => {
                    self.remove(index, socket);
                }
                Some((form, Form::Message(sent))) if form.updated_at < sent.updated_at => {
                    waiting.show_as(sent);
                    index += 1;
                }
                _ => index += 1,
            }
        }
    }

    /// Removes an event.
    fn remove(&mut self, index: usize, socket: SocketId) {
        let Some(waiting) = self.waiting.remove(index) else { return };
        self.held -= usize::from(matches!(waiting, Waiting::Held { .. }));
        if index < self.released {
            self.released -= 1;
        }
        // Each event counts in one place: behind a lag, in the lag.
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

    /// Returns the position after which messages were left out, once everything before them has left. Returns it only
    /// once.
    pub(super) fn take_fell_behind(&mut self) -> Option<(i64, ChangesNotified)> {
        let lag = self.lag.as_mut().filter(|lag| lag.before == 0 && !lag.is_asked && self.catching_up.is_none())?;
        lag.is_asked = true;
        Some((lag.after, lag.changes))
    }

    /// Records that a page of the catch-up is on its way.
    pub(super) fn send_page(&mut self) {
        self.page_is_out = true;
    }

    /// Records that the outbox is empty; returns whether that was a page of the catch-up.
    pub(super) fn page_left(&mut self) -> bool {
        self.released == 0 && std::mem::take(&mut self.page_is_out)
    }

    /// Ends the catch-up.
    pub(super) fn end_catch_up(&mut self) {
        if let Some(event_seq) = self.catching_up.take() {
            self.released = 0;
            self.ended = Some(Ended { event_seq, went_on: std::mem::take(&mut self.goes_on) });
        }
    }

    /// Returns the ended catch-up, once nothing from before its end is held. Returns it only once.
    pub(super) fn take_ended(&mut self) -> Option<Ended> {
        let ended = self.ended?;
        let is_later = |first: &Waiting| match first {
            Waiting::Missed { .. } => false,
            first => first.event().event_seq().is_none_or(|event_seq| event_seq > ended.event_seq),
        };
        self.waiting.front().is_none_or(is_later).then(|| self.ended = None)?;
        Some(ended)
    }

    /// Returns whether events have to be held back.
    pub(super) fn is_shut(&self) -> bool {
        self.catching_up.is_some() || !self.waiting.is_empty() || self.lag.is_some()
    }

    /// Returns the number of own copies held.
    pub(super) fn own_copies(&self) -> usize {
        self.held + self.lag.as_ref().map_or(0, |lag| lag.own)
    }

    /// Returns whether there is nothing to remember.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_shut() && !self.page_is_out && self.ended.is_none()
    }

    /// Adds an event, or leaves it out. `is_own`: it is the client's own message, which no catch-up brings.
    ///
    /// # Errors
    /// [`Overflow`] if the bound is reached, and no event tells from where a catch-up would have to continue.
    pub(super) fn push(&mut self, event: &Arc<Broadcast>, bytes: usize, is_own: bool, bound: Bound) -> Result<(), Overflow> {
        if self.lag.is_none() && (self.waiting_events >= bound.events || self.waiting_bytes >= bound.bytes) {
            let last = self.waiting.back().and_then(|last| last.event().offset()).ok_or(Overflow)?;
            // By the time the catch-up continues, the last event has left completely, whether it is a change or not.
            let changes = ChangesNotified::all(last.changes.up_to);
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

    /// Holds the sender's copy of a message. Copies do not count against the bound, because they count as unanswered
    /// requests, which have their own.
    pub(super) fn hold(&mut self, event: Arc<Broadcast>) {
        self.held += 1;
        self.waiting.push_back(Waiting::Held { event, had: None, stored: None });
    }

    /// Decides about a held copy: it is shown or dropped.
    pub(super) fn settle(&mut self, message: MessageId, is_stored: bool) {
        let open = self.waiting.iter_mut().find_map(|waiting| match waiting {
            Waiting::Held { event, stored, .. } if stored.is_none() && message_of(event) == Some(message) => Some(stored),
            _ => None,
        });
        if let Some(stored) = open {
            *stored = Some(is_stored);
        }
    }

    /// Returns the next event that may leave.
    pub(super) fn pop(&mut self) -> Option<Released> {
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
                    return Some(Released { event, had: None, kind: ReleasedKind::Shared });
                }
                Waiting::Held { event, had, stored: Some(true) } | Waiting::Missed { event, had, is_own: true } => {
                    return Some(Released { event, had, kind: ReleasedKind::Own });
                }
                Waiting::Missed { event, had, is_own: false } => {
                    return Some(Released { event, had, kind: ReleasedKind::Shared });
                }
                Waiting::InitialOffset(event) => return Some(Released { event, had: None, kind: ReleasedKind::InitialOffset }),
                Waiting::Held { .. } => {}
            }
        }
        None
    }

    fn lets_one_go(&self) -> bool {
        // An undecided own copy keeps its place in the order, so all events behind it wait.
        let is_held = matches!(self.waiting.front(), None | Some(Waiting::Held { stored: None, .. }));
        // At the lag messages are missing, which the continued catch-up brings first.
        let is_behind = self.lag.as_ref().is_some_and(|lag| lag.before == 0);
        !is_held && !is_behind && (self.catching_up.is_none() || self.released > 0)
    }
}

/// The form of a message after a page.
#[derive(Debug, Clone, Copy)]
enum Form<'a> {
    Message(&'a Arc<Message>),
    Deleted,
}

fn form_shown_by(event: &Event) -> Option<(MessageId, Form<'_>)> {
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
