//! Load of an actor.
use std::any::type_name;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Gauge;

/// Time after which the slowest step is forgotten, so that a slow start does not hide later ones.
const SLOWEST_FOR: Duration = Duration::from_secs(600);

/// Counts the steps of one actor, or of all actors of a kind on one thread. Only that thread may record steps.
#[derive(Debug)]
pub struct Meter {
    started: Instant,
    waiting: AtomicI64,
    handled: Gauge,
    busy_nanos: Gauge,
    /// Duration, in nanoseconds, that a step must exceed to be the slowest, and the end of that rule in nanoseconds
    /// since the start.
    slowest_nanos: Gauge,
    slowest_until: Gauge,
    slowest: Mutex<Option<(&'static str, Instant)>>,
}

/// Counts of a [`Meter`], or the sum over several of one kind.
#[derive(Debug, Clone, Default)]
pub struct ActorStats {
    /// Messages waiting in the mailbox, of those counted when sent.
    pub waiting: u64,
    /// Turns so far: messages handled, and the actor's other work.
    pub handled: u64,
    /// Time spent in steps.
    pub busy: Duration,
    /// The slowest step of the last ten minutes or so.
    pub slowest: Option<Slowest>,
}

/// A slow step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowest {
    /// Type of the message.
    pub message: &'static str,
    /// Duration of the step.
    pub took: Duration,
    /// Time since the step.
    pub ago: Duration,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            waiting: AtomicI64::new(0),
            handled: Gauge::default(),
            busy_nanos: Gauge::default(),
            slowest_nanos: Gauge::default(),
            slowest_until: Gauge::default(),
            slowest: Mutex::new(None),
        }
    }
}

impl Meter {
    /// Records that a message was sent to the actor.
    pub fn sent(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the actor takes up a message that was counted when sent.
    pub fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Records the end of a step that began at `begun`.
    pub fn note(&self, message: &'static str, begun: Instant) {
        self.handled.add(1);
        self.note_time(message, begun, 1);
    }

    /// Records a step without timing it; returns the number of such steps so far.
    pub fn note_untimed(&self) -> u64 {
        self.handled.add(1);
        self.handled.get()
    }

    /// Records the duration of one step on behalf of `steps` like it, which [`Meter::note_untimed`] counted.
    pub fn note_time(&self, message: &'static str, begun: Instant, steps: u64) {
        let end = Instant::now();
        let nanos = nanos(end.saturating_duration_since(begun));
        self.busy_nanos.add(nanos.saturating_mul(steps));
        let now = nanos_since(self.started, end);
        if nanos > self.slowest_nanos.get() || now > self.slowest_until.get() {
            self.slowest_nanos.set(nanos);
            self.slowest_until.set(now.saturating_add(self::nanos(SLOWEST_FOR)));
            *self.slowest.lock().unwrap_or_else(PoisonError::into_inner) = Some((message, end));
        }
    }

    /// Returns the counts so far.
    pub fn stats(&self) -> ActorStats {
        let slowest = *self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        ActorStats {
            // Messages that were not counted when sent may have been taken up, too.
            waiting: u64::try_from(self.waiting.load(Ordering::Relaxed)).unwrap_or(0),
            handled: self.handled.get(),
            busy: Duration::from_nanos(self.busy_nanos.get()),
            slowest: slowest.map(|(message, at)| Slowest {
                message,
                took: Duration::from_nanos(self.slowest_nanos.get()),
                ago: at.elapsed(),
            }),
        }
    }
}

impl ActorStats {
    /// Returns the sum of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            waiting: self.waiting + other.waiting,
            handled: self.handled + other.handled,
            busy: self.busy + other.busy,
            slowest: [self.slowest, other.slowest].into_iter().flatten().max_by_key(|slowest| slowest.took),
        }
    }
}

/// An actor whose steps are counted.
pub trait Metered {
    /// Returns the actor's meter.
    fn meter(&self) -> &Meter;

    /// Handles a message of type `M` as a counted step.
    fn step<M, T>(&mut self, handle: impl FnOnce(&mut Self) -> T) -> T {
        let begun = Instant::now();
        let outcome = handle(self);
        self.meter().note(short_name::<M>(), begun);
        outcome
    }

    /// Handles a message of type `M` that was counted when it was sent.
    fn step_of_counted<M, T>(&mut self, handle: impl FnOnce(&mut Self) -> T) -> T {
        self.meter().taken();
        self.step::<M, T>(handle)
    }
}

/// Returns a type's name without its path and parameters.
fn short_name<M>() -> &'static str {
    let name = type_name::<M>().split('<').next().unwrap_or_default();
    name.rsplit("::").next().unwrap_or(name)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn nanos_since(start: Instant, end: Instant) -> u64 {
    nanos(end.saturating_duration_since(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Worked<T>(T);

    #[derive(Default)]
    struct Worker(Meter);

    impl Metered for Worker {
        fn meter(&self) -> &Meter {
            &self.0
        }
    }

    #[test]
    fn turns_are_counted_with_the_slowest_by_name() {
        let mut worker = Worker::default();
        worker.0.sent();
        worker.0.sent();
        worker.step_of_counted::<Worked<u8>, _>(|_| std::hint::black_box(()));
        worker.0.note("late", Instant::now().checked_sub(Duration::from_secs(2)).unwrap());
        worker.0.note("quick", Instant::now());
        let stats = worker.0.stats();
        assert_eq!((stats.waiting, stats.handled), (1, 3));
        assert_eq!(stats.slowest.map(|slowest| slowest.message), Some("late"));
        assert!(stats.busy >= Duration::from_secs(2));
        assert_eq!(short_name::<Worked<Vec<u8>>>(), "Worked");
    }

    #[test]
    fn figures_of_a_kind_add_up() {
        let (one, other) = (Meter::default(), Meter::default());
        one.note("short", Instant::now());
        other.note("long", Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
        let both = one.stats().and(other.stats());
        assert_eq!(both.handled, 2);
        assert_eq!(both.slowest.map(|slowest| slowest.message), Some("long"));
    }
}
