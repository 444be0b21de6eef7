//! Limit of failed logins.
use std::collections::VecDeque;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::http::counted_address;

/// Window in which attempts are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Attempts allowed to an address, as a multiple of an account's: many users may share an address.
const ADDRESS_FACTOR: usize = 10;
/// Maximum number of accounts, and of addresses, remembered; beyond it, the one with the oldest attempt is forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// Keys under which an attempt counts: its account, from any address, and its address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tried {
    /// The user's id, or the unknown name; `None`: the attempt concerns no account.
    pub account: Option<String>,
    /// Address of the client.
    pub address: Option<IpAddr>,
}

/// Counts attempts: wrong passwords and keys, and registrations. Shared by all worker threads.
pub struct LoginLimit {
    per_minute: usize,
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    of_accounts: HashMap<String, VecDeque<Instant>>,
    of_addresses: HashMap<IpAddr, VecDeque<Instant>>,
}

impl LoginLimit {
    /// Allows `per_minute` attempts; 0: no limit.
    pub fn new(per_minute: usize) -> Self {
        Self { per_minute, attempts: Mutex::default() }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// The time to wait, if there were too many; the attempt is not counted then.
    pub fn attempt(&self, tried: &Tried, now: Instant) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let Attempts { of_accounts, of_addresses } = &mut *attempts;
        if let Some(account) = &tried.account {
            count(of_accounts, account, self.per_minute, now)?;
        }
        let Some(address) = tried.address else { return Ok(()) };
        let counted = count(of_addresses, &counted_address(address), self.per_minute.saturating_mul(ADDRESS_FACTOR), now);
        if counted.is_err()
            && let Some(account) = &tried.account
        {
            forgive(of_accounts, account);
        }
        counted
    }

    /// Takes back the last counted attempt: it was right, or was never checked.
    pub fn forgive(&self, tried: &Tried) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = &tried.account {
            forgive(&mut attempts.of_accounts, account);
        }
        if let Some(address) = tried.address {
            forgive(&mut attempts.of_addresses, &counted_address(address));
        }
    }
}

fn count<K: Hash + Eq + Clone>(
    attempts: &mut HashMap<K, VecDeque<Instant>>,
    key: &K,
    most: usize,
    now: Instant,
) -> Result<(), Duration> {
    if attempts.len() >= REMEMBERED_MAX && !attempts.contains_key(key) {
        forget_old(attempts, now);
    }
    let times = attempts.entry(key.clone()).or_default();
    while times.front().is_some_and(|time| now.saturating_duration_since(*time) >= WINDOW) {
        times.pop_front();
    }
    match times.front() {
        Some(first) if times.len() >= most => Err(WINDOW.saturating_sub(now.saturating_duration_since(*first))),
        _ => {
            times.push_back(now);
            Ok(())
        }
    }
}

fn forgive<K: Hash + Eq>(attempts: &mut HashMap<K, VecDeque<Instant>>, key: &K) {
    if let Some(times) = attempts.get_mut(key) {
        times.pop_back();
        if times.is_empty() {
            attempts.remove(key);
        }
    }
}

fn forget_old<K>(attempts: &mut HashMap<K, VecDeque<Instant>>, now: Instant) {
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
        Tried { account: Some(account.to_owned()), address: Some(IpAddr::from([192, 0, 2, last])) }
    }

    #[test]
    fn attempts_are_counted_per_account_over_all_addresses() {
        let limit = LoginLimit::new(3);
        let start = Instant::now();
        for second in 0..3 {
            limit.attempt(&tried("ann", second), start + Duration::from_secs(second.into())).unwrap();
        }
        let wait = limit.attempt(&tried("ann", 9), start + Duration::from_secs(10)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(50));
        limit.attempt(&tried("bob", 1), start).unwrap();
        limit.attempt(&tried("ann", 1), start + Duration::from_secs(60)).unwrap();
        assert!(limit.attempt(&tried("ann", 1), start + Duration::from_secs(60)).is_err());
    }

    #[test]
    fn an_address_has_ten_times_as_many() {
        let (limit, now) = (LoginLimit::new(3), Instant::now());
        let taken = (0..100).filter(|number| limit.attempt(&tried(&format!("user-{number}"), 1), now).is_ok()).count();
        assert_eq!(taken, 30);
        limit.attempt(&tried("ann", 2), now).unwrap();
        let of_network = |last| Tried { account: None, address: format!("2001:db8::{last}").parse().ok() };
        assert_eq!((0..100).filter(|last| limit.attempt(&of_network(*last), now).is_ok()).count(), 30);
        assert!((0..100).filter(|_| limit.attempt(&tried("bob", 1), now).is_ok()).count() == 0);
        limit.attempt(&tried("bob", 3), now).unwrap();
    }

    #[test]
    fn a_right_password_is_not_counted() {
        let limit = LoginLimit::new(1);
        let now = Instant::now();
        for _ in 0..50 {
            limit.attempt(&tried("ann", 1), now).unwrap();
            limit.forgive(&tried("ann", 1));
        }
        assert!(limit.attempts.lock().unwrap().of_addresses.is_empty());
    }

    #[test]
    fn zero_is_no_limit_and_memory_is_bounded() {
        let free = LoginLimit::new(0);
        let limit = LoginLimit::new(1);
        let now = Instant::now();
        for number in 0..=REMEMBERED_MAX {
            free.attempt(&tried("ann", 1), now).unwrap();
            let at = now + Duration::from_micros(number as u64);
            limit.attempt(&Tried { account: Some(number.to_string()), address: None }, at).unwrap();
        }
        assert!(free.attempts.lock().unwrap().of_accounts.is_empty());
        assert!(limit.attempts.lock().unwrap().of_accounts.len() <= REMEMBERED_MAX / 2 + 1);
    }
}
