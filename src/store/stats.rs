//! How the store is doing, in numbers.
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the histogram of commit times, in milliseconds; slower ones count in none.
const COMMIT_BOUNDS_MS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 5_000];

/// A look at the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Writes admitted and not answered.
    pub queued: usize,
    /// Reads being answered, or waiting for a reader.
    pub reads_in_flight: usize,
    /// Reads begun since the start.
    pub reads: u64,
    /// Transactions committed since the start.
    pub batches: u64,
    /// Writes stored.
    pub writes: u64,
    /// Commits that failed because the database was away.
    pub failed_commits: u64,
    /// Writes that the database refused, or that panicked.
    pub refused: u64,
    /// Time spent in transactions that were committed.
    pub commit_time: Duration,
    /// How many commits took no longer than each time, ascending; each includes those before it.
    pub commit_time_buckets: Vec<(Duration, u64)>,
}

/// The running numbers behind [`StoreStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub writes: AtomicU64,
    pub failed_commits: AtomicU64,
    pub refused: AtomicU64,
    pub reads: AtomicU64,
    batches: AtomicU64,
    commit_micros: AtomicU64,
    buckets: [AtomicU64; COMMIT_BOUNDS_MS.len()],
}

impl Counters {
    pub fn note_commit(&self, writes: usize, time: Duration) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(writes as u64, Ordering::Relaxed);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.commit_micros.fetch_add(micros, Ordering::Relaxed);
        let bucket = COMMIT_BOUNDS_MS.iter().zip(&self.buckets).find(|(bound, _)| micros <= **bound * 1_000);
        if let Some((_, bucket)) = bucket {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn stats(&self) -> StoreStats {
        let mut below = 0;
        let commit_time_buckets = COMMIT_BOUNDS_MS.iter().zip(&self.buckets).map(|(bound, bucket)| {
            below += bucket.load(Ordering::Relaxed);
            (Duration::from_millis(*bound), below)
        });
        StoreStats {
            batches: self.batches.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            failed_commits: self.failed_commits.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            commit_time: Duration::from_micros(self.commit_micros.load(Ordering::Relaxed)),
            commit_time_buckets: commit_time_buckets.collect(),
            ..StoreStats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_times_add_up() {
        let counters = Counters::default();
        for millis in [1, 3, 3, 60_000] {
            counters.note_commit(2, Duration::from_millis(millis));
        }
        let stats = counters.stats();
        assert_eq!((stats.batches, stats.writes), (4, 8));
        assert_eq!(stats.commit_time_buckets[0], (Duration::from_millis(1), 1));
        assert_eq!(stats.commit_time_buckets[2], (Duration::from_millis(5), 3));
        assert_eq!(stats.commit_time_buckets.last().unwrap().1, 3);
    }
}
