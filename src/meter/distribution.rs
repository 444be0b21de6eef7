//! Distributions of values by size.
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts values by size; any thread may record one.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// Factor from recorded values to the unit shown.
    unit: f64,
    buckets: Box<[AtomicU64]>,
    count: AtomicU64,
    sum: AtomicU64,
}

/// Counts of a [`Histogram`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distribution {
    /// Upper bounds in ascending order, each with the number of values up to it; the counts are cumulative.
    pub buckets: Vec<(f64, u64)>,
    /// Number of values.
    pub count: u64,
    /// Sum of the values.
    pub sum: f64,
}

impl Histogram {
    /// Makes a histogram of durations, shown in seconds. `bounds` are in microseconds, ascending.
    pub fn of_times(bounds: &'static [u64]) -> Self {
        Self::new(bounds, 1e-6)
    }

    /// Makes a histogram of plain numbers.
    pub fn of_numbers(bounds: &'static [u64]) -> Self {
        Self::new(bounds, 1.0)
    }

    fn new(bounds: &'static [u64], unit: f64) -> Self {
        let buckets = bounds.iter().map(|_| AtomicU64::new(0)).collect();
        Self { bounds, unit, buckets, count: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    /// Records a number.
    pub fn note(&self, value: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records a duration.
    pub fn note_time(&self, time: Duration) {
        self.note(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Returns the counts so far.
    pub fn distribution(&self) -> Distribution {
        let mut below = 0;
        let buckets = self.bounds.iter().zip(&self.buckets).map(|(bound, bucket)| {
            below += bucket.load(Ordering::Relaxed);
            (as_f64(*bound) * self.unit, below)
        });
        Distribution {
            buckets: buckets.collect(),
            count: self.count.load(Ordering::Relaxed),
            sum: as_f64(self.sum.load(Ordering::Relaxed)) * self.unit,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn as_f64(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_includes_those_before_it() {
        let times = Histogram::of_times(&[1_000, 5_000]);
        [1, 1, 3, 5, 60_000].into_iter().for_each(|millis| times.note_time(Duration::from_millis(millis)));
        let Distribution { buckets, count, sum } = times.distribution();
        assert_eq!((buckets, count), (vec![(0.001, 2), (0.005, 4)], 5));
        assert!((sum - 60.010).abs() < 1e-9, "{sum}");
    }
}
