//! The persister's queue: bounded, first in, first out; and the state of the database.
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix::Message;
use tokio::sync::oneshot;

use super::changes::Outcome;
use super::connection::AnyConnection;
use super::failure::StoreError;
use super::write::{Write, Written};
use crate::clock::Clock;

/// Duration after which a commit counts as failing, because the database hangs.
const COMMIT_STALL: Duration = Duration::from_secs(5);

/// Receiver of the outcome of a [`Write`].
#[derive(Debug)]
pub enum Done {
    /// None; a failure is logged.
    Nobody,
    /// The recipient of [`Committed`], under this tag.
    Tagged(u64),
    /// The caller at the other end.
    Answer(oneshot::Sender<Result<Written, StoreError>>),
}

/// Outcomes of tagged writes: one message for each batch, after its commit, in order of admission.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Committed {
    /// Tag and outcome of each write.
    pub outcomes: Vec<(u64, Result<Written, StoreError>)>,
}

/// Receiver of the outcomes of tagged writes.
pub(super) type Report = Box<dyn Fn(Committed) + Send>;

/// The queue. Nothing here waits for the database: the lock is held for pushes and swaps only.
pub(super) struct Queue {
    clock: Clock,
    limit: usize,
    retry_for: Duration,
    /// Number of writes admitted and not answered.
    depth: AtomicUsize,
    /// Set from a failed commit until the next success.
    is_failing: AtomicBool,
    /// Set when everything was given up, until a probe succeeds.
    is_away: AtomicBool,
    /// Set for good once the open files are no longer the database.
    is_lost: AtomicBool,
    state: Mutex<State>,
    /// Wakes the persister from its sleep or a pause.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Write, Done)>,
    /// Questions for the persister, to be asked before the next batch.
    questions: VecDeque<WriterQuestion>,
    /// Time since which the first write waits.
    waiting_since: Option<Instant>,
    /// Writes of the batch being committed.
    in_hand: Vec<Done>,
    /// Set while a part of that batch may be stored.
    is_in_doubt: bool,
    committing_since: Option<Instant>,
    failing_since: Option<Instant>,
    /// Set while the persister waits for work, or is about to.
    is_asleep: bool,
    /// Number of waiting writes at which to wake the persister.
    awaited: Option<usize>,
    is_closed: bool,
    report: Option<Report>,
}

/// Starts an actor's service of its queue; it ends when the queue is closed.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Serve;

/// A query on the writer's own connection.
pub(super) type WriterQuestion = Box<dyn FnOnce(Result<&mut AnyConnection, String>) + Send>;

/// Work of the persister.
pub(super) enum Work {
    /// A batch, and how long the first write has waited.
    Batch(Vec<Write>, Duration),
    /// A question.
    Question(WriterQuestion),
}

/// End of the persister's sleep.
pub(super) enum Wake {
    /// There is work.
    Work,
    /// Nothing has come for as long as was asked for.
    Rest,
    /// The queue is closed.
    Closed,
}

impl State {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.questions.is_empty() && !self.is_closed
    }

    /// Returns the answer for a given-up batch.
    fn given_up(&self) -> StoreError {
        if self.is_in_doubt { StoreError::Unknown } else { StoreError::Unavailable }
    }
}

