//! Packets of an event, by the dialect in whose words they are.
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::base36::{Base36, number};

/// Number of encodings that have the same number in every release: those of the compiled dialects.
pub const FIXED_ENCODINGS: usize = 5;

/// Number of the encoding of events that another server words.
const WORDED: u8 = 64;

/// Digit of that encoding in offsets.
const WORDED_DIGIT: &str = "6";

/// Precedes the mark of a dialect whose number depends on what else this process knows.
const NAMED: char = 'x';

/// Number of distinct marks: five base-36 digits.
const MARKS: u32 = 36u32.pow(5);

/// Marks of the names of further dialects, 1 more than written; 0: there is no such dialect.
static FURTHER: [AtomicU32; WORDED as usize - FIXED_ENCODINGS] = [const { AtomicU32::new(0) }; WORDED as usize - FIXED_ENCODINGS];

/// One packet of an event; an event can have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// Number of the encoding, which is the dialect's.
    pub encoding: u8,
    /// Index among the packets of that encoding.
    pub packet: u16,
}

impl Part {
    /// The first packet.
    pub const FIRST: Self = Self { encoding: 0, packet: 0 };
    /// Greater than the last packet of any event.
    pub const ALL: Self = Self { encoding: u8::MAX, packet: u16::MAX };

    /// Reads what `Display` writes. A dialect that is not there any more stands for all packets.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "z" {
            return Some(Self::ALL);
        }
        if let Some(rest) = text.strip_prefix(NAMED) {
            let (mark, packet) = rest.split_at_checked(5)?;
            let is_mark = mark.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
            let (mark, packet) = (u32::from_str_radix(mark, 36).ok().filter(|_| is_mark)?, number(packet)?);
            return Some(find_mark(mark).map_or(Self::ALL, |encoding| Self { encoding, packet }));
        }
        let (digit, packet) = text.split_at_checked(1)?;
        let packet = number(packet)?;
        match number::<u8>(digit)? {
            encoding if usize::from(encoding) < FIXED_ENCODINGS => Some(Self { encoding, packet }),
            _ if digit == WORDED_DIGIT => Some(Self { encoding: WORDED, packet }),
            // A dialect by its place, as earlier releases wrote it.
            _ => Some(Self::ALL),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { encoding, packet } = *self;
        let packet = Base36(packet.into());
        if usize::from(encoding) < FIXED_ENCODINGS {
            return write!(formatter, "{encoding}{packet}");
        }
        if encoding == WORDED {
            return write!(formatter, "{WORDED_DIGIT}{packet}");
        }
        match mark_of(encoding) {
            Some(mark) => write!(formatter, "{NAMED}{:0>5}{packet}", Base36(mark.into()).to_string()),
            None => formatter.write_str("z"),
        }
    }
}

/// Names an encoding, so that offsets mean the same dialect in whatever order others are known.
pub fn name_encoding(encoding: u8, name: &str) {
    // FNV-1a, which is the same in every build (source: draft-eastlake-fnv).
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mark = u32::try_from(hash % u64::from(MARKS)).unwrap_or_default();
    if let Some(place) = usize::from(encoding).checked_sub(FIXED_ENCODINGS).and_then(|place| FURTHER.get(place)) {
        place.store(mark + 1, Ordering::Relaxed);
    }
}

fn mark_of(encoding: u8) -> Option<u32> {
    let place = FURTHER.get(usize::from(encoding).checked_sub(FIXED_ENCODINGS)?)?;
    place.load(Ordering::Relaxed).checked_sub(1)
}

/// Returns the encoding with this mark; the latest of several, which replaced the others.
fn find_mark(mark: u32) -> Option<u8> {
    let place = FURTHER.iter().rposition(|place| place.load(Ordering::Relaxed) == mark + 1)?;
    u8::try_from(place + FIXED_ENCODINGS).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_marked_by_its_name() {
        name_encoding(60, "telex");
        let part = Part { encoding: 60, packet: 37 };
        let text = part.to_string();
        assert!(text.starts_with('x') && text.len() == 8, "{text}");
        assert_eq!(Part::parse(&text), Some(part));
        // Another process knows it by another number.
        name_encoding(61, "telex");
        assert_eq!(Part::parse(&text), Some(Part { encoding: 61, packet: 37 }));
    }

    #[test]
    fn a_dialect_that_is_gone_stands_for_all_packets() {
        for text in ["x000000", "x0000010", "50", "90", "a0"] {
            assert_eq!(Part::parse(text), Some(Part::ALL), "{text}");
        }
        assert_eq!(Part::parse("60"), Some(Part { encoding: WORDED, packet: 0 }));
        assert_eq!(Part::parse("4a"), Some(Part { encoding: 4, packet: 10 }));
        for text in ["", "x", "x00000", "x0000a", "X000000", "400", "4", "é0", "xéé0"] {
            assert_eq!(Part::parse(text), None, "{text}");
        }
    }

    #[test]
    fn parts_are_in_order() {
        let part = |encoding, packet| Part { encoding, packet };
        assert!(Part::FIRST < part(0, 1) && part(0, 1) < part(1, 0) && part(WORDED, 9) < Part::ALL);
    }
}
