//! Which dialects there are, which are enabled, and which a connection speaks.
use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use serde_json::value::RawValue;

use super::agent::Agent;
use super::assistant::Assistant;
use super::conversation::Conversation;
use super::listing::Listing;
use super::messenger::Messenger;
use super::vocabulary::{Entry, Vocabulary};
use crate::chat::{ENCODINGS, Manner, Words};
use crate::config::{ConfigError, DialectNames};

/// The dialects of the five front ends. The place of one is the number of its encoding in a broadcast.
const OURS: [&dyn Vocabulary; 5] = [&Assistant, &Conversation, &Listing, &Agent, &Messenger];

/// How many further ones a broadcast has room for.
const ROOM: usize = ENCODINGS - OURS.len();

/// Dialects of others, whose places follow.
static OTHERS: [OnceLock<&'static dyn Vocabulary>; ROOM] = [const { OnceLock::new() }; ROOM];

/// Why a dialect was not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// There is one of this name.
    #[error("a dialect of this name is known already")]
    NameTaken,
    /// There are as many as a broadcast can be encoded in.
    #[error("there is no room for another dialect")]
    NoRoom,
}

/// Makes a dialect known to every server that this process starts from now on.
///
/// # Errors
/// [`RegisterError`] if its name is taken, or there is no room.
pub fn register(vocabulary: &'static dyn Vocabulary) -> Result<(), RegisterError> {
    if Dialect::find(vocabulary.name()).is_some() {
        return Err(RegisterError::NameTaken);
    }
    let mut places = OTHERS.iter();
    if places.any(|place| place.set(vocabulary).is_ok()) { Ok(()) } else { Err(RegisterError::NoRoom) }
}

/// What stands at a place of the table.
fn vocabulary_at(place: usize) -> Option<&'static dyn Vocabulary> {
    let other = || OTHERS.get(place.checked_sub(OURS.len())?)?.get();
    OURS.get(place).or_else(other).copied()
}

/// One dialect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dialect(u8);

impl Dialect {
    /// The dialect with this name.
    pub fn find(name: &str) -> Option<Self> {
        DialectSet::all().iter().find(|dialect| dialect.name() == name)
    }

    /// Its place in the table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its entry for an event that clients send.
    pub fn entry(self, event: &str) -> Option<&'static Entry> {
        self.events().iter().find(|entry| entry.name == event)
    }
}

impl Deref for Dialect {
    type Target = dyn Vocabulary;

    fn deref(&self) -> &Self::Target {
        // No other number is ever made.
        vocabulary_at(self.index()).unwrap_or(&Messenger)
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is no enabled dialect's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect, known are: {known}")]
pub struct UnknownDialect {
    /// Those that would have done.
    pub known: String,
}

/// Some of the dialects.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct DialectSet(u8);

impl DialectSet {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// By the places of those that are in it.
    pub fn of_bits(bits: u8) -> Self {
        Self(bits).and(Self::all())
    }

    /// The places of those that are in it.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Every dialect that there is.
    pub fn all() -> Self {
        let others = OTHERS.iter().filter(|place| place.get().is_some()).count();
        Self(((1u16 << (OURS.len() + others)) - 1) as u8)
    }

    /// Those that `DIALECTS` names.
    ///
    /// # Errors
    /// [`ConfigError`] if it names one that there is not.
    pub fn enabled(names: &DialectNames) -> Result<Self, ConfigError> {
        match names {
            DialectNames::All => Ok(Self::all()),
            DialectNames::Listed(names) => Self::parse(names.iter().map(String::as_str))
                .map_err(|error| ConfigError { name: "DIALECTS", reason: error.to_string() }),
        }
    }

    /// Those with these names.
    ///
    /// # Errors
    /// [`UnknownDialect`] if a name is none's, or there is no name.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownDialect> {
        Self::all().pick(names).ok_or_else(|| UnknownDialect { known: Self::all().names() })
    }

    /// Those of this set with these names; `None` if a name is none's, or there is no name.
    fn pick<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut picked = Self::EMPTY;
        for name in names {
            picked = picked.with(Dialect::find(name).filter(|dialect| self.has(*dialect))?);
        }
        (!picked.is_empty()).then_some(picked)
    }

    /// What `auth.dialect` pins: a text or a list of texts; `None` for anything else.
    pub fn pick_json(self, pin: &RawValue) -> Option<Self> {
        if let Ok(name) = serde_json::from_str::<String>(pin.get()) {
            return self.pick([name.as_str()]);
        }
        let names = serde_json::from_str::<Vec<String>>(pin.get()).ok()?;
        self.pick(names.iter().map(String::as_str))
    }

    /// What `?dialect=` pins: one name.
    pub fn pick_name(self, pin: &str) -> Option<Self> {
        self.pick([pin])
    }

