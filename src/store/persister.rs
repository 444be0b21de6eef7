//! The one writer: takes what has gathered in the queue, and commits it as one transaction.
//!
//! While a batch is being committed the next one gathers, so that commits are shared: a lone write starts at once.
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, Handler, Message, SyncContext};
use diesel::prelude::*;
use diesel::result::Error;
use log::{error, info, warn};
use tokio::sync::Notify;

use super::changes::{self, Outcome};
use super::connection::{AnyConnection, Purpose, connect, in_transaction};
use super::database_file::{DatabaseFile, REPLACED};
use super::failure::{StoreError, is_absence, is_constraint, panic_text, refusal};
use super::other_writers::end_other_writers;
use super::queue::Queue;
use super::schema::boots;
use super::stats::Counters;
use super::url::DatabaseUrl;
use super::write::Write;

/// More writes than this make more than one transaction.
const BATCH_MAX: usize = 1_000;
/// Once writes come in company, batches begin no closer together than this, unless as many wait again already: a commit
/// costs much the same whether it holds one message or eight, and who waits for an ack comes again once it is there. A lone
/// write, and a sender who waits for each ack, come after a batch of one and never wait.
const PACE: Duration = Duration::from_millis(3);
/// The same in much company.
const LONG_PACE: Duration = Duration::from_millis(6);
/// So many writes in a batch are much company.
const MUCH: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The actor, on a thread of its own: it waits for the database.
pub(super) struct Persister {
    url: DatabaseUrl,
    boot: i64,
    purpose: Purpose,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    /// Rises when the connection turns out to be dead: the readers try theirs then.
    deaths: Arc<AtomicU64>,
    connection: Option<AnyConnection>,
    /// Of SQLite.
    file: Option<Arc<DatabaseFile>>,
    /// To ring when a file may have lost its last name.
    unnamed: Arc<Notify>,
}

/// State that it begins with.
pub(super) struct Opening {
    pub url: DatabaseUrl,
    pub boot: i64,
    pub purpose: Purpose,
    pub connection: Option<AnyConnection>,
    pub file: Option<Arc<DatabaseFile>>,
    /// To ring when a file may have lost its last name.
    pub unnamed: Arc<Notify>,
}

/// Something waits in the queue.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WritesWait;

/// Runs on the writer's own connection, between two batches.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct OnWriter(pub WriterQuestion);

type WriterQuestion = Box<dyn FnOnce(Result<&mut AnyConnection, String>) + Send>;

/// How a try to store some writes ended.
enum Attempt {
    Stored(Vec<Outcome>),
    /// The database is away.
    Away(String),
    /// It took so long that those who waited have been answered.
    GivenUp,
    /// It went into a file that is not the database any more.
    Lost,
    /// One of them is at fault.
    AtFault(StoreError, String),
}

impl Persister {
    pub fn new(opening: Opening, queue: Arc<Queue>, counters: Arc<Counters>, deaths: Arc<AtomicU64>) -> Self {
        let Opening { url, boot, purpose, connection, file, unnamed } = opening;
        Self { url, boot, purpose, queue, counters, deaths, connection, file, unnamed }
    }

