//! The handle of the store.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::SyncArbiter;
use diesel::QueryResult;
use diesel::prelude::*;
use log::{error, info};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::connection::{AnyConnection, Purpose};
use super::database_file::DatabaseFile;
use super::failure::{OpenError, StoreError};
use super::opening::{self, Noted, Opened, Start};
use super::persister::{self, Opening, Persister};
use super::queue::{Committed, Done, Queue, Serve};
use super::reader::{Questions, Reader};
use super::stats::{Counters, StoreStats};
use super::subscribers::Subscribers;
use super::url::DatabaseUrl;
use super::write::{Write, Written};
use crate::clock::Clock;
use crate::meter::Counted;

/// Time limit of a read.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of reads waiting or running.
const READS_MAX: usize = 10_000;
/// Number of readers for each search that runs: the others wait, so that all other reads find a reader free.
const READERS_OF_A_SEARCH: usize = 4;
/// Interval of the check whether the database has been unreachable for too long.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// Interval of the check whether the database's files were replaced.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Settings of a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The database.
    pub url: DatabaseUrl,
    /// Number of readers.
    pub pool_size: usize,
    /// Time to wait for an unreachable database.
    pub retry_for: Duration,
    /// Maximum number of waiting writes.
    pub queue: usize,
    /// Webhooks that are told of changes.
    pub webhooks: Subscribers,
}

/// The handle. Clones share one store, which ends with the last of them.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    epoch: i64,
    last_position: i64,
    starts: Vec<Start>,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    questions: Arc<Questions>,
    clock: Clock,
    free_readers: Arc<Semaphore>,
    /// Permits for searches, fewer than readers.
    searches: Semaphore,
    reads_in_flight: AtomicUsize,
    /// Notified when a file may have lost its last reference.
    unnamed: Arc<Notify>,
    /// Notified when events for webhooks were stored.
    webhooks: watch::Sender<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        self.questions.close();
    }
}