impl Queue {
    pub(super) fn new(limit: usize, retry_for: Duration, clock: Clock) -> Self {
        Self {
            clock,
            limit,
            retry_for,
            depth: AtomicUsize::new(0),
            is_failing: AtomicBool::new(false),
            is_away: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    pub(super) fn has_room(&self) -> bool {
        self.depth() < self.limit && !self.is_away()
    }

    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    pub(super) fn report_to(&self, report: Report) {
        self.lock().report = Some(report);
    }

    /// Admits a write, unless the queue is full or the database is known to be unreachable.
    pub(super) fn admit(&self, write: Write, done: Done) -> Result<(), StoreError> {
        if self.has_room() { self.push(write, done) } else { Err(StoreError::Unavailable) }
    }

    /// Admits a write even if the queue is full; for the final barrier.
    pub(super) fn push(&self, write: Write, done: Done) -> Result<(), StoreError> {
        let mut state = self.lock();
        // Checked again under the lock: a write must not slip in behind a give-up.
        if self.is_away() || state.is_closed {
            return Err(StoreError::Unavailable);
        }
        self.depth.fetch_add(1, Ordering::Relaxed);
        if state.waiting.is_empty() {
            state.waiting_since = Some(self.clock.now());
        }
        state.waiting.push_back((write, done));
        let is_company = state.awaited.is_some_and(|awaited| state.waiting.len() >= awaited);
        if is_company {
            state.awaited = None;
        }
        // Only once for each time that it sleeps.
        let was_asleep = std::mem::replace(&mut state.is_asleep, false);
        drop(state);
        if was_asleep || is_company {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Asks a question before the next batch.
    pub(super) fn ask(&self, question: WriterQuestion) {
        self.lock().questions.push_back(question);
        self.changed.notify_all();
    }

    /// Takes the next work: a question, or a batch of at most `limit` writes. `None`: there is none, or the queue is
    /// closed; the persister is taken to sleep.
    pub(super) fn take(&self, limit: usize) -> Option<Work> {
        let mut state = self.lock();
        if state.is_closed {
            return None;
        }
        if let Some(question) = state.questions.pop_front() {
            return Some(Work::Question(question));
        }
        if state.waiting.is_empty() {
            state.is_asleep = true;
            return None;
        }
        let batch = if state.waiting.len() <= limit {
            std::mem::take(&mut state.waiting)
        } else {
            state.waiting.drain(..limit).collect()
        };
        let (writes, in_hand) = batch.into_iter().unzip();
        state.in_hand = in_hand;
        state.is_in_doubt = false;
        let now = self.clock.now();
        state.committing_since = Some(now);
        let waited = state.waiting_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        Some(Work::Batch(writes, waited))
    }

    /// Waits until there is work; with `rest`, no longer than that.
    pub(super) fn sleep(&self, rest: Option<Duration>) -> Wake {
        let state = self.lock();
        let mut state = match rest {
            Some(rest) => {
                let waited = self.changed.wait_timeout_while(state, rest, |state| state.is_idle());
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(state, |state| state.is_idle()).unwrap_or_else(PoisonError::into_inner),
        };
        state.is_asleep = false;
        match &*state {
            state if state.is_closed => Wake::Closed,
            state if state.is_idle() => Wake::Rest,
            _ => Wake::Work,
        }
    }

    /// Returns whether the persister found no work when it last looked, and none has come since.
    #[cfg(feature = "internals")]
    pub(super) fn is_asleep(&self) -> bool {
        self.lock().is_asleep
    }

    /// Records that the database now decides about the batch. `false`: it was given up, and must not be committed any
    /// more.
    pub(super) fn begin_commit(&self) -> bool {
        let mut state = self.lock();
        // `give_up` has taken the receivers of a batch that it answered.
        let is_given_up = self.is_away() && state.in_hand.is_empty();
        state.is_in_doubt |= !is_given_up;
        !is_given_up
    }

    /// Answers the writes of the batch; one without an outcome was given up. If the whole batch was given up meanwhile,
    /// its callers have been answered already.
    pub(super) fn settle(&self, mut outcomes: Vec<Outcome>) {
        let mut state = self.lock();
        state.committing_since = None;
        let done = std::mem::take(&mut state.in_hand);
        outcomes.resize(done.len(), Err(state.given_up()));
        self.answer(done.into_iter().zip(outcomes), &mut state);
    }

    /// Records a successful commit or probe; returns how long the database had failed.
    pub(super) fn note_success(&self) -> Option<Duration> {
        if !self.is_failing() || self.is_lost() {
            return None;
        }
        let mut state = self.lock();
        // A part of the batch is stored, so a stall is measured from now on.
        state.committing_since = state.committing_since.map(|_| self.clock.now());
        self.is_failing.store(false, Ordering::Release);
        self.is_away.store(false, Ordering::Release);
        state.failing_since.take().map(|since| self.clock.since(since))
    }

    /// Records a failed commit; returns whether it is the first.
    pub(super) fn note_failure(&self) -> bool {
        let mut state = self.lock();
        let is_news = state.failing_since.is_none();
        state.failing_since.get_or_insert_with(|| self.clock.now());
        self.is_failing.store(true, Ordering::Release);
        is_news
    }

    /// Gives up everything waiting or being committed, if the database has been unreachable for too long. Returns the
    /// number of writes, and for how long.
    ///
    /// Called from outside the persister, which may be stuck in the database.
    pub(super) fn give_up_if_due(&self) -> Option<(usize, Duration)> {
        let mut state = self.lock();
        // A commit that hangs reports no failure.
        let stalled = state.committing_since.filter(|since| self.clock.since(*since) > COMMIT_STALL.min(self.retry_for));
        if let Some(since) = stalled
            && state.failing_since.is_none()
        {
            state.failing_since = Some(since);
            self.is_failing.store(true, Ordering::Release);
        }
        let away_for = self.clock.since(state.failing_since?);
        if away_for < self.retry_for || self.is_away() {
            return None;
        }
        Some((self.give_up(&mut state), away_for))
    }

    /// Gives up everything and admits nothing any more, because the database cannot be trusted. Returns the number of
    /// writes, the first time.
    pub(super) fn close_for_good(&self) -> Option<usize> {
        let mut state = self.lock();
        if self.is_lost.swap(true, Ordering::AcqRel) {
            return None;
        }
        state.failing_since.get_or_insert_with(|| self.clock.now());
        self.is_failing.store(true, Ordering::Release);
        Some(self.give_up(&mut state))
    }

    fn give_up(&self, state: &mut State) -> usize {
        self.is_away.store(true, Ordering::Release);
        let in_hand = std::mem::take(&mut state.in_hand);
        let waiting = std::mem::take(&mut state.waiting);
        let of_in_hand = state.given_up();
        let outcomes: Vec<_> = in_hand
            .into_iter()
            .map(|done| (done, Err(of_in_hand.clone())))
            .chain(waiting.into_iter().map(|(_, done)| (done, Err(StoreError::Unavailable))))
            .collect();
        let count = outcomes.len();
        self.answer(outcomes.into_iter(), state);
        self.changed.notify_all();
        count
    }

    /// Returns whether the batch was given up.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_away() && self.lock().in_hand.is_empty()
    }

    /// Pauses, unless the store is closed; ends early when it closes, or everything is given up.
    pub(super) fn pause(&self, time: Duration) {
        let state = self.lock();
        if !state.is_closed {
            drop(self.changed.wait_timeout(state, time));
        }
    }

    /// Waits until `count` writes are waiting, or for `time` at most.
    pub(super) fn await_company(&self, count: usize, time: Duration) {
        let mut state = self.lock();
        if state.waiting.len() >= count {
            return;
        }
        state.awaited = Some(count);
        let is_alone = |state: &mut State| state.awaited.is_some() && !state.is_closed;
        let (mut state, _) = self.changed.wait_timeout_while(state, time, is_alone).unwrap_or_else(PoisonError::into_inner);
        state.awaited = None;
    }

    /// Ends the queue with the store: nothing more is admitted, and retries end.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Called under the lock, so that reports are sent in the order of the batches.
    fn answer(&self, answers: impl ExactSizeIterator<Item = (Done, Outcome)>, state: &mut State) {
        // Done first, so that a caller who has an answer finds room.
        self.depth.fetch_sub(answers.len(), Ordering::Relaxed);
        let mut outcomes = Vec::with_capacity(answers.len());
        for (done, outcome) in answers {
            match done {
                Done::Nobody => {}
                Done::Tagged(tag) => outcomes.push((tag, outcome)),
                // The caller may have stopped waiting.
                Done::Answer(answer) => drop(answer.send(outcome)),
            }
        }
        if let Some(report) = &state.report
            && !outcomes.is_empty()
        {
            report(Committed { outcomes });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
