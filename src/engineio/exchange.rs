//! The course of a polling session: its requests and its upgrade.
use std::time::{Duration, Instant};

/// Time for which a further GET is held during an upgrade before it gets its noop, so that a slow prober cannot spin.
const NOOP_HOLD: Duration = Duration::from_millis(100);

/// Tells a session's requests apart.
pub type Ticket = u64;

/// Two requests of one kind at once: the session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap;

/// Where the move to a WebSocket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    /// None is under way.
    Idle,
    /// A WebSocket was accepted, no `2probe` yet.
    Accepted,
    /// `2probe` was answered: GETs that find nothing get noops.
    Probed { noop_at: Option<Instant>, has_sent_noop: bool },
}

/// Which requests a polling session has, and how far its upgrade is.
#[derive(Debug)]
pub struct Exchange {
    get: Option<Ticket>,
    post: Option<Ticket>,
    upgrade: Upgrade,
}

impl Default for Exchange {
    fn default() -> Self {
        Self { get: None, post: None, upgrade: Upgrade::Idle }
    }
}

impl Exchange {
    /// A GET came; it waits until [`Exchange::end_get`].
    ///
    /// # Errors
    /// [`Overlap`] if one waits already.
    pub fn begin_get(&mut self, ticket: Ticket, now: Instant) -> Result<(), Overlap> {
        if self.get.is_some() {
            return Err(Overlap);
        }
        self.get = Some(ticket);
        if let Upgrade::Probed { noop_at, has_sent_noop } = &mut self.upgrade {
            *noop_at = Some(if *has_sent_noop { now + NOOP_HOLD } else { now });
        }
        Ok(())
    }

    /// The waiting GET is answered.
    pub fn end_get(&mut self) {
        self.get = None;
        if let Upgrade::Probed { noop_at, .. } = &mut self.upgrade {
            *noop_at = None;
        }
    }

    /// Tells whether a GET waits.
    pub fn has_get(&self) -> bool {
        self.get.is_some()
    }

    /// Tells whether it is this GET that waits.
    pub fn is_waiting(&self, ticket: Ticket) -> bool {
        self.get == Some(ticket)
    }

    /// A POST began; the same one may say so again.
    ///
    /// # Errors
    /// [`Overlap`] if another one is still being received.
    pub fn begin_post(&mut self, ticket: Ticket) -> Result<(), Overlap> {
        match self.post {
            Some(other) if other != ticket => Err(Overlap),
            _ => {
                self.post = Some(ticket);
                Ok(())
            }
        }
    }

    /// A POST is over, whether received or refused. Returns whether it was the one that had begun.
    pub fn end_post(&mut self, ticket: Ticket) -> bool {
        let is_current = self.post == Some(ticket);
        if is_current {
            self.post = None;
        }
        is_current
    }

    /// A WebSocket asks to take over. Returns whether it may try.
    pub fn begin_upgrade(&mut self) -> bool {
        let is_idle = self.upgrade == Upgrade::Idle;
        if is_idle {
            self.upgrade = Upgrade::Accepted;
        }
        is_idle
    }

    /// `2probe` came: a waiting GET gets its noop at once.
    pub fn on_probe(&mut self, now: Instant) {
        if self.upgrade == Upgrade::Accepted {
            self.upgrade = Upgrade::Probed { noop_at: self.get.map(|_| now), has_sent_noop: false };
        }
    }

    /// When the waiting GET is to get a noop, unless something else comes before.
    pub fn noop_at(&self) -> Option<Instant> {
        match self.upgrade {
            Upgrade::Probed { noop_at, .. } => noop_at,
            Upgrade::Idle | Upgrade::Accepted => None,
        }
    }

    /// Tells whether the waiting GET gets a noop now; it counts as answered then.
    pub fn take_noop(&mut self, now: Instant) -> bool {
        let Upgrade::Probed { noop_at: Some(at), .. } = self.upgrade else { return false };
        if now < at || self.get.is_none() {
            return false;
        }
        self.get = None;
        self.upgrade = Upgrade::Probed { noop_at: None, has_sent_noop: true };
        true
    }

    /// The WebSocket failed; the session stays on polling and may try again.
    pub fn cancel_upgrade(&mut self) {
        self.upgrade = Upgrade::Idle;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_request_of_a_kind_is_an_overlap() {
        let now = Instant::now();
        let mut exchange = Exchange::default();
        assert_eq!(exchange.begin_get(1, now), Ok(()));
        assert_eq!(exchange.begin_get(2, now), Err(Overlap));
        exchange.end_get();
        assert_eq!(exchange.begin_get(3, now), Ok(()));
        assert!(exchange.is_waiting(3) && !exchange.is_waiting(1));

        assert_eq!(exchange.begin_post(4), Ok(()));
        assert_eq!(exchange.begin_post(4), Ok(()), "the same request says so twice");
        assert_eq!(exchange.begin_post(5), Err(Overlap));
        assert!(!exchange.end_post(5));
        assert!(exchange.end_post(4));
        assert_eq!(exchange.begin_post(5), Ok(()));
    }

    #[test]
    fn every_get_after_the_probe_gets_a_noop_but_repeats_are_held() {
        let now = Instant::now();
        let mut exchange = Exchange::default();
        exchange.begin_get(1, now).unwrap();
        assert!(exchange.begin_upgrade());
        assert_eq!(exchange.noop_at(), None);
        exchange.on_probe(now);
        assert!(exchange.take_noop(now), "the one that waited gets it at once");
        assert!(!exchange.has_get());
        for ticket in 2..5 {
            exchange.begin_get(ticket, now).unwrap();
            assert!(!exchange.take_noop(now));
            assert_eq!(exchange.noop_at(), Some(now + NOOP_HOLD));
            assert!(exchange.take_noop(now + NOOP_HOLD));
        }
    }

    #[test]
    fn the_first_get_after_the_probe_is_not_held() {
        let now = Instant::now();
        let mut exchange = Exchange::default();
        assert!(exchange.begin_upgrade());
        exchange.on_probe(now);
        exchange.begin_get(1, now).unwrap();
        assert!(exchange.take_noop(now));
    }

    #[test]
    fn one_upgrade_at_a_time_and_again_after_a_failure() {
        let mut exchange = Exchange::default();
        assert!(exchange.begin_upgrade());
        assert!(!exchange.begin_upgrade());
        exchange.cancel_upgrade();
        assert!(exchange.begin_upgrade());
    }
}
