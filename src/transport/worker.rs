//! What the connections of one worker thread share.
use std::any::Any;
use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Instant;

use actix::{Addr, AsyncContext as _, Context};
use rand::RngExt as _;
use tokio::sync::Notify;

use super::addresses::Addresses;
use super::deadlines::Deadlines;
use super::hub::Hub;
use super::link::Link;
use super::options::Options;
use super::outbox::{LastQueued, Limits, Queued};
use super::registry::Registry;
use super::seats::Seats;
use super::stats::{TIMED, WorkerStats};
use crate::engineio::{ConnectionKey, Delivery, Encoded, Service, Sid, Ticket};
use crate::meter::Counted;

/// Bytes that one read can bring. One buffer serves all connections of a thread.
const SCRATCH_BYTES: usize = 64 * 1024;

/// What all threads share.
pub(super) struct Shared<S: Service> {
    pub(super) options: Options,
    pub(super) registry: Registry<S>,
    pub(super) addresses: Arc<Addresses>,
    /// Whether new sessions are refused.
    pub(super) is_draining: AtomicBool,
    /// Sessions whose resources are not released yet.
    pub(super) open: AtomicUsize,
    /// Told when the last session is gone.
    pub(super) emptied: Notify,
    /// Each with the number of its worker.
    pub(super) hubs: Mutex<Vec<(u16, Addr<Hub<S>>)>>,
    pub(super) stats: Mutex<Vec<Arc<WorkerStats>>>,
    next_worker: AtomicU16,
    next_ticket: AtomicU64,
}

impl<S: Service> Shared<S> {
    pub(super) fn new(options: Options) -> Self {
        Self {
            addresses: Arc::new(Addresses::new(options.max_sockets_per_address, options.http_connections_per_address())),
            options,
            registry: Registry::default(),
            is_draining: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            emptied: Notify::new(),
            hubs: Mutex::default(),
            stats: Mutex::default(),
            next_worker: AtomicU16::new(0),
            next_ticket: AtomicU64::new(0),
        }
    }

    /// A number for a request that no other has.
    pub(super) fn ticket(&self) -> Ticket {
        self.next_ticket.fetch_add(1, Ordering::Relaxed)
    }
}

/// A reference to a connection's state; only its own thread has any.
pub(super) type LinkRef<S> = Rc<RefCell<Link<S>>>;

/// The table, the timer and the buffers of one thread's connections.
pub(super) struct Worker<S: Service> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) context: S::Context,
    pub(super) stats: Arc<WorkerStats>,
    pub(super) last: LastQueued,
    pub(super) common: CommonPackets,
    index: u16,
    seats: RefCell<Seats<LinkRef<S>>>,
    deadlines: RefCell<Deadlines>,
    dirty: RefCell<Vec<LinkRef<S>>>,
    scratch: RefCell<Box<[u8]>>,
    hub_waker: RefCell<Option<Waker>>,
    sleeps_until: Cell<Option<Instant>>,
}

/// Packets that are always the same.
pub(super) struct CommonPackets {
    pub(super) ping: Rc<Queued>,
}

thread_local! {
    /// The worker of this thread. A thread serves one server for life.
    static CURRENT: RefCell<Option<Rc<dyn Any>>> = const { RefCell::new(None) };
}

impl<S: Service> Worker<S> {
    /// The worker of this thread, which is made, with its [`Hub`], when it is asked for first.
    pub(super) fn current(
        shared: &Arc<Shared<S>>,
        context: impl FnOnce(u16, Counted<Delivery<S::Shared, S::Notice>>) -> S::Context,
    ) -> Rc<Self> {
        let current = CURRENT.with_borrow(|current| current.clone().and_then(|worker| worker.downcast::<Self>().ok()));
        current.unwrap_or_else(|| {
            let worker = Self::start(shared.clone(), context);
            CURRENT.set(Some(worker.clone()));
            worker
        })
    }

