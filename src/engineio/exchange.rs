//! State of a polling session: its requests and its upgrade.
use std::time::{Duration, Instant};

/// Time for which a further GET is held during an upgrade before it is answered with a noop, so that a slow prober
/// cannot spin.
const NOOP_HOLD: Duration = Duration::from_millis(100);

/// Distinguishes the requests of a session.
pub type Ticket = u64;

/// Two requests of the same kind at once: ends the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap;

/// Progress of the upgrade to a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    /// None is under way.
    Idle,
    /// A WebSocket was accepted; its `2probe` has not come.
    Accepted,
    /// `2probe` was answered: GETs that would wait are answered with noops.
    Probed { noop_at: Option<Instant>, has_sent_noop: bool },
}

/// The pending requests of a polling session, and the progress of its upgrade.
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
    /// Records a GET, which waits until [`Exchange::end_get`].
    ///
    /// # Errors
    /// [`Overlap`] if another GET is waiting.
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

    /// Records that the waiting GET was answered.
    pub fn end_get(&mut self) {
        self.get = None;
        if let Upgrade::Probed { noop_at, .. } = &mut self.upgrade {
            *noop_at = None;
        }
    }

    /// Returns whether a GET is waiting.
    pub fn has_get(&self) -> bool {
        self.get.is_some()
    }

    /// Returns whether this GET is the one waiting.
    pub fn is_waiting(&self, ticket: Ticket) -> bool {
        self.get == Some(ticket)
    }

    /// Records the start of a POST; repeating it for the same POST is allowed.
    ///
    /// # Errors
    /// [`Overlap`] if another POST is still being received.
    pub fn begin_post(&mut self, ticket: Ticket) -> Result<(), Overlap> {
        match self.post {
            Some(other) if other != ticket => Err(Overlap),
            _ => {
                self.post = Some(ticket);
                Ok(())
            }
        }
    }

    /// Records the end of a POST, received or refused. Returns whether it was the one in progress.
    pub fn end_post(&mut self, ticket: Ticket) -> bool {
        let is_current = self.post == Some(ticket);
        if is_current {
            self.post = None;
        }
        is_current
    }

    /// Starts an upgrade. Returns whether the WebSocket may try.
    pub fn begin_upgrade(&mut self) -> bool {
        let is_idle = self.upgrade == Upgrade::Idle;
        if is_idle {
            self.upgrade = Upgrade::Accepted;
        }
        is_idle
    }

    /// Records `2probe`: a waiting GET is answered with a noop at once.
    pub fn on_probe(&mut self, now: Instant) {
        if self.upgrade == Upgrade::Accepted {
            self.upgrade = Upgrade::Probed { noop_at: self.get.map(|_| now), has_sent_noop: false };
        }
    }

    /// Returns the time at which the waiting GET is answered with a noop, unless something else comes first.
    pub fn noop_at(&self) -> Option<Instant> {
        match self.upgrade {
            Upgrade::Probed { noop_at, .. } => noop_at,
            Upgrade::Idle | Upgrade::Accepted => None,
        }
    }

    /// Returns whether the waiting GET is due for a noop; if so, it counts as answered.
    pub fn take_noop(&mut self, now: Instant) -> bool {
        let Upgrade::Probed { noop_at: Some(at), .. } = self.upgrade else { return false };
        if now < at || self.get.is_none() {
            return false;
        }
        self.get = None;
        self.upgrade = Upgrade::Probed { noop_at: None, has_sent_noop: true };
        true
    }

    /// Records that the WebSocket failed; the session stays on polling and may try again.
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
