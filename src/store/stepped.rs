//! A store without threads: its owner has each step of the writer and the readers done, on a database in memory.
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::connection::{AnyConnection, Purpose, in_transaction};
use super::fault::Fault;
use super::handle::Store;
use super::opening::note_start;
use super::persister::{Next, Opening, Persister};
use super::queue::{Committed, Queue};
use super::reader::{Questions, Reader};
use super::stats::Counters;
use super::subscribers::Subscribers;
use super::url::DatabaseUrl;
use crate::clock::Clock;

/// Time of the writer's next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextWrite {
    /// Now.
    GoOn,
    /// After this time, or once so many writes wait.
    After(Duration, Option<usize>),
    /// When a write waits.
    Sleep,
}

/// A store whose steps its owner takes.
pub struct SteppedStore {
    store: Store,
    queue: Arc<Queue>,
    persister: Persister,
    reader: Reader,
    questions: Arc<Questions>,
    /// Tells whether the writer's last step found nothing to do.
    is_asleep: bool,
}

impl SteppedStore {
    /// Records a start in a database with all its tables.
    ///
    /// # Errors
    /// The database's words.
    pub fn open(
        mut conn: AnyConnection,
        retry_for: Duration,
        queue: usize,
        clock: Clock,
        new_id: impl FnMut() -> Uuid,
    ) -> Result<Self, String> {
        let wanted = Subscribers::default();
        let note = |conn: &mut AnyConnection| note_start(conn, &wanted, clock.wall(), new_id);
        let noted = in_transaction(&mut conn, note).map_err(|error| error.to_string())?;
        let url = DatabaseUrl::Sqlite("memory".into());
        let queue = Arc::new(Queue::new(queue, retry_for, clock.clone()));
        let (counters, deaths, questions) =
            (Arc::new(Counters::default()), Arc::new(AtomicU64::new(0)), Arc::new(Questions::new()));
        let opening = Opening {
            url: url.clone(),
            epoch: noted.epoch,
            purpose: Purpose::Serving,
            connection: Some(conn),
            file: None,
            unnamed: Arc::new(Notify::new()),
            wanted: Arc::new(wanted),
            webhooks: watch::Sender::new(()),
            clock: clock.clone(),
        };
        let mut stepped = Self {
            store: Store::stepped(noted, queue.clone(), questions.clone(), clock.clone()),
            persister: Persister::new(opening, queue.clone(), counters.clone(), deaths.clone()),
            reader: Reader::new(questions.clone(), url, deaths, counters, None, clock),
            queue,
            questions,
            is_asleep: false,
        };
        // There is nothing to do yet.
        stepped.write(None);
        Ok(stepped)
    }

    /// Returns its handle.
    pub fn handle(&self) -> Store {
        self.store.clone()
    }

    /// Sets the receiver of the outcomes of tagged writes.
    pub fn report_to(&self, report: impl Fn(Committed) + Send + 'static) {
        self.queue.report_to(Box::new(report));
    }

    /// Returns whether the writer was woken since the last time.
    pub fn take_wake(&mut self) -> bool {
        let is_woken = self.is_asleep && !self.queue.is_asleep();
        self.is_asleep &= !is_woken;
        is_woken
    }

    /// Returns the number of writes that wait or are being stored.
    pub fn depth(&self) -> usize {
        self.queue.depth()
    }

    /// Takes a step of the writer.
    pub fn write(&mut self, fault: Option<Fault>) -> NextWrite {
        self.persister.fault = fault;
        let next = self.persister.step();
        self.persister.fault = None;
        match next {
            Next::GoOn => NextWrite::GoOn,
            Next::Pause(time) => NextWrite::After(time, None),
            Next::Await { count, within } => NextWrite::After(within, Some(count)),
            Next::Sleep => {
                self.is_asleep = true;
                NextWrite::Sleep
            }
        }
    }

    /// Answers a query that waits; `false`: none does.
    pub fn read(&mut self) -> bool {
        let Some(answer) = self.questions.take() else { return false };
        // There is one connection: a second one to a database in memory would be to another.
        self.reader.connection = self.persister.connection.take();
        answer(&mut self.reader);
        self.persister.connection = self.reader.connection.take();
        true
    }

    /// Returns the number of queries that wait.
    pub fn questions(&self) -> usize {
        self.questions.len()
    }

    /// Gives up writes that have waited too long, as the store does four times a second.
    pub fn give_up_if_due(&self) {
        self.queue.give_up_if_due();
    }

    /// Returns the database, for a look at it; `None`: a panic has ended it.
    pub fn database(&mut self) -> Option<&mut AnyConnection> {
        self.persister.connection.as_mut()
    }

    /// Ends as in a crash: what was not committed is gone. Returns the database.
    pub fn crash(mut self) -> Option<AnyConnection> {
        self.persister.connection.take()
    }
}
