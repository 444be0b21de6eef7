//! The pace of a webhook's requests. While events come faster than receivers need them, users' sends come first: the
//! events wait, and go at full speed once fewer come, or once so many wait that some could be given up.
use std::time::{Duration, Instant};

/// Requests a second while more events than that come. Each costs about as much as storing a message.
const REQUESTS_A_SECOND: usize = 1_000;
/// Time in which a share of them leaves.
const SLICE: Duration = Duration::from_millis(10);
/// Maximum number of requests in a slice.
const REQUESTS_A_SLICE: usize = 10;
/// Time in which events are counted.
const SECOND: Duration = Duration::from_secs(1);

/// Counts events that come and requests that leave.
#[derive(Debug)]
pub(super) struct Pace {
    second_began: Instant,
    come: usize,
    is_rush: bool,
    slice_began: Instant,
    left: usize,
    is_held: bool,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { second_began: now, come: 0, is_rush: false, slice_began: now, left: 0, is_held: false }
    }

    /// Notes events that have come.
    pub(super) fn note_come(&mut self, events: usize, now: Instant) {
        self.turn_to(now);
        self.come = self.come.saturating_add(events);
        self.is_rush |= self.come > REQUESTS_A_SECOND;
    }

    /// Counts a request, unless it must not leave yet. `has_room`: so few events wait that more may.
    pub(super) fn leave(&mut self, has_room: bool, now: Instant) -> bool {
        self.turn_to(now);
        self.is_held = self.is_rush && has_room && self.left >= REQUESTS_A_SLICE;
        if !self.is_held {
            self.left = self.left.saturating_add(1);
        }
        !self.is_held
    }

    /// Returns whether more events come than leave.
    pub(super) fn is_rush(&self) -> bool {
        self.is_rush
    }

    /// Returns the time at which the next request may leave, if the last one must not.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.is_held.then(|| self.slice_began + SLICE)
    }

    fn turn_to(&mut self, now: Instant) {
        if now.saturating_duration_since(self.second_began) >= SECOND {
            self.is_rush = self.come > REQUESTS_A_SECOND;
            self.second_began = now;
            self.come = 0;
        }
        if now.saturating_duration_since(self.slice_began) >= SLICE {
            self.slice_began = now;
            self.left = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many requests may leave in a second from `begun` on, tried each millisecond.
    fn leaving(pace: &mut Pace, begun: Instant, has_room: bool) -> usize {
        let times = (0..1_000).map(|millis| begun + Duration::from_millis(millis));
        times.map(|now| (0..100).take_while(|_| pace.leave(has_room, now)).count()).sum()
    }

    #[test]
    fn while_too_much_comes_some_leave_and_then_all() {
        let begun = Instant::now();
        let mut pace = Pace::new(begun);
        assert_eq!(leaving(&mut pace, begun, true), 100_000, "nothing is held up");
        let later = begun + SECOND;
        pace.note_come(REQUESTS_A_SECOND + 1, later);
        assert_eq!(leaving(&mut pace, later, true), REQUESTS_A_SECOND);
        assert_eq!(leaving(&mut pace, later + SECOND, false), 100_000, "more must not wait");
        assert_eq!(leaving(&mut pace, later + 2 * SECOND, true), 100_000, "fewer came");
    }
}