    fn start(
        shared: Arc<Shared<S>>,
        context: impl FnOnce(u16, Counted<Delivery<S::Shared, S::Notice>>) -> S::Context,
    ) -> Rc<Self> {
        let index = shared.next_worker.fetch_add(1, Ordering::Relaxed);
        let hub = Context::<Hub<S>>::new();
        let address = hub.address();
        let stats = Arc::new(WorkerStats::default());
        shared.hubs.lock().unwrap_or_else(PoisonError::into_inner).push((index, address.clone()));
        shared.stats.lock().unwrap_or_else(PoisonError::into_inner).push(stats.clone());
        let worker = Rc::new(Self {
            context: context(index, Counted::new(address.recipient(), stats.hub.clone())),
            shared,
            stats,
            last: LastQueued::default(),
            common: CommonPackets { ping: Rc::new(Queued::Packets(Encoded::text("2"))) },
            index,
            seats: RefCell::default(),
            deadlines: RefCell::default(),
            dirty: RefCell::default(),
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()),
            hub_waker: RefCell::new(None),
            sleeps_until: Cell::new(None),
        });
        hub.run(Hub::new(worker.clone()));
        worker
    }

    pub(super) fn options(&self) -> &Options {
        &self.shared.options
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { packets: self.options().outbox_packets, bytes: self.options().outbox_bytes }
    }

    pub(super) fn new_sid(&self) -> Sid {
        Sid::from_random(rand::rng().random())
    }

    /// Gives a connection its seat; `make` gets the key.
    pub(super) fn seat(&self, make: impl FnOnce(ConnectionKey) -> Link<S>) -> LinkRef<S> {
        let seat = self.seats.borrow_mut().reserve();
        let link = Rc::new(RefCell::new(make(ConnectionKey { worker: self.index, seat })));
        self.seats.borrow_mut().fill(seat, link.clone());
        self.shared.open.fetch_add(1, Ordering::AcqRel);
        link
    }

    /// Takes back what [`Worker::seat`] gave.
    pub(super) fn unseat(&self, link: &Link<S>) {
        if self.seats.borrow_mut().free(link.seat()).is_some() {
            self.shared.addresses.leave(link.address());
            if self.shared.open.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.shared.emptied.notify_waiters();
            }
        }
    }

    pub(super) fn seats(&self) -> std::cell::Ref<'_, Seats<LinkRef<S>>> {
        self.seats.borrow()
    }

    pub(super) fn scratch(&self) -> RefMut<'_, Box<[u8]>> {
        self.scratch.borrow_mut()
    }

    /// Counts a turn of a connection's own.
    pub(super) fn note_turn(&self, begun: Instant) {
        let meter = &self.stats.connections;
        if meter.note_untimed().is_multiple_of(TIMED) {
            meter.note_time("turn", begun, TIMED);
        }
    }

    /// Has the hub write what waits on this connection.
    pub(super) fn mark_dirty(&self, link: &LinkRef<S>) {
        self.dirty.borrow_mut().push(link.clone());
    }

    /// Moves the connections that wait for a write into `into`, which is empty.
    pub(super) fn take_dirty(&self, into: &mut Vec<LinkRef<S>>) {
        std::mem::swap(&mut *self.dirty.borrow_mut(), into);
    }

    /// Sees to it that the connection is looked at when its next deadline comes.
    pub(super) fn arm(&self, link: &mut Link<S>) {
        let Some(due) = link.deadline(self) else { return };
        let seat = link.seat();
        let is_first = self.deadlines.borrow_mut().arm(seat, link.armed_mut(), due);
        if is_first && self.sleeps_until.get().is_none_or(|until| due < until) {
            self.wake_hub();
        }
    }

    /// Takes a connection's moment that has come.
    pub(super) fn pop_deadline(&self, now: Instant) -> Option<(Instant, crate::engineio::Seat)> {
        self.deadlines.borrow_mut().pop(now)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.borrow().next()
    }

    /// Notes until when the hub sleeps, and how to wake it before.
    pub(super) fn hub_sleeps(&self, until: Option<Instant>, waker: &Waker) {
        self.sleeps_until.set(until);
        let mut current = self.hub_waker.borrow_mut();
        if !current.as_ref().is_some_and(|current| current.will_wake(waker)) {
            *current = Some(waker.clone());
        }
    }

    fn wake_hub(&self) {
        if let Some(waker) = &*self.hub_waker.borrow() {
            waker.wake_by_ref();
        }
    }
}
