//! Figures of the store.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::meter::{ActorStats, Distribution, Histogram, Meter};

/// Bucket bounds of durations, in microseconds.
const TIMES: &[u64] = &[250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];
/// Bucket bounds of batch sizes.
const SIZES: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

/// Figures of the store.
#[derive(Debug, Clone, Default)]
pub struct StoreStats {
    /// Writes admitted and not answered.
    pub queued: usize,
    /// Reads running, or waiting for a reader.
    pub reads_in_flight: usize,
    /// Reads since the start.
    pub reads: u64,
    /// Writes stored.
    pub writes: u64,
    /// Commits that failed because the database was unreachable.
    pub failed_commits: u64,
    /// Writes that the database refused, or that panicked.
    pub refused: u64,
    /// Duration of committed transactions, in seconds.
    pub commits: Distribution,
    /// Number of writes in each of them.
    pub batches: Distribution,
    /// Time that the first write of each batch waited, in seconds.
    pub queue_waits: Distribution,
    /// Duration of reads, in seconds, including the wait for a reader.
    pub read_times: Distribution,
    /// Load of the writer.
    pub persister: ActorStats,
    /// Load of all readers.
    pub readers: ActorStats,
}

/// The counters behind [`StoreStats`].
#[derive(Debug)]
pub(super) struct Counters {
    pub writes: AtomicU64,
    pub failed_commits: AtomicU64,
    pub refused: AtomicU64,
    pub reads: AtomicU64,
    pub read_times: Histogram,
    pub queue_waits: Histogram,
    pub persister: Meter,
    readers: Mutex<Meter>,
    commits: Histogram,
    batches: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            writes: AtomicU64::new(0),
            failed_commits: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            read_times: Histogram::of_times(TIMES),
            queue_waits: Histogram::of_times(TIMES),
            persister: Meter::default(),
            readers: Mutex::default(),
            commits: Histogram::of_times(TIMES),
            batches: Histogram::of_numbers(SIZES),
        }
    }
}

impl Counters {
    pub(super) fn note_commit(&self, writes: usize, time: Duration) {
        self.writes.fetch_add(writes as u64, Ordering::Relaxed);
        self.batches.note(writes as u64);
        self.commits.note_time(time);
    }

    /// Returns the meter of all readers.
    pub(super) fn readers(&self) -> MutexGuard<'_, Meter> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> StoreStats {
        StoreStats {
            writes: self.writes.load(Ordering::Relaxed),
            failed_commits: self.failed_commits.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            commits: self.commits.distribution(),
            batches: self.batches.distribution(),
            queue_waits: self.queue_waits.distribution(),
            read_times: self.read_times.distribution(),
            persister: self.persister.stats(),
            readers: self.readers().stats(),
            ..StoreStats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_counts_as_a_batch_with_its_writes_and_its_time() {
        let counters = Counters::default();
        for millis in [1, 3, 3, 60_000] {
            counters.note_commit(2, Duration::from_millis(millis));
        }
        let stats = counters.stats();
        assert_eq!((stats.commits.count, stats.batches.count, stats.writes), (4, 4, 8));
        assert_eq!(stats.commits.buckets[2], (0.001, 1));
        assert_eq!(stats.commits.buckets.last().unwrap().1, 3);
        assert_eq!(stats.batches.buckets[..2], [(1.0, 0), (2.0, 4)]);
    }
}
