//! State of a webhook, shared with whoever shows it.
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Timestamp;

/// Figures of a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookFigures {
    /// Its name.
    pub name: String,
    /// Events that wait.
    pub waiting: usize,
    /// Time since which the oldest of them waits, as of the last second or so.
    pub waiting_since: Option<Timestamp>,
    /// Events delivered since the start.
    pub delivered: u64,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// Events that became dead letters since the start.
    pub buried: u64,
    /// Time of the first failure since the last delivery.
    pub failing_since: Option<Timestamp>,
    /// The last failure since the last delivery.
    pub failure: Option<String>,
}

/// The figures, written by the deliverer.
#[derive(Debug)]
pub(super) struct Status(Mutex<WebhookFigures>);

impl Status {
    pub(super) fn new(name: &str) -> Self {
        Self(Mutex::new(WebhookFigures { name: name.to_owned(), ..WebhookFigures::default() }))
    }

    pub(super) fn figures(&self) -> WebhookFigures {
        self.lock().clone()
    }

    pub(super) fn note_waiting(&self, waiting: usize) {
        let mut figures = self.lock();
        figures.waiting = waiting;
        if waiting == 0 {
            figures.waiting_since = None;
        }
    }

    pub(super) fn note_oldest(&self, oldest: Option<Timestamp>) {
        self.lock().waiting_since = oldest;
    }

    pub(super) fn note_delivered(&self) {
        let mut figures = self.lock();
        figures.delivered += 1;
        figures.failing_since = None;
        figures.failure = None;
    }

    pub(super) fn note_failure(&self, failure: String) {
        let mut figures = self.lock();
        figures.failures += 1;
        figures.failing_since.get_or_insert_with(Timestamp::now);
        figures.failure = Some(failure);
    }

    pub(super) fn note_buried(&self, count: usize) {
        self.lock().buried += count as u64;
    }

    fn lock(&self) -> MutexGuard<'_, WebhookFigures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