    /// Whether none is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `dialect` is in it.
    pub fn has(self, dialect: Dialect) -> bool {
        self.0 & (1 << dialect.0) != 0
    }

    /// This set and `dialect`.
    #[must_use]
    pub fn with(self, dialect: Dialect) -> Self {
        Self(self.0 | (1 << dialect.0))
    }

    /// Those in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The one that is in it, if it is one.
    pub fn only(self) -> Option<Dialect> {
        if self.len() == 1 { self.iter().next() } else { None }
    }

    /// In the order of the table.
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

    /// Those that have such an event.
    #[must_use]
    pub fn knowing(self, event: &str) -> Self {
        self.iter().filter(|dialect| dialect.entry(event).is_some()).fold(Self::EMPTY, Self::with)
    }

    /// Those whose front ends know no other confirmation of a message that they send than its event.
    #[must_use]
    pub fn confirming_by_event(self) -> Self {
        self.iter().filter(|dialect| dialect.confirms_by_event()).fold(Self::EMPTY, Self::with)
    }

    /// Their names as one word of a figure: with `+` between them, `undetermined` where there are none.
    pub fn label(self) -> String {
        let names: Vec<_> = self.iter().map(|dialect| dialect.name()).collect();
        if names.is_empty() { "undetermined".to_owned() } else { names.join("+") }
    }

    /// Their names, comma-separated.
    pub fn names(self) -> String {
        self.iter().map(|dialect| dialect.name()).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for DialectSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

/// Which dialects one connection speaks, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    enabled: DialectSet,
    /// Empty: it pins none.
    pinned: DialectSet,
    learned: DialectSet,
    /// Of the learned ones: those that one event brought that they share. One of them is perhaps not spoken.
    doubtful: DialectSet,
}

impl Voice {
    /// Of a new session; `pinned` is a part of `enabled`, empty where it pins none.
    pub fn new(enabled: DialectSet, pinned: DialectSet) -> Self {
        Self { enabled, pinned, learned: DialectSet::EMPTY, doubtful: DialectSet::EMPTY }
    }

    /// What it may come to speak.
    pub fn speakable(&self) -> DialectSet {
        if self.pinned.is_empty() { self.enabled } else { self.pinned }
    }

    /// What it speaks for sure; empty while that is undetermined.
    pub fn spoken(&self) -> DialectSet {
        let speakable = self.speakable();
        if !self.pinned.is_empty() || speakable.len() == 1 { speakable } else { self.learned }
    }

    /// How it is known what it speaks: `pinned` (it said so at CONNECT), `only one` (no other is enabled), `learned` (from its
    /// events), or `not yet`.
    pub fn origin(&self) -> &'static str {
        if !self.pinned.is_empty() {
            "pinned"
        } else if self.enabled.len() == 1 {
            "only one"
        } else if self.learned.is_empty() {
            "not yet"
        } else {
            "learned"
        }
    }

    /// What events are sent in.
    pub fn heard(&self) -> DialectSet {
        let spoken = self.spoken();
        if spoken.is_empty() { self.enabled } else { spoken }
    }

    /// Whether it pinned `dialect`.
    pub fn has_pinned(&self, dialect: Dialect) -> bool {
        self.pinned.has(dialect)
    }

    /// Learns from an event of the client, and says in which dialects it is to be understood; empty: in none.
    pub fn learn(&mut self, event: &str) -> DialectSet {
        self.learn_from(self.speakable().knowing(event))
    }

    /// Learns from an event that belongs to the dialects `known_by`.
    fn learn_from(&mut self, known_by: DialectSet) -> DialectSet {
        let determined = self.spoken() != self.learned;
        if known_by.is_empty() || determined {
            return known_by;
        }
        let confirmed = self.doubtful.and(known_by);
        if !confirmed.is_empty() && confirmed != self.doubtful {
            self.learned = self.learned.without(self.doubtful.without(confirmed));
            self.doubtful = DialectSet::EMPTY;
        }
        let understood = self.learned.and(known_by);
        if !understood.is_empty() {
            return understood;
        }
        self.learned = self.learned.or(known_by);
        if known_by.len() > 1 {
            self.doubtful = known_by;
        }
        known_by
    }

    /// All of this, for the broker to keep.
    pub fn manner(&self) -> Manner {
        let last = self.heard().iter().last().map_or(0, |dialect| dialect.0);
        Manner { asked: self.pinned.0, learned: [self.learned.0, self.doubtful.0], last_encoding: last }
    }

    /// The voice of a session that comes back.
    pub fn of_manner(enabled: DialectSet, manner: Manner) -> Self {
        let Manner { asked, learned: [learned, doubtful], last_encoding: _ } = manner;
        Self { enabled, pinned: DialectSet(asked), learned: DialectSet(learned), doubtful: DialectSet(doubtful) }
    }

