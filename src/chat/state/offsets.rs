//! Offsets of this database: which are ours, and what they say.
use crate::model::{ChangesNotified, Epoch, Offset, OffsetKind, Part};
use crate::store::Start;

/// Position of a session's client in the events dispatched since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReplayCursor {
    /// Number of the last event of which something arrived.
    pub event_seq: u64,
    /// The last packet of it that arrived.
    pub part: Part,
}

impl ReplayCursor {
    /// All up to an event.
    pub(crate) fn all_of(event_seq: u64) -> Self {
        Self { event_seq, part: Part::ALL }
    }

    /// Number of the last event of which all arrived, with all before.
    pub(crate) fn whole_event_seq(self) -> u64 {
        if self.part == Part::ALL { self.event_seq } else { self.event_seq.saturating_sub(1) }
    }
}

/// Point from which on a client lacks messages, and the changes of those that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CatchUpFrom {
    /// Position up to which it has the messages,
    pub position: i64,
    /// and of the last one the packets up to this.
    pub part: Part,
    /// Position up to which only messages are lacking that the user had not received; `None`: all are lacking.
    pub unreceived_up_to: Option<i64>,
    /// Edits and deletions that it knows of.
    pub changes: ChangesNotified,
}

impl CatchUpFrom {
    /// The position after which it lacks something.
    pub(crate) fn after(&self) -> i64 {
        if self.part == Part::ALL { self.position } else { self.position - 1 }
    }

    /// The position after which it lacks changes.
    pub(crate) fn changes_after(&self) -> i64 {
        let ChangesNotified { up_to, part } = self.changes;
        if part == Part::ALL { up_to } else { up_to - 1 }
    }
}

/// The starts of which offsets may be.
#[derive(Debug)]
pub(super) struct Offsets {
    current: Epoch,
    /// Earlier starts, each with the highest position that is stored of its time.
    earlier: Vec<(Epoch, i64)>,
}

impl Offsets {
    /// The offsets of a database with these starts, the latest last.
    pub(super) fn new(starts: &[Start]) -> Self {
        let epoch = |start: &Start| Epoch::new(start.number, start.started_at);
        let current = starts.last().map_or(Epoch { number: 0, mark: 0 }, epoch);
        // What was dispatched and not stored is gone, and its positions were given once more.
        let earlier = starts.iter().zip(starts.iter().skip(1)).map(|(start, next)| (epoch(start), next.last_position)).collect();
        Self { current, earlier }
    }

    /// The present start.
    pub(super) fn epoch(&self) -> Epoch {
        self.current
    }

    /// Returns the point from which on a client lacks messages and changes that is shown nothing beyond `last_encoding`.
    /// `None`: the offset is another database's or of the future.
    pub(super) fn since(&self, offset: Offset, last_position: i64, last_encoding: u8) -> Option<CatchUpFrom> {
        let Offset { epoch, position, part, kind, changes } = offset;
        // A message is one packet in each encoding, and so is a change.
        let whole = |part: Part| if part.encoding >= last_encoding { Part::ALL } else { part };
        let (part, changes) = (whole(part), ChangesNotified { part: whole(changes.part), ..changes });
        // Any other event was sent behind the whole of the message before it.
        let (part, unreceived_up_to) = match kind {
            OffsetKind::Event { is_message: false, .. } => (Part::ALL, None),
            OffsetKind::Event { is_message: true, .. } | OffsetKind::CaughtUp => (part, None),
            OffsetKind::Unreceived { up_to } => (part, Some(up_to)),
        };
        if epoch == self.current {
            let since = CatchUpFrom { position, part, unreceived_up_to, changes };
            // A position that was not given yet is another history's, as of a database that was restored from a copy.
            let is_past = position <= last_position && changes.up_to <= last_position;
            return (is_past && unreceived_up_to.is_none_or(|up_to| up_to <= last_position)).then_some(since);
        }
        let (_, stored) = *self.earlier.iter().find(|(earlier, _)| *earlier == epoch)?;
        // Beyond the last stored one positions were given once more: the client has nothing of the messages that are there now.
        let part = if position > stored { Part::ALL } else { part };
        let changes = if changes.up_to > stored { ChangesNotified::all(stored) } else { changes };
        let unreceived_up_to = unreceived_up_to.map(|up_to| up_to.min(stored));
        Some(CatchUpFrom { position: position.min(stored), part, unreceived_up_to, changes })
    }

