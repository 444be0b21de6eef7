//! Offsets: the place of a client in its stream of events, as an opaque text that the client sends back when it
//! reconnects.
use std::fmt;

use super::base36::{Base36, number};
use super::part::Part;
use super::timestamp::Timestamp;

/// One start of a server on its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// Number of the start; rises at every start.
    pub number: i64,
    /// Derived from the time of the start, so that a start of another database with the same number most likely
    /// differs.
    pub mark: u32,
}

impl Epoch {
    /// Returns the start with this number.
    pub fn new(number: i64, started_at: Timestamp) -> Self {
        let mark = started_at.as_millis().rem_euclid(i64::from(MARKS));
        Self { number, mark: u32::try_from(mark).unwrap_or_default() }
    }
}

/// Number of distinct marks: five base-36 digits.
const MARKS: u32 = 36u32.pow(5);

/// The sequence in which an offset marks a place.
#[expect(missing_docs, reason = "a variant's comment explains its fields")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetKind {
    /// The live stream: the dispatched event with number `event_seq` since the start. `position` is that of the message
    /// itself, or of the last message dispatched before another event.
    Event { event_seq: u64, is_message: bool },
    /// A catch-up that delivers every message after a position.
    CaughtUp,
    /// A catch-up that delivers the messages up to position `up_to` that no device of the user had received.
    Unreceived { up_to: i64 },
}

/// The place of a client among the changes (edits and deletions) of messages that it has.
///
/// Changes share the position counter of messages, but are sent only once stored: a message with a later position can
/// go out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangesNotified {
    /// All changes up to this position were sent,
    pub up_to: i64,
    /// and the packets of the last one up to this one. [`Part::ALL`] unless the offset is that of a change's packet.
    pub part: Part,
}

impl ChangesNotified {
    /// All changes up to a position.
    pub fn all(up_to: i64) -> Self {
        Self { up_to, part: Part::ALL }
    }

    /// All changes before a position, whose own packets are being sent.
    pub fn notifying(position: i64) -> Self {
        Self { up_to: position, part: Part::FIRST }
    }
}

/// The place of a packet. All packets before it were sent before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// The start during which it was given.
    pub epoch: Epoch,
    /// Position of the last message dispatched by then.
    pub position: i64,
    /// The packet of the event, or of the message at `position`.
    pub part: Part,
    /// The sequence in which it is a place.
    pub kind: OffsetKind,
    /// The changes sent by then.
    pub changes: ChangesNotified,
}

impl Offset {
    /// Returns the offset of another packet of the same event.
    #[must_use]
    pub fn at(self, part: Part) -> Self {
        let is_change = self.changes.part != Part::ALL;
        let changes = if is_change { ChangesNotified { part, ..self.changes } } else { self.changes };
        match self.kind {
            // The part belongs to the message at the position.
            OffsetKind::CaughtUp | OffsetKind::Unreceived { .. } if is_change => Self { changes, ..self },
            _ => Self { part, changes, ..self },
        }
    }

    /// Returns the changes implied by an offset that does not mention them: all up to the position of its messages.
    fn usual_changes(position: i64, kind: OffsetKind) -> ChangesNotified {
        ChangesNotified::all(if let OffsetKind::Unreceived { up_to } = kind { up_to } else { position })
    }

    /// Reads the text that [`Offset`]'s `Display` writes, and no other spelling; also one with a dialect that is not there any
    /// more, which stands for all packets of its event.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.get(1..)?.split('.');
        let (epoch, mark, position, part) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let kind = match text.get(..1)? {
            "e" => OffsetKind::Event { event_seq: number(fields.next()?)?, is_message: false },
            "m" => OffsetKind::Event { event_seq: number(fields.next()?)?, is_message: true },
            "c" => OffsetKind::CaughtUp,
            "u" => OffsetKind::Unreceived { up_to: number(fields.next()?)? },
            _ => return None,
        };
        let (part, position) = (Part::parse(part)?, number(position)?);
        let usual = Self::usual_changes(position, kind);
        let changes = match (fields.next(), fields.next()) {
            (None, _) => usual,
            (Some(up_to), None) => Some(ChangesNotified::all(number(up_to)?)).filter(|changes| *changes != usual)?,
            // A packet of all is not written.
            (Some(_), Some("z")) => return None,
            (Some(up_to), Some(part)) => ChangesNotified { up_to: number(up_to)?, part: Part::parse(part)? },
        };
        let epoch = Epoch { number: number(epoch)?, mark: number(mark)? };
        fields.next().is_none().then_some(Self { epoch, position, part, kind, changes })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, position, part, kind, changes } = self;
        let (letter, extra) = match kind {
            OffsetKind::Event { event_seq, is_message: false } => ('e', Some(*event_seq)),
            OffsetKind::Event { event_seq, is_message: true } => ('m', Some(*event_seq)),
            OffsetKind::CaughtUp => ('c', None),
            OffsetKind::Unreceived { up_to } => ('u', Some(unsigned(*up_to))),
        };
        write!(
            formatter,
            "{letter}{}.{}.{}.",
            Base36(unsigned(epoch.number)),
            Base36(epoch.mark.into()),
            Base36(unsigned(*position))
        )?;
        write!(formatter, "{part}")?;
        if let Some(extra) = extra {
            write!(formatter, ".{}", Base36(extra))?;
        }
        if *changes == Self::usual_changes(*position, *kind) {
            return Ok(());
        }
        write!(formatter, ".{}", Base36(unsigned(changes.up_to)))?;
        if changes.part == Part::ALL {
            return Ok(());
        }
        write!(formatter, ".{}", changes.part)
    }
}

