//! The actor that asks the hook.
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Recipient, WrapFuture as _};
use log::{debug, info, warn};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::answer::Answer;
use super::figures::HookMeter;
use super::gate::{Change, Gate, Offered, Party};
use super::question::Asked;
use crate::backend::Endpoint;
use crate::chat::{AskHook, AskUpload, ConnectVerdict, HookRefusal, HookSaid, HookVerdict, Notice, RegisterWorker, ToWorker};
use crate::config::{Config, HookEvent, HookFailure};
use crate::dialect::DialectSet;
use crate::engineio::{ConnectionKey, Delivery};
use crate::feed::{Feed, FeedEvent, Incident};
use crate::meter::Counted;
use crate::model::{SocketId, Timestamp, UserId};
use crate::session::AskConnect;

/// Minimum time between two warnings that the hook gave no usable answer.
pub(super) const WARN_EVERY: Duration = Duration::from_secs(10);

/// Asks the operator's server before requests take effect, at most `HOOK_CONCURRENCY` at a time. Whatever happens, each
/// question is answered within `HOOK_TIMEOUT`.
pub(crate) struct Hook {
    endpoint: Arc<Endpoint>,
    gate: Gate<Question>,
    options: Options,
    workers: Vec<Option<Counted<ToWorker>>>,
    meter: Arc<HookMeter>,
    feed: Feed,
    warned_at: Option<Instant>,
}

/// Settings of the hook.
struct Options {
    dialects: DialectSet,
    timeout: Duration,
    failure: HookFailure,
    max_message_length: usize,
}

/// A question that is to be asked.
struct Question {
    asked: Asked,
    asker: Asker,
}

/// Party that waits for an answer, and what it is about.
struct Asker {
    event: HookEvent,
    user: Option<UserId>,
    socket: Option<SocketId>,
    caller: Caller,
    came_at: Instant,
}

/// Party that waits for an answer.
enum Caller {
    Broker { ticket: u64, answers: Recipient<HookSaid> },
    Session { connection: ConnectionKey, ticket: u32 },
    Upload(oneshot::Sender<HookVerdict>),
}

impl Asker {
    fn party(&self) -> Party {
        match (&self.caller, &self.user) {
            (Caller::Broker { .. } | Caller::Upload(_), Some(user)) => Party::Member(user.clone()),
            _ => Party::Strangers,
        }
    }
}

/// The outcome of a question that was asked.
type Outcome = Result<Answer, String>;

impl Hook {
    /// Makes the hook of `HOOK_URL`; `None` if that is not set.
    ///
    /// # Errors
    /// The setting at fault, and what is wrong with it.
    pub(crate) fn new(config: &Config, dialects: DialectSet, meter: Arc<HookMeter>, feed: Feed) -> Result<Option<Self>, String> {
        let (settings, timeout) = (["HOOK_URL", "HOOK_SECRET"], config.hook_timeout);
        let endpoint = Endpoint::new(settings, &config.hook_url, config.hook_secret.as_ref(), timeout)?;
        let (failure, max_message_length) = (config.hook_failure, config.max_message_length);
        Ok(endpoint.map(|endpoint| Self {
            endpoint: Arc::new(endpoint),
            gate: Gate::new(config.hook_concurrency),
            options: Options { dialects, timeout, failure, max_message_length },
            workers: Vec::new(),
            meter,
            feed,
            warned_at: None,
        }))
    }

    fn take(&mut self, asked: Asked, asker: Asker, ctx: &mut Context<Self>) {
        let party = asker.party();
        match self.gate.offer(Question { asked, asker }, &party, Instant::now()) {
            Offered::Ask(question) => self.ask(question, ctx),
            Offered::Waits => {}
            Offered::NotAsked(question, cause) => self.fail_unasked(question.asker, cause),
        }
        self.note_state();
    }

    fn ask(&mut self, question: Question, ctx: &mut Context<Self>) {
        let Question { asked, asker } = question;
        let endpoint = self.endpoint.clone();
        let question = async move {
            let (id, now, event) = (format!("hook_{}", Uuid::now_v7().simple()), Timestamp::now(), asker.event);
            let body = asked.body(event, &id, now);
            // Its time begins now: who had to wait for a turn says nothing about the hook.
            let answer = endpoint.post(&id, now, &body).await;
            let outcome = answer
                .map_err(|error| error.to_string())
                .and_then(|json| Answer::read(&json, event, &asked.rules, &id, now).map_err(str::to_owned));
            debug!(id, event:%, refused = matches!(outcome, Ok(Answer::Refuse(_))); "hook asked");
            (asker, outcome)
        };
        ctx.spawn(question.into_actor(self).map(|(asker, outcome), hook, ctx| hook.answered(asker, outcome, ctx)));
    }

