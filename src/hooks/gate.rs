//! Questions that are asked at once, those that wait, and the breaker: values, without I/O.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Maximum number of questions of members that wait.
const WAITING_MAX: usize = 10_000;
/// Maximum number of questions about clients that are not in yet that wait.
const STRANGERS_WAITING_MAX: usize = 1_000;
/// Number of failures in a row after which nothing is asked for [`OPEN_FOR`].
const FAILURES_MAX: u32 = 5;
/// Time for which nothing is asked; then one question is a trial.
const OPEN_FOR: Duration = Duration::from_secs(10);

/// Outcome for a question that comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered<T> {
    /// It is to be asked now.
    Ask(T),
    /// It waits for its turn.
    Waits,
    /// It is not asked: the hook has failed too often, or too many wait.
    NotAsked(T, &'static str),
}

/// Change of the breaker by an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// None.
    None,
    /// It opened: nothing is asked for a while.
    Opened,
    /// It closed: the hook answers again.
    Closed,
}

/// Admits questions, at most so many at a time; strangers have half of the places.
#[derive(Debug)]
pub(super) struct Gate<T> {
    concurrency: usize,
    asked: usize,
    asked_by_strangers: usize,
    members: VecDeque<T>,
    strangers: VecDeque<T>,
    breaker: Breaker,
}

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
    is_trying: bool,
}

impl<T> Gate<T> {
    /// Makes a gate for `concurrency` questions at a time.
    pub(super) fn new(concurrency: usize) -> Self {
        let (members, strangers, breaker) = (VecDeque::new(), VecDeque::new(), Breaker::default());
        Self { concurrency, asked: 0, asked_by_strangers: 0, members, strangers, breaker }
    }

    /// Returns the number of questions that wait.
    pub(super) fn waiting(&self) -> usize {
        self.members.len() + self.strangers.len()
    }

    /// Returns whether nothing is asked because the hook has failed too often.
    pub(super) fn is_open(&self) -> bool {
        self.breaker.open_until.is_some()
    }

    /// Takes a question.
    pub(super) fn offer(&mut self, question: T, is_stranger: bool, now: Instant) -> Offered<T> {
        if !self.breaker.admits(now) {
            return Offered::NotAsked(question, "the hook has failed too often, and is not asked for a while");
        }
        if self.has_place(is_stranger) {
            self.take_place(is_stranger);
            return Offered::Ask(question);
        }
        let (waiting, most) = match is_stranger {
            true => (&mut self.strangers, STRANGERS_WAITING_MAX),
            false => (&mut self.members, WAITING_MAX),
        };
        if waiting.len() >= most {
            return Offered::NotAsked(question, "too many questions wait for the hook");
        }
        waiting.push_back(question);
        Offered::Waits
    }

    /// Notes the outcome of a question that was asked.
    pub(super) fn answered(&mut self, is_stranger: bool, is_answered: bool, now: Instant) -> Change {
        self.release(is_stranger);
        self.breaker.note(is_answered, now)
    }

    /// Gives back the place of a question.
    pub(super) fn release(&mut self, is_stranger: bool) {
        self.asked = self.asked.saturating_sub(1);
        self.asked_by_strangers = self.asked_by_strangers.saturating_sub(usize::from(is_stranger));
    }

    /// Takes the next question that may be asked now, members' first.
    pub(super) fn next(&mut self) -> Option<T> {
        if self.is_open() {
            return None;
        }
        for is_stranger in [false, true] {
            let waiting = if is_stranger { &self.strangers } else { &self.members };
            if !waiting.is_empty() && self.has_place(is_stranger) {
                self.take_place(is_stranger);
                return if is_stranger { self.strangers.pop_front() } else { self.members.pop_front() };
            }
        }
        None
    }

    /// Takes all questions that wait: the breaker has opened.
    pub(super) fn take_waiting(&mut self) -> Vec<T> {
        self.members.drain(..).chain(self.strangers.drain(..)).collect()
    }

    fn has_place(&self, is_stranger: bool) -> bool {
        self.asked < self.concurrency && (!is_stranger || self.asked_by_strangers < (self.concurrency / 2).max(1))
    }

