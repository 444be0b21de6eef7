//! The world around the broker.
use std::time::Duration;

use uuid::Uuid;

use super::ports::{Asked, ChatError, HookQuestion, Reply, ToWorker};
use super::query::Query;
use crate::model::Timestamp;
use crate::store::{StoreError, Write};

/// Needs of the broker: time, ids, the connections, the store, the model and the operator's hook. Nothing here waits; what takes time
/// comes back as a message to the broker.
pub(super) trait Outside {
    /// Returns the wall clock's time.
    fn now(&mut self) -> Timestamp;
    /// Returns a new, unguessable UUID; they sort by the time of their making.
    fn new_id(&mut self) -> Uuid;
    /// Sends connections of a worker what is for them. One that is not there gets nothing.
    fn deliver(&self, worker: u16, delivery: ToWorker);
    /// Returns whether the store would take a change now.
    fn has_room(&self) -> bool;
    /// Returns whether commits fail: from the first that did until the next success.
    fn is_failing(&self) -> bool;
    /// Gives the store a change. Its outcome comes to [`Broker::on_committed`](super::broker::Broker) with this tag.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it takes none.
    fn commit(&mut self, write: Write, tag: u64) -> Result<(), StoreError>;
    /// Sends a request over HTTP its reply, under the ticket that came with it. One that is not waited for goes nowhere.
    fn reply(&mut self, ticket: u64, reply: Result<Reply, ChatError>);
    /// Has something read; its [`Answer`](super::query::Answer) comes to `Broker::on_answer`.
    fn read(&mut self, query: Query);
    /// Asks the model.
    fn prompt(&mut self, asked: Asked);
    /// Asks the operator's hook; its answer comes to `Broker::on_hook_said` under this ticket.
    fn ask_hook(&mut self, ticket: u64, question: Box<HookQuestion>);
    /// Calls the broker back after this time, behind all messages that wait by then.
    fn call_back(&mut self, callback: Callback, after: Duration);
    /// Has [`Broker::tick`](super::broker::Broker) called at this time at the latest.
    fn wake_at(&mut self, at: Timestamp);
}

/// Reason for which the broker wants to be called back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callback {
    /// The next page of a catch-up may be read.
    PageRead,
    /// Senders are to be notified who has received their messages: all that came together in one event for each message.
    Received,
}
