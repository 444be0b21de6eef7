//! The order of a webhook's waiting events. No I/O.
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::back_off::pause_after;
use crate::model::Timestamp;
use crate::store::QueuedEvent;

/// Number of failures in a row after which the webhook itself is taken to be at fault: all its events wait, and one at a
/// time tries.
const FAILING_AFTER: u32 = 5;

/// A webhook's waiting events in lanes. Of each lane one event is in hand at a time; the next follows once it is
/// delivered. A lane whose event failed waits, and the others go on.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<Arc<str>, Lane>,
    /// Lanes whose first event may be sent.
    ready: VecDeque<Arc<str>>,
    /// Lanes whose first event failed, by the time of the next attempt; the number tells lanes of one time apart.
    resting: BTreeMap<(Instant, u64), Arc<str>>,
    rests: u64,
    events: usize,
    in_hand: usize,
    failures_in_row: u32,
    paused_until: Option<Instant>,
}

#[derive(Debug, Default)]
struct Lane {
    events: VecDeque<Waiting>,
    failures: u32,
    is_in_hand: bool,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    number: i64,
    queued_at: Timestamp,
}

/// An event in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InHand {
    pub lane: Arc<str>,
    pub number: i64,
}

/// Consequence of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// Its lane waits.
    LaneWaits,
    /// The webhook is at fault: everything waits.
    AllWait {
        /// Set if it was not before.
        is_news: bool,
    },
}

impl Lanes {
    /// Adds an event behind those of its lane.
    pub(super) fn push(&mut self, event: QueuedEvent) {
        let QueuedEvent { number, lane, queued_at } = event;
        self.events += 1;
        let waiting = Waiting { number, queued_at };
        if let Some(known) = self.lanes.get_mut(lane.as_str()) {
            known.events.push_back(waiting);
            return;
        }
        let key: Arc<str> = lane.into();
        self.lanes.insert(key.clone(), Lane { events: VecDeque::from([waiting]), ..Lane::default() });
        self.ready.push_back(key);
    }

    /// Returns the number of waiting events, those in hand included.
    pub(super) fn len(&self) -> usize {
        self.events
    }

    /// Returns whether the webhook is taken to be at fault.
    pub(super) fn is_failing(&self) -> bool {
        self.failures_in_row >= FAILING_AFTER
    }

    /// Takes events to send, no more than `most` in hand at a time; one while the webhook is at fault.
    pub(super) fn take(&mut self, most: usize, now: Instant) -> Vec<InHand> {
        if self.paused_until.is_some_and(|until| until > now) {
            return Vec::new();
        }
        self.paused_until = None;
        while let Some(entry) = self.resting.first_entry().filter(|entry| entry.key().0 <= now) {
            self.ready.push_back(entry.remove());
        }
        let most = if self.is_failing() { 1 } else { most };
        let mut taken = Vec::new();
        while self.in_hand < most
            && let Some(key) = self.ready.pop_front()
        {
            let Some(lane) = self.lanes.get_mut(&key) else { continue };
            let Some(first) = lane.events.front() else { continue };
            lane.is_in_hand = true;
            self.in_hand += 1;
            taken.push(InHand { lane: key, number: first.number });
        }
        taken
    }

    /// An event was delivered. Returns whether the webhook was at fault until now.
    pub(super) fn delivered(&mut self, event: &InHand) -> bool {
        self.settle(event);
        let was_failing = self.is_failing();
        self.failures_in_row = 0;
        if was_failing {
            self.retry_now();
        }
        was_failing
    }

    /// An event in hand exists no more.
    pub(super) fn gone(&mut self, event: &InHand) {
        self.settle(event);
    }

    /// An event in hand was not sent.
    pub(super) fn put_back(&mut self, event: InHand) {
        if self.release(&event) {
            self.ready.push_front(event.lane);
        }
    }