    fn take_place(&mut self, is_stranger: bool) {
        self.asked += 1;
        self.asked_by_strangers += usize::from(is_stranger);
    }
}

impl Breaker {
    fn admits(&mut self, now: Instant) -> bool {
        match self.open_until {
            None => true,
            Some(open_until) if now < open_until || self.is_trying => false,
            Some(_) => {
                self.is_trying = true;
                true
            }
        }
    }

    fn note(&mut self, is_answered: bool, now: Instant) -> Change {
        let was_trial = std::mem::take(&mut self.is_trying);
        if is_answered {
            self.failures = 0;
            return if self.open_until.take().is_some() { Change::Closed } else { Change::None };
        }
        self.failures = self.failures.saturating_add(1);
        let was_open = self.open_until.is_some();
        // One that was asked before the breaker opened changes nothing.
        if self.failures >= FAILURES_MAX && (was_trial || !was_open) {
            self.open_until = now.checked_add(OPEN_FOR);
        }
        if self.open_until.is_some() && !was_open { Change::Opened } else { Change::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_asked_as_may_be_and_the_others_wait_in_order() {
        let (mut gate, now) = (Gate::new(2), Instant::now());
        assert_eq!(gate.offer(1, false, now), Offered::Ask(1));
        assert_eq!(gate.offer(2, false, now), Offered::Ask(2));
        assert_eq!((gate.offer(3, false, now), gate.offer(4, false, now)), (Offered::Waits, Offered::Waits));
        assert_eq!((gate.waiting(), gate.next()), (2, None));
        assert_eq!(gate.answered(false, true, now), Change::None);
        assert_eq!((gate.next(), gate.next()), (Some(3), None));
    }

    #[test]
    fn strangers_leave_half_of_the_places_to_members() {
        let (mut gate, now) = (Gate::new(4), Instant::now());
        assert_eq!((gate.offer(1, true, now), gate.offer(2, true, now)), (Offered::Ask(1), Offered::Ask(2)));
        assert_eq!((gate.offer(3, true, now), gate.next()), (Offered::Waits, None));
        assert_eq!((gate.offer(4, false, now), gate.offer(5, false, now)), (Offered::Ask(4), Offered::Ask(5)));
        assert_eq!(gate.offer(6, false, now), Offered::Waits);
        gate.answered(true, true, now);
        assert_eq!(gate.next(), Some(6), "members come first");
        for number in 0..STRANGERS_WAITING_MAX - 1 {
            assert_eq!(gate.offer(number, true, now), Offered::Waits);
        }
        assert!(matches!(gate.offer(0, true, now), Offered::NotAsked(0, _)));
    }

    #[test]
    fn five_failures_in_a_row_open_the_breaker_and_a_trial_closes_it() {
        let (mut gate, now) = (Gate::new(8), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let fail = |gate: &mut Gate<u8>, at| {
            assert_eq!(gate.offer(0, false, at), Offered::Ask(0));
            gate.answered(false, false, at)
        };
        (0..4).for_each(|_| assert_eq!(fail(&mut gate, now), Change::None));
        gate.offer(0, false, now);
        assert_eq!(gate.answered(false, true, now), Change::None);
        gate.offer(7, false, now);
        (0..4).for_each(|_| assert_eq!(fail(&mut gate, now), Change::None));
        assert_eq!((fail(&mut gate, now), gate.is_open()), (Change::Opened, true));
        assert!(matches!(gate.offer(1, false, at(9)), Offered::NotAsked(1, _)));
        assert_eq!(gate.answered(false, false, at(9)), Change::None, "it was asked before");
        assert_eq!(gate.offer(2, false, at(10)), Offered::Ask(2), "a trial");
        assert!(matches!(gate.offer(3, false, at(10)), Offered::NotAsked(3, _)), "one at a time");
        assert_eq!(gate.answered(false, false, at(11)), Change::None);
        assert!(matches!(gate.offer(4, false, at(20)), Offered::NotAsked(4, _)), "ten more seconds");
        assert_eq!(gate.offer(5, false, at(21)), Offered::Ask(5));
        assert_eq!((gate.answered(false, true, at(21)), gate.is_open()), (Change::Closed, false));
        assert_eq!(gate.offer(6, false, at(21)), Offered::Ask(6));
    }
}
