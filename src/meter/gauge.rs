//! A figure of one thread.
use std::sync::atomic::{AtomicU64, Ordering};

/// A figure with a single writer, which anybody may read: a load and a store do for an addition, and no cache line is ever
/// fought for.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// The figure now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the figure.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to the figure.
    pub fn add(&self, amount: u64) {
        self.set(self.get().wrapping_add(amount));
    }

    /// Takes from the figure.
    pub fn subtract(&self, amount: u64) {
        self.set(self.get().wrapping_sub(amount));
    }
}