    /// An event was not delivered. `chance`, of 0 to 1, varies the pause.
    pub(super) fn failed(&mut self, event: InHand, now: Instant, chance: f64) -> AfterFailure {
        if self.release(&event)
            && let Some(lane) = self.lanes.get_mut(&event.lane)
        {
            lane.failures = lane.failures.saturating_add(1);
            self.rests += 1;
            self.resting.insert((now + pause_after(lane.failures, chance), self.rests), event.lane);
        }
        if self.paused_until.is_some_and(|until| until > now) {
            // It was sent before the pause began.
            return AfterFailure::AllWait { is_news: false };
        }
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        if !self.is_failing() {
            return AfterFailure::LaneWaits;
        }
        self.paused_until = Some(now + pause_after(self.failures_in_row, chance));
        AfterFailure::AllWait { is_news: self.failures_in_row == FAILING_AFTER }
    }

    /// Ends all pauses.
    pub(super) fn retry_now(&mut self) {
        self.paused_until = None;
        self.ready.extend(std::mem::take(&mut self.resting).into_values());
    }

    /// Returns the time at which the next pause ends.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.paused_until.or_else(|| self.resting.first_key_value().map(|((due, _), _)| *due))
    }

    /// Returns since when the longest waiting event waits.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.lanes.values().filter_map(|lane| lane.events.front()).map(|first| first.queued_at).min()
    }

    /// Takes away events that wait since before a time, and the oldest beyond `most`; none that is in hand.
    pub(super) fn take_overdue(&mut self, before: Timestamp, most: usize) -> Vec<i64> {
        let surplus = self.events.saturating_sub(most);
        let least = if surplus == 0 { i64::MIN } else { self.number_at(surplus) };
        let mut overdue = Vec::new();
        self.lanes.retain(|_, lane| {
            let first = usize::from(lane.is_in_hand).min(lane.events.len());
            let is_overdue = |waiting: &Waiting| waiting.queued_at < before || waiting.number < least;
            let count = lane.events.iter().skip(first).take_while(|waiting| is_overdue(waiting)).count();
            overdue.extend(lane.events.drain(first..first + count).map(|waiting| waiting.number));
            !lane.events.is_empty()
        });
        if !overdue.is_empty() {
            self.events -= overdue.len();
            let lanes = &self.lanes;
            self.ready.retain(|key| lanes.contains_key(key));
            self.resting.retain(|_, key| lanes.contains_key(key));
        }
        overdue
    }

    /// Returns the number of the event that has `place` events before it.
    fn number_at(&self, place: usize) -> i64 {
        let mut numbers: Vec<i64> = self.lanes.values().flat_map(|lane| &lane.events).map(|waiting| waiting.number).collect();
        if place >= numbers.len() {
            return i64::MAX;
        }
        *numbers.select_nth_unstable(place).1
    }

    /// Takes an event in hand away for good.
    fn settle(&mut self, event: &InHand) {
        if !self.release(event) {
            return;
        }
        let Some(lane) = self.lanes.get_mut(&event.lane) else { return };
        lane.events.pop_front();
        lane.failures = 0;
        self.events -= 1;
        if lane.events.is_empty() {
            self.lanes.remove(&event.lane);
        } else {
            self.ready.push_back(event.lane.clone());
        }
    }

    /// Notes that an event is in hand no more. Returns whether it was.
    fn release(&mut self, event: &InHand) -> bool {
        let Some(lane) = self.lanes.get_mut(&event.lane) else { return false };
        let was_in_hand = std::mem::take(&mut lane.is_in_hand);
        self.in_hand -= usize::from(was_in_hand);
        was_in_hand
    }
}

