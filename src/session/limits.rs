//! Rate limits of one socket.
use std::time::{Duration, Instant};

/// Seconds' worth of receipts allowed in a burst: a front end that shows missed messages sends one for each.
pub(super) const RECEIPT_BURST_SECONDS: u32 = 10;

/// Limits of one socket; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `RATE_LIMIT_EVENTS`: sends, joins and other work per second.
    pub events_per_second: u32,
    /// `RATE_LIMIT_BURST`: the same in a burst.
    pub event_burst: u32,
    /// `RATE_LIMIT_RECEIPTS`: receipts and typing per second.
    pub receipts_per_second: u32,
    /// The same in a burst: those of `RECEIPT_BURST_SECONDS`.
    pub receipt_burst: u32,
    /// Maximum number of delayed events: as many as a reconnecting client flushes.
    pub waiting_events: usize,
    /// Maximum number of delayed receipts.
    pub waiting_receipts: usize,
    /// Maximum number of unanswered requests of one socket; bounds the broker's mailbox.
    pub unanswered: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events_per_second: 10,
            event_burst: 20,
            receipts_per_second: 100,
            receipt_burst: 100 * RECEIPT_BURST_SECONDS,
            waiting_events: 50,
            waiting_receipts: 1_000,
            unanswered: 1_024,
        }
    }
}

/// A rate with a burst.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    interval: Duration,
    tolerance: Duration,
}

impl Rate {
    /// Makes a rate; `None` means no limit. A `burst` of 0 allows as many as in one second.
    pub fn new(per_second: u32, burst: u32) -> Option<Self> {
        let interval = Duration::from_secs(1).checked_div(per_second)?;
        let burst = if burst == 0 { per_second } else { burst };
        Some(Self { interval, tolerance: interval.saturating_mul(burst.saturating_sub(1)) })
    }
}

/// Usage of a [`Rate`] (generic cell rate algorithm), stored as one instant; an instant in the past means a full
/// bucket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    paid_until: Option<Instant>,
}

impl Bucket {
    /// Takes one token.
    ///
    /// # Errors
    /// The time at which one will be available.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Instant> {
        self.take_in_advance(rate, 0, now)
    }

    /// Takes an available token, or one of the next `advance` ones.
    ///
    /// # Errors
    /// The time at which one will be available.
    pub fn take_in_advance(&mut self, rate: Rate, advance: usize, now: Instant) -> Result<(), Instant> {
        let advance = rate.interval.saturating_mul(u32::try_from(advance).unwrap_or(u32::MAX));
        let paid_until = self.paid_until.map_or(now, |paid_until| paid_until.max(now));
        let latest = now + rate.tolerance + advance;
        if paid_until > latest {
            return Err(now + (paid_until - latest));
        }
        self.paid_until = Some(paid_until + rate.interval);
        Ok(())
    }

    /// Returns the time from which a token can be taken; `None`: at any time.
    pub fn next_at(&self, rate: Rate) -> Option<Instant> {
        self.paid_until?.checked_sub(rate.tolerance)
    }

    /// Returns the time at which the bucket is full again; `None` if it is full.
    pub fn full_at(&self) -> Option<Instant> {
        self.paid_until
    }

    /// Drops the state if the bucket is full again.
    pub fn forget_past(&mut self, now: Instant) {
        self.paid_until = self.paid_until.filter(|paid_until| *paid_until > now);
    }
}

/// Number of consecutive seconds, each with ten times the allowed events, that make a flood.
const FLOOD_SECONDS: u8 = 10;
const FLOOD_FACTOR: u32 = 10;

/// Detects a flood of events.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flood {
    second_began_at: Option<Instant>,
    events: u32,
    seconds_over: u8,
}

impl Flood {
    /// Counts an event; returns whether this is a flood.
    pub(super) fn count(&mut self, per_second: u32, now: Instant) -> bool {
        let threshold = per_second.saturating_mul(FLOOD_FACTOR);
        let second = Duration::from_secs(1);
        let began_at = *self.second_began_at.get_or_insert(now);
        let elapsed = now.saturating_duration_since(began_at);
        if elapsed >= second {
            if self.events <= threshold || elapsed >= 2 * second {
                self.seconds_over = 0;
            }
            self.events = 0;
            self.second_began_at = Some(if elapsed >= 2 * second { now } else { began_at + second });
        }
        self.events = self.events.saturating_add(1);
        if self.events == threshold.saturating_add(1) {
            self.seconds_over = self.seconds_over.saturating_add(1);
        }
        self.seconds_over >= FLOOD_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_and_then_the_rate() {
        let (rate, start, mut bucket) = (Rate::new(10, 20).unwrap(), Instant::now(), Bucket::default());
        for _ in 0..20 {
            assert_eq!(bucket.take(rate, start), Ok(()));
        }
        assert_eq!(bucket.take(rate, start), Err(start + SECOND / 10));
        assert_eq!(bucket.take(rate, start + SECOND / 10), Ok(()));
        assert!(bucket.take(rate, start + SECOND / 10).is_err());
        assert_eq!(bucket.next_at(rate), Some(start + SECOND / 5));
        assert_eq!(bucket.full_at(), Some(start + 21 * SECOND / 10));
        bucket.forget_past(start + 2 * SECOND);
        assert!(bucket.full_at().is_some());
        bucket.forget_past(start + 3 * SECOND);
        assert!(bucket.full_at().is_none());
    }

    #[test]
    fn a_burst_of_one_and_none() {
        let start = Instant::now();
        for (per_second, burst, expected) in [(1, 1, 1), (5, 0, 5)] {
            let (rate, mut bucket) = (Rate::new(per_second, burst).unwrap(), Bucket::default());
            assert_eq!((0..100).filter(|_| bucket.take(rate, start).is_ok()).count(), expected);
        }
        assert!(Rate::new(0, 20).is_none());
    }

    #[test]
    fn ten_times_over_in_ten_seconds_in_a_row_is_a_flood() {
        let start = Instant::now();
        let run = |per_second: [u32; 12]| {
            let mut flood = Flood::default();
            let mut seen = None;
            for (second, count) in (0u32..).zip(per_second) {
                for index in 0..count {
                    let now = start + SECOND * second + SECOND * index / count;
                    if flood.count(10, now) && seen.is_none() {
                        seen = Some((second, index));
                    }
                }
            }
            seen
        };
        assert_eq!(run([101; 12]), Some((9, 100)));
        assert_eq!(run([100; 12]), None);
        assert_eq!(run([101, 101, 101, 101, 101, 50, 101, 101, 101, 101, 101, 101]), None);
        assert_eq!(run([101, 101, 101, 101, 101, 0, 101, 101, 101, 101, 101, 101]), None);
    }
}
