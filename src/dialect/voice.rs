//! Finds out which dialects a connection speaks: those that it pins, else those that its events belong to.
use super::table::{Dialect, DialectSet};
use crate::chat::{Manner, Words};

/// The dialects of one connection, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    enabled: DialectSet,
    /// Dialects pinned; empty if none.
    pinned: DialectSet,
    learned: DialectSet,
    /// Learned dialects that came from a shared event. All but one of them may be wrong.
    doubtful: DialectSet,
}

impl Voice {
    /// Starts a new session; `pinned` is a subset of `enabled`, empty if nothing is pinned.
    pub fn new(enabled: DialectSet, pinned: DialectSet) -> Self {
        Self { enabled, pinned, learned: DialectSet::EMPTY, doubtful: DialectSet::EMPTY }
    }

    /// Returns the dialects that the connection may still turn out to speak.
    pub fn speakable(&self) -> DialectSet {
        if self.pinned.is_empty() { self.enabled } else { self.pinned }
    }

    /// Returns the dialects that it certainly speaks; empty while undetermined.
    pub fn spoken(&self) -> DialectSet {
        let speakable = self.speakable();
        if !self.pinned.is_empty() || speakable.len() == 1 { speakable } else { self.learned }
    }

    /// Returns the source of that knowledge: `pinned` (at CONNECT), `only one` (no other is enabled), `learned` (from
    /// its events), or `not yet`.
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

    /// Returns the dialects in which events are sent.
    pub fn heard(&self) -> DialectSet {
        let spoken = self.spoken();
        if spoken.is_empty() { self.enabled } else { spoken }
    }

    /// Returns whether it pinned `dialect`.
    pub fn has_pinned(&self, dialect: Dialect) -> bool {
        self.pinned.has(dialect)
    }

    /// Learns from an event of the client; returns the dialects in which to understand it, empty if none has it.
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

    /// Returns the state for the broker to keep.
    pub fn manner(&self) -> Manner {
        let last = self.heard().iter().last().map_or(0, Dialect::number);
        Manner { asked: self.pinned.bits(), learned: [self.learned.bits(), self.doubtful.bits()], last_encoding: last }
    }

    /// Restores the state for a resumed session.
    pub fn of_manner(enabled: DialectSet, manner: Manner) -> Self {
        let Manner { asked, learned: [learned, doubtful], last_encoding: _ } = manner;
        let [pinned, learned, doubtful] = [asked, learned, doubtful].map(DialectSet::of_bits);
        Self { enabled, pinned, learned, doubtful }
    }

    /// Returns the kinds of events that it can show.
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

    /// Returns three sets of one dialect each, and their union.
    fn three() -> ([DialectSet; 3], DialectSet) {
        ([1, 2, 4].map(DialectSet::of_bits), DialectSet::of_bits(7))
    }

    fn named(names: &[&str]) -> DialectSet {
        DialectSet::parse(names.iter().copied()).unwrap()
    }

    #[test]
    fn a_connection_learns_from_what_it_says() {
        let ([a, b, c], all) = three();
        let mut voice = Voice::new(all, DialectSet::EMPTY);
        assert_eq!((voice.spoken(), voice.heard()), (DialectSet::EMPTY, all));
        assert_eq!(voice.learn_from(DialectSet::EMPTY), DialectSet::EMPTY);
        assert_eq!(voice.spoken(), DialectSet::EMPTY, "an unknown event teaches nothing");
        assert_eq!(voice.learn_from(a), a);
        assert_eq!((voice.spoken(), voice.heard()), (a, a));
        assert_eq!(voice.learn_from(a.or(b)), a, "it belongs to one that is spoken");
        assert_eq!(voice.spoken(), a);
        assert_eq!(voice.learn_from(c), c);
        assert_eq!(voice.spoken(), a.or(c));
    }

    #[test]
    fn a_session_that_comes_back_speaks_as_before() {
        let mut voice = Voice::new(DialectSet::all(), DialectSet::EMPTY);
        assert_eq!(voice.manner().last_encoding, Dialect::find("messenger").unwrap().number());
        voice.learn("message:send");
        assert_eq!(Voice::of_manner(DialectSet::all(), voice.manner()), voice);
        assert_eq!(voice.manner().last_encoding, Dialect::find("agent").unwrap().number());
        let pinned = Voice::new(DialectSet::all(), named(&["listing"]));
        assert_eq!(Voice::of_manner(DialectSet::all(), pinned.manner()), pinned);
    }

    #[test]
    fn a_dialect_gained_by_a_shared_event_falls_away_again() {
        let ([a, b, c], all) = three();
        let mut voice = Voice::new(all, DialectSet::EMPTY);
        assert_eq!(voice.learn_from(a.or(b)), a.or(b));
        assert_eq!(voice.learn_from(a.or(b)), a.or(b));
        assert_eq!(voice.learn_from(c), c, "another one's event decides nothing");
        assert_eq!(voice.spoken(), all);
        assert_eq!(voice.learn_from(b), b);
        assert_eq!(voice.spoken(), b.or(c));
        assert_eq!(voice.learn_from(a), a, "later it may be gained for good");
        assert_eq!(voice.spoken(), all);
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
}
