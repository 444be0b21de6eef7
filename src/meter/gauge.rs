//! A figure written by one thread.
use std::sync::atomic::{AtomicU64, Ordering};

/// A figure with a single writer and any number of readers. Adding is a load and a store, and writers never contend for
/// a cache line.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Returns the figure.
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

    /// Subtracts from the figure.
    pub fn subtract(&self, amount: u64) {
        self.set(self.get().wrapping_sub(amount));
    }
}
