//! Figures of the hook.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::answer::Answer;
use crate::meter::{Distribution, Gauge, Histogram};

/// Upper bounds of the times to an answer, in microseconds.
const TIMES: [u64; 9] = [1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 2_000_000];

/// Counts questions and answers; its one writer is the actor.
#[derive(Debug)]
pub(crate) struct HookMeter {
    allowed: Gauge,
    changed: Gauge,
    refused: Gauge,
    failed: Gauge,
    waiting: AtomicU64,
    is_open: AtomicBool,
    times: Histogram,
}

/// Counts events that were handed on; its one writer is the actor.
#[derive(Debug, Default)]
pub(crate) struct ForwardMeter {
    answered: Gauge,
    failed: Gauge,
    waiting: AtomicU64,
}

impl ForwardMeter {
    /// Notes that an event was answered, or not.
    pub(super) fn note(&self, is_answered: bool) {
        if is_answered { self.answered.add(1) } else { self.failed.add(1) }
    }

    /// Notes how many wait.
    pub(super) fn note_waiting(&self, waiting: usize) {
        self.waiting.store(u64::try_from(waiting).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the numbers of events by outcome.
    pub(crate) fn events(&self) -> [(&'static str, u64); 2] {
        [("answered", self.answered.get()), ("failed", self.failed.get())]
    }

    /// Returns the number of events that wait for their turn.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Default for HookMeter {
    fn default() -> Self {
        Self {
            allowed: Gauge::default(),
            changed: Gauge::default(),
            refused: Gauge::default(),
            failed: Gauge::default(),
            waiting: AtomicU64::new(0),
            is_open: AtomicBool::new(false),
            times: Histogram::of_times(&TIMES),
        }
    }
}

impl HookMeter {
    /// Notes an answer, and the time that it took; `None`: there is no usable one.
    pub(super) fn note(&self, answer: Option<&Answer>, took: Duration) {
        self.times.note_time(took);
        let figure = match answer {
            Some(Answer::Allow) => &self.allowed,
            Some(Answer::Change(_) | Answer::Name(_)) => &self.changed,
            Some(Answer::Refuse(_)) => &self.refused,
            None => &self.failed,
        };
        figure.add(1);
    }

    /// Notes that a question was not asked.
    pub(super) fn note_not_asked(&self) {
        self.failed.add(1);
    }

    /// Notes how many wait, and whether the breaker is open.
    pub(super) fn note_state(&self, waiting: usize, is_open: bool) {
        self.waiting.store(u64::try_from(waiting).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.is_open.store(is_open, Ordering::Relaxed);
    }

    /// Returns the numbers of answers by outcome.
    pub(crate) fn answers(&self) -> [(&'static str, u64); 4] {
        [
            ("allowed", self.allowed.get()),
            ("changed", self.changed.get()),
            ("refused", self.refused.get()),
            ("failed", self.failed.get()),
        ]
    }

    /// Returns the number of questions that wait for their turn.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Returns whether nothing is asked because the hook has failed too often.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Returns the times to an answer.
    pub(crate) fn times(&self) -> Distribution {
        self.times.distribution()
    }
}
