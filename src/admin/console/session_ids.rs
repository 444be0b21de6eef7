//! Session ids, with which a reloaded page logs in again.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time after a login at which the password is asked for again.
const VALID_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Maximum number of valid ids; the oldest are dropped first.
const KEPT_MAX: usize = 1_000;

/// The valid ids, oldest first.
#[derive(Debug, Default)]
pub(super) struct SessionIds(VecDeque<(Instant, String)>);

impl SessionIds {
    /// Makes an id: 128 random bits in hex.
    pub(super) fn make(&mut self, now: Instant) -> String {
        self.forget_old(now);
        if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        let id = format!("{:032x}", rand::random::<u128>());
        self.0.push_back((now, id.clone()));
        id
    }

    /// Returns whether an id is valid.
    pub(super) fn has(&mut self, id: &str, now: Instant) -> bool {
        self.forget_old(now);
        self.0.iter().any(|(_, known)| known == id)
    }

    fn forget_old(&mut self, now: Instant) {
        while self.0.front().is_some_and(|(made_at, _)| now.saturating_duration_since(*made_at) >= VALID_FOR) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_valid_for_a_day() {
        let (mut ids, now) = (SessionIds::default(), Instant::now());
        let id = ids.make(now);
        assert_eq!(id.len(), 32);
        assert!(ids.has(&id, now + VALID_FOR - Duration::from_secs(1)));
        assert!(!ids.has("", now) && !ids.has(&id[1..], now));
        assert!(!ids.has(&id, now + VALID_FOR));
    }

    #[test]
    fn the_oldest_give_way() {
        let (mut ids, now) = (SessionIds::default(), Instant::now());
        let first = ids.make(now);
        let second = ids.make(now);
        for _ in 1..KEPT_MAX {
            ids.make(now);
        }
        assert!(!ids.has(&first, now));
        assert!(ids.has(&second, now));
        assert_eq!(ids.0.len(), KEPT_MAX);
    }
}
