//! The actor of one worker thread: delivers events to the thread's connections, and keeps their deadlines.
use std::collections::VecDeque;
use std::future::Future as _;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Instant;

use actix::{Actor, ActorFuture, AsyncContext as _, Context, Handler, Message};
use tokio::time::Sleep;

use super::table::{ConnectionRef, Table};
use crate::engineio::{CloseReason, ConnectionView, Delivery, Output, Service, Slot};
use crate::meter::{Meter, Metered};

/// Maximum number of deliveries waiting. A broadcast counts once for the thread, however many receive it.
const MAILBOX: usize = 65_536;

/// The actor of one worker thread's connections.
pub(in crate::transport) struct WorkerActor<S: Service> {
    table: Rc<Table<S>>,
}

/// Asks for the present state of these connections.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<Option<ConnectionView>>")]
pub(in crate::transport) struct ViewConnections(pub(in crate::transport) Vec<Slot>);

/// Makes all connections take nothing more, and carry out or refuse waiting requests.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct TakeNoMore;

/// Closes all connections.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct CloseAll(pub(in crate::transport) CloseReason);

impl<S: Service> WorkerActor<S> {
    pub(super) fn new(table: Rc<Table<S>>) -> Self {
        Self { table }
    }

    fn deliver(&self, slots: impl Iterator<Item = Slot>, event: &Arc<S::Shared>) {
        let now = Instant::now();
        let connections = self.table.slots();
        for slot in slots {
            if let Some(connection) = connections.get(slot) {
                self.notify(connection, now, |service, out| service.on_shared(event, now, out));
            }
        }
    }

    /// Delivers something to one connection; packets that it queues are sent once the mailbox is empty, together with
    /// those of other deliveries.
    #[inline]
    fn notify(&self, connection: &ConnectionRef<S>, now: Instant, say: impl FnOnce(&mut S, &mut dyn Output)) {
        let mut state = connection.borrow_mut();
        state.call(&self.table.worker, now, say);
        if state.set_dirty(true) {
            self.table.mark_dirty(connection);
        }
    }
}

impl<S: Service> Metered for WorkerActor<S> {
    fn meter(&self) -> &Meter {
        &self.table.worker.stats.actor_meter
    }
}

impl<S: Service> Actor for WorkerActor<S> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        context.spawn(Batch { sleep: None, dirty: VecDeque::new(), service: PhantomData });
    }
}

impl<S: Service> Handler<Delivery<S::Shared, S::Notice>> for WorkerActor<S> {
    type Result = ();

    #[inline]
    fn handle(&mut self, delivery: Delivery<S::Shared, S::Notice>, _: &mut Self::Context) {
        self.step_of_counted::<Delivery<S::Shared, S::Notice>, _>(|actor| match delivery {
            Delivery::ToMany { event, to, except } => {
                actor.deliver(to.iter().copied().filter(|slot| !except.contains(slot)), &event);
            }
            Delivery::ToFew { event, to } => actor.deliver(to.into_iter(), &event),
            Delivery::ToOne { to, notice } => {
                let now = Instant::now();
                if let Some(connection) = actor.table.slots().get(to) {
                    actor.notify(connection, now, |service, out| service.on_notice(notice, now, out));
                }
            }
        });
    }
}

impl<S: Service> Handler<CloseAll> for WorkerActor<S> {
    type Result = ();

    fn handle(&mut self, CloseAll(reason): CloseAll, _: &mut Self::Context) {
        let now = Instant::now();
        for connection in self.table.slots().iter() {
            let mut state = connection.borrow_mut();
            if reason == CloseReason::Shutdown {
                state.call(&self.table.worker, now, |service, out| service.on_stopped(now, out));
            }
            state.close(&self.table.worker, reason, now);
            if state.set_dirty(true) {
                self.table.mark_dirty(connection);
            }
        }
    }
}

impl<S: Service> Handler<TakeNoMore> for WorkerActor<S> {
    type Result = ();

    fn handle(&mut self, _: TakeNoMore, _: &mut Self::Context) {
        let now = Instant::now();
        for connection in self.table.slots().iter() {
            self.notify(connection, now, |service, out| service.on_stopping(now, out));
        }
    }
}

impl<S: Service> Handler<ViewConnections> for WorkerActor<S> {
    type Result = Vec<Option<ConnectionView>>;

    fn handle(&mut self, ViewConnections(slots): ViewConnections, _: &mut Self::Context) -> Self::Result {
        self.step::<ViewConnections, _>(|actor| {
            let connections = actor.table.slots();
            slots.into_iter().map(|slot| connections.get(slot).map(|connection| connection.borrow().view())).collect()
        })
    }
}

/// Maximum number of connections that are written to before the thread's sockets are read: who talks in a room of
/// thousands would else miss the round that is being written, and each round would carry less.
const WRITES_AT_ONCE: usize = 32;

/// The actor's work each time its mailbox is empty: due deadlines, then the writes of the connections that got a
/// delivery, some at a time, then sleep until the next deadline.
struct Batch<S: Service> {
    sleep: Option<Pin<Box<Sleep>>>,
    dirty: VecDeque<ConnectionRef<S>>,
    service: PhantomData<fn() -> S>,
}

impl<S: Service> ActorFuture<WorkerActor<S>> for Batch<S> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut WorkerActor<S>,
        _: &mut Context<WorkerActor<S>>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        let (batch, table) = (self.get_mut(), &*actor.table);
        loop {
            keep_time(table);
            batch.write(table, task);
            if !batch.dirty.is_empty() {
                // Polled once and dropped, it wakes this task behind the sockets that are ready. A plain wake would not: the
                // runtime takes dozens of woken tasks before it looks at sockets.
                let _ = pin!(tokio::task::yield_now()).poll(task);
                return Poll::Pending;
            }
            let next = table.next_deadline();
            table.actor_sleeps(next, task.waker());
            let Some(next) = next else { return Poll::Pending };
            let sleep = batch.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next.into())));
            if sleep.deadline() != next.into() {
                sleep.as_mut().reset(next.into());
            }
            if sleep.as_mut().poll(task).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<S: Service> Batch<S> {
    /// Writes for the first of the connections, so that none of their tasks has to run.
    fn write(&mut self, table: &Table<S>, task: &mut task::Context<'_>) {
        table.take_dirty(&mut self.dirty);
        if self.dirty.is_empty() {
            return;
        }
        let now = Instant::now();
        let first = self.dirty.len().min(WRITES_AT_ONCE);
        let mut first = self.dirty.drain(..first);
        // many writes are one poll here: the task's budget would make most of them look blocked
        let writes = std::future::poll_fn(|_| {
            for connection in first.by_ref() {
                let mut state = connection.borrow_mut();
                state.set_dirty(false);
                state.with_waker(|state, context| state.flush(&table.worker, context, now));
                table.arm(&mut state);
            }
            Poll::Ready(())
        });
        let _ = pin!(tokio::task::unconstrained(writes)).poll(task);
        table.worker.last.forget();
        table.worker.stats.actor_meter.note("write", now);
    }
}

/// Handles the connections whose deadlines have come.
fn keep_time<S: Service>(table: &Table<S>) {
    let now = Instant::now();
    while let Some((at, slot)) = table.pop_deadline(now) {
        let Some(connection) = table.slots().get(slot).cloned() else { continue };
        let mut state = connection.borrow_mut();
        if state.take_deadline(at) {
            state.on_deadline(&table.worker, now);
            if state.set_dirty(true) {
                table.mark_dirty(&connection);
            }
            table.arm(&mut state);
        }
    }
}