/// All numbers here count up from 0.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_offset() -> impl Strategy<Value = Offset> {
        let part = || {
            prop_oneof![
                Just(Part::ALL),
                (prop_oneof![0u8..5, Just(64)], any::<u16>()).prop_map(|(encoding, packet)| Part { encoding, packet })
            ]
        };
        let kind = prop_oneof![
            (any::<u64>(), any::<bool>()).prop_map(|(event_seq, is_message)| OffsetKind::Event { event_seq, is_message }),
            Just(OffsetKind::CaughtUp),
            (0..i64::MAX).prop_map(|up_to| OffsetKind::Unreceived { up_to }),
        ];
        let changes = proptest::option::of((0..i64::MAX, part()).prop_map(|(up_to, part)| ChangesNotified { up_to, part }));
        (0..i64::MAX, 0..MARKS, 0..i64::MAX, part(), kind, changes).prop_map(|(number, mark, position, part, kind, changes)| {
            let changes = changes.unwrap_or(Offset::usual_changes(position, kind));
            Offset { epoch: Epoch { number, mark }, position, part, kind, changes }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(offset in any_offset()) {
            let text = offset.to_string();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.'));
            prop_assert_eq!(Offset::parse(&text), Some(offset));
        }

        #[test]
        fn nothing_else_is_read(text in "\\PC{0,24}|[a-z0-9.+]{0,24}|m[0-9a-z]{1,2}\\.[0-9a-z]{1,2}\\.[0-9a-z]{1,2}\\.[0-9a-z]{1,3}\\.[0-9a-z]{1,14}(\\.[0-9a-z]{1,3}){0,2}") {
            if let Some(offset) = Offset::parse(&text) {
                // A dialect that is gone is not written again.
                let has_gone = offset.part == Part::ALL || offset.changes.part == Part::ALL;
                prop_assert!(has_gone || offset.to_string() == text);
                prop_assert_eq!(Offset::parse(&offset.to_string()), Some(offset));
            }
        }
    }

    #[test]
    fn an_offset_is_short() {
        let epoch = Epoch::new(7, Timestamp::from_millis(1_767_225_600_123));
        let kind = OffsetKind::Event { event_seq: 123_456_789, is_message: true };
        let changes = ChangesNotified::all(98_765_432);
        let offset = Offset { epoch, position: 98_765_432, part: Part { encoding: 4, packet: 0 }, kind, changes };
        assert_eq!(offset.to_string(), "m7.ohs3f.1msvw8.40.21i3v9");
        assert_eq!(offset.at(Part::ALL).to_string(), "m7.ohs3f.1msvw8.z.21i3v9");
        let waiting = Offset { changes: ChangesNotified::all(98_765_430), ..offset };
        assert_eq!(waiting.to_string(), "m7.ohs3f.1msvw8.40.21i3v9.1msvw6");
        let change = Offset { changes: ChangesNotified::notifying(98_765_430), ..offset };
        assert_eq!(change.at(Part { encoding: 1, packet: 2 }).to_string(), "m7.ohs3f.1msvw8.12.21i3v9.1msvw6.12");
    }

    #[test]
    fn an_offset_that_says_nothing_of_changes_has_had_those_before_its_messages() {
        for (text, expected) in
            [("m7.ohs3f.1a.40.21i3v9", 46), ("e7.ohs3f.1a.z.1", 46), ("c7.ohs3f.1a.10", 46), ("u7.ohs3f.0.z.1b", 47)]
        {
            assert_eq!(Offset::parse(text).map(|offset| offset.changes), Some(ChangesNotified::all(expected)), "{text}");
        }
    }

    #[test]
    fn a_packet_of_a_caught_up_change_leaves_the_messages_part_alone() {
        let offset = Offset::parse("c7.ohs3f.1a.10").map(|offset| Offset { changes: ChangesNotified::notifying(50), ..offset });
        let part = Part { encoding: 3, packet: 0 };
        assert_eq!(offset.map(|offset| offset.at(part).to_string()).as_deref(), Some("c7.ohs3f.1a.10.1e.30"));
    }
}
