//! Readers: a few threads with one connection each.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, Handler, SyncContext};
use diesel::prelude::*;
use log::{error, warn};

use super::blocking_queue::BlockingQueue;
use super::connection::{AnyConnection, Purpose, connect};
use super::database_file::{DatabaseFile, REPLACED};
use super::failure::{StoreError, is_absence, panic_text};
use super::queue::Serve;
use super::stats::Counters;
use super::url::DatabaseUrl;
use crate::clock::Clock;

/// Idle time after which a connection is tested before use.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// One reader, on a thread of its own.
pub(super) struct Reader {
    questions: Arc<Questions>,
    url: DatabaseUrl,
    /// Increased whenever a connection turns out to be dead: all others are then tested, too.
    deaths: Arc<AtomicU64>,
    counters: Arc<Counters>,
    pub(super) connection: Option<AnyConnection>,
    /// Set for SQLite.
    file: Option<Arc<DatabaseFile>>,
    known_deaths: u64,
    used_at: Instant,
    clock: Clock,
}

/// A query that sends its own answer.
pub(super) type Question = Box<dyn FnOnce(&mut Reader) + Send>;

/// Questions for all readers.
pub(super) type Questions = BlockingQueue<Question>;

impl Reader {
    pub(super) fn new(
        questions: Arc<Questions>,
        url: DatabaseUrl,
        deaths: Arc<AtomicU64>,
        counters: Arc<Counters>,
        file: Option<Arc<DatabaseFile>>,
        clock: Clock,
    ) -> Self {
        Self { questions, url, deaths, counters, connection: None, file, known_deaths: 0, used_at: clock.now(), clock }
    }

    /// Runs a query; a panic in it fails only this call.
    pub(super) fn ask<T>(&mut self, question: impl FnOnce(&mut AnyConnection) -> QueryResult<T>) -> Result<T, StoreError> {
        let conn = match self.connected() {
            Ok(conn) => conn,
            Err(cause) => {
                warn!(cause:% = cause; "no connection to read from the database");
                return Err(StoreError::Unavailable);
            }
        };
        let answer = catch_unwind(AssertUnwindSafe(|| question(conn)));
        self.used_at = self.clock.now();
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if is_absence(&error) => {
                warn!(cause:% = error; "the database did not answer");
                self.bury();
                Err(StoreError::Unavailable)
            }
            Ok(Err(error)) => {
                error!(cause:% = error; "a query failed");
                Err(StoreError::Internal)
            }
            Err(panic) => {
                error!(cause = panic_text(&*panic); "a query panicked");
                self.disconnect();
                Err(StoreError::Internal)
            }
        }
    }

    fn connected(&mut self) -> Result<&mut AnyConnection, String> {
        let deaths = self.deaths.load(Ordering::Acquire);
        let is_doubtful = deaths != self.known_deaths || self.clock.since(self.used_at) > TRUSTED_FOR;
        if is_doubtful
            && let Some(conn) = &mut self.connection
            && diesel::sql_query("SELECT 1").execute(conn).is_err()
        {
            self.disconnect();
        }
        self.known_deaths = deaths;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Opening a database without a log would create one, which must not happen once the files were replaced.
    fn connect(&self) -> Result<AnyConnection, String> {
        if self.file.as_ref().is_some_and(|file| file.is_replaced()) {
            return Err(REPLACED.to_owned());
        }
        let connection = connect(&self.url, Purpose::Reading)?;
        match &self.file {
            Some(file) if file.is_replaced() => {
                file.close_reader(connection);
                Err(REPLACED.to_owned())
            }
            _ => Ok(connection),
        }
    }

    fn disconnect(&mut self) {
        match (self.connection.take(), &self.file) {
            (Some(connection), Some(file)) => file.close_reader(connection),
            (connection, _) => drop(connection),
        }
    }

    fn bury(&mut self) {
        self.disconnect();
        self.known_deaths = self.deaths.fetch_add(1, Ordering::AcqRel) + 1;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl Actor for Reader {
    type Context = SyncContext<Self>;
}

impl Handler<Serve> for Reader {
    type Result = ();

    fn handle(&mut self, _: Serve, _: &mut Self::Context) {
        let questions = self.questions.clone();
        while let Some(question) = questions.next() {
            let begun = Instant::now();
            question(self);
            self.counters.readers().note("Question", begun);
        }
    }
}
