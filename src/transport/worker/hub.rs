//! The actor of one worker thread: delivers events to the thread's connections, and keeps their deadlines.
use std::future::Future as _;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Instant;

use actix::{Actor, ActorFuture, AsyncContext as _, Context, Handler, Message};
use tokio::time::Sleep;

use super::table::{LinkRef, Table};
use crate::engineio::{CloseReason, ConnectionView, Delivery, Output, Seat, Service};
use crate::meter::{Meter, Metered};

/// Maximum number of deliveries waiting. A broadcast counts once for the thread, however many receive it.
const MAILBOX: usize = 65_536;

/// The hub of one worker thread's connections.
pub(in crate::transport) struct Hub<S: Service> {
    table: Rc<Table<S>>,
}

/// Asks for the present state of these connections.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<Option<ConnectionView>>")]
pub(in crate::transport) struct ViewConnections(pub(in crate::transport) Vec<Seat>);

/// Makes all connections take nothing more, and carry out or refuse waiting requests.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct TakeNoMore;

/// Closes all connections.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct CloseAll(pub(in crate::transport) CloseReason);

impl<S: Service> Hub<S> {
    pub(super) fn new(table: Rc<Table<S>>) -> Self {
        Self { table }
    }

    fn deliver(&self, seats: impl Iterator<Item = Seat>, event: &Arc<S::Shared>) {
        let now = Instant::now();
        let connections = self.table.seats();
        for seat in seats {
            if let Some(link) = connections.get(seat) {
                self.tell(link, now, |service, out| service.on_shared(event, now, out));
            }
        }
    }

    /// Delivers something to one connection; packets that it queues are sent once the mailbox is empty, together with
    /// those of other deliveries.
    #[inline]
    fn tell(&self, link: &LinkRef<S>, now: Instant, say: impl FnOnce(&mut S, &mut dyn Output)) {
        let mut state = link.borrow_mut();
        state.call(&self.table.worker, now, say);
        if state.set_dirty(true) {
            self.table.mark_dirty(link);
        }
    }
}

impl<S: Service> Metered for Hub<S> {
    fn meter(&self) -> &Meter {
        &self.table.worker.stats.hub
    }
}

impl<S: Service> Actor for Hub<S> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        context.spawn(Turn { sleep: None, dirty: Vec::new(), service: PhantomData });
    }
}

impl<S: Service> Handler<Delivery<S::Shared, S::Notice>> for Hub<S> {
    type Result = ();

    #[inline]
    fn handle(&mut self, delivery: Delivery<S::Shared, S::Notice>, _: &mut Self::Context) {
        self.turn_of_counted::<Delivery<S::Shared, S::Notice>, _>(|hub| match delivery {
            Delivery::ToMany { event, to, except } => {
                hub.deliver(to.iter().copied().filter(|seat| !except.contains(seat)), &event);
            }
            Delivery::ToFew { event, to } => hub.deliver(to.into_iter(), &event),
            Delivery::ToOne { to, notice } => {
                let now = Instant::now();
                if let Some(link) = hub.table.seats().get(to) {
                    hub.tell(link, now, |service, out| service.on_notice(notice, now, out));
                }
            }
        });
    }
}

impl<S: Service> Handler<CloseAll> for Hub<S> {
    type Result = ();

    fn handle(&mut self, CloseAll(reason): CloseAll, _: &mut Self::Context) {
        let now = Instant::now();
        for link in self.table.seats().iter() {
            let mut state = link.borrow_mut();
            if reason == CloseReason::Shutdown {
                state.call(&self.table.worker, now, |service, out| service.on_stopped(now, out));
            }
            state.close(&self.table.worker, reason, now);
            if state.set_dirty(true) {
                self.table.mark_dirty(link);
            }
        }
    }
}

impl<S: Service> Handler<TakeNoMore> for Hub<S> {
    type Result = ();

    fn handle(&mut self, _: TakeNoMore, _: &mut Self::Context) {
        let now = Instant::now();
        for link in self.table.seats().iter() {
            self.tell(link, now, |service, out| service.on_stopping(now, out));
        }
    }
}

impl<S: Service> Handler<ViewConnections> for Hub<S> {
    type Result = Vec<Option<ConnectionView>>;

    fn handle(&mut self, ViewConnections(seats): ViewConnections, _: &mut Self::Context) -> Self::Result {
        self.turn::<ViewConnections, _>(|hub| {
            let connections = hub.table.seats();
            seats.into_iter().map(|seat| connections.get(seat).map(|link| link.borrow().view())).collect()
        })
    }
}

/// The hub's work each time its mailbox is empty: due deadlines, then the writes of all connections that got a
/// delivery, then sleep until the next deadline.
struct Turn<S: Service> {
    sleep: Option<Pin<Box<Sleep>>>,
    dirty: Vec<LinkRef<S>>,
    service: PhantomData<fn() -> S>,
}

impl<S: Service> ActorFuture<Hub<S>> for Turn<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, hub: &mut Hub<S>, _: &mut Context<Hub<S>>, task: &mut task::Context<'_>) -> Poll<()> {
        let (turn, table) = (self.get_mut(), &*hub.table);
        loop {
            keep_time(table);
            turn.write(table, task);
            let next = table.next_deadline();
            table.hub_sleeps(next, task.waker());
            let Some(next) = next else { return Poll::Pending };
            let sleep = turn.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next.into())));
            if sleep.deadline() != next.into() {
                sleep.as_mut().reset(next.into());
            }
            if sleep.as_mut().poll(task).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<S: Service> Turn<S> {
    /// Writes for the connections, so that none of their tasks has to run.
    fn write(&mut self, table: &Table<S>, task: &mut task::Context<'_>) {
        table.take_dirty(&mut self.dirty);
        if self.dirty.is_empty() {
            return;
        }
        let now = Instant::now();
        let dirty = &mut self.dirty;
        // a thousand writes are one poll here: the task's budget would make most of them look blocked
        let writes = std::future::poll_fn(|_| {
            for link in dirty.drain(..) {
                let mut state = link.borrow_mut();
                state.set_dirty(false);
                // a task that has not run yet has no waker, and will write by itself
                if let Some(waker) = state.waker() {
                    state.flush(&table.worker, &mut task::Context::from_waker(&waker), now);
                }
                table.arm(&mut state);
            }
            Poll::Ready(())
        });
        let _ = pin!(tokio::task::unconstrained(writes)).poll(task);
        table.worker.last.forget();
        table.worker.stats.hub.note("write", now);
    }
}

/// Handles the connections whose deadlines have come.
fn keep_time<S: Service>(table: &Table<S>) {
    let now = Instant::now();
    while let Some((at, seat)) = table.pop_deadline(now) {
        let Some(link) = table.seats().get(seat).cloned() else { continue };
        let mut state = link.borrow_mut();
        if state.take_deadline(at) {
            state.on_deadline(&table.worker, now);
            if state.set_dirty(true) {
                table.mark_dirty(&link);
            }
            table.arm(&mut state);
        }
    }
}
