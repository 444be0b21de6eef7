//! Questions that are asked at once, those that wait, and the breaker: values, without I/O.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::model::UserId;

/// Maximum number of questions that wait, of all parties.
const WAITING_MAX: usize = 10_000;
/// Maximum number of questions of one party that wait.
const WAITING_OF_ONE_MAX: usize = 1_000;
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

/// Party whose questions share places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Party {
    /// A user, who has at most a quarter of the places.
    Member(UserId),
    /// All clients that are not in yet, who have at most half of them.
    Strangers,
}

/// Admits questions, at most so many at a time; no party has all places.
#[derive(Debug)]
pub(super) struct Gate<T> {
    concurrency: usize,
    asked: usize,
    waiting: usize,
    lines: HashMap<Party, Line<T>>,
    /// Members whose next question may be asked as soon as there is a place, in turn.
    ready: VecDeque<Party>,
    breaker: Breaker,
}

/// The questions of a party.
#[derive(Debug)]
struct Line<T> {
    asked: usize,
    waiting: VecDeque<T>,
    is_ready: bool,
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
        let (lines, ready, breaker) = (HashMap::new(), VecDeque::new(), Breaker::default());
        Self { concurrency, asked: 0, waiting: 0, lines, ready, breaker }
    }

    /// Returns the number of questions that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns whether nothing is asked because the hook has failed too often.
    pub(super) fn is_open(&self) -> bool {
        self.breaker.open_until.is_some()
    }

    /// Takes a question.
    pub(super) fn offer(&mut self, question: T, party: &Party, now: Instant) -> Offered<T> {
        let (share, waiting) = (self.share(party), self.waiting);
        let known = self.lines.get(party);
        let has_place = self.asked < self.concurrency && known.is_none_or(|line| line.asked < share && line.waiting.is_empty());
        // A trial does not wait for a place.
        if (self.is_open() && !has_place) || !self.breaker.admits(now) {
            return Offered::NotAsked(question, "the hook has failed too often, and is not asked for a while");
        }
        let line = self.lines.entry(party.clone()).or_insert_with(Line::new);
        if has_place {
            line.asked += 1;
            self.asked += 1;
            return Offered::Ask(question);
        }
        if line.waiting.len() >= WAITING_OF_ONE_MAX || (*party != Party::Strangers && waiting >= WAITING_MAX) {
            self.tidy(party);
            return Offered::NotAsked(question, "too many questions wait for the hook");
        }
        line.waiting.push_back(question);
        self.waiting += 1;
        self.make_ready(party);
        Offered::Waits
    }

    /// Notes the outcome of a question that was asked.
    pub(super) fn answered(&mut self, party: &Party, is_answered: bool, now: Instant) -> Change {
        self.release(party);
        self.breaker.note(is_answered, now)
    }

    /// Gives back the place of a question.
    pub(super) fn release(&mut self, party: &Party) {
        self.asked = self.asked.saturating_sub(1);
        if let Some(line) = self.lines.get_mut(party) {
            line.asked = line.asked.saturating_sub(1);
        }
        self.make_ready(party);
        self.tidy(party);
    }

    /// Takes the next question that may be asked now, members' in turn, and first.
    pub(super) fn next(&mut self) -> Option<T> {
        if self.is_open() || self.asked >= self.concurrency {
            return None;
        }
        let party = self.ready.pop_front().unwrap_or(Party::Strangers);
        let share = self.share(&party);
        let line = self.lines.get_mut(&party)?;
        line.is_ready = false;
        if line.asked >= share {
            return None;
        }
        let question = line.waiting.pop_front()?;
        line.asked += 1;
        self.asked += 1;
        self.waiting -= 1;
        self.make_ready(&party);
        Some(question)
    }

    /// Takes all questions that wait: the breaker has opened.
    pub(super) fn take_waiting(&mut self) -> Vec<T> {
        self.waiting = 0;
        self.ready.clear();
        let taken = self.lines.values_mut().flat_map(|line| {
            line.is_ready = false;
            line.waiting.drain(..)
        });
        let taken = taken.collect();
        self.lines.retain(|_, line| line.asked > 0);
        taken
    }

    /// Has a member's next question wait for a place, where it may have one.
    fn make_ready(&mut self, party: &Party) {
        let share = self.share(party);
        if let Some(line) = self.lines.get_mut(party)
            && *party != Party::Strangers
            && !(line.is_ready || line.waiting.is_empty() || line.asked >= share)
        {
            line.is_ready = true;
            self.ready.push_back(party.clone());
        }
    }

    /// Forgets a party that has no questions.
    fn tidy(&mut self, party: &Party) {
        if self.lines.get(party).is_some_and(|line| line.asked == 0 && line.waiting.is_empty()) {
            self.lines.remove(party);
        }
    }

    fn share(&self, party: &Party) -> usize {
        let share = match party {
            Party::Member(_) => self.concurrency / 4,
            Party::Strangers => self.concurrency / 2,
        };
        share.max(1)
    }
}