/// Maximum time until a waiting lane is looked for, should the clock have been set.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: i64, lane: &str) -> QueuedEvent {
        QueuedEvent { number, lane: lane.to_owned(), queued_at: Timestamp::from_millis(number) }
    }

    fn lanes(events: &[(i64, &str)]) -> Lanes {
        let mut lanes = Lanes::default();
        events.iter().for_each(|(number, lane)| lanes.push(event(*number, lane)));
        lanes
    }

    fn numbers(taken: &[InHand]) -> Vec<i64> {
        taken.iter().map(|event| event.number).collect()
    }

    #[test]
    fn events_of_a_lane_follow_each_other_and_lanes_do_not_wait_for_each_other() {
        let mut lanes = lanes(&[(1, "a"), (2, "a"), (3, "b"), (4, "c")]);
        let now = Instant::now();
        let first = lanes.take(2, now);
        assert_eq!(numbers(&first), [1, 3], "no more than two");
        assert_eq!(numbers(&lanes.take(2, now)), [0; 0]);
        lanes.delivered(&first[1]);
        assert_eq!(numbers(&lanes.take(8, now)), [4], "a's second waits for its first");
        lanes.delivered(&first[0]);
        assert_eq!(numbers(&lanes.take(8, now)), [2]);
        assert_eq!(lanes.len(), 2);
    }

    #[test]
    fn a_lane_that_failed_waits_and_keeps_its_order() {
        let mut lanes = lanes(&[(1, "a"), (2, "a"), (3, "b"), (5, "b")]);
        let now = Instant::now();
        let mut taken = lanes.take(8, now).into_iter();
        let (one, three) = (taken.next().unwrap(), taken.next().unwrap());
        assert_eq!(lanes.failed(one, now, 0.0), AfterFailure::LaneWaits);
        lanes.delivered(&three);
        assert_eq!(numbers(&lanes.take(8, now)), [5]);
        let due = now + Duration::from_millis(100);
        assert_eq!(lanes.next_due(), Some(due));
        assert_eq!(numbers(&lanes.take(8, due)), [1], "the same again, before the second");
    }

    #[test]
    fn a_webhook_at_fault_is_tried_by_one_event_at_a_time_until_it_is_back() {
        let mut lanes = lanes(&[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"), (6, "f"), (7, "g")]);
        let now = Instant::now();
        let taken = lanes.take(7, now);
        let outcomes: Vec<_> = taken.into_iter().map(|event| lanes.failed(event, now, 0.0)).collect();
        assert_eq!(outcomes[3], AfterFailure::LaneWaits);
        assert_eq!(outcomes[4], AfterFailure::AllWait { is_news: true });
        assert_eq!(outcomes[5..], [AfterFailure::AllWait { is_news: false }; 2], "sent before the pause");
        let due = now + Duration::from_millis(1_600);
        assert_eq!(lanes.next_due(), Some(due));
        assert_eq!(lanes.take(7, due - Duration::from_millis(1)), []);
        let probe = lanes.take(7, due);
        assert_eq!(probe.len(), 1);
        assert_eq!(lanes.failed(probe[0].clone(), due, 0.0), AfterFailure::AllWait { is_news: false });
        let later = due + Duration::from_millis(3_200);
        assert_eq!(lanes.next_due(), Some(later));
        let probe = lanes.take(7, later);
        assert!(lanes.delivered(&probe[0]));
        assert_eq!(lanes.take(7, later).len(), 6, "all others at once, whatever they waited for");
    }

    #[test]
    fn what_waits_for_too_long_or_is_too_much_is_taken_away_oldest_first() {
        let mut waiting = lanes(&[(1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "c")]);
        let in_hand = waiting.take(1, Instant::now());
        let mut overdue = waiting.take_overdue(Timestamp::from_millis(4), usize::MAX);
        overdue.sort_unstable();
        assert_eq!((overdue, waiting.len()), (vec![2, 3], 3), "1 is in hand");
        assert_eq!(waiting.oldest(), Some(Timestamp::from_millis(1)));
        waiting.delivered(&in_hand[0]);
        assert_eq!(waiting.take_overdue(Timestamp::default(), 1), [4], "the oldest of two");
        assert_eq!(numbers(&waiting.take(8, Instant::now())), [5]);
    }

    #[test]
    fn what_was_not_sent_or_is_gone_holds_nothing_up() {
        let mut lanes = lanes(&[(1, "a"), (2, "a")]);
        let now = Instant::now();
        let one = lanes.take(8, now).remove(0);
        lanes.put_back(one.clone());
        assert_eq!(numbers(&lanes.take(8, now)), [1]);
        lanes.gone(&one);
        lanes.gone(&one);
        assert_eq!((numbers(&lanes.take(8, now)), lanes.len()), (vec![2], 1));
    }
}
