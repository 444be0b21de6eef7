//! How often somebody may try a password.
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

/// The time in which attempts are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// So many accounts and addresses are remembered at most; beyond, those with the oldest attempt are forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// Whose attempts are counted together: an account (or the name that was tried) and an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tried {
    /// The user's id, or the name that nobody has.
    pub account: String,
    /// Where it was tried from.
    pub address: Option<IpAddr>,
}

/// Counts attempts. Shared by all worker threads.
pub struct LoginLimit {
    per_minute: usize,
    attempts: Mutex<HashMap<Tried, VecDeque<Instant>>>,
}

impl LoginLimit {
    /// Allows `per_minute` attempts; 0: any number.
    pub fn new(per_minute: usize) -> Self {
        Self { per_minute, attempts: Mutex::default() }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// How long to wait, where there were too many; it is not counted then.
    pub fn attempt(&self, tried: &Tried, now: Instant) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= REMEMBERED_MAX && !attempts.contains_key(tried) {
            forget_old(&mut attempts, now);
        }
        let times = attempts.entry(tried.clone()).or_default();
        while times.front().is_some_and(|time| now.saturating_duration_since(*time) >= WINDOW) {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= self.per_minute => Err(WINDOW.saturating_sub(now.saturating_duration_since(*first))),
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }

    /// Takes the last counted attempt back: it was a right one.
    pub fn forgive(&self, tried: &Tried) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = attempts.get_mut(tried) {
            times.pop_back();
        }
    }
}

fn forget_old(attempts: &mut HashMap<Tried, VecDeque<Instant>>, now: Instant) {
    attempts.retain(|_, times| times.back().is_some_and(|time| now.saturating_duration_since(*time) < WINDOW));
    if attempts.len() < REMEMBERED_MAX {
        return;
    }
    let mut last: Vec<Instant> = attempts.values().filter_map(|times| times.back().copied()).collect();
    let (_, middle, _) = last.select_nth_unstable(REMEMBERED_MAX / 2);
    let middle = *middle;
    attempts.retain(|_, times| times.back().is_some_and(|time| *time > middle));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(account: &str, last: u8) -> Tried {
        Tried { account: account.to_owned(), address: Some(IpAddr::from([192, 0, 2, last])) }
    }

    #[test]
    fn attempts_are_counted_per_account_and_address() {
        let limit = LoginLimit::new(3);
        let start = Instant::now();
        for second in 0..3 {
            limit.attempt(&tried("ann", 1), start + Duration::from_secs(second)).unwrap();
        }
        let wait = limit.attempt(&tried("ann", 1), start + Duration::from_secs(10)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(50));
        limit.attempt(&tried("ann", 2), start).unwrap();
        limit.attempt(&tried("bob", 1), start).unwrap();
        limit.attempt(&tried("ann", 1), start + Duration::from_secs(60)).unwrap();
        assert!(limit.attempt(&tried("ann", 1), start + Duration::from_secs(60)).is_err());
    }

    #[test]
    fn a_right_password_is_not_counted() {
        let limit = LoginLimit::new(1);
        let now = Instant::now();
        for _ in 0..5 {
            limit.attempt(&tried("ann", 1), now).unwrap();
            limit.forgive(&tried("ann", 1));
        }
    }

    #[test]
    fn zero_is_no_limit_and_memory_is_bounded() {
        let free = LoginLimit::new(0);
        let limit = LoginLimit::new(1);
        let now = Instant::now();
        for number in 0..=REMEMBERED_MAX {
            free.attempt(&tried("ann", 1), now).unwrap();
            let at = now + Duration::from_micros(number as u64);
            limit.attempt(&Tried { account: number.to_string(), address: None }, at).unwrap();
        }
        assert!(free.attempts.lock().unwrap().is_empty());
        assert!(limit.attempts.lock().unwrap().len() <= REMEMBERED_MAX / 2 + 1);
    }
}
