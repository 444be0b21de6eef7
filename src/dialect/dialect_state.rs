//! Finds out which dialects a connection speaks: those that it pins, else those that its events belong to.
use super::table::{Dialect, DialectSet};
use crate::chat::{Capabilities, ClientDialects};

/// The dialects of one connection, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialectState {
    enabled: DialectSet,
    /// Dialects requested; empty if none.
    requested: DialectSet,
    learned: DialectSet,
    /// Learned dialects that came from a shared event. All but one of them may be wrong.
    doubtful: DialectSet,
}

impl DialectState {
    /// Starts a new session; `requested` is a subset of `enabled`, empty if nothing is requested.
    pub fn new(enabled: DialectSet, requested: DialectSet) -> Self {
        Self { enabled, requested, learned: DialectSet::EMPTY, doubtful: DialectSet::EMPTY }
    }

    /// Returns the dialects that the connection may still turn out to speak.
    pub fn speakable(&self) -> DialectSet {
        if self.requested.is_empty() { self.enabled } else { self.requested }
    }

    /// Returns the dialects that it certainly speaks; empty while undetermined.
    pub fn speaks(&self) -> DialectSet {
        let speakable = self.speakable();
        if !self.requested.is_empty() || speakable.len() == 1 { speakable } else { self.learned }
    }

