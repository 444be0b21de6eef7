//! The actor of one worker thread: it tells the thread's connections what comes from inside, and keeps their time.
use std::future::Future as _;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Instant;

use actix::{Actor, ActorFuture, AsyncContext as _, Context, Handler, Message};
use tokio::time::Sleep;

use super::worker::{LinkRef, Worker};
use crate::engineio::{CloseReason, ConnectionView, Delivery, Output, Seat, Service};
use crate::meter::{Meter, Metered};

/// Deliveries of one thread. A broadcast is one message here, however many receive it.
const MAILBOX: usize = 65_536;

/// Holds the connections of one worker thread together.
pub(super) struct Hub<S: Service> {
    worker: Rc<Worker<S>>,
}

/// Asks what these connections are at this moment.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<Option<ConnectionView>>")]
pub(super) struct ViewConnections(pub(super) Vec<Seat>);

/// Has all connections take nothing more, and carry out or refuse what waits.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub(super) struct TakeNoMore;

/// Closes all connections.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub(super) struct CloseAll(pub(super) CloseReason);

impl<S: Service> Hub<S> {
    pub(super) fn new(worker: Rc<Worker<S>>) -> Self {
        Self { worker }
    }

    fn deliver(&self, seats: impl Iterator<Item = Seat>, event: &Arc<S::Shared>) {
        let now = Instant::now();
        let table = self.worker.seats();
        for seat in seats {
            if let Some(link) = table.get(seat) {
                self.tell(link, now, |service, out| service.on_shared(event, now, out));
            }
        }
    }

    /// Tells one connection something; what it queues leaves when the mailbox is empty, with what others said meanwhile.
    #[inline]
    fn tell(&self, link: &LinkRef<S>, now: Instant, say: impl FnOnce(&mut S, &mut dyn Output)) {
        let mut state = link.borrow_mut();
        state.call(&self.worker, now, say);
        if state.set_dirty(true) {
            self.worker.mark_dirty(link);
        }
    }
}

impl<S: Service> Metered for Hub<S> {
    fn meter(&self) -> &Meter {
        &self.worker.stats.hub
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
                if let Some(link) = hub.worker.seats().get(to) {
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
        for link in self.worker.seats().iter() {
            let mut state = link.borrow_mut();
            if reason == CloseReason::Shutdown {
                state.call(&self.worker, now, |service, out| service.on_stopped(now, out));
            }
            state.close(&self.worker, reason, now);
            if state.set_dirty(true) {
                self.worker.mark_dirty(link);
            }
        }
    }
}

impl<S: Service> Handler<TakeNoMore> for Hub<S> {
    type Result = ();

    fn handle(&mut self, _: TakeNoMore, _: &mut Self::Context) {
        let now = Instant::now();
        for link in self.worker.seats().iter() {
            self.tell(link, now, |service, out| service.on_stopping(now, out));
        }
    }
}

impl<S: Service> Handler<ViewConnections> for Hub<S> {
    type Result = Vec<Option<ConnectionView>>;

    fn handle(&mut self, ViewConnections(seats): ViewConnections, _: &mut Self::Context) -> Self::Result {
        self.turn::<ViewConnections, _>(|hub| {
            let table = hub.worker.seats();
            seats.into_iter().map(|seat| table.get(seat).map(|link| link.borrow().view())).collect()
        })
    }
}

/// What the hub does each time its mailbox is empty: due deadlines, then the writes of all connections that were told
/// something, then sleep until the next deadline.
struct Turn<S: Service> {
    sleep: Option<Pin<Box<Sleep>>>,
    dirty: Vec<LinkRef<S>>,
    service: PhantomData<fn() -> S>,
}

impl<S: Service> ActorFuture<Hub<S>> for Turn<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, hub: &mut Hub<S>, _: &mut Context<Hub<S>>, task: &mut task::Context<'_>) -> Poll<()> {
        let (turn, worker) = (self.get_mut(), &*hub.worker);
        loop {
            keep_time(worker);
            turn.write(worker, task);
            let next = worker.next_deadline();
            worker.hub_sleeps(next, task.waker());
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
    /// Writes for the connections themselves, so that none of their tasks has to run.
    fn write(&mut self, worker: &Worker<S>, task: &mut task::Context<'_>) {
        worker.take_dirty(&mut self.dirty);
        if self.dirty.is_empty() {
            return;
        }
        let now = Instant::now();
        let dirty = &mut self.dirty;
        // a thousand writes are one turn here: the budget of a task would turn the rest away as if they blocked
        let writes = std::future::poll_fn(|_| {
            for link in dirty.drain(..) {
                let mut state = link.borrow_mut();
                state.set_dirty(false);
                // before its task has run once it has no waker, and will write by itself
                if let Some(waker) = state.waker() {
                    state.flush(worker, &mut task::Context::from_waker(&waker), now);
                }
                worker.arm(&mut state);
            }
            Poll::Ready(())
        });
        let _ = pin!(tokio::task::unconstrained(writes)).poll(task);
        worker.last.forget();
        worker.stats.hub.note("write", now);
    }
}

/// Looks at the connections whose deadlines have come.
fn keep_time<S: Service>(worker: &Worker<S>) {
    let now = Instant::now();
    while let Some((at, seat)) = worker.pop_deadline(now) {
        let Some(link) = worker.seats().get(seat).cloned() else { continue };
        let mut state = link.borrow_mut();
        if state.take_deadline(at) {
            state.on_deadline(worker, now);
            if state.set_dirty(true) {
                worker.mark_dirty(&link);
            }
            worker.arm(&mut state);
        }
    }
}