impl Store {
    /// Opens the database: waits for it, migrates its tables, records the start, and starts the persister and the
    /// readers. To be called inside an actix system.
    ///
    /// # Errors
    /// [`OpenError::Unavailable`] if it cannot be reached within `retry_for`, [`OpenError::Unusable`] if waiting will
    /// not help.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let (url, retry_for, webhooks) = (options.url.clone(), options.retry_for, options.webhooks.clone());
        let opened = actix_rt::task::spawn_blocking(move || opening::open(&url, retry_for, &webhooks)).await;
        let opened = opened.map_err(|error| OpenError::Unusable(error.to_string()))??;
        let store = Self::begin(options, Purpose::Serving, opened);
        info!(boot = store.epoch(), position:% = store.last_position(); "store opened");
        Ok(store)
    }

    /// Opens the database for a command: a server may be using it, and no start is recorded. To be called inside an
    /// actix system.
    ///
    /// # Errors
    /// Same as [`Store::open`]; [`OpenError::Unusable`] also if it does not exist, or its tables are of another
    /// version.
    pub async fn open_beside(options: StoreOptions) -> Result<Self, OpenError> {
        Self::beside(options, false).await
    }

    /// [`Store::open_beside`], but creates a missing database or missing tables.
    ///
    /// # Errors
    /// Same as [`Store::open_beside`].
    pub async fn open_or_make_beside(options: StoreOptions) -> Result<Self, OpenError> {
        Self::beside(options, true).await
    }

    async fn beside(options: StoreOptions, may_make: bool) -> Result<Self, OpenError> {
        let (url, retry_for) = (options.url.clone(), options.retry_for);
        let opened = actix_rt::task::spawn_blocking(move || opening::open_beside(&url, retry_for, may_make)).await;
        let opened = opened.map_err(|error| OpenError::Unusable(error.to_string()))??;
        Ok(Self::begin(options, Purpose::Writing, opened))
    }

    fn begin(options: StoreOptions, purpose: Purpose, opened: Opened) -> Self {
        let Opened { conn, file, noted: Noted { epoch, last_position, starts } } = opened;
        let StoreOptions { url, pool_size, retry_for, queue, webhooks: wanted } = options;
        let file = file.map(Arc::new);
        let pool_size = pool_size.max(1);
        let queue = Arc::new(Queue::new(queue, retry_for, Clock::Machine));
        let counters = Arc::new(Counters::default());
        let deaths = Arc::new(AtomicU64::new(0));
        let unnamed = Arc::new(Notify::new());
        let webhooks = watch::Sender::new(());
        let shared = (queue.clone(), counters.clone(), deaths.clone());
        let writer = (url.clone(), file.clone(), unnamed.clone(), Arc::new(wanted), webhooks.clone());
        // Taken by the persister's first start, which is the only one.
        let conn = Mutex::new(Some(conn));
        let persister = SyncArbiter::start(1, move || {
            let (url, file, unnamed, wanted, webhooks) = writer.clone();
            let (queue, counters, deaths) = shared.clone();
            let connection = conn.lock().unwrap_or_else(PoisonError::into_inner).take();
            let opening = Opening { url, epoch, purpose, connection, file, unnamed, wanted, webhooks, clock: Clock::Machine };
            Persister::new(opening, queue, counters, deaths)
        });
        persister.do_send(Serve);
        let questions = Arc::new(Questions::new());
        let reader = (questions.clone(), url, deaths, counters.clone(), file.clone());
        let readers = SyncArbiter::start(pool_size, move || {
            let (questions, url, deaths, counters, file) = reader.clone();
            Reader::new(questions, url, deaths, counters, file, Clock::Machine)
        });
        // One for each: whoever has taken one takes no other.
        (0..pool_size).for_each(|_| readers.do_send(Serve));
        actix_rt::spawn(watch(queue.clone()));
        if let Some(file) = file {
            actix_rt::spawn(watch_file(queue.clone(), file));
        }
        Self(Arc::new(Inner {
            epoch,
            last_position,
            starts,
            queue,
            counters,
            questions,
            clock: Clock::Machine,
            free_readers: Arc::new(Semaphore::new(pool_size)),
            searches: Semaphore::new((pool_size / READERS_OF_A_SEARCH).max(1)),
            reads_in_flight: AtomicUsize::new(0),
            unnamed,
            webhooks,
        }))
    }

    /// Makes the handle of a store whose owner does the work.
    #[cfg(feature = "internals")]
    pub(super) fn stepped(noted: Noted, queue: Arc<Queue>, questions: Arc<Questions>, clock: Clock) -> Self {
        let Noted { epoch, last_position, starts } = noted;
        Self(Arc::new(Inner {
            epoch,
            last_position,
            starts,
            queue,
            counters: Arc::default(),
            questions,
            clock,
            free_readers: Arc::new(Semaphore::new(2)),
            searches: Semaphore::new(1),
            reads_in_flight: AtomicUsize::new(0),
            unnamed: Arc::new(Notify::new()),
            webhooks: watch::Sender::new(()),
        }))
    }

    /// Returns the store's clock.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Returns the number of this start, higher than all before.
    pub fn epoch(&self) -> i64 {
        self.0.epoch
    }

    /// Returns the highest position that any message had before this start.
    pub fn last_position(&self) -> i64 {
        self.0.last_position
    }

    /// Returns the latest starts, this one last.
    pub fn starts(&self) -> &[Start] {
        &self.0.starts
    }

    /// Sets the recipient of the outcomes of tagged writes.
    pub fn report_to(&self, recipient: Counted<Committed>) {
        self.0.queue.report_to(Box::new(move |committed| recipient.do_send(committed)));
    }

    /// Admits a write without waiting.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the queue is full, or the database is known to be unreachable.
    pub fn try_write(&self, write: Write, done: Done) -> Result<(), StoreError> {
        self.0.queue.admit(write, done)
    }

    /// Stores a change, and waits for its commit.
    ///
    /// # Errors
    /// The reason for not storing it.
    pub async fn write(&self, write: Write) -> Result<Written, StoreError> {
        let (answer, outcome) = oneshot::channel();
        self.try_write(write, Done::Answer(answer))?;
        outcome.await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Waits until a file may have lost its last reference, if none has since the last call.
    pub async fn until_unnamed(&self) {
        self.0.unnamed.notified().await;
    }

    /// Returns a receiver that is notified when events for webhooks were stored.
    pub fn webhook_events(&self) -> watch::Receiver<()> {
        self.0.webhooks.subscribe()
    }

    /// Returns whether a write would be admitted now.
    pub fn has_room(&self) -> bool {
        self.0.queue.has_room()
    }

    /// Returns whether commits are failing: from the first failure to the next success.
    pub fn is_failing(&self) -> bool {
        self.0.queue.is_failing()
    }

    /// Runs a query on a reader's thread. If it panics, only this call fails.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] within five seconds if the database does not answer.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.clock.limit(READ_TIMEOUT, self.ask(query)).await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Runs a query that may look at many rows. A few run at once, and the others wait for them.
    ///
    /// # Errors
    /// Same as [`Store::read`].
    pub async fn search<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let in_turn = async {
            let _turn = self.0.searches.acquire().await.map_err(|_| StoreError::Unavailable)?;
            self.ask(query).await
        };
        self.0.clock.limit(READ_TIMEOUT, in_turn).await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Runs a query that sees all writes admitted before.
    ///
    /// # Errors
    /// Same as [`Store::read`].
    pub async fn read_after_writes<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let behind_writes = async {
            if self.0.queue.depth() > 0 || self.0.queue.is_away() {
                // A barrier stores nothing, so the outcome of the writes before it does not matter.
                self.write(Write::Barrier).await.map_err(|_| StoreError::Unavailable)?;
            }
            self.ask(query).await
        };
        self.0.clock.limit(READ_TIMEOUT, behind_writes).await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Checks that the store can serve.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] within five seconds if it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if self.0.queue.is_away() {
            return Err(StoreError::Unavailable);
        }
        self.read(|conn| diesel::sql_query("SELECT 1").execute(conn)).await.map(drop)
    }

    /// Returns the store's figures.
    pub fn stats(&self) -> StoreStats {
        StoreStats {
            queued: self.0.queue.depth(),
            reads_in_flight: self.0.reads_in_flight.load(Ordering::Relaxed),
            ..self.0.counters.stats()
        }
    }

    /// Waits until every admitted write is stored or given up.
    pub async fn finish(&self) {
        let (answer, outcome) = oneshot::channel();
        if self.0.queue.push(Write::Barrier, Done::Answer(answer)).is_ok() {
            // Whatever its outcome, no write before it is waiting any more.
            let _ = outcome.await;
        }
    }

    /// Runs a query on the writer's connection; for tests of its settings.
    #[doc(hidden)]
    pub async fn ask_writer<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, outcome) = oneshot::channel();
        self.0.queue.ask(Box::new(move |conn| {
            let found = conn.ok().and_then(|conn| query(conn).ok());
            drop(answer.send(found));
        }));
        outcome.await.ok().flatten().ok_or(StoreError::Internal)
    }

    async fn ask<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.0.queue.is_lost() {
            return Err(StoreError::Unavailable);
        }
        let (begun, in_flight) = (self.0.clock.now(), InFlight::begin(&self.0)?);
        self.0.counters.reads.fetch_add(1, Ordering::Relaxed);
        let reader = self.0.free_readers.clone().acquire_owned().await.map_err(|_| StoreError::Unavailable)?;
        let (answer, outcome) = oneshot::channel();
        // The permit travels with the query: a reader stuck in the database is not free, even if its caller gave up.
        self.0.questions.push(Box::new(move |found_by: &mut Reader| {
            if !answer.is_closed() {
                drop(answer.send(found_by.ask(query)));
            }
            drop(reader);
        }));
        let found = outcome.await.unwrap_or(Err(StoreError::Internal));
        drop(in_flight);
        self.0.counters.read_times.note_time(self.0.clock.since(begun));
        found
    }
}

