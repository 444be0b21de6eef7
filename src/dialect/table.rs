//! The table of all dialects, and sets of dialects.
use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::value::RawValue;

use super::agent::Agent;
use super::assistant::Assistant;
use super::conversation::Conversation;
use super::events::ClientEvent;
use super::listing::Listing;
use super::messenger::Messenger;
use super::vocabulary::Vocabulary;
use crate::chat::ENCODINGS;
use crate::config::{ConfigError, DialectNames};
use crate::model::{FIXED_ENCODINGS, name_encoding};

/// Dialects of the five front ends. The index is also the number of the encoding in a broadcast.
const OURS: [&dyn Vocabulary; FIXED_ENCODINGS] = [&Assistant, &Conversation, &Listing, &Agent, &Messenger];

/// Number of further encodings that a broadcast can hold.
const ROOM: usize = ENCODINGS - OURS.len();

/// A bit for each registered dialect that another one has replaced.
static REPLACED: AtomicU64 = AtomicU64::new(0);

/// Registered dialects, with the following indexes.
static OTHERS: [OnceLock<&'static dyn Vocabulary>; ROOM] = [const { OnceLock::new() }; ROOM];

/// Reason for not registering a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Another dialect has this name.
    #[error("a dialect of this name is known already")]
    NameTaken,
    /// The maximum number of encodings is reached.
    #[error("there is no room for another dialect")]
    NoRoom,
}

/// Makes a dialect available to every server that this process starts from now on.
///
/// # Errors
/// [`RegisterError`] if its name is taken, or the table is full.
pub fn register(vocabulary: &'static dyn Vocabulary) -> Result<(), RegisterError> {
    if Dialect::find(vocabulary.name()).is_some() {
        return Err(RegisterError::NameTaken);
    }
    place(vocabulary).map(|_| ())
}

/// Makes a dialect available in the place of the one that has its name now, if any. Connections that speak that one go on
/// with it, so it keeps its place among the encodings until the process ends.
///
/// # Errors
/// [`RegisterError`] if the table is full, or the name is one of the five.
pub fn replace(vocabulary: &'static dyn Vocabulary) -> Result<(), RegisterError> {
    let before = Dialect::find(vocabulary.name());
    if before.is_some_and(|dialect| dialect.index() < OURS.len()) {
        return Err(RegisterError::NameTaken);
    }
    place(vocabulary)?;
    if let Some(before) = before {
        REPLACED.fetch_or(1 << before.0, Ordering::Relaxed);
    }
    Ok(())
}

fn place(vocabulary: &'static dyn Vocabulary) -> Result<usize, RegisterError> {
    let place = OTHERS.iter().position(|place| place.set(vocabulary).is_ok()).ok_or(RegisterError::NoRoom)?;
    let encoding = u8::try_from(place + OURS.len()).map_err(|_| RegisterError::NoRoom)?;
    name_encoding(encoding, vocabulary.name());
    Ok(place)
}

/// Returns the entry at an index of the table.
fn vocabulary_at(place: usize) -> Option<&'static dyn Vocabulary> {
    let other = || OTHERS.get(place.checked_sub(OURS.len())?)?.get();
    OURS.get(place).or_else(other).copied()
}

/// One dialect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dialect(u8);

impl Dialect {
    /// Finds the dialect with this name.
    pub fn find(name: &str) -> Option<Self> {
        DialectSet::all().iter().find(|dialect| dialect.name() == name)
    }

    /// Returns its index in the table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Returns its index in the type used for encodings.
    pub(super) fn number(self) -> u8 {
        self.0
    }

    /// Returns its entry for an event that clients send.
    pub fn entry(self, event: &str) -> Option<&'static ClientEvent> {
        self.events().iter().find(|entry| entry.name == event)
    }
}

impl Deref for Dialect {
    type Target = dyn Vocabulary;

    fn deref(&self) -> &Self::Target {
        // No other index exists.
        vocabulary_at(self.index()).unwrap_or(&Messenger)
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that no enabled dialect has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect, known are: {known}")]
pub struct UnknownDialect {
    /// The valid names.
    pub known: String,
}

/// A set of dialects.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct DialectSet(u64);

impl DialectSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Makes a set from a bit for each index.
    pub fn of_bits(bits: u64) -> Self {
        Self(bits).and(Self::registered())
    }

    /// Returns a bit for each index in the set.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Returns all dialects but those that were replaced.
    pub fn all() -> Self {
        Self(Self::registered().0 & !REPLACED.load(Ordering::Relaxed))
    }

    /// Returns all dialects, those that were replaced included.
    fn registered() -> Self {
        let others = OTHERS.iter().filter(|place| place.get().is_some()).count();
        Self(u64::MAX >> (u64::BITS as usize - OURS.len() - others))
    }

    /// Returns the set with those in the place of members that were replaced.
    #[must_use]
    pub fn current(self) -> Self {
        if self.0 & REPLACED.load(Ordering::Relaxed) == 0 {
            return self;
        }
        self.iter().filter_map(|dialect| Dialect::find(dialect.name())).fold(Self::EMPTY, Self::with)
    }

    /// Returns the dialects named by `DIALECTS`.
    ///
    /// # Errors
    /// [`ConfigError`] if a name is unknown.
    pub fn enabled(names: &DialectNames) -> Result<Self, ConfigError> {
        match names {
            DialectNames::All => Ok(Self::all()),
            DialectNames::Listed(names) => Self::parse(names.iter().map(String::as_str))
                .map_err(|error| ConfigError { name: "DIALECTS", reason: error.to_string() }),
        }
    }

    /// Returns the dialects with these names.
    ///
    /// # Errors
    /// [`UnknownDialect`] if a name is unknown, or there are no names.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownDialect> {
        Self::all().pick(names).ok_or_else(|| UnknownDialect { known: Self::all().names() })
    }

