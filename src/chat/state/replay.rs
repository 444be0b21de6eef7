//! Events in the order in which they are dispatched: their numbers, and what is kept of them for those who come back.
use std::sync::Arc;

use super::edits::UnsentChanges;
use super::offsets::{CatchUpFrom, Offsets, ReplayCursor};
use super::rings::{EventRings, ReplayExclude, RingKey};
use crate::chat::ports::{Broadcast, RingLimits};
use crate::model::{ChangesNotified, MessageId, Offset, OffsetKind, Part, Timestamp};
use crate::store::Start;

/// The log. Every event but volatile ones has one number, which rises by one from event to event; what an offset says of
/// messages and of changes never goes back.
#[derive(Debug)]
pub(crate) struct ReplayLog {
    /// Number of the last event.
    event_seq: u64,
    /// Highest position of a message that was dispatched, or of a change that was sent.
    log_position: i64,
    offsets: Offsets,
    events: EventRings,
    /// Presence and typing of late.
    states: EventRings,
    /// Changes that are being stored.
    pub changes: UnsentChanges,
}

impl ReplayLog {
    /// A log without events, behind all that earlier starts have stored.
    pub(crate) fn new(events: RingLimits, states: RingLimits, starts: &[Start], log_position: i64) -> Self {
        Self {
            event_seq: 0,
            log_position,
            offsets: Offsets::new(starts),
            events: EventRings::new(events),
            states: EventRings::new(states),
            changes: UnsentChanges::default(),
        }
    }

    /// Number of the last event.
    pub(crate) fn event_seq(&self) -> u64 {
        self.event_seq
    }

    /// Events that are kept.
    pub(crate) fn events(&self) -> &EventRings {
        &self.events
    }

    /// Presence and typing that are kept: the latest counts.
    pub(crate) fn states(&self) -> &EventRings {
        &self.states
    }

    /// Gives an event that is about to be dispatched its number, unless it has one. Volatile events have none.
    pub(crate) fn number(&mut self, event: Broadcast) -> Arc<Broadcast> {
        if event.event().is_volatile() || event.offset().is_some() {
            return Arc::new(event);
        }
        // A message that was confirmed late has an old position. If the log followed it back, clients would be brought again
        // what they have.
        let own = event.message().map(|message| message.position).filter(|position| *position > self.log_position);
        self.log_position = own.unwrap_or(self.log_position);
        // A change that is being stored has its position already and is sent later: the offset must not claim it.
        let changes = self.changes.notified_by(self.log_position);
        Arc::new(self.numbered(event, own.is_some(), changes))
    }

    /// Gives the event of an edit or a deletion its number.
    pub(crate) fn number_change(&mut self, event: Broadcast, position: i64) -> Broadcast {
        self.log_position = self.log_position.max(position);
        let changes = self.changes.while_notifying(position);
        self.numbered(event, false, changes)
    }

    fn numbered(&mut self, event: Broadcast, is_message: bool, changes: ChangesNotified) -> Broadcast {
        self.event_seq += 1;
        let kind = OffsetKind::Event { event_seq: self.event_seq, is_message };
        event.placed(Offset { epoch: self.offsets.epoch(), position: self.log_position, part: Part::FIRST, kind, changes })
    }

    /// The offset of one who has all that was dispatched by now.
    pub(crate) fn present(&self) -> Offset {
        let kind = OffsetKind::Event { event_seq: self.event_seq, is_message: false };
        let changes = self.changes.notified_by(self.log_position);
        Offset { epoch: self.offsets.epoch(), position: self.log_position, part: Part::ALL, kind, changes }
    }

    /// Returns the point from which on a client with this offset lacks messages and changes; see [`Offsets::since`].
    pub(crate) fn since(&self, offset: Offset, last_position: i64, last_encoding: u8) -> Option<CatchUpFrom> {
        self.offsets.since(offset, last_position, last_encoding)
    }

    /// Returns the position in the events of a client with this offset; see [`Offsets::reached`].
    pub(crate) fn reached(&self, offset: Offset, last_encoding: u8) -> Option<ReplayCursor> {
        self.offsets.reached(offset, self.event_seq, last_encoding)
    }

    /// Keeps an event for those of its receivers who are not here, or do not get it. Of presence and typing the latest counts,
    /// and how much of it was sent nobody knows: it stands before the next event.
    pub(crate) fn keep(&mut self, key: RingKey, event: &Arc<Broadcast>, except: ReplayExclude, now: Timestamp) {
        match event.event_seq() {
            Some(number) => self.events.push(key, number, event, except, now),
            None => self.states.push(key, self.event_seq + 1, event, except, now),
        }
    }

    /// Forgets what nobody is left to miss.
    pub(crate) fn forget(&mut self, key: &RingKey) {
        self.events.forget(key);
        self.states.forget(key);
    }

    /// Forgets a message that was given up.
    pub(crate) fn forget_message(&mut self, key: &RingKey, message: MessageId) {
        self.events.drop_message(key, message);
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.events.expire(now);
        self.states.expire(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ports::{Emitted, Event};
    use crate::model::{SocketId, UserId};

    const LIMITS: RingLimits = RingLimits { events: 10, bytes: 1_000_000, bytes_of_all: 1_000_000, ttl_ms: 1_000 };

    fn log() -> ReplayLog {
        ReplayLog::new(LIMITS, LIMITS, &[], 7)
    }

    fn emitted() -> Broadcast {
        Broadcast::new(Event::Emitted(Emitted { name: "x".into(), data: None }))
    }

    #[test]
    fn every_event_has_one_number_and_volatile_ones_none() {
        let mut log = log();
        let first = log.number(emitted());
        assert_eq!((first.event_seq(), log.event_seq()), (Some(1), 1));
        let again = log.number(Arc::into_inner(first).unwrap());
        assert_eq!((again.event_seq(), log.event_seq()), (Some(1), 1));
        let volatile = Broadcast::new(Event::Presence(Vec::new()));
        assert_eq!((log.number(volatile).event_seq(), log.event_seq()), (None, 1));
        assert_eq!(log.number(emitted()).event_seq(), Some(2));
    }

    #[test]
    fn what_offsets_say_of_messages_never_goes_back() {
        let mut log = log();
        let position = |event: &Broadcast| event.offset().map(|offset| offset.position);
        assert_eq!(position(&log.number(emitted())), Some(7));
        assert_eq!(position(&log.number_change(emitted(), 9)), Some(9));
        assert_eq!(position(&log.number_change(emitted(), 8)), Some(9), "a later change was sent before");
        assert_eq!((log.present().position, log.event_seq()), (9, 3));
    }

    #[test]
    fn what_has_no_number_stands_before_the_next_event() {
        let mut log = log();
        let (socket, user) = (SocketId::parse(&"s".repeat(20)).unwrap(), UserId::parse("ann").unwrap());
        let missed = |log: &ReplayLog, after: u64| {
            let reached = ReplayCursor::all_of(after);
            log.states().missed(&RingKey::Everyone, reached, &socket, &user).map(|missed| missed.event_seq).collect::<Vec<_>>()
        };
        let typing = Arc::new(Broadcast::new(Event::Presence(Vec::new())));
        log.keep(RingKey::Everyone, &typing, ReplayExclude::default(), Timestamp::default());
        assert_eq!((missed(&log, 0), missed(&log, 1)), (vec![1], vec![]));
        log.forget(&RingKey::Everyone);
        assert_eq!(missed(&log, 0), Vec::<u64>::new());
    }
}
