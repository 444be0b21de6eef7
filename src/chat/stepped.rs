//! The broker without an actor: its owner hands it each message and carries out each of its jobs. For simulations.
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::broker::Broker;
use super::outside::{Callback, Outside};
use super::ports::{
    Asked, BrokerStats, CapabilitiesChanged, CatchUpDrained, ChatError, Command, Confirmed, Connect, Disconnect, FellBehind,
    HookQuestion, Limited, ModelSaid, ModelWord, Options, Reply, Request, Sources, ToWorker, Upgraded,
};
use super::query::{Answer, Query};
use crate::auth::Revocations;
use crate::model::{Timestamp, UserId};
use crate::store::{Committed, Done, Store, StoreError, Write};

/// A message to the broker.
#[expect(missing_docs, reason = "each is described where its value is")]
#[derive(Debug)]
pub enum ToBroker {
    Connect(Box<Connect>),
    Request(Box<Request>),
    CapabilitiesChanged(CapabilitiesChanged),
    Upgraded(Upgraded),
    Limited(Limited),
    CatchUpDrained(CatchUpDrained),
    FellBehind(FellBehind),
    Confirmed(Confirmed),
    Disconnect(Box<Disconnect>),
    /// A request over HTTP; its reply is a [`Job::Reply`] with this number.
    Ask(UserId, Box<Command>, u64),
    Committed(Committed),
    Answered(Answered),
    CalledBack(CalledBack),
    /// The model's word to a prompt.
    ModelSaid(u64, ModelWord),
    /// A timer: what is due by now.
    Tick,
    /// A timer: what is only known here is to be stored.
    Save,
    /// A timer: caches are to be looked through.
    Sweep,
}

/// An answer of the store.
#[derive(Debug)]
pub struct Answered(Answer);

/// A wish to be called back.
#[derive(Debug)]
pub struct CalledBack(Callback);

/// A read that is under way.
pub type Reading = Pin<Box<dyn Future<Output = Answered>>>;

/// Job that the broker wants done outside.
pub enum Job {
    /// A delivery to a worker's connections.
    Deliver(u16, ToWorker),
    /// A read; what it finds is a [`ToBroker::Answered`].
    Read(Reading),
    /// To be called back after this time.
    CallBack(CalledBack, Duration),
    /// A [`ToBroker::Tick`] at this time at the latest.
    WakeAt(Timestamp),
    /// A reply over HTTP.
    Reply(u64, Result<Reply, ChatError>),
    /// A question to the model: its number, and a channel that ends when nobody waits any more.
    Prompt(u64, oneshot::Receiver<()>),
}

impl fmt::Debug for Job {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Deliver(..) => "Deliver",
            Self::Read(_) => "Read",
            Self::CallBack(..) => "CallBack",
            Self::WakeAt(_) => "WakeAt",
            Self::Reply(..) => "Reply",
            Self::Prompt(..) => "Prompt",
        })
    }
}

/// The broker, with a list of the jobs that it wants done.
pub struct SteppedBroker {
    broker: Broker,
    jobs: Jobs,
}

type Jobs = Rc<RefCell<VecDeque<Job>>>;

impl SteppedBroker {
    /// A broker that nobody has connected to; `has_model`: questions are asked.
    pub fn new(options: Options, sources: Sources, store: Store, has_model: bool) -> Self {
        let jobs = Jobs::default();
        let (last_position, starts) = (store.last_position(), store.starts().to_vec());
        let outside = Box::new(SteppedOutside { sources, store, jobs: jobs.clone() });
        let mut broker = Broker::new(options, outside, last_position, &starts, Revocations::default());
        broker.questions.has_model = has_model;
        Self { broker, jobs }
    }

