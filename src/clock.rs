//! The time, as those are told it who wait or write it down.
#[cfg(feature = "internals")]
use std::sync::Arc;
#[cfg(feature = "internals")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::model::Timestamp;

/// Source of the time.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    Machine,
    /// One that its owner moves: a simulation's.
    #[cfg(feature = "internals")]
    Virtual(VirtualTime),
}

impl Clock {
    /// Returns the time for durations.
    #[inline]
    pub fn now(&self) -> Instant {
        match self {
            Self::Machine => Instant::now(),
            #[cfg(feature = "internals")]
            Self::Virtual(time) => time.instant(),
        }
    }

    /// Returns the wall clock's time.
    #[inline]
    pub fn wall(&self) -> Timestamp {
        match self {
            Self::Machine => Timestamp::now(),
            #[cfg(feature = "internals")]
            Self::Virtual(time) => time.wall(),
        }
    }

    /// Returns the time since then; zero if it is yet to come.
    pub fn since(&self, then: Instant) -> Duration {
        self.now().saturating_duration_since(then)
    }

    /// Waits for a work's end, `limit` at most; `None`: it took longer. A virtual time wakes nobody: its owner polls.
    pub async fn limit<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        match self {
            Self::Machine => tokio::time::timeout(limit, work).await.ok(),
            #[cfg(feature = "internals")]
            Self::Virtual(time) => time.limit(limit, work).await,
        }
    }
}

/// Time that passes only as its owner says. Clones are the same time.
#[cfg(feature = "internals")]
#[derive(Debug, Clone)]
pub struct VirtualTime {
    instant: Instant,
    wall: Timestamp,
    passed_micros: Arc<AtomicU64>,
}

#[cfg(feature = "internals")]
impl VirtualTime {
    /// Begins at this time of the wall clock.
    pub fn new(wall: Timestamp) -> Self {
        Self { instant: Instant::now(), wall, passed_micros: Arc::default() }
    }

    /// Sets the time that has passed since the beginning.
    pub fn set(&self, micros: u64) {
        self.passed_micros.store(micros, Ordering::Relaxed);
    }

    /// Returns the time that has passed since the beginning.
    pub fn micros(&self) -> u64 {
        self.passed_micros.load(Ordering::Relaxed)
    }

    /// Returns the microseconds from the beginning to a time; 0 if that was before.
    pub fn micros_of(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.instant).as_micros()).unwrap_or(u64::MAX)
    }

    /// Returns the time for durations.
    pub fn instant(&self) -> Instant {
        self.instant + Duration::from_micros(self.micros())
    }

    /// Returns the wall clock's time.
    pub fn wall(&self) -> Timestamp {
        self.wall.plus_millis(i64::try_from(self.micros() / 1_000).unwrap_or(i64::MAX))
    }

    async fn limit<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let (until, mut work) = (self.instant() + limit, std::pin::pin!(work));
        std::future::poll_fn(|context| match work.as_mut().poll(context) {
            std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
            std::task::Poll::Pending if self.instant() >= until => std::task::Poll::Ready(None),
            std::task::Poll::Pending => std::task::Poll::Pending,
        })
        .await
    }
}
