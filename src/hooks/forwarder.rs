//! The actor that hands events on.
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use log::{debug, warn};
use serde_json::{Map, Value};
use tokio::time::timeout_at;
use uuid::Uuid;

use super::figures::ForwardMeter;
use super::forwarded::{EventAnswer, body};
use super::hook::WARN_EVERY;
use super::lanes::Lanes;
use crate::backend::{Endpoint, EndpointError};
use crate::chat::{ForwardOutcome, Forwarded, Notice, ToWorker};
use crate::config::Config;
use crate::engineio::Delivery;
use crate::feed::{Feed, FeedEvent, Incident};
use crate::meter::Counted;
use crate::model::Timestamp;
use crate::session::ForwardEvent;

/// Emits events, each given as the body of `POST /api/emit`: all, or, if one of them is wrong, none.
pub(crate) type EmitAll = Arc<dyn Fn(Vec<Map<String, Value>>) -> Pin<Box<dyn Future<Output = Result<(), String>>>> + Send + Sync>;

/// A worker thread whose connections can be answered.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ForwarderReady {
    /// Its number, from 0.
    pub worker: u16,
    /// Receiver of what its connections are sent.
    pub deliveries: Counted<ToWorker>,
    /// Emits events.
    pub emit: EmitAll,
}

/// Gives the operator's server the events that no dialect knows: those of a socket one after another. Each is answered
/// within `FORWARD_TIMEOUT`.
pub(crate) struct Forwarder {
    endpoint: Arc<Endpoint>,
    timeout: std::time::Duration,
    lanes: Lanes<(ForwardEvent, Instant)>,
    workers: Vec<Option<Counted<ToWorker>>>,
    emit: Option<EmitAll>,
    meter: Arc<ForwardMeter>,
    feed: Feed,
    warned_at: Option<Instant>,
}

impl Forwarder {
    /// Makes the forwarder of `FORWARD_URL`; `None` if that is not set.
    ///
    /// # Errors
    /// The setting at fault, and what is wrong with it.
    pub(crate) fn new(config: &Config, meter: Arc<ForwardMeter>, feed: Feed) -> Result<Option<Self>, String> {
        let (settings, timeout) = (["FORWARD_URL", "FORWARD_SECRET"], config.forward_timeout);
        let endpoint = Endpoint::new(settings, &config.forward_url, config.forward_secret.as_ref(), timeout)?;
        Ok(endpoint.map(|endpoint| Self {
            endpoint: Arc::new(endpoint),
            timeout,
            lanes: Lanes::default(),
            workers: Vec::new(),
            emit: None,
            meter,
            feed,
            warned_at: None,
        }))
    }

    fn go_on(&mut self, ctx: &mut Context<Self>) {
        while let Some((socket, (event, came_at))) = self.lanes.next() {
            let (endpoint, emit, timeout) = (self.endpoint.clone(), self.emit.clone(), self.timeout);
            let handed_on = async move {
                let (id, now) = (format!("event_{}", Uuid::now_v7().simple()), Timestamp::now());
                let deadline = tokio::time::Instant::from_std(came_at) + timeout;
                let late = || EndpointError::Late(timeout).to_string();
                if deadline <= tokio::time::Instant::now() {
                    return (event, Err(late()));
                }
                let answer = async {
                    let json = endpoint.post(&id, now, &body(&event, &id, now)).await.map_err(|error| error.to_string())?;
                    let mut answer = EventAnswer::read(&json).map_err(str::to_owned)?;
                    if let (Some(emit), false) = (&emit, answer.emit.is_empty()) {
                        emit(std::mem::take(&mut answer.emit)).await?;
                    }
                    Ok(answer.ack())
                };
                let outcome = timeout_at(deadline, answer).await.unwrap_or_else(|_| Err(late()));
                (event, outcome)
            };
            ctx.spawn(handed_on.into_actor(self).map(move |(event, outcome), forwarder, ctx| {
                forwarder.lanes.done(socket);
                forwarder.answer(event, outcome);
                forwarder.go_on(ctx);
            }));
        }
        self.meter.note_waiting(self.lanes.waiting());
    }

    fn answer(&mut self, event: ForwardEvent, outcome: Result<String, String>) {
        self.meter.note(outcome.is_ok());
        let outcome = outcome.map_or_else(
            |cause| {
                let now = Instant::now();
                if self.warned_at.is_none_or(|at| now.saturating_duration_since(at) >= WARN_EVERY) {
                    self.warned_at = Some(now);
                    warn!(cause, user:% = event.account.profile.id; "an event could not be handed on");
                } else {
                    debug!(cause, user:% = event.account.profile.id; "an event could not be handed on");
                }
                self.tell_watchers(&event, &cause);
                ForwardOutcome::Failed
            },
            |ack| ForwardOutcome::Answered { ack: ack.into() },
        );
        self.notify(event, outcome);
    }

    fn tell_watchers(&self, ForwardEvent { socket, account, event, .. }: &ForwardEvent, cause: &str) {
        self.feed.publish(|| {
            let failed = Incident::ForwardFailed { event: (&**event).into(), cause: cause.into() };
            FeedEvent::incident(Some(*socket), Some(account.profile.id.clone()), failed)
        });
    }

    fn notify(&self, event: ForwardEvent, outcome: ForwardOutcome) {
        let ForwardEvent { connection, socket, account: _, event, args: _, ack_id } = event;
        if let Some(Some(worker)) = self.workers.get(usize::from(connection.worker)) {
            let notice = Notice::Forwarded(Box::new(Forwarded { socket, event, ack_id, outcome }));
            worker.do_send(Delivery::ToOne { to: connection.slot, notice });
        }
    }
}

impl Actor for Forwarder {
    type Context = Context<Self>;
}

impl Handler<ForwarderReady> for Forwarder {
    type Result = ();

    fn handle(&mut self, ForwarderReady { worker, deliveries, emit }: ForwarderReady, _: &mut Context<Self>) {
        let place = usize::from(worker);
        if self.workers.len() <= place {
            self.workers.resize_with(place + 1, || None);
        }
        if let Some(known) = self.workers.get_mut(place) {
            *known = Some(deliveries);
        }
        self.emit = Some(emit);
    }
}

impl Handler<ForwardEvent> for Forwarder {
    type Result = ();

    fn handle(&mut self, event: ForwardEvent, ctx: &mut Context<Self>) {
        let bytes = event.event.len() + event.args.bytes();
        match self.lanes.add(event.socket, (event, Instant::now()), bytes) {
            Ok(()) => self.go_on(ctx),
            Err((event, _)) => {
                self.meter.note(false);
                self.tell_watchers(&event, "too many events wait for their turn");
                self.notify(event, ForwardOutcome::TooMany);
            }
        }
    }
}
