//! The actor that delivers one webhook's events.
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, ResponseFuture, SpawnHandle, WrapFuture as _,
};
use log::{debug, error, info, warn};
use tokio::sync::watch;

use super::lanes::{AfterFailure, InHand, LOOK_EVERY, Lanes};
use super::pace::Pace;
use super::status::Status;
use crate::backend::{Endpoint, EndpointError};
use crate::feed::{Feed, FeedEvent, Incident};
use crate::model::Timestamp;
use crate::store::{self, QueuedEvent, Store, StoreError, StoredEvent, Write, Written};

/// Maximum number of requests at a time.
const REQUESTS_MAX: usize = 32;
/// Maximum number of events in hand: those being sent, and those that were loaded to be sent next.
const IN_HAND_MAX: usize = 96;
/// Number of loaded events at which more are loaded.
const FEW: usize = 16;
/// Number of rows read at a time.
const PAGE: i64 = 5_000;
/// Time for which commits are gathered before their events are read.
const GATHER: Duration = Duration::from_millis(10);
/// The same while more events come than leave.
const LONG_GATHER: Duration = Duration::from_millis(100);
/// Time for which delivered events are gathered before they are deleted.
const DELETE_AFTER: Duration = Duration::from_millis(100);
/// Pause after a failure of the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Maximum number of delivered events that are not deleted yet; more are not sent.
const UNDELETED_MAX: usize = 10_000;
/// Maximum number of events that become dead letters by one write.
const BURIED_AT_ONCE: usize = 500;

/// Returns the JSON body of an event.
pub(super) type Show = fn(&StoredEvent) -> String;

/// Bounds of what waits for a webhook; events beyond become dead letters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Time for which an event waits at most.
    pub keep: Duration,
    /// Maximum number of events that wait; the oldest beyond are given up.
    pub waiting_max: usize,
}

/// Delivers one webhook's events: reads the rows behind those that it knows, sends them lane by lane, and deletes what
/// was accepted.
pub(super) struct Deliverer {
    name: String,
    endpoint: Rc<Endpoint>,
    bounds: Bounds,
    store: Store,
    show: Show,
    status: Arc<Status>,
    feed: Feed,
    events: watch::Receiver<()>,
    lanes: Lanes,
    /// Events that were loaded and not sent yet.
    loaded: VecDeque<(InHand, StoredEvent)>,
    sending: usize,
    pace: Pace,
    rows: Progress,
    delivered: Vec<i64>,
    overdue: Vec<i64>,
    timer: Option<(Instant, SpawnHandle)>,
}

/// Work of the store that is under way, or wanted.
#[derive(Debug, Default)]
struct Progress {
    /// Number of the last row read.
    read_up_to: i64,
    has_more: bool,
    is_reading: bool,
    is_loading: bool,
    is_deleting: bool,
    is_burying: bool,
    is_finished: bool,
}

/// Ends all pauses.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct RetryNow;

/// Asks to send nothing more, and to delete what was delivered; answered once it is.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Finish;

impl Deliverer {
    pub(super) fn new(name: String, endpoint: Endpoint, bounds: Bounds, store: Store, show: Show, feed: Feed) -> Self {
        Self {
            status: Arc::new(Status::new(&name)),
            name,
            endpoint: Rc::new(endpoint),
            bounds,
            events: store.webhook_events(),
            store,
            show,
            feed,
            lanes: Lanes::default(),
            loaded: VecDeque::new(),
            sending: 0,
            pace: Pace::new(Instant::now()),
            rows: Progress { has_more: true, ..Progress::default() },
            delivered: Vec::new(),
            overdue: Vec::new(),
            timer: None,
        }
    }

    /// Returns its figures, which go on changing.
    pub(super) fn status(&self) -> Arc<Status> {
        self.status.clone()
    }