    fn answered(&mut self, asker: Asker, outcome: Outcome, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.meter.note(outcome.as_ref().ok(), now.saturating_duration_since(asker.came_at));
        let change = self.gate.answered(&asker.party(), outcome.is_ok(), now);
        match (change, &outcome) {
            (Change::Opened, Err(cause)) => {
                warn!(cause; "the hook has failed five times in a row, and is not asked for ten seconds");
                for question in self.gate.take_waiting() {
                    self.fail_unasked(question.asker, "the hook has failed too often");
                }
            }
            (Change::Closed, _) => info!("the hook answers again"),
            (_, Err(cause)) if self.warned_at.is_none_or(|at| now.saturating_duration_since(at) >= WARN_EVERY) => {
                self.warned_at = Some(now);
                warn!(cause; "the hook gave no usable answer");
            }
            (_, Err(cause)) => debug!(cause; "the hook gave no usable answer"),
            (_, Ok(_)) => {}
        }
        match &outcome {
            Ok(Answer::Refuse(HookRefusal { code, message })) => self.tell_watchers(&asker, |question| Incident::HookRefused {
                question,
                code: code.clone(),
                message: message.clone(),
            }),
            Err(cause) => {
                self.tell_watchers(&asker, |question| Incident::HookFailed { question, cause: cause.as_str().into() });
            }
            Ok(Answer::Allow | Answer::Change(_) | Answer::Name(_)) => {}
        }
        self.reply(asker.caller, outcome.ok());
        while let Some(question) = self.gate.next() {
            if now.saturating_duration_since(question.asker.came_at) > self.options.timeout {
                self.gate.release(&question.asker.party());
                self.fail_unasked(question.asker, "it has waited too long for its turn");
            } else {
                self.ask(question, ctx);
            }
        }
        self.note_state();
    }

    fn fail_unasked(&mut self, asker: Asker, cause: &'static str) {
        debug!(cause; "the hook is not asked");
        self.meter.note_not_asked();
        self.tell_watchers(&asker, |question| Incident::HookFailed { question, cause: cause.into() });
        self.reply(asker.caller, None);
    }

    fn tell_watchers(&self, asker: &Asker, incident: impl FnOnce(&'static str) -> Incident) {
        self.feed.publish(|| FeedEvent::incident(asker.socket, asker.user.clone(), incident(asker.event.as_str())));
    }

    /// Tells the caller the answer; without one, what `HOOK_FAILURE` says.
    fn reply(&self, caller: Caller, answer: Option<Answer>) {
        let answer = answer.or((self.options.failure == HookFailure::Allow).then_some(Answer::Allow));
        match caller {
            Caller::Broker { ticket, answers } => answers.do_send(HookSaid { ticket, verdict: verdict(answer) }),
            // Who uploads may have gone away meanwhile.
            Caller::Upload(waiter) => drop(waiter.send(verdict(answer))),
            Caller::Session { connection, ticket } => {
                let verdict = match answer {
                    Some(Answer::Allow | Answer::Change(_)) => ConnectVerdict::Allowed,
                    Some(Answer::Name(claims)) => ConnectVerdict::Named(claims),
                    Some(Answer::Refuse(refusal)) => ConnectVerdict::Refused(Box::new(refusal)),
                    None => ConnectVerdict::Failed,
                };
                if let Some(Some(worker)) = self.workers.get(usize::from(connection.worker)) {
                    let notice = Notice::ConnectJudged { ticket, verdict };
                    worker.do_send(Delivery::ToOne { to: connection.slot, notice });
                }
            }
        }
    }

    fn note_state(&self) {
        self.meter.note_state(self.gate.waiting(), self.gate.is_open());
    }
}

fn verdict(answer: Option<Answer>) -> HookVerdict {
    match answer {
        Some(Answer::Allow | Answer::Name(_)) => HookVerdict::Allowed { content: None },
        Some(Answer::Change(content)) => HookVerdict::Allowed { content: Some(content) },
        Some(Answer::Refuse(refusal)) => HookVerdict::Refused(Box::new(refusal)),
        None => HookVerdict::Failed,
    }
}

impl Actor for Hook {
    type Context = Context<Self>;
}

impl Handler<RegisterWorker> for Hook {
    type Result = ();

    fn handle(&mut self, RegisterWorker { worker, deliveries }: RegisterWorker, _: &mut Context<Self>) {
        let place = usize::from(worker);
        if self.workers.len() <= place {
            self.workers.resize_with(place + 1, || None);
        }
        if let Some(known) = self.workers.get_mut(place) {
            *known = Some(deliveries);
        }
    }
}

impl Handler<AskHook> for Hook {
    type Result = ();

    fn handle(&mut self, AskHook { ticket, question, answers }: AskHook, ctx: &mut Context<Self>) {
        let asked = Asked::of_request(&question, self.options.dialects, self.options.max_message_length);
        let asker = Asker {
            event: question.subject.event(),
            user: Some(question.user.id.clone()),
            socket: question.socket.map(|(socket, _)| socket),
            caller: Caller::Broker { ticket, answers },
            came_at: Instant::now(),
        };
        self.take(asked, asker, ctx);
    }
}

impl Handler<AskConnect> for Hook {
    type Result = ();

    fn handle(&mut self, question: AskConnect, ctx: &mut Context<Self>) {
        let asked = Asked::of_connect(&question);
        let AskConnect { connection, ticket, user, .. } = question;
        let caller = Caller::Session { connection, ticket };
        let asker = Asker { event: HookEvent::Connect, user, socket: None, caller, came_at: Instant::now() };
        self.take(asked, asker, ctx);
    }
}

impl Handler<AskUpload> for Hook {
    type Result = ();

    fn handle(&mut self, question: AskUpload, ctx: &mut Context<Self>) {
        let asked = Asked::of_upload(&question);
        let (user, caller) = (Some(question.user.id.clone()), Caller::Upload(question.answer));
        self.take(asked, Asker { event: HookEvent::Upload, user, socket: None, caller, came_at: Instant::now() }, ctx);
    }
}
