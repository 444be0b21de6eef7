//! Acks that the server waits for.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Outstanding acks of one socket, each with a token that says what waits for it.
///
/// Ids count from 0 and are never used twice. Nothing is allocated while nothing is outstanding.
#[derive(Debug)]
pub struct Acks<T> {
    next_id: u64,
    waiting: Option<Box<Waiting<T>>>,
}

#[derive(Debug)]
struct Waiting<T> {
    tokens: BTreeMap<u64, (Instant, T)>,
    deadlines: BTreeSet<(Instant, u64)>,
}

impl<T> Default for Acks<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Acks<T> {
    /// Nothing is outstanding.
    pub fn new() -> Self {
        Self { next_id: 0, waiting: None }
    }

    /// Registers an ack that has to come before `deadline`; returns the id to send.
    pub fn insert(&mut self, token: T, deadline: Instant) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let waiting =
            self.waiting.get_or_insert_with(|| Box::new(Waiting { tokens: BTreeMap::new(), deadlines: BTreeSet::new() }));
        waiting.tokens.insert(id, (deadline, token));
        waiting.deadlines.insert((deadline, id));
        id
    }

    /// Takes out what waits for an ack that came; `None` if it came before, is too late or was never asked for.
    pub fn take(&mut self, id: u64) -> Option<T> {
        let waiting = self.waiting.as_mut()?;
        let (deadline, token) = waiting.tokens.remove(&id)?;
        waiting.deadlines.remove(&(deadline, id));
        if waiting.tokens.is_empty() {
            self.waiting = None;
        }
        Some(token)
    }

    /// Takes out what waited until `now` in vain, in order of deadlines.
    pub fn expired(&mut self, now: Instant) -> Vec<T> {
        let mut expired = Vec::new();
        while let Some(id) = self.first().filter(|(deadline, _)| *deadline <= now).map(|(_, id)| id) {
            expired.extend(self.take(id));
        }
        expired
    }

    /// When [`Acks::expired`] has something to give, if no ack comes before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.first().map(|(deadline, _)| deadline)
    }

    /// Number of outstanding acks.
    pub fn len(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.tokens.len())
    }

    /// Whether no ack is outstanding.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_none()
    }

    fn first(&self) -> Option<(Instant, u64)> {
        self.waiting.as_ref()?.deadlines.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_ack_is_taken_once() {
        let now = Instant::now();
        let mut acks = Acks::new();
        assert_eq!((acks.insert("a", now), acks.insert("b", now)), (0, 1));
        assert_eq!(acks.take(1), Some("b"));
        assert_eq!(acks.take(1), None);
        assert_eq!(acks.take(7), None);
        assert_eq!(acks.take(0), Some("a"));
        assert!(acks.is_empty() && acks.waiting.is_none());
        assert_eq!(acks.insert("c", now), 2);
    }

    #[test]
    fn late_acks_leave_in_order_of_deadlines() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut acks = Acks::new();
        acks.insert("slow", after(30));
        acks.insert("fast", after(5));
        acks.insert("same", after(5));
        assert_eq!(acks.next_deadline(), Some(after(5)));
        assert!(acks.expired(after(4)).is_empty());
        assert_eq!(acks.expired(after(5)), ["fast", "same"]);
        assert_eq!(acks.take(1), None);
        assert_eq!((acks.next_deadline(), acks.len()), (Some(after(30)), 1));
        assert_eq!(acks.expired(after(60)), ["slow"]);
        assert_eq!(acks.next_deadline(), None);
    }
}
