//! The only writer: takes the writes gathered in the queue, and commits them as one transaction.
//!
//! While one batch is being committed, the next one gathers, so commits are shared under load; a lone write starts at
//! once.
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, Handler, SyncContext};
use diesel::prelude::*;
use diesel::result::Error;
use log::{error, info, warn};
use tokio::sync::{Notify, watch};

use super::changes::{self, Outcome};
use super::connection::{AnyConnection, Purpose, connect, free_pages, in_transaction};
use super::database_file::{DatabaseFile, REPLACED};
use super::failure::{StoreError, is_absence, is_constraint, panic_text, refusal};
#[cfg(feature = "internals")]
use super::fault::Fault;
use super::other_writers::end_other_writers;
use super::queue::{Queue, Serve, Wake, Work};
use super::schema::boots;
use super::stats::Counters;
use super::subscribers::Subscribers;
use super::url::DatabaseUrl;
use super::write::Write;
use crate::clock::Clock;

/// Maximum number of writes in one transaction.
const BATCH_MAX: usize = 1_000;
/// Minimum time between the starts of two batches under load, unless as many writes are waiting again already. A commit
/// costs about the same for one message as for eight, and senders that wait for acks return once they have them. A lone
/// write, or a sender that waits for each ack, follows a batch of one and is never delayed.
const PACE: Duration = Duration::from_millis(3);
/// The same under heavy load.
const LONG_PACE: Duration = Duration::from_millis(6);
/// Number of writes in a batch that counts as heavy load.
const MUCH: usize = 5;
/// Number of waiting writes that is company enough: with as many as last time, all senders would get into one commit, and
/// the database and they would wait for each other by turns.
const COMPANY_MAX: usize = 16;
/// Idle time after which the page cache is freed.
const REST: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The writer, an actor on a thread of its own because it waits for the database.
pub(super) struct Persister {
    url: DatabaseUrl,
    epoch: i64,
    purpose: Purpose,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    /// Increased when the connection turns out to be dead: readers then test theirs.
    deaths: Arc<AtomicU64>,
    pub(super) connection: Option<AnyConnection>,
    /// Set for SQLite.
    file: Option<Arc<DatabaseFile>>,
    /// Notified when a file may have lost its last reference.
    unnamed: Arc<Notify>,
    /// Webhooks, for whose events rows are written.
    wanted: Arc<Subscribers>,
    /// Notified when events for webhooks were stored.
    webhooks: watch::Sender<()>,
    clock: Clock,
    task: Task,
    #[cfg(feature = "internals")]
    pub(super) fault: Option<Fault>,
}

/// State to start with.
pub(super) struct Opening {
    pub url: DatabaseUrl,
    pub epoch: i64,
    pub purpose: Purpose,
    pub connection: Option<AnyConnection>,
    pub file: Option<Arc<DatabaseFile>>,
    /// Notified when a file may have lost its last reference.
    pub unnamed: Arc<Notify>,
    pub wanted: Arc<Subscribers>,
    /// Notified when events for webhooks were stored.
    pub webhooks: watch::Sender<()>,
    pub clock: Clock,
}

/// Work that the writer is in the middle of.
#[derive(Default)]
enum Task {
    #[default]
    None,
    Batch(Box<Batch>),
    /// Everything was given up; `pause` is the time since it last looked.
    Away {
        pause: Duration,
    },
}

/// Writes that were taken from the queue together.
struct Batch {
    writes: Vec<Write>,
    outcomes: Vec<Outcome>,
    /// Parts yet to be stored. The list is a stack: the last one is tried next.
    parts: Vec<Range<usize>>,
    /// Time to wait if the database is unreachable.
    pause: Duration,
    has_paused: bool,
    begun: Instant,
}

impl Batch {
    fn new(writes: Vec<Write>, begun: Instant) -> Self {
        let all = 0..writes.len();
        let (outcomes, parts) = (Vec::with_capacity(writes.len()), std::iter::once(all).collect());
        Self { writes, outcomes, parts, pause: FIRST_PAUSE, has_paused: false, begun }
    }
}

