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
use super::other_writers::end_other_writers;
use super::queue::{Queue, Serve, Work};
use super::schema::boots;
use super::stats::Counters;
use super::subscribers::Subscribers;
use super::url::DatabaseUrl;
use super::write::Write;

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
    connection: Option<AnyConnection>,
    /// Set for SQLite.
    file: Option<Arc<DatabaseFile>>,
    /// Notified when a file may have lost its last reference.
    unnamed: Arc<Notify>,
    /// Webhooks, for whose events rows are written.
    wanted: Arc<Subscribers>,
    /// Notified when events for webhooks were stored.
    webhooks: watch::Sender<()>,
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
        let Opening { url, epoch, purpose, connection, file, unnamed, wanted, webhooks } = opening;
        Self { url, epoch, purpose, queue, counters, deaths, connection, file, unnamed, wanted, webhooks }
    }

    /// Stores a batch, retrying while the database is unreachable. If a write is at fault, the batch is split in halves
    /// until the faulty ones stand alone.
    fn store(&mut self, writes: &[Write]) {
        let mut outcomes = Vec::with_capacity(writes.len());
        let mut pause = FIRST_PAUSE;
        // The list is a stack: the last part is tried next.
        let mut parts: Vec<Range<usize>> = std::iter::once(0..writes.len()).collect();
        while let Some(part) = parts.pop() {
            match self.attempt(writes.get(part.clone()).unwrap_or_default()) {
                Attempt::Stored(stored) => {
                    self.note_success();
                    pause = FIRST_PAUSE;
                    outcomes.extend(stored);
                    let writes = writes.get(part).unwrap_or_default();
                    if writes.iter().any(Write::may_unname_files) {
                        self.unnamed.notify_one();
                    }
                    if writes.iter().any(|write| write.is_event(&self.wanted)) {
                        self.webhooks.send_replace(());
                    }
                }
                Attempt::Away(cause) => {
                    self.note_failure(&cause);
                    // Everything may be given up before the pause or during it.
                    if self.queue.is_given_up() || self.queue.pause(pause) || self.queue.is_given_up() {
                        break;
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    parts.push(part);
                }
                Attempt::GivenUp => break,
                Attempt::Lost => {
                    close_for_good(&self.queue);
                    break;
                }
                Attempt::AtFault(answer, cause) if part.len() <= 1 => {
                    self.counters.refused.fetch_add(1, Ordering::Relaxed);
                    error!(kind = kind_of(writes.get(part.start)), cause; "write refused");
                    outcomes.push(Err(answer));
                }
                Attempt::AtFault(..) => {
                    // The error does not tell which write is at fault. Halving finds it in few transactions, and keeps
                    // the order.
                    let middle = part.start + part.len() / 2;
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                }
            }
        }
        self.queue.settle(outcomes);
    }

    fn attempt(&mut self, writes: &[Write]) -> Attempt {
        let begun = Instant::now();
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
                self.counters.note_commit(writes.len(), begun.elapsed());
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

    /// Waits, after everything was given up, until the database accepts a write again; nothing is admitted meanwhile.
    fn wait_until_back(&mut self) {
        let mut pause = FIRST_PAUSE;
        while self.queue.is_away() && !self.queue.is_lost() && !self.queue.pause(pause) {
            match self.probe() {
                Ok(()) => self.note_success(),
                Err(_) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
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

impl Drop for Persister {
    fn drop(&mut self) {
        self.disconnect();
    }
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
        while let Some(work) = self.queue.next(BATCH_MAX, (!has_rested).then_some(REST)) {
            has_rested = matches!(work, Work::Rest);
            let begun = Instant::now();
            match work {
                Work::Batch(writes, waited) => {
                    self.counters.queue_waits.note_time(waited);
                    self.store(&writes);
                    self.counters.persister.note("batch", begun);
                    if self.queue.is_away() {
                        self.wait_until_back();
                    } else if writes.len() > 1 {
                        let pace = if writes.len() < MUCH { PACE } else { LONG_PACE };
                        self.queue.await_company(writes.len().min(COMPANY_MAX), pace.saturating_sub(begun.elapsed()));
                    }
                }
                Work::Question(question) => {
                    question(self.connected());
                    self.counters.persister.note("question", begun);
                }
                // A failure will show at the next write.
                Work::Rest => drop(self.connection.as_mut().map(free_pages)),
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