    /// Returns the position in the events of a client that is shown nothing beyond `last_encoding`, if the offset is one of
    /// an event since the start.
    pub(super) fn reached(&self, offset: Offset, last_event_seq: u64, last_encoding: u8) -> Option<ReplayCursor> {
        match offset.kind {
            OffsetKind::Event { event_seq, is_message: true }
                if offset.epoch == self.current && event_seq <= last_event_seq && offset.part.encoding >= last_encoding =>
            {
                Some(ReplayCursor::all_of(event_seq))
            }
            OffsetKind::Event { event_seq, .. } if offset.epoch == self.current && event_seq <= last_event_seq => {
                Some(ReplayCursor { event_seq, part: offset.part })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn start(number: i64, last_position: i64) -> Start {
        Start { number, started_at: Timestamp::from_millis(1_000 * number), last_position }
    }

    fn offset(number: i64, position: i64, kind: OffsetKind) -> Offset {
        let Start { number, started_at, .. } = start(number, 0);
        let changes = ChangesNotified::all(position);
        Offset { epoch: Epoch::new(number, started_at), position, part: Part::FIRST, kind, changes }
    }

    const MESSAGE: OffsetKind = OffsetKind::Event { event_seq: 3, is_message: true };
    const OTHER: OffsetKind = OffsetKind::Event { event_seq: 3, is_message: false };

    #[test]
    fn an_offset_says_which_messages_are_lacking() {
        let offsets = Offsets::new(&[start(1, 0), start(2, 10), start(4, 20)]);
        let since = |position, part, unreceived_up_to| {
            Some(CatchUpFrom { position, part, unreceived_up_to, changes: ChangesNotified::all(position) })
        };
        for (given, expected) in [
            (offset(4, 25, MESSAGE), since(25, Part::FIRST, None)),
            (offset(4, 25, OTHER), since(25, Part::ALL, None)),
            (offset(4, 31, MESSAGE), None),
            (offset(4, 25, OffsetKind::Unreceived { up_to: 28 }), since(25, Part::FIRST, Some(28))),
            (offset(4, 25, OffsetKind::Unreceived { up_to: 31 }), None),
            (offset(2, 15, OffsetKind::CaughtUp), since(15, Part::FIRST, None)),
            // Dispatched, and never stored: the position has another message now.
            (offset(2, 22, MESSAGE), since(20, Part::ALL, None)),
            (offset(1, 15, OffsetKind::Unreceived { up_to: 17 }), since(10, Part::ALL, Some(10))),
            (offset(3, 5, MESSAGE), None),
            (offset(5, 5, MESSAGE), None),
            (Offset { epoch: Epoch { number: 2, mark: 1 }, ..offset(2, 15, MESSAGE) }, None),
        ] {
            assert_eq!(offsets.since(given, 30, 4), expected, "{given:?}");
        }
        let last = offset(4, 25, MESSAGE).at(Part { encoding: 4, packet: 0 });
        assert_eq!(offsets.since(last, 30, 4), since(25, Part::ALL, None), "there is no packet after it");
    }

    #[test]
    fn an_offset_says_which_changes_are_lacking() {
        let offsets = Offsets::new(&[start(1, 0), start(2, 10), start(4, 20)]);
        let after = |number, changes| {
            let since = offsets.since(Offset { changes, ..offset(number, 15, OffsetKind::CaughtUp) }, 30, 4);
            since.map(|since| (since.changes_after(), since.changes.part))
        };
        let part = |encoding| Part { encoding, packet: 0 };
        assert_eq!(after(4, ChangesNotified::all(12)), Some((12, Part::ALL)), "one waited when later messages were sent");
        assert_eq!(after(4, ChangesNotified { up_to: 12, part: part(1) }), Some((11, part(1))), "the rest of its packets");
        assert_eq!(after(4, ChangesNotified { up_to: 12, part: part(4) }), Some((12, Part::ALL)), "there is no packet after it");
        assert_eq!(after(4, ChangesNotified::all(31)), None);
        assert_eq!(after(2, ChangesNotified::all(18)), Some((18, Part::ALL)));
        // Another change may have got that position since.
        assert_eq!(after(2, ChangesNotified { up_to: 22, part: part(1) }), Some((20, Part::ALL)));
    }

    #[test]
    fn only_what_was_dispatched_since_the_start_can_be_recovered() {
        let offsets = Offsets::new(&[start(1, 0), start(2, 10)]);
        let reached = Some(ReplayCursor { event_seq: 3, part: Part::FIRST });
        assert_eq!(offsets.reached(offset(2, 5, MESSAGE), 3, 4), reached);
        assert_eq!(offsets.reached(offset(2, 5, MESSAGE), 3, 0), Some(ReplayCursor::all_of(3)));
        assert_eq!(offsets.reached(offset(2, 5, OTHER), 3, 0), reached, "it may be more than one packet");
        assert_eq!(offsets.reached(offset(2, 5, MESSAGE), 2, 4), None);
        assert_eq!(offsets.reached(offset(1, 5, MESSAGE), 3, 4), None);
        assert_eq!(offsets.reached(offset(2, 5, OffsetKind::CaughtUp), 3, 4), None);
    }
}
