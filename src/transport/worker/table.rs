//! The connections of one worker thread: their slots, their deadlines, and the list of those with packets to write.
use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Instant;

use super::slots::Slots;
use crate::engineio::{ConnectionKey, Service, Slot};
use crate::transport::connection::{ConnectionState, Deadlines, WorkerState};

/// A reference to a connection's state, confined to its thread.
pub(super) type ConnectionRef<S> = Rc<RefCell<ConnectionState<S>>>;

/// All connections of a thread, with their shared state.
pub(in crate::transport) struct Table<S: Service> {
    pub(in crate::transport) worker: WorkerState<S>,
    index: u16,
    slots: RefCell<Slots<ConnectionRef<S>>>,
    deadlines: RefCell<Deadlines>,
    dirty: RefCell<Vec<ConnectionRef<S>>>,
    actor_waker: RefCell<Option<Waker>>,
    sleeps_until: Cell<Option<Instant>>,
}

impl<S: Service> Table<S> {
    /// Returns an empty table; `index` is the number of the thread.
    pub(super) fn new(index: u16, worker: WorkerState<S>) -> Self {
        Self {
            worker,
            index,
            slots: RefCell::default(),
            deadlines: RefCell::default(),
            dirty: RefCell::default(),
            actor_waker: RefCell::new(None),
            sleeps_until: Cell::new(None),
        }
    }

    /// Gives a connection a slot; `make` gets the key.
    pub(in crate::transport) fn slot(&self, make: impl FnOnce(ConnectionKey) -> ConnectionState<S>) -> ConnectionRef<S> {
        let slot = self.slots.borrow_mut().reserve();
        let connection = Rc::new(RefCell::new(make(ConnectionKey { worker: self.index, slot })));
        self.slots.borrow_mut().fill(slot, connection.clone());
        self.worker.node.open.fetch_add(1, Ordering::AcqRel);
        connection
    }

    /// Frees the slot given by [`Table::slot`].
    pub(super) fn free_slot(&self, connection: &ConnectionState<S>) {
        if self.slots.borrow_mut().free(connection.slot()).is_some() {
            self.worker.node.addresses.leave(connection.address());
            if self.worker.node.open.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.worker.node.emptied.notify_waiters();
            }
        }
    }

    pub(super) fn slots(&self) -> Ref<'_, Slots<ConnectionRef<S>>> {
        self.slots.borrow()
    }

    /// Asks the actor to write the connection's queued packets.
    pub(super) fn mark_dirty(&self, connection: &ConnectionRef<S>) {
        self.dirty.borrow_mut().push(connection.clone());
    }

    /// Moves the connections with packets to write behind those in `into`.
    pub(super) fn take_dirty(&self, into: &mut VecDeque<ConnectionRef<S>>) {
        into.extend(self.dirty.borrow_mut().drain(..));
    }

    /// Ensures that the connection gets attention at its next deadline.
    pub(super) fn arm(&self, connection: &mut ConnectionState<S>) {
        let Some(due) = connection.deadline(&self.worker) else { return };
        let slot = connection.slot();
        let is_first = self.deadlines.borrow_mut().arm(slot, connection.armed_mut(), due);
        if is_first && self.sleeps_until.get().is_none_or(|until| due < until) {
            self.wake_actor();
        }
    }

    /// Removes a deadline that has come.
    pub(super) fn pop_deadline(&self, now: Instant) -> Option<(Instant, Slot)> {
        self.deadlines.borrow_mut().pop(now)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.borrow().next()
    }

    /// Records until when the actor sleeps, and how to wake it earlier.
    pub(super) fn actor_sleeps(&self, until: Option<Instant>, waker: &Waker) {
        self.sleeps_until.set(until);
        let mut current = self.actor_waker.borrow_mut();
        if !current.as_ref().is_some_and(|current| current.will_wake(waker)) {
            *current = Some(waker.clone());
        }
    }

    fn wake_actor(&self) {
        if let Some(waker) = &*self.actor_waker.borrow() {
            waker.wake_by_ref();
        }
    }
}