    /// Does all that can be done now.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        self.status.note_waiting(self.lanes.len());
        if self.rows.is_finished {
            return;
        }
        self.read(ctx);
        self.load(ctx);
        self.send(ctx);
        self.delete_soon(ctx);
        self.wake_when_due(ctx);
    }

    // ---- reading ----

    fn await_events(&self, ctx: &mut Context<Self>) {
        let mut events = self.events.clone();
        let gather = if self.pace.is_rush() { LONG_GATHER } else { GATHER };
        let changed = async move {
            // It fails once the store is gone, and nothing is left to be done.
            let is_there = events.changed().await.is_ok();
            tokio::time::sleep(gather).await;
            events.mark_unchanged();
            is_there.then_some(events)
        };
        ctx.spawn(changed.into_actor(self).map(|events, deliverer, ctx| {
            let Some(events) = events else { return };
            deliverer.events = events;
            deliverer.rows.has_more = true;
            deliverer.await_events(ctx);
            deliverer.go_on(ctx);
        }));
    }

    /// Reads a page of rows behind those known, where there may be some.
    fn read(&mut self, ctx: &mut Context<Self>) {
        if !self.rows.has_more || self.rows.is_reading {
            return;
        }
        self.rows.has_more = false;
        self.rows.is_reading = true;
        let (store, name, after) = (self.store.clone(), self.name.clone(), self.rows.read_up_to);
        let page = async move { store.read(move |conn| store::list_webhook_events(conn, &name, after, PAGE)).await };
        ctx.spawn(page.into_actor(self).map(Self::on_page));
    }

    fn on_page(page: Result<Vec<QueuedEvent>, StoreError>, deliverer: &mut Self, ctx: &mut Context<Self>) {
        deliverer.rows.is_reading = false;
        match page {
            Ok(page) => {
                deliverer.rows.has_more |= i64::try_from(page.len()).is_ok_and(|count| count >= PAGE);
                deliverer.pace.note_come(page.len(), Instant::now());
                for event in page {
                    deliverer.rows.read_up_to = event.number;
                    deliverer.lanes.push(event);
                }
                deliverer.go_on(ctx);
            }
            Err(error) => {
                debug!(webhook = deliverer.name.as_str(), cause:% = error; "cannot read events for now");
                ctx.run_later(STORE_PAUSE, |deliverer, ctx| {
                    deliverer.rows.has_more = true;
                    deliverer.go_on(ctx);
                });
            }
        }
    }

    // ---- sending ----

    /// Loads the events that are next, where few are left.
    fn load(&mut self, ctx: &mut Context<Self>) {
        if self.rows.is_loading || self.loaded.len() >= FEW || self.delivered.len() >= UNDELETED_MAX {
            return;
        }
        let taken = self.lanes.take(IN_HAND_MAX, Instant::now());
        if taken.is_empty() {
            return;
        }
        self.rows.is_loading = true;
        let (store, numbers) = (self.store.clone(), taken.iter().map(|event| event.number).collect::<Vec<_>>());
        let events = async move { store.read(move |conn| store::load_webhook_events(conn, &numbers)).await };
        ctx.spawn(events.into_actor(self).map(move |events, deliverer, ctx| deliverer.on_loaded(taken, events, ctx)));
    }

    fn on_loaded(&mut self, taken: Vec<InHand>, events: Result<Vec<StoredEvent>, StoreError>, ctx: &mut Context<Self>) {
        self.rows.is_loading = false;
        match events {
            Ok(events) => {
                let mut by_number: std::collections::HashMap<i64, StoredEvent> =
                    events.into_iter().map(|event| (event.number, event)).collect();
                for in_hand in taken {
                    match by_number.remove(&in_hand.number) {
                        Some(event) => self.loaded.push_back((in_hand, event)),
                        // An administrator skipped it.
                        None => self.lanes.gone(&in_hand),
                    }
                }
                self.go_on(ctx);
            }
            Err(error) => {
                debug!(webhook = self.name.as_str(), cause:% = error; "cannot load events for now");
                ctx.run_later(STORE_PAUSE, move |deliverer, ctx| {
                    taken.into_iter().for_each(|event| deliverer.lanes.put_back(event));
                    deliverer.go_on(ctx);
                });
            }
        }
    }

    fn send(&mut self, ctx: &mut Context<Self>) {
        let (now, has_room) = (Instant::now(), self.lanes.len() < self.bounds.waiting_max / 2);
        while self.sending < REQUESTS_MAX && !self.loaded.is_empty() && self.pace.leave(has_room, now) {
            let Some((in_hand, event)) = self.loaded.pop_front() else { break };
            self.sending += 1;
            let (id, body) = (event.id().to_string(), (self.show)(&event));
            let endpoint = self.endpoint.clone();
            // The time of this attempt: receivers refuse old ones.
            let told = async move { endpoint.tell(&id, Timestamp::now(), &body).await };
            ctx.spawn(told.into_actor(self).map(move |outcome, deliverer, ctx| deliverer.on_told(in_hand, outcome, ctx)));
        }
    }

    fn on_told(&mut self, event: InHand, outcome: Result<(), EndpointError>, ctx: &mut Context<Self>) {
        self.sending -= 1;
        match outcome {
            Ok(()) => {
                self.delivered.push(event.number);
                self.status.note_delivered();
                if self.lanes.delivered(&event) {
                    info!(webhook = self.name.as_str(), waiting = self.lanes.len(); "the webhook is back");
                }
            }
            Err(error) => {
                let cause = error.to_string();
                self.status.note_failure(cause.clone());
                self.tell_watchers(|webhook, waiting| Incident::WebhookFailed { webhook, cause: cause.as_str().into(), waiting });
                let after = self.lanes.failed(event, Instant::now(), rand::random());
                if after == (AfterFailure::AllWait { is_news: true }) {
                    let waiting = self.lanes.len();
                    warn!(webhook = self.name.as_str(), cause, waiting; "the webhook fails, its events wait");
                }
                if after != AfterFailure::LaneWaits {
                    // In the order in which they were taken.
                    while let Some((event, _)) = self.loaded.pop_back() {
                        self.lanes.put_back(event);
                    }
                }
            }
        }
        self.go_on(ctx);
    }

    /// Tells watchers what became of events; `incident` is given the name of the webhook, and how many wait.
    fn tell_watchers(&self, incident: impl FnOnce(Box<str>, usize) -> Incident) {
        self.feed.publish(|| FeedEvent::incident(None, None, incident(self.name.as_str().into(), self.lanes.len())));
    }

    fn wake_when_due(&mut self, ctx: &mut Context<Self>) {
        // Of what is due already, whatever holds it up goes on by itself.
        let now = Instant::now();
        let next = self.lanes.next_due().filter(|due| *due > now);
        let Some(due) = next.into_iter().chain(self.pace.held_until()).min() else { return };
        if self.timer.is_some_and(|(set_for, _)| set_for <= due) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(due.saturating_duration_since(now), |deliverer, ctx| {
            deliverer.timer = None;
            deliverer.go_on(ctx);
        });
        self.timer = Some((due, timer));
    }

    // ---- what is settled ----

    /// Deletes delivered events, together with those that follow soon.
    fn delete_soon(&mut self, ctx: &mut Context<Self>) {
        if self.rows.is_deleting || self.delivered.is_empty() {
            return;
        }
        self.rows.is_deleting = true;
        ctx.run_later(DELETE_AFTER, Self::delete);
    }

    fn delete(&mut self, ctx: &mut Context<Self>) {
        let (store, numbers) = (self.store.clone(), std::mem::take(&mut self.delivered));
        let deleted = async move {
            let outcome = store.write(Write::WebhookDelivered { numbers: numbers.clone() }).await;
            if outcome.is_err() {
                tokio::time::sleep(STORE_PAUSE).await;
            }
            if outcome.is_ok() { Vec::new() } else { numbers }
        };
        ctx.spawn(deleted.into_actor(self).map(|left, deliverer, ctx| {
            deliverer.rows.is_deleting = false;
            deliverer.delivered.extend(left);
            deliverer.go_on(ctx);
        }));
    }

    /// Makes dead letters of what has waited for too long, or is too much.
    fn bury(&mut self, ctx: &mut Context<Self>) {
        let keep = i64::try_from(self.bounds.keep.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::now().plus_millis(-keep);
        self.overdue.extend(self.lanes.take_overdue(before, self.bounds.waiting_max));
        if self.overdue.is_empty() || self.rows.is_burying {
            return;
        }
        self.rows.is_burying = true;
        let numbers = self.overdue.split_off(self.overdue.len().saturating_sub(BURIED_AT_ONCE));
        let failure = self.status.figures().failure.unwrap_or_else(|| "it had waited for too long".to_owned());
        let store = self.store.clone();
        let buried = async move {
            let outcome = store.write(Write::BuryWebhookEvents { numbers: numbers.clone(), failure }).await;
            (numbers, outcome)
        };
        ctx.spawn(buried.into_actor(self).map(|(numbers, outcome), deliverer, ctx| {
            deliverer.rows.is_burying = false;
            match outcome {
                Ok(Written::Pruned { rows }) => {
                    deliverer.status.note_buried(rows);
                    deliverer.tell_watchers(|webhook, _| Incident::WebhookBuried { webhook, events: rows });
                    error!(webhook = deliverer.name.as_str(), events = rows; "gave up events: they are dead letters now");
                    deliverer.bury(ctx);
                }
                // Tried again at the next look.
                _ => deliverer.overdue.extend(numbers),
            }
        }));
    }

    /// Looks at what changes with time.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.status.note_oldest(self.lanes.oldest());
        self.bury(ctx);
        self.go_on(ctx);
    }
}

impl Actor for Deliverer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.await_events(ctx);
        ctx.run_interval(LOOK_EVERY, Self::look);
        self.go_on(ctx);
    }
}

impl Handler<RetryNow> for Deliverer {
    type Result = ();

    fn handle(&mut self, _: RetryNow, ctx: &mut Context<Self>) {
        self.lanes.retry_now();
        self.rows.has_more = true;
        self.go_on(ctx);
    }
}

impl Handler<Finish> for Deliverer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Finish, _: &mut Context<Self>) -> Self::Result {
        self.rows.is_finished = true;
        let (store, numbers) = (self.store.clone(), std::mem::take(&mut self.delivered));
        Box::pin(async move {
            if !numbers.is_empty() {
                // What is not deleted is delivered once more, under the same id.
                drop(store.write(Write::WebhookDelivered { numbers }).await);
            }
        })
    }
}