    /// Returns the members with these names; `None` if a name belongs to none of them, or there are no names.
    fn pick<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut picked = Self::EMPTY;
        for name in names {
            picked = picked.with(Dialect::find(name).filter(|dialect| self.has(*dialect))?);
        }
        (!picked.is_empty()).then_some(picked)
    }

    /// Returns the members requested by `auth.dialect`, a text or a list of texts; `None` for any other value.
    pub fn pick_json(self, pin: &RawValue) -> Option<Self> {
        if let Ok(name) = serde_json::from_str::<String>(pin.get()) {
            return self.pick([name.as_str()]);
        }
        let names = serde_json::from_str::<Vec<String>>(pin.get()).ok()?;
        self.pick(names.iter().map(String::as_str))
    }

    /// Returns the member requested by `?dialect=`.
    pub fn pick_name(self, pin: &str) -> Option<Self> {
        self.pick([pin])
    }

    /// Returns the members that are not among the five.
    #[must_use]
    pub fn further(self) -> Self {
        Self(self.0 >> OURS.len() << OURS.len())
    }

    /// Returns whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether `dialect` is a member.
    pub fn has(self, dialect: Dialect) -> bool {
        self.0 & (1 << dialect.0) != 0
    }

    /// Returns this set with `dialect` added.
    #[must_use]
    pub fn with(self, dialect: Dialect) -> Self {
        Self(self.0 | (1 << dialect.0))
    }

    /// Returns the dialects in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the dialects in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the dialects that are not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the number of members.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Returns the only member; `None` if there are none or several.
    pub fn only(self) -> Option<Dialect> {
        if self.0.is_power_of_two() { self.iter().next() } else { None }
    }

    /// Returns the members in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Dialect> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let lowest = rest.trailing_zeros();
            rest &= rest - 1;
            u8::try_from(lowest).ok().map(Dialect)
        })
    }

    /// Returns the members that have such an event.
    #[must_use]
    pub fn knowing(self, event: &str) -> Self {
        self.iter().filter(|dialect| dialect.entry(event).is_some()).fold(Self::EMPTY, Self::with)
    }

    /// Returns the members whose front ends wait for a message's own event as the confirmation of a send.
    #[must_use]
    pub fn confirming_by_event(self) -> Self {
        self.iter().filter(|dialect| dialect.confirms_by_event()).fold(Self::EMPTY, Self::with)
    }

    /// Returns the names joined by `+`, for use in metrics; `undetermined` if the set is empty.
    pub fn label(self) -> String {
        let names: Vec<_> = self.iter().map(|dialect| dialect.name()).collect();
        if names.is_empty() { "undetermined".to_owned() } else { names.join("+") }
    }

    /// Returns the names, comma-separated.
    pub fn names(self) -> String {
        self.iter().map(|dialect| dialect.name()).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for DialectSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> DialectSet {
        DialectSet::parse(names.iter().copied()).unwrap()
    }

    #[test]
    fn pins_are_a_text_or_a_list() {
        let all = DialectSet::all();
        let enabled = named(&["messenger"]);
        for (set, pin, expected) in [
            (all, r#""messenger""#, Some(named(&["messenger"]))),
            (all, r#"["listing","messenger"]"#, Some(named(&["listing", "messenger"]))),
            (all, r#"["listing","listing"]"#, Some(named(&["listing"]))),
            (all, r#""Messenger""#, None),
            (all, r#""""#, None),
            (all, "[]", None),
            (all, "[1]", None),
            (all, "1", None),
            (all, r#"{"messenger":true}"#, None),
            (all, r#"["messenger","nope"]"#, None),
            (enabled, r#""listing""#, None),
        ] {
            let raw = RawValue::from_string(pin.to_owned()).unwrap();
            assert_eq!(set.pick_json(&raw), expected, "{pin}");
        }
        assert_eq!(all.pick_name("listing"), Some(named(&["listing"])));
        assert_eq!(all.pick_name("listing,messenger"), None);
    }

    #[test]
    fn settings_name_what_is_known() {
        let error = DialectSet::parse(["messenger", "morse"]).unwrap_err();
        assert_eq!(error.to_string(), "unknown dialect, known are: assistant, conversation, listing, agent, messenger");
        assert!(DialectSet::parse([]).is_err());
        let listed = |name: &str| DialectSet::enabled(&DialectNames::Listed(vec![name.to_owned()]));
        assert_eq!(listed("agent"), Ok(named(&["agent"])));
        assert_eq!(listed("morse").unwrap_err().name, "DIALECTS");
        assert_eq!(DialectSet::enabled(&DialectNames::All), Ok(DialectSet::all()));
    }

    #[test]
    fn every_dialect_has_its_own_name() {
        let names: std::collections::HashSet<_> = DialectSet::all().iter().map(|dialect| dialect.name()).collect();
        assert_eq!(names.len(), OURS.len());
        for dialect in DialectSet::all().iter() {
            assert_eq!(Dialect::find(dialect.name()), Some(dialect));
        }
    }
}