    /// Returns the source of that knowledge: `requested` (at CONNECT), `only one` (no other is enabled), `learned` (from
    /// its events), or `not yet`.
    pub fn origin(&self) -> &'static str {
        if !self.requested.is_empty() {
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
    pub fn receives_in(&self) -> DialectSet {
        let speaks = self.speaks();
        if speaks.is_empty() { self.enabled } else { speaks }
    }

    /// Returns whether it requested `dialect`.
    pub fn has_requested(&self, dialect: Dialect) -> bool {
        self.requested.has(dialect)
    }

    /// Learns from an event of the client; returns the dialects in which to understand it, empty if none has it.
    pub fn learn(&mut self, event: &str) -> DialectSet {
        self.learn_from(self.speakable().knowing(event))
    }

    /// Learns from an event that belongs to the dialects `known_by`.
    fn learn_from(&mut self, known_by: DialectSet) -> DialectSet {
        let determined = self.speaks() != self.learned;
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
    pub fn client_dialects(&self) -> ClientDialects {
        let last = self.receives_in().iter().last().map_or(0, Dialect::number);
        ClientDialects { asked: self.requested.bits(), learned: [self.learned.bits(), self.doubtful.bits()], last_encoding: last }
    }

    /// Restores the state for a resumed session.
    pub fn of_client_dialects(enabled: DialectSet, client_dialects: ClientDialects) -> Self {
        let ClientDialects { asked, learned: [learned, doubtful], last_encoding: _ } = client_dialects;
        let [requested, learned, doubtful] = [asked, learned, doubtful].map(|bits| DialectSet::of_bits(bits).current());
        Self { enabled: enabled.current(), requested, learned, doubtful }
    }

    /// Returns the kinds of events that it can show.
    pub fn capabilities(&self) -> Capabilities {
        self.receives_in().iter().fold(Capabilities::default(), |sum, dialect| {
            let capabilities = dialect.capabilities(self.has_requested(dialect));
            Capabilities {
                direct_message: sum.direct_message || capabilities.direct_message,
                own_direct_message: sum.own_direct_message || capabilities.own_direct_message,
                group_message: sum.group_message || capabilities.group_message,
                answer: sum.answer || capabilities.answer,
                received_at_once: sum.received_at_once || capabilities.received_at_once,
                notification: sum.notification || capabilities.notification,
                unconfirmed: false,
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
        let mut dialect_state = DialectState::new(all, DialectSet::EMPTY);
        assert_eq!((dialect_state.speaks(), dialect_state.receives_in()), (DialectSet::EMPTY, all));
        assert_eq!(dialect_state.learn_from(DialectSet::EMPTY), DialectSet::EMPTY);
        assert_eq!(dialect_state.speaks(), DialectSet::EMPTY, "an unknown event teaches nothing");
        assert_eq!(dialect_state.learn_from(a), a);
        assert_eq!((dialect_state.speaks(), dialect_state.receives_in()), (a, a));
        assert_eq!(dialect_state.learn_from(a.or(b)), a, "it belongs to one that is spoken");
        assert_eq!(dialect_state.speaks(), a);
        assert_eq!(dialect_state.learn_from(c), c);
        assert_eq!(dialect_state.speaks(), a.or(c));
    }

    #[test]
    fn a_session_that_comes_back_speaks_as_before() {
        let mut dialect_state = DialectState::new(DialectSet::all(), DialectSet::EMPTY);
        assert_eq!(dialect_state.client_dialects().last_encoding, Dialect::find("messenger").unwrap().number());
        dialect_state.learn("message:send");
        assert_eq!(DialectState::of_client_dialects(DialectSet::all(), dialect_state.client_dialects()), dialect_state);
        assert_eq!(dialect_state.client_dialects().last_encoding, Dialect::find("agent").unwrap().number());
        let requested = DialectState::new(DialectSet::all(), named(&["listing"]));
        assert_eq!(DialectState::of_client_dialects(DialectSet::all(), requested.client_dialects()), requested);
    }

    #[test]
    fn a_dialect_gained_by_a_shared_event_falls_away_again() {
        let ([a, b, c], all) = three();
        let mut dialect_state = DialectState::new(all, DialectSet::EMPTY);
        assert_eq!(dialect_state.learn_from(a.or(b)), a.or(b));
        assert_eq!(dialect_state.learn_from(a.or(b)), a.or(b));
        assert_eq!(dialect_state.learn_from(c), c, "another one's event decides nothing");
        assert_eq!(dialect_state.speaks(), all);
        assert_eq!(dialect_state.learn_from(b), b);
        assert_eq!(dialect_state.speaks(), b.or(c));
        assert_eq!(dialect_state.learn_from(a), a, "later it may be gained for good");
        assert_eq!(dialect_state.speaks(), all);
    }

    #[test]
    fn a_pinned_or_only_dialect_is_spoken_from_the_start_and_nothing_else() {
        let all = DialectSet::all();
        for mut dialect_state in
            [DialectState::new(all, named(&["messenger"])), DialectState::new(named(&["messenger"]), DialectSet::EMPTY)]
        {
            assert_eq!(dialect_state.speaks(), named(&["messenger"]));
            assert_eq!(dialect_state.learn("joinRoom"), DialectSet::EMPTY);
            assert_eq!(dialect_state.learn("join_group"), named(&["messenger"]));
            assert_eq!(dialect_state.receives_in(), named(&["messenger"]));
        }
        let mut both = DialectState::new(all, named(&["messenger", "listing"]));
        assert_eq!(both.learn("joinRoom"), named(&["listing"]));
        assert_eq!(both.receives_in(), named(&["listing", "messenger"]), "a list is spoken whole");
    }

    #[test]
    fn in_messenger_only_those_who_pin_it_are_shown_their_own_direct_messages() {
        let all = DialectSet::all();
        assert!(DialectState::new(all, named(&["agent"])).capabilities().own_direct_message);
        assert!(DialectState::new(all, DialectSet::EMPTY).capabilities().own_direct_message, "other dialects show them");
        assert!(!DialectState::new(named(&["messenger"]), DialectSet::EMPTY).capabilities().own_direct_message);
        let requested = DialectState::new(all, named(&["messenger"])).capabilities();
        assert!(requested.own_direct_message && requested.direct_message && requested.group_message);
        let listing = DialectState::new(all, named(&["listing"])).capabilities();
        assert!(listing.direct_message && listing.own_direct_message && !listing.group_message);
        let assistant = DialectState::new(all, named(&["assistant"])).capabilities();
        assert!(!assistant.direct_message && !assistant.group_message);
    }
}
