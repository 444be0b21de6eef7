//! Rate limit of users over HTTP.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::model::UserId;
use crate::session::{Bucket, Rate};

/// Reads allowed for each write: a page that loads fetches many things.
const READS_PER_WRITE: u32 = 10;
/// Maximum number of concurrent searches of one user.
const SEARCHES_MAX: usize = 2;
/// Maximum number of users remembered; beyond it, those idle the longest are forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// Class of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// It only reads.
    Reads,
    /// It changes something.
    Writes,
}

/// Two buckets for each user: writes, as many as a socket's events, and reads, ten times as many. Shared by all worker
/// threads.
pub struct RateLimit {
    writes: Option<Rate>,
    reads: Option<Rate>,
    users: Mutex<HashMap<UserId, Buckets>>,
    searches: Arc<Mutex<HashMap<UserId, usize>>>,
}

#[derive(Default)]
struct Buckets {
    writes: Bucket,
    reads: Bucket,
}

impl RateLimit {
    /// Allows `per_second` writes a second in the long run, and `burst` at once; 0 per second: no limit.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let burst = if burst == 0 { per_second } else { burst };
        let reads = Rate::new(per_second.saturating_mul(READS_PER_WRITE), burst.saturating_mul(READS_PER_WRITE));
        Self { writes: Rate::new(per_second, burst), reads, users: Mutex::default(), searches: Arc::default() }
    }

    /// Takes one request from a user's bucket.
    ///
    /// # Errors
    /// The time until the next one is allowed.
    pub fn take(&self, user: &UserId, asks: Asks, now: Instant) -> Result<(), Duration> {
        let (Some(writes), Some(reads)) = (self.writes, self.reads) else { return Ok(()) };
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= REMEMBERED_MAX && !users.contains_key(user) {
            let is_used = |bucket: &Bucket| bucket.full_at().is_some_and(|at| at > now);
            users.retain(|_, buckets| is_used(&buckets.writes) || is_used(&buckets.reads));
            if users.len() >= REMEMBERED_MAX {
                users.clear();
            }
        }
        let buckets = users.entry(user.clone()).or_default();
        let taken = match asks {
            Asks::Writes => buckets.writes.take(writes, now),
            Asks::Reads => buckets.reads.take(reads, now),
        };
        taken.map_err(|at| at.saturating_duration_since(now))
    }

    /// Starts a search; `None` if the user has enough running.
    pub fn begin_search(&self, user: &UserId) -> Option<Search> {
        let mut searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = searches.entry(user.clone()).or_default();
        if *under_way >= SEARCHES_MAX && self.writes.is_some() {
            return None;
        }
        *under_way += 1;
        Some(Search { user: user.clone(), searches: self.searches.clone() })
    }
}

/// A running search, ended when dropped.
pub struct Search {
    user: UserId,
    searches: Arc<Mutex<HashMap<UserId, usize>>>,
}

impl Drop for Search {
    fn drop(&mut self) {
        let mut searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = searches.get_mut(&self.user) {
            *under_way -= 1;
            if *under_way == 0 {
                searches.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    #[test]
    fn what_reads_has_ten_times_as_much() {
        let (limit, now) = (RateLimit::new(10, 20), Instant::now());
        let taken = |name: &str, asks, at| (0..1_000).take_while(|_| limit.take(&user(name), asks, at).is_ok()).count();
        assert_eq!(taken("ann", Asks::Writes, now), 20);
        assert_eq!(taken("ann", Asks::Reads, now), 200);
        assert_eq!(taken("bob", Asks::Writes, now), 20);
        assert_eq!(limit.take(&user("ann"), Asks::Writes, now), Err(Duration::from_millis(100)));
        assert_eq!(taken("ann", Asks::Writes, now + Duration::from_secs(1)), 10);
        assert!((0..1_000).all(|_| RateLimit::new(0, 20).take(&user("ann"), Asks::Writes, now).is_ok()));
    }

    #[test]
    fn so_many_users_are_remembered() {
        let (limit, now) = (RateLimit::new(10, 20), Instant::now());
        for number in 0..=REMEMBERED_MAX {
            limit.take(&user(&number.to_string()), Asks::Reads, now).unwrap();
        }
        assert!(limit.users.lock().unwrap().len() <= REMEMBERED_MAX);
    }

    #[test]
    fn two_searches_are_under_way() {
        let limit = RateLimit::new(10, 20);
        let first = limit.begin_search(&user("ann")).unwrap();
        let _second = limit.begin_search(&user("ann")).unwrap();
        assert!(limit.begin_search(&user("ann")).is_none());
        assert!(limit.begin_search(&user("bob")).is_some());
        drop(first);
        assert!(limit.begin_search(&user("ann")).is_some());
    }
}