impl<T> Line<T> {
    fn new() -> Self {
        Self { asked: 0, waiting: VecDeque::new(), is_ready: false }
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

    fn member(name: &str) -> Party {
        Party::Member(UserId::parse(name).unwrap())
    }

    #[test]
    fn as_many_are_asked_as_may_be_and_the_others_wait_in_order() {
        let (mut gate, now) = (Gate::new(2), Instant::now());
        let [ann, bob, cid, dan] = ["ann", "bob", "cid", "dan"].map(member);
        assert_eq!(gate.offer(1, &ann, now), Offered::Ask(1));
        assert_eq!(gate.offer(2, &bob, now), Offered::Ask(2));
        assert_eq!((gate.offer(3, &cid, now), gate.offer(4, &dan, now)), (Offered::Waits, Offered::Waits));
        assert_eq!((gate.waiting(), gate.next()), (2, None));
        assert_eq!(gate.answered(&ann, true, now), Change::None);
        assert_eq!((gate.next(), gate.next()), (Some(3), None));
        assert_eq!(gate.lines.len(), 3, "who asks nothing is forgotten");
    }

    #[test]
    fn one_user_has_a_quarter_of_the_places_and_others_get_their_turn() {
        let (mut gate, now) = (Gate::new(8), Instant::now());
        let [busy, ann, bob] = ["busy", "ann", "bob"].map(member);
        assert_eq!((gate.offer(1, &busy, now), gate.offer(2, &busy, now)), (Offered::Ask(1), Offered::Ask(2)));
        for number in 3..3 + WAITING_OF_ONE_MAX {
            assert_eq!(gate.offer(number, &busy, now), Offered::Waits);
        }
        assert!(matches!(gate.offer(0, &busy, now), Offered::NotAsked(0, _)));
        assert_eq!((gate.next(), gate.offer(7, &ann, now)), (None, Offered::Ask(7)), "nobody waits behind them");
        assert_eq!(gate.answered(&busy, true, now), Change::None);
        assert_eq!((gate.next(), gate.next()), (Some(3), None));
        // All places are taken, and two members wait: each in turn.
        let others: Vec<Party> = (0..5).map(|number| member(&format!("other{number}"))).collect();
        assert!(others.iter().all(|other| gate.offer(8, other, now) == Offered::Ask(8)));
        assert_eq!(gate.offer(9, &bob, now), Offered::Waits);
        gate.answered(&busy, true, now);
        gate.answered(&busy, true, now);
        assert_eq!((gate.next(), gate.next(), gate.next()), (Some(9), Some(4), None));
    }

    #[test]
    fn strangers_leave_half_of_the_places_to_members() {
        let (mut gate, now) = (Gate::new(4), Instant::now());
        let (strangers, [ann, bob, cid]) = (Party::Strangers, ["ann", "bob", "cid"].map(member));
        assert_eq!((gate.offer(1, &strangers, now), gate.offer(2, &strangers, now)), (Offered::Ask(1), Offered::Ask(2)));
        assert_eq!((gate.offer(3, &strangers, now), gate.next()), (Offered::Waits, None));
        assert_eq!((gate.offer(4, &ann, now), gate.offer(5, &bob, now)), (Offered::Ask(4), Offered::Ask(5)));
        assert_eq!(gate.offer(6, &cid, now), Offered::Waits);
        gate.answered(&strangers, true, now);
        assert_eq!(gate.next(), Some(6), "members come first");
        for number in 0..WAITING_OF_ONE_MAX - 1 {
            assert_eq!(gate.offer(number, &strangers, now), Offered::Waits);
        }
        assert!(matches!(gate.offer(0, &strangers, now), Offered::NotAsked(0, _)));
        gate.answered(&ann, true, now);
        assert_eq!((gate.next(), gate.next()), (Some(3), None));
        assert_eq!((gate.take_waiting().len(), gate.waiting()), (WAITING_OF_ONE_MAX - 1, 0));
    }

    #[test]
    fn five_failures_in_a_row_open_the_breaker_and_a_trial_closes_it() {
        let (mut gate, now, ann) = (Gate::new(32), Instant::now(), member("ann"));
        let at = |seconds| now + Duration::from_secs(seconds);
        let fail = |gate: &mut Gate<u8>, at| {
            assert_eq!(gate.offer(0, &ann, at), Offered::Ask(0));
            gate.answered(&ann, false, at)
        };
        (0..4).for_each(|_| assert_eq!(fail(&mut gate, now), Change::None));
        gate.offer(0, &ann, now);
        assert_eq!(gate.answered(&ann, true, now), Change::None);
        gate.offer(7, &ann, now);
        (0..4).for_each(|_| assert_eq!(fail(&mut gate, now), Change::None));
        assert_eq!((fail(&mut gate, now), gate.is_open()), (Change::Opened, true));
        assert!(matches!(gate.offer(1, &ann, at(9)), Offered::NotAsked(1, _)));
        assert_eq!(gate.answered(&ann, false, at(9)), Change::None, "it was asked before");
        assert_eq!(gate.offer(2, &ann, at(10)), Offered::Ask(2), "a trial");
        assert!(matches!(gate.offer(3, &ann, at(10)), Offered::NotAsked(3, _)), "one at a time");
        assert_eq!(gate.answered(&ann, false, at(11)), Change::None);
        assert!(matches!(gate.offer(4, &ann, at(20)), Offered::NotAsked(4, _)), "ten more seconds");
        assert_eq!(gate.offer(5, &ann, at(21)), Offered::Ask(5));
        assert_eq!((gate.answered(&ann, true, at(21)), gate.is_open()), (Change::Closed, false));
        assert_eq!(gate.offer(6, &ann, at(21)), Offered::Ask(6));
    }
}