/// Time of the writer's next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Now.
    GoOn,
    /// After this time.
    Pause(Duration),
    /// Once so many writes wait, or after this time.
    Await { count: usize, within: Duration },
    /// When a write waits.
    Sleep,
}

/// Outcome of an attempt to store some writes.
enum Attempt {
    Stored(Vec<Outcome>),
    /// The database is unreachable.
    Away(String),
    /// It took so long that the writes were answered as given up.
    GivenUp,
    /// It went into a file that is no longer the database.
    Lost,
    /// One of the writes is at fault.
    AtFault(StoreError, String),
}

impl Persister {
    pub(super) fn new(opening: Opening, queue: Arc<Queue>, counters: Arc<Counters>, deaths: Arc<AtomicU64>) -> Self {
        let Opening { url, epoch, purpose, connection, file, unnamed, wanted, webhooks, clock } = opening;
        Self {
            url,
            epoch,
            purpose,
            queue,
            counters,
            deaths,
            connection,
            file,
            unnamed,
            wanted,
            webhooks,
            clock,
            task: Task::None,
            #[cfg(feature = "internals")]
            fault: None,
        }
    }

    /// Does the next piece of work: an attempt to store a part of a batch, or, after everything was given up, to write at all.
    pub(super) fn step(&mut self) -> Next {
        match std::mem::take(&mut self.task) {
            Task::None => self.begin(),
            Task::Batch(batch) => self.go_on(*batch),
            Task::Away { pause } => self.look_again(pause),
        }
    }

    fn begin(&mut self) -> Next {
        let begun = self.clock.now();
        match self.queue.take(BATCH_MAX) {
            None => Next::Sleep,
            Some(Work::Batch(writes, waited)) => {
                self.counters.queue_waits.note_time(waited);
                self.go_on(Batch::new(writes, begun))
            }
            Some(Work::Question(question)) => {
                question(self.connected());
                self.counters.persister.note("question", begun);
                Next::GoOn
            }
        }
    }

