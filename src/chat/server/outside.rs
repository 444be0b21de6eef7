//! The broker's outside as an actor has it.
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::chat::outside::{Callback, Outside};
use crate::chat::ports::{Asked, ChatError, HookQuestion, Reply, Sources, ToWorker};
use crate::chat::query::Query;
use crate::hash::HashMap;
use crate::meter::Counted;
use crate::model::Timestamp;
use crate::store::{Done, Store, StoreError, Write};

/// Job that the actor does for the broker at the end of a step.
pub(super) enum Job {
    Read(Query),
    Prompt(Asked),
    AskHook(u64, Box<HookQuestion>),
    CallBack(Callback, Duration),
}

/// State that the actor and its broker's outside share.
#[derive(Default)]
pub(super) struct Shared {
    workers: RefCell<Vec<Option<Counted<ToWorker>>>>,
    jobs: RefCell<VecDeque<Job>>,
    wake_at: Cell<Option<Timestamp>>,
    replies: RefCell<HttpReplies>,
}

/// Requests over HTTP that wait for their reply, by ticket. Each is answered once, by the broker's word or by its panic; their
/// number is bounded by the connections that ask.
#[derive(Default)]
struct HttpReplies {
    waiting: HashMap<u64, oneshot::Sender<Result<Reply, ChatError>>>,
    next: u64,
}

impl Shared {
    /// A worker takes deliveries from here on.
    pub(super) fn register(&self, worker: u16, deliveries: Counted<ToWorker>) {
        let mut workers = self.workers.borrow_mut();
        let number = usize::from(worker);
        if workers.len() <= number {
            workers.resize_with(number + 1, || None);
        }
        if let Some(known) = workers.get_mut(number) {
            *known = Some(deliveries);
        }
    }

    /// Keeps a request over HTTP until its reply is there. Returns its ticket.
    pub(super) fn await_reply(&self, answer: oneshot::Sender<Result<Reply, ChatError>>) -> u64 {
        let mut replies = self.replies.borrow_mut();
        replies.next += 1;
        let ticket = replies.next;
        replies.waiting.insert(ticket, answer);
        ticket
    }

    pub(super) fn next_job(&self) -> Option<Job> {
        self.jobs.borrow_mut().pop_front()
    }

    /// The time at which the broker wants to be woken, where it said so since the last time.
    pub(super) fn take_wake(&self) -> Option<Timestamp> {
        self.wake_at.take()
    }
}

/// The clock, the workers, the store, and a list of jobs for the actor.
pub(super) struct ActorOutside {
    sources: Sources,
    store: Store,
    shared: Rc<Shared>,
}

impl ActorOutside {
    pub(super) fn new(sources: Sources, store: Store, shared: Rc<Shared>) -> Self {
        Self { sources, store, shared }
    }

    fn add(&self, job: Job) {
        self.shared.jobs.borrow_mut().push_back(job);
    }
}

impl Outside for ActorOutside {
    fn now(&mut self) -> Timestamp {
        (self.sources.clock)()
    }

    fn new_id(&mut self) -> Uuid {
        (self.sources.ids)()
    }

    fn deliver(&self, worker: u16, delivery: ToWorker) {
        if let Some(Some(worker)) = self.shared.workers.borrow().get(usize::from(worker)) {
            worker.do_send(delivery);
        }
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
        if let Some(answer) = self.shared.replies.borrow_mut().waiting.remove(&ticket) {
            // Who has gone wants no answer.
            drop(answer.send(reply));
        }
    }

    fn read(&mut self, query: Query) {
        self.add(Job::Read(query));
    }

    fn prompt(&mut self, asked: Asked) {
        self.add(Job::Prompt(asked));
    }

    fn ask_hook(&mut self, ticket: u64, question: Box<HookQuestion>) {
        self.add(Job::AskHook(ticket, question));
    }

    fn call_back(&mut self, callback: Callback, after: Duration) {
        self.add(Job::CallBack(callback, after));
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.shared.wake_at.set(Some(at));
    }
}