    /// Stores a batch: whole, or split until those at fault stand alone; again and again while the database is away.
    fn store(&mut self, writes: &[Write]) {
        let mut outcomes = Vec::with_capacity(writes.len());
        let mut pause = FIRST_PAUSE;
        // The next one to try is the last of the list.
        let mut parts: Vec<Range<usize>> = std::iter::once(0..writes.len()).collect();
        while let Some(part) = parts.pop() {
            match self.attempt(writes.get(part.clone()).unwrap_or_default()) {
                Attempt::Stored(stored) => {
                    self.note_success();
                    pause = FIRST_PAUSE;
                    outcomes.extend(stored);
                    if writes.get(part).unwrap_or_default().iter().any(Write::may_unname_files) {
                        self.unnamed.notify_one();
                    }
                }
                Attempt::Away(cause) => {
                    self.note_failure(&cause);
                    if self.queue.is_given_up() || self.queue.pause(pause) || self.queue.is_given_up() {
                        break;
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    parts.push(part);
                }
                Attempt::GivenUp => break,
                Attempt::Lost => {
                    lose(&self.queue);
                    break;
                }
                Attempt::AtFault(answer, cause) if part.len() <= 1 => {
                    self.counters.refused.fetch_add(1, Ordering::Relaxed);
                    error!(kind = kind_of(writes.get(part.start)), cause; "write refused");
                    outcomes.push(Err(answer));
                }
                Attempt::AtFault(..) => {
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
        let (queue, file) = (self.queue.clone(), self.file.clone());
        let is_lost = || file.as_ref().is_some_and(|file| file.is_replaced());
        let conn = match self.connected() {
            Ok(conn) => conn,
            Err(_) if is_lost() => return Attempt::Lost,
            Err(cause) => return Attempt::Away(cause),
        };
        // What was answered as not stored must not be stored after all, as far as that is still in our hands.
        let may_commit = || if !is_lost() && queue.begin_commit() { Ok(()) } else { Err(Error::RollbackTransaction) };
        let apply = |conn: &mut AnyConnection| {
            let outcomes = changes::apply(conn, writes)?;
            may_commit().map(|()| outcomes)
        };
        let store = |conn: &mut AnyConnection| {
            if changes::is_one_statement(conn, writes) {
                may_commit()?;
                changes::apply(conn, writes)
            } else {
                in_transaction(conn, apply)
            }
        };
        let stored = catch_unwind(AssertUnwindSafe(|| store(conn)));
        match stored {
            // Looked at once more: the name may have been taken away while it went to the disk.
            Ok(Ok(_) | Err(_)) if is_lost() => Attempt::Lost,
            Ok(Ok(outcomes)) => {
                self.counters.note_commit(writes.len(), begun.elapsed());
                Attempt::Stored(outcomes)
            }
            Ok(Err(Error::RollbackTransaction)) => Attempt::GivenUp,
            Ok(Err(error)) if is_constraint(&error) => Attempt::AtFault(refusal(&error), error.to_string()),
            Ok(Err(error)) if is_absence(&error) => {
                self.disconnect();
                self.deaths.fetch_add(1, Ordering::AcqRel);
                Attempt::Away(error.to_string())
            }
            Ok(Err(error)) => match self.probe() {
                // A write that surely is in order fails too.
                Err(_) => Attempt::Away(error.to_string()),
                Ok(()) => Attempt::AtFault(refusal(&error), error.to_string()),
            },
            Err(panic) => {
                // Whatever was open is rolled back with the connection.
                self.disconnect();
                Attempt::AtFault(StoreError::Internal, format!("panic: {}", panic_text(&*panic)))
            }
        }
    }

    /// A write that changes nothing.
    fn probe(&mut self) -> Result<(), String> {
        let boot = self.boot;
        let conn = self.connected()?;
        let probe = diesel::update(boots::table.find(boot)).set(boots::last_position.eq(boots::last_position));
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
            // The one that broke may go on in the database with what it was given.
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

    /// All that waited was given up: nothing is admitted until the database takes a write again.
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
            warn!(cause; "the database is away, trying again");
        }
    }
}

impl Drop for Persister {
    fn drop(&mut self) {
        self.disconnect();
    }
}

/// Gives the store up for good: its database is not what it has opened.
pub(super) fn lose(queue: &Queue) {
    if let Some(count) = queue.lose() {
        error!(writes = count; "{REPLACED}: nothing is stored any more until the next start");
    }
}

impl Actor for Persister {
    type Context = SyncContext<Self>;
}

impl Handler<WritesWait> for Persister {
    type Result = ();

    fn handle(&mut self, _: WritesWait, _: &mut Self::Context) {
        while !self.queue.is_closed() {
            let begun = Instant::now();
            let Some((writes, waited)) = self.queue.take(BATCH_MAX) else { return };
            self.counters.queue_waits.note_time(waited);
            self.store(&writes);
            self.counters.persister.note("batch", begun);
            if self.queue.is_away() {
                self.wait_until_back();
            } else if writes.len() > 1 {
                let pace = if writes.len() < MUCH { PACE } else { LONG_PACE };
                self.queue.await_company(writes.len(), pace.saturating_sub(begun.elapsed()));
            }
        }
    }
}

impl Handler<OnWriter> for Persister {
    type Result = ();

    fn handle(&mut self, OnWriter(question): OnWriter, _: &mut Self::Context) {
        let begun = Instant::now();
        question(self.connected());
        self.counters.persister.note("OnWriter", begun);
    }
}

/// Names a write for the log: never its content.
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
