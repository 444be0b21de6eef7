//! Figures since the start.
use crate::chat::ports::NotRecovered;

/// Figures since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub requests: u64,
    pub messages: u64,
    pub refused: u64,
    pub panics: u64,
    pub recovered: u64,
    /// In the order of [`NotRecovered::ALL`].
    not_recovered: [u64; NotRecovered::ALL.len()],
}

impl Counters {
    pub(crate) fn note_not_recovered(&mut self, reason: NotRecovered) {
        let counters = NotRecovered::ALL.iter().zip(&mut self.not_recovered);
        counters.filter(|(other, _)| **other == reason).for_each(|(_, count)| *count += 1);
    }

    pub(crate) fn not_recovered(&self) -> impl Iterator<Item = (NotRecovered, u64)> {
        NotRecovered::ALL.into_iter().zip(self.not_recovered)
    }
}