    /// What it has words for.
    pub fn words(&self) -> Words {
        self.heard().iter().fold(Words::default(), |sum, dialect| {
            let words = dialect.words(self.has_pinned(dialect));
            Words {
                direct_message: sum.direct_message || words.direct_message,
                own_direct_message: sum.own_direct_message || words.own_direct_message,
                group_message: sum.group_message || words.group_message,
                answer: sum.answer || words.answer,
                received_at_once: sum.received_at_once || words.received_at_once,
                notification: sum.notification || words.notification,
                unproven: false,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: DialectSet = DialectSet(1);
    const B: DialectSet = DialectSet(2);
    const C: DialectSet = DialectSet(4);
    const ALL: DialectSet = DialectSet(7);

    fn named(names: &[&str]) -> DialectSet {
        DialectSet::parse(names.iter().copied()).unwrap()
    }

    #[test]
    fn a_connection_learns_from_what_it_says() {
        let mut voice = Voice::new(ALL, DialectSet::EMPTY);
        assert_eq!((voice.spoken(), voice.heard()), (DialectSet::EMPTY, ALL));
        assert_eq!(voice.learn_from(DialectSet::EMPTY), DialectSet::EMPTY);
        assert_eq!(voice.spoken(), DialectSet::EMPTY, "an unknown event teaches nothing");
        assert_eq!(voice.learn_from(A), A);
        assert_eq!((voice.spoken(), voice.heard()), (A, A));
        assert_eq!(voice.learn_from(A.or(B)), A, "it belongs to one that is spoken");
        assert_eq!(voice.spoken(), A);
        assert_eq!(voice.learn_from(C), C);
        assert_eq!(voice.spoken(), A.or(C));
    }

    #[test]
    fn a_session_that_comes_back_speaks_as_before() {
        let mut voice = Voice::new(DialectSet::all(), DialectSet::EMPTY);
        assert_eq!(voice.manner().last_encoding, Dialect::find("messenger").unwrap().0);
        voice.learn("message:send");
        assert_eq!(Voice::of_manner(DialectSet::all(), voice.manner()), voice);
        assert_eq!(voice.manner().last_encoding, Dialect::find("agent").unwrap().0);
        let pinned = Voice::new(DialectSet::all(), named(&["listing"]));
        assert_eq!(Voice::of_manner(DialectSet::all(), pinned.manner()), pinned);
    }

    #[test]
    fn a_dialect_gained_by_a_shared_event_falls_away_again() {
        let mut voice = Voice::new(ALL, DialectSet::EMPTY);
        assert_eq!(voice.learn_from(A.or(B)), A.or(B));
        assert_eq!(voice.learn_from(A.or(B)), A.or(B));
        assert_eq!(voice.learn_from(C), C, "another one's event decides nothing");
        assert_eq!(voice.spoken(), ALL);
        assert_eq!(voice.learn_from(B), B);
        assert_eq!(voice.spoken(), B.or(C));
        assert_eq!(voice.learn_from(A), A, "later it may be gained for good");
        assert_eq!(voice.spoken(), ALL);
    }

    #[test]
    fn a_pinned_or_only_dialect_is_spoken_from_the_start_and_nothing_else() {
        let all = DialectSet::all();
        for mut voice in [Voice::new(all, named(&["messenger"])), Voice::new(named(&["messenger"]), DialectSet::EMPTY)] {
            assert_eq!(voice.spoken(), named(&["messenger"]));
            assert_eq!(voice.learn("joinRoom"), DialectSet::EMPTY);
            assert_eq!(voice.learn("join_group"), named(&["messenger"]));
            assert_eq!(voice.heard(), named(&["messenger"]));
        }
        let mut both = Voice::new(all, named(&["messenger", "listing"]));
        assert_eq!(both.learn("joinRoom"), named(&["listing"]));
        assert_eq!(both.heard(), named(&["listing", "messenger"]), "a list is spoken whole");
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
    fn in_messenger_only_those_who_pin_it_are_shown_their_own_direct_messages() {
        let all = DialectSet::all();
        assert!(Voice::new(all, named(&["agent"])).words().own_direct_message);
        assert!(Voice::new(all, DialectSet::EMPTY).words().own_direct_message, "other dialects show them");
        assert!(!Voice::new(named(&["messenger"]), DialectSet::EMPTY).words().own_direct_message);
        let pinned = Voice::new(all, named(&["messenger"])).words();
        assert!(pinned.own_direct_message && pinned.direct_message && pinned.group_message);
        let listing = Voice::new(all, named(&["listing"])).words();
        assert!(listing.direct_message && listing.own_direct_message && !listing.group_message);
        let assistant = Voice::new(all, named(&["assistant"])).words();
        assert!(!assistant.direct_message && !assistant.group_message);
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