    /// Stores a part of a batch. If a write is at fault, the part is split in halves until the faulty ones stand alone.
    fn go_on(&mut self, mut batch: Batch) -> Next {
        // Everything may have been given up during the pause.
        if batch.has_paused && (self.queue.is_closed() || self.queue.is_given_up()) {
            return self.finish(batch);
        }
        let Some(part) = batch.parts.pop() else { return self.finish(batch) };
        match self.attempt(batch.writes.get(part.clone()).unwrap_or_default()) {
            Attempt::Stored(stored) => {
                self.note_success();
                batch.pause = FIRST_PAUSE;
                batch.outcomes.extend(stored);
                self.notify_of(batch.writes.get(part).unwrap_or_default());
            }
            Attempt::Away(cause) => {
                self.note_failure(&cause);
                if self.queue.is_given_up() {
                    return self.finish(batch);
                }
                let pause = batch.pause;
                (batch.pause, batch.has_paused) = (next_pause(pause), true);
                batch.parts.push(part);
                self.task = Task::Batch(Box::new(batch));
                return Next::Pause(pause);
            }
            Attempt::GivenUp => return self.finish(batch),
            Attempt::Lost => {
                close_for_good(&self.queue);
                return self.finish(batch);
            }
            Attempt::AtFault(answer, cause) if part.len() <= 1 => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                error!(kind = kind_of(batch.writes.get(part.start)), cause; "write refused");
                batch.outcomes.push(Err(answer));
            }
            Attempt::AtFault(..) => {
                // The error does not tell which write is at fault. Halving finds it in few transactions, and keeps
                // the order.
                let middle = part.start + part.len() / 2;
                batch.parts.push(middle..part.end);
                batch.parts.push(part.start..middle);
            }
        }
        if batch.parts.is_empty() {
            return self.finish(batch);
        }
        batch.has_paused = false;
        self.task = Task::Batch(Box::new(batch));
        Next::GoOn
    }

    /// Answers a batch, and says when the next one is due.
    fn finish(&mut self, batch: Batch) -> Next {
        let Batch { writes, outcomes, begun, .. } = batch;
        self.queue.settle(outcomes);
        self.counters.persister.note("batch", begun);
        if self.queue.is_away() {
            self.task = Task::Away { pause: FIRST_PAUSE };
            return Next::Pause(FIRST_PAUSE);
        }
        if writes.len() <= 1 {
            return Next::GoOn;
        }
        let pace = if writes.len() < MUCH { PACE } else { LONG_PACE };
        Next::Await { count: writes.len().min(COMPANY_MAX), within: pace.saturating_sub(self.clock.since(begun)) }
    }

    /// Looks, after everything was given up, whether the database accepts a write again; nothing is admitted meanwhile.
    fn look_again(&mut self, pause: Duration) -> Next {
        if self.queue.is_closed() || self.queue.is_lost() {
            return Next::Sleep;
        }
        if self.queue.is_away() && self.probe().is_err() {
            let pause = next_pause(pause);
            self.task = Task::Away { pause };
            return Next::Pause(pause);
        }
        self.note_success();
        Next::GoOn
    }

    /// Notifies those who wait for changes of these kinds.
    fn notify_of(&self, writes: &[Write]) {
        if writes.iter().any(Write::may_unname_files) {
            self.unnamed.notify_one();
        }
        if writes.iter().any(|write| write.is_event(&self.wanted)) {
            self.webhooks.send_replace(());
        }
    }

    fn attempt(&mut self, writes: &[Write]) -> Attempt {
        #[cfg(feature = "internals")]
        if let Some(fault) = self.fault.take() {
            return self.attempt_amid(fault, writes);
        }
        let begun = self.clock.now();
        let (queue, file, wanted) = (self.queue.clone(), self.file.clone(), self.wanted.clone());
        let is_lost = || file.as_ref().is_some_and(|file| file.is_replaced());
        let conn = match self.connected() {
            Ok(conn) => conn,
            Err(_) if is_lost() => return Attempt::Lost,
            Err(cause) => return Attempt::Away(cause),
        };
        // A write that was answered as not stored must not be committed after all, as far as that is still up to us.
        let may_commit = || if !is_lost() && queue.begin_commit() { Ok(()) } else { Err(Error::RollbackTransaction) };
        let apply = |conn: &mut AnyConnection| {
            let outcomes = changes::apply(conn, writes, &wanted)?;
            may_commit().map(|()| outcomes)
        };
        let store = |conn: &mut AnyConnection| {
            if changes::is_one_statement(conn, writes, &wanted) {
                // A single statement commits itself, so this is the last moment to ask.
                may_commit()?;
                changes::apply(conn, writes, &wanted)
            } else {
                in_transaction(conn, apply)
            }
        };
        let stored = catch_unwind(AssertUnwindSafe(|| store(conn)));
        match stored {
            // Checked again, because the files may have been replaced during the commit.
            Ok(Ok(_) | Err(_)) if is_lost() => Attempt::Lost,
            Ok(Ok(outcomes)) => {
                self.counters.note_commit(writes.len(), self.clock.since(begun));
                Attempt::Stored(outcomes)
            }
            Ok(Err(Error::RollbackTransaction)) => Attempt::GivenUp,
            Ok(Err(error)) if is_constraint(&error) => Attempt::AtFault(refusal(&error), error.to_string()),
            Ok(Err(error)) if is_absence(&error) => {
                // Whatever broke this connection has probably broken those of the readers, too.
                self.disconnect();
                self.deaths.fetch_add(1, Ordering::AcqRel);
                Attempt::Away(error.to_string())
            }
            // The error may be the row's or the database's: a write that is certainly valid decides.
            Ok(Err(error)) => match self.probe() {
                Err(_) => Attempt::Away(error.to_string()),
                Ok(()) => Attempt::AtFault(refusal(&error), error.to_string()),
            },
            Err(panic) => {
                // Closing the connection rolls back whatever is open.
                self.disconnect();
                Attempt::AtFault(StoreError::Internal, format!("panic: {}", panic_text(&*panic)))
            }
        }
    }

    /// Makes a write that changes nothing.
    fn probe(&mut self) -> Result<(), String> {
        #[cfg(feature = "internals")]
        if self.fault.take().is_some() {
            return Err("simulated".to_owned());
        }
        let epoch = self.epoch;
        let conn = self.connected()?;
        let probe = diesel::update(boots::table.find(epoch)).set(boots::last_position.eq(boots::last_position));
        let outcome = in_transaction(conn, |conn| probe.execute(conn)).map(drop).map_err(|error| error.to_string());
        if outcome.is_err() {
            self.disconnect();
        }
        outcome
    }

    fn connected(&mut self) -> Result<&mut AnyConnection, String> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        Ok(self.connection.insert(connection))
    }

    fn connect(&self) -> Result<AnyConnection, String> {
        if let Some(file) = &self.file
            && file.is_replaced()
        {
            return Err(REPLACED.to_owned());
        }
        let mut connection = connect(&self.url, self.purpose)?;
        if self.purpose == Purpose::Serving {
            // The broken session may still be executing in the database.
            end_other_writers(&mut connection).map_err(|error| error.to_string())?;
        }
        match &self.file {
            Some(file) if file.pin_beside().is_err() || file.is_replaced() => {
                file.close_writer(connection);
                Err(REPLACED.to_owned())
            }
            _ => Ok(connection),
        }
    }

    fn disconnect(&mut self) {
        match (self.connection.take(), &self.file) {
            (Some(connection), Some(file)) => file.close_writer(connection),
            (connection, _) => drop(connection),
        }
    }

    fn note_success(&self) {
        if let Some(time) = self.queue.note_success() {
            info!(away_seconds = time.as_secs_f64(); "the database is back");
        }
    }

    fn note_failure(&self, cause: &str) {
        self.counters.failed_commits.fetch_add(1, Ordering::Relaxed);
        if self.queue.note_failure() {
            warn!(cause; "the database is unreachable, trying again");
        }
    }
}

