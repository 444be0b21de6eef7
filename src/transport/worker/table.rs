//! The connections of one worker thread: their slots, their deadlines, and the list of those with packets to write.
use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Instant;

use super::seats::Seats;
use crate::engineio::{ConnectionKey, Seat, Service};
use crate::transport::connection::{Deadlines, Link, Worker};

/// A reference to a connection's state, confined to its thread.
pub(super) type LinkRef<S> = Rc<RefCell<Link<S>>>;

/// All connections of a thread, with their shared state.
pub(in crate::transport) struct Table<S: Service> {
    pub(in crate::transport) worker: Worker<S>,
    index: u16,
    seats: RefCell<Seats<LinkRef<S>>>,
    deadlines: RefCell<Deadlines>,
    dirty: RefCell<Vec<LinkRef<S>>>,
    hub_waker: RefCell<Option<Waker>>,
    sleeps_until: Cell<Option<Instant>>,
}

impl<S: Service> Table<S> {
    /// Returns an empty table; `index` is the number of the thread.
    pub(super) fn new(index: u16, worker: Worker<S>) -> Self {
        Self {
            worker,
            index,
            seats: RefCell::default(),
            deadlines: RefCell::default(),
            dirty: RefCell::default(),
            hub_waker: RefCell::new(None),
            sleeps_until: Cell::new(None),
        }
    }

    /// Gives a connection a slot; `make` gets the key.
    pub(in crate::transport) fn seat(&self, make: impl FnOnce(ConnectionKey) -> Link<S>) -> LinkRef<S> {
        let seat = self.seats.borrow_mut().reserve();
        let link = Rc::new(RefCell::new(make(ConnectionKey { worker: self.index, seat })));
        self.seats.borrow_mut().fill(seat, link.clone());
        self.worker.node.open.fetch_add(1, Ordering::AcqRel);
        link
    }

    /// Frees the slot given by [`Table::seat`].
    pub(super) fn unseat(&self, link: &Link<S>) {
        if self.seats.borrow_mut().free(link.seat()).is_some() {
            self.worker.node.addresses.leave(link.address());
            if self.worker.node.open.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.worker.node.emptied.notify_waiters();
            }
        }
    }

    pub(super) fn seats(&self) -> Ref<'_, Seats<LinkRef<S>>> {
        self.seats.borrow()
    }

    /// Asks the hub to write the connection's queued packets.
    pub(super) fn mark_dirty(&self, link: &LinkRef<S>) {
        self.dirty.borrow_mut().push(link.clone());
    }

    /// Moves the connections with packets to write into `into`, which is empty.
    pub(super) fn take_dirty(&self, into: &mut Vec<LinkRef<S>>) {
        std::mem::swap(&mut *self.dirty.borrow_mut(), into);
    }

    /// Ensures that the connection gets attention at its next deadline.
    pub(super) fn arm(&self, link: &mut Link<S>) {
        let Some(due) = link.deadline(&self.worker) else { return };
        let seat = link.seat();
        let is_first = self.deadlines.borrow_mut().arm(seat, link.armed_mut(), due);
        if is_first && self.sleeps_until.get().is_none_or(|until| due < until) {
            self.wake_hub();
        }
    }

    /// Removes a deadline that has come.
    pub(super) fn pop_deadline(&self, now: Instant) -> Option<(Instant, Seat)> {
        self.deadlines.borrow_mut().pop(now)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.borrow().next()
    }

    /// Records until when the hub sleeps, and how to wake it earlier.
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