    /// Has the broker work on a message; what it wants of the outside is then in [`SteppedBroker::next_job`].
    pub fn take(&mut self, message: ToBroker) {
        let broker = &mut self.broker;
        match message {
            ToBroker::Connect(message) => broker.connect(*message),
            ToBroker::Request(message) => broker.request(*message),
            ToBroker::CapabilitiesChanged(message) => broker.on_capabilities_changed(message),
            ToBroker::Upgraded(Upgraded { connection }) => broker.on_upgraded(connection),
            ToBroker::Limited(message) => broker.on_limited(message),
            ToBroker::CatchUpDrained(CatchUpDrained { connection }) => {
                broker.read_catch_up_page(connection);
                broker.show_unseen_page(connection);
            }
            ToBroker::FellBehind(FellBehind { connection, after, changes }) => {
                broker.go_on_with_catch_up(connection, after, changes);
            }
            ToBroker::Confirmed(Confirmed { connection, watermark }) => broker.on_confirmed(connection, watermark),
            ToBroker::Disconnect(message) => broker.disconnect(*message),
            ToBroker::Ask(user, command, ticket) => broker.ask(user, *command, ticket),
            ToBroker::Committed(message) => broker.on_committed(message.outcomes),
            ToBroker::Answered(Answered(answer)) => broker.on_answer(answer),
            ToBroker::CalledBack(CalledBack(Callback::PageRead)) => broker.end_page_read(),
            ToBroker::CalledBack(CalledBack(Callback::Received)) => broker.notify_received(),
            ToBroker::ModelSaid(ticket, word) => broker.hear(ModelSaid { ticket, word }),
            ToBroker::Tick => broker.tick(),
            ToBroker::Save => broker.save(),
            ToBroker::Sweep => broker.sweep(),
        }
        self.broker.end_step();
    }

    /// Returns the next job, in the order in which the broker named them.
    pub fn next_job(&mut self) -> Option<Job> {
        self.jobs.borrow_mut().pop_front()
    }

    /// Returns the figures of now.
    pub fn stats(&self) -> BrokerStats {
        self.broker.stats()
    }

    /// Returns the number of entries of each table; all are empty when nobody has been there for long, and nothing happens.
    pub fn tables(&self) -> Vec<(&'static str, usize)> {
        let (broker, stats) = (&self.broker, self.broker.stats());
        vec![
            ("sockets", stats.sockets),
            ("detached", stats.detached),
            ("online", stats.online_users),
            ("users", stats.cached_users),
            ("conversations", stats.conversations),
            ("rooms", stats.rooms),
            ("in flight", stats.in_flight),
            ("questions", stats.questions),
            ("reads", broker.work.reads),
            ("kept bytes", stats.recovery_bytes),
        ]
    }
}

/// The outside as a list of jobs.
struct SteppedOutside {
    sources: Sources,
    store: Store,
    jobs: Jobs,
}

impl SteppedOutside {
    fn add(&self, job: Job) {
        self.jobs.borrow_mut().push_back(job);
    }
}

impl Outside for SteppedOutside {
    fn now(&mut self) -> Timestamp {
        (self.sources.clock)()
    }

    fn new_id(&mut self) -> Uuid {
        (self.sources.ids)()
    }

    fn deliver(&self, worker: u16, delivery: ToWorker) {
        self.add(Job::Deliver(worker, delivery));
    }

    fn has_room(&self) -> bool {
        self.store.has_room()
    }

    fn is_failing(&self) -> bool {
        self.store.is_failing()
    }

    fn commit(&mut self, write: Write, tag: u64) -> Result<(), StoreError> {
        self.store.try_write(write, Done::Tagged(tag))
    }

    fn reply(&mut self, ticket: u64, reply: Result<Reply, ChatError>) {
        self.add(Job::Reply(ticket, reply));
    }

    fn read(&mut self, query: Query) {
        let store = self.store.clone();
        self.add(Job::Read(Box::pin(async move { Answered(query.run(store).await) })));
    }

    fn prompt(&mut self, Asked { ticket, turns: _, stream: _, wanted }: Asked) {
        self.add(Job::Prompt(ticket, wanted));
    }

    fn ask_hook(&mut self, _: u64, _: Box<HookQuestion>) {
        // No simulation has a hook: `Options::hooks` is empty.
    }

    fn call_back(&mut self, callback: Callback, after: Duration) {
        self.add(Job::CallBack(CalledBack(callback), after));
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.add(Job::WakeAt(at));
    }
}
