//! The deadlines of all connections of a thread, behind a single timer.
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::engineio::Slot;

/// Heap entries of one connection. With two, a distant and a near deadline can alternate without new entries.
pub(in crate::transport) type Armed = [Option<Instant>; 2];

/// A heap of times at which connections need attention.
///
/// Postponing a deadline leaves the old entry in the heap: when it comes up, the connection enters its present deadline
/// instead. So a pong costs nothing here.
#[derive(Debug, Default)]
pub(in crate::transport) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, Slot)>>,
}

impl Deadlines {
    /// Ensures that the connection gets attention by `due`. Returns whether that is now the earliest time of all.
    pub(in crate::transport) fn arm(&mut self, slot: Slot, armed: &mut Armed, due: Instant) -> bool {
        if armed.iter().flatten().any(|at| *at <= due) {
            return false;
        }
        let is_first = self.next().is_none_or(|next| due < next);
        self.heap.push(Reverse((due, slot)));
        let [one, other] = armed;
        match (&one, &other) {
            (None, _) => *one = Some(due),
            (_, None) => *other = Some(due),
            // the later entry is abandoned: when it comes up, it will match no connection
            (one_at, other_at) if one_at > other_at => *one = Some(due),
            _ => *other = Some(due),
        }
        is_first
    }

    /// Returns the earliest time.
    pub(in crate::transport) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Removes an entry whose time has come.
    pub(in crate::transport) fn pop(&mut self, now: Instant) -> Option<(Instant, Slot)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

/// Records that the entry with this time has left the heap. Returns whether it was the connection's.
pub(super) fn disarm(armed: &mut Armed, at: Instant) -> bool {
    let entry = armed.iter_mut().find(|entry| **entry == Some(at));
    entry.and_then(Option::take).is_some()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SLOT: Slot = Slot { index: 1, generation: 0 };

    #[test]
    fn a_near_and_a_far_deadline_take_turns_without_growth() {
        let start = Instant::now();
        let far = start + Duration::from_secs(25);
        let (mut deadlines, mut armed) = (Deadlines::default(), Armed::default());
        assert!(deadlines.arm(SLOT, &mut armed, far));
        for step in 1..100 {
            let near = start + Duration::from_millis(step);
            assert!(deadlines.arm(SLOT, &mut armed, near));
            assert!(!deadlines.arm(SLOT, &mut armed, near + Duration::from_millis(1)), "an earlier one is there");
            assert_eq!(deadlines.pop(near), Some((near, SLOT)));
            assert!(disarm(&mut armed, near));
            assert!(!deadlines.arm(SLOT, &mut armed, far));
        }
        assert_eq!(deadlines.heap.len(), 1);
    }

    #[test]
    fn nothing_comes_before_its_time() {
        let start = Instant::now();
        let (mut deadlines, mut armed) = (Deadlines::default(), Armed::default());
        deadlines.arm(SLOT, &mut armed, start + Duration::from_millis(10));
        assert_eq!(deadlines.pop(start + Duration::from_millis(9)), None);
        assert_eq!(deadlines.next(), Some(start + Duration::from_millis(10)));
        assert!(!disarm(&mut armed, start), "that one is not ours");
    }
}