/// Counts a read while somebody waits for it.
struct InFlight<'a>(&'a Inner);

impl<'a> InFlight<'a> {
    fn begin(inner: &'a Inner) -> Result<Self, StoreError> {
        let read = Self(inner);
        if inner.reads_in_flight.fetch_add(1, Ordering::Relaxed) < READS_MAX { Ok(read) } else { Err(StoreError::Unavailable) }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.reads_in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Gives up writes that have waited too long; ends with the store.
async fn watch(queue: Arc<Queue>) {
    let mut ticks = interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !queue.is_closed() {
        ticks.tick().await;
        if let Some((count, away_for)) = queue.give_up_if_due() {
            error!(writes = count, seconds = away_for.as_secs_f64(); "gave up: the database was unreachable for too long");
        }
    }
}

/// Shuts the store down for good if its files were replaced; ends with the store. Commits check this, too; this loop
/// covers the time between commits.
async fn watch_file(queue: Arc<Queue>, file: Arc<DatabaseFile>) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !queue.is_closed() && !queue.is_lost() {
        ticks.tick().await;
        let looked = file.clone();
        // A slow disk may block.
        if actix_rt::task::spawn_blocking(move || looked.is_replaced()).await.unwrap_or(false) {
            persister::close_for_good(&queue);
        }
    }
}