#[cfg(feature = "internals")]
impl Persister {
    /// Tries to store some writes while the database fails.
    fn attempt_amid(&mut self, fault: Fault, writes: &[Write]) -> Attempt {
        if fault == Fault::ReportLost {
            drop(self.attempt(writes));
        }
        Attempt::Away("simulated".to_owned())
    }
}

impl Drop for Persister {
    fn drop(&mut self) {
        self.disconnect();
    }
}

/// Returns the pause after this one.
fn next_pause(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// Shuts the store down for good: the open files are no longer the database.
pub(super) fn close_for_good(queue: &Queue) {
    if let Some(count) = queue.close_for_good() {
        error!(writes = count; "{REPLACED}: nothing is stored any more until the next start");
    }
}

impl Actor for Persister {
    type Context = SyncContext<Self>;
}

impl Handler<Serve> for Persister {
    type Result = ();

    fn handle(&mut self, _: Serve, _: &mut Self::Context) {
        let mut has_rested = true;
        loop {
            let next = self.step();
            has_rested &= next == Next::Sleep;
            match next {
                Next::GoOn => {}
                Next::Pause(time) => self.queue.pause(time),
                Next::Await { count, within } => self.queue.await_company(count, within),
                Next::Sleep => match self.queue.sleep((!has_rested).then_some(REST)) {
                    Wake::Work => {}
                    Wake::Closed => return,
                    Wake::Rest => {
                        has_rested = true;
                        // A failure will show at the next write.
                        drop(self.connection.as_mut().map(free_pages));
                    }
                },
            }
        }
    }
}

/// Names a write for the log, without its content.
fn kind_of(write: Option<&Write>) -> String {
    match write {
        Some(Write::Message(new)) => format!("message id={} user={}", new.message.id, new.message.sender.id),
        Some(write) => {
            let text = format!("{write:?}");
            text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
        }
        None => String::new(),
    }
}
