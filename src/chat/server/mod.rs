//! The broker's actor: its mailbox and clock, and what it does for the broker outside.
mod asks;
mod outside;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Recipient, SpawnHandle, WrapFuture as _};

use self::outside::{ActorOutside, Job, Shared};
use super::broker::Broker;
use super::outside::Callback;
use super::ports::{
    Ask, AskHook, CapabilitiesChanged, CatchUpDrained, Confirmed, Connect, Disconnect, FellBehind, HookSaid, HookVerdict,
    Limited, ModelSaid, Options, Prompt, RegisterWorker, Request, Sources, Tick, Upgraded,
};
use super::query::Answer;
use crate::auth::Revocations;
use crate::feed::Feed;
use crate::logging::Refusals;
use crate::meter::{Counted, Meter, Metered};
use crate::model::Timestamp;
use crate::store::{Committed, Store};

/// Interval at which members' progress, last-seen times and notifications of messages are stored: a crash repeats at most so
/// much of a catch-up. The notifications that it takes are made up for at the next start.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Interval at which caches are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// The central actor: it holds the `Broker`, hands it what comes in, and carries out what it wants of the outside. It never
/// blocks; see [`crate::chat`].
pub struct ChatServer {
    broker: Broker,
    shared: Rc<Shared>,
    store: Store,
    model: Option<Recipient<Prompt>>,
    hook: Option<Recipient<AskHook>>,
    meter: Arc<Meter>,
    timer: Option<(Timestamp, SpawnHandle)>,
}

impl ChatServer {
    /// A broker that nobody has connected to. `revocations` are those that were stored.
    pub fn new(options: Options, sources: Sources, store: Store, revocations: Revocations) -> Self {
        let shared = Rc::new(Shared::default());
        let outside = Box::new(ActorOutside::new(sources, store.clone(), shared.clone()));
        let broker = Broker::new(options, outside, store.last_position(), store.starts(), revocations);
        Self { broker, shared, store, model: None, hook: None, meter: Arc::default(), timer: None }
    }

    /// The same with a model that answers questions.
    #[must_use]
    pub fn with_model(mut self, model: Recipient<Prompt>) -> Self {
        self.broker.questions.has_model = true;
        Self { model: Some(model), ..self }
    }

    /// The same with the operator's hook, which is asked about `HOOK_EVENTS`.
    #[must_use]
    pub fn with_hook(self, hook: Option<Recipient<AskHook>>) -> Self {
        Self { hook, ..self }
    }

    /// The same with watchers who are notified of sockets and rooms.
    #[must_use]
    pub fn with_feed(mut self, feed: Feed) -> Self {
        self.broker.observers.feed = feed;
        self
    }

    /// The same, its steps counted by this meter.
    #[must_use]
    pub fn metered(self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self }
    }

    /// The same with the refusals of the whole server.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Arc<Refusals>) -> Self {
        self.broker.observers.refusals = refusals;
        self
    }

    /// Has the broker work on a message of type `M`, and carries out what it wants of the outside.
    fn work<M, T>(&mut self, ctx: &mut Context<Self>, work: impl FnOnce(&mut Broker) -> T) -> T {
        let outcome = self.step::<M, _>(|server| {
            let outcome = work(&mut server.broker);
            server.broker.end_step();
            outcome
        });
        self.carry_out(ctx);
        outcome
    }

    /// [`ChatServer::work`] on a message that was counted as it was sent.
    fn work_on_counted<M, T>(&mut self, ctx: &mut Context<Self>, work: impl FnOnce(&mut Broker) -> T) -> T {
        self.meter.taken();
        self.work::<M, T>(ctx, work)
    }

    fn carry_out(&mut self, ctx: &mut Context<Self>) {
        while let Some(job) = self.shared.next_job() {
            match job {
                Job::Read(query) => {
                    let read = query.run(self.store.clone());
                    ctx.spawn(read.into_actor(self).map(|answer, server, ctx| {
                        server.work::<Answer, _>(ctx, |broker| broker.on_answer(answer));
                    }));
                }
                Job::Prompt(asked) => {
                    if let Some(model) = &self.model {
                        model.do_send(asked.answered_to(ctx.address().recipient()));
                    }
                }
                Job::AskHook(ticket, question) => match &self.hook {
                    Some(hook) => hook.do_send(AskHook { ticket, question, answers: ctx.address().recipient() }),
                    None => ctx.notify(HookSaid { ticket, verdict: HookVerdict::Failed }),
                },
                Job::CallBack(callback, Duration::ZERO) => ctx.notify(CalledBack(callback)),
                Job::CallBack(callback, after) => {
                    ctx.notify_later(CalledBack(callback), after);
                }
            }
        }
        if let Some(at) = self.shared.take_wake() {
            self.wake_at(at, ctx);
        }
    }

    fn wake_at(&mut self, at: Timestamp, ctx: &mut Context<Self>) {
        if self.timer.is_some_and(|(set, _)| set <= at) {
            return;
        }
        if let Some((_, handle)) = self.timer.take() {
            ctx.cancel_future(handle);
        }
        let wait = u64::try_from(at.as_millis() - self.broker.now().as_millis()).unwrap_or(0);
        let handle = ctx.run_later(Duration::from_millis(wait), |server, ctx| {
            server.timer = None;
            ctx.notify(Tick);
        });
        self.timer = Some((at, handle));
    }
}

/// The broker wants to be called back.
#[derive(actix::Message, Debug)]
#[rtype(result = "()")]
struct CalledBack(Callback);

/// Tells the server to store members' progress and notifications that are only known here.
struct SaveDue;

/// The caches are to be looked through.
struct SweepDue;

impl Metered for ChatServer {
    fn meter(&self) -> &Meter {
        &self.meter
    }
}

impl Actor for ChatServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.store.report_to(Counted::new(ctx.address().recipient(), self.meter.clone()));
        ctx.run_interval(SAVE_EVERY, |server, ctx| server.work::<SaveDue, _>(ctx, Broker::save));
        ctx.run_interval(SWEEP_EVERY, |server, ctx| server.work::<SweepDue, _>(ctx, Broker::sweep));
    }
}

impl Handler<RegisterWorker> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: RegisterWorker, _: &mut Self::Context) {
        self.shared.register(message.worker, message.deliveries);
    }
}

impl Handler<Connect> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Connect, ctx: &mut Self::Context) {
        self.work_on_counted::<Connect, _>(ctx, |broker| broker.connect(message));
    }
}

impl Handler<Disconnect> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Disconnect, ctx: &mut Self::Context) {
        self.work_on_counted::<Disconnect, _>(ctx, |broker| broker.disconnect(message));
    }
}

impl Handler<Upgraded> for ChatServer {
    type Result = ();

    fn handle(&mut self, Upgraded { connection }: Upgraded, ctx: &mut Self::Context) {
        self.work_on_counted::<Upgraded, _>(ctx, |broker| broker.on_upgraded(connection));
    }
}

impl Handler<CapabilitiesChanged> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: CapabilitiesChanged, ctx: &mut Self::Context) {
        self.work_on_counted::<CapabilitiesChanged, _>(ctx, |broker| broker.on_capabilities_changed(message));
    }
}

impl Handler<Limited> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Limited, ctx: &mut Self::Context) {
        self.work_on_counted::<Limited, _>(ctx, |broker| broker.on_limited(message));
    }
}

impl Handler<Request> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Request, ctx: &mut Self::Context) {
        self.work_on_counted::<Request, _>(ctx, |broker| broker.request(message));
    }
}

impl Handler<Ask> for ChatServer {
    type Result = ();

    fn handle(&mut self, Ask { user, command, answer }: Ask, ctx: &mut Self::Context) {
        let ticket = self.shared.await_reply(answer);
        self.work::<Ask, _>(ctx, |broker| broker.ask(user, command, ticket));
    }
}

impl Handler<CatchUpDrained> for ChatServer {
    type Result = ();

    fn handle(&mut self, CatchUpDrained { connection }: CatchUpDrained, ctx: &mut Self::Context) {
        self.work_on_counted::<CatchUpDrained, _>(ctx, |broker| {
            broker.read_catch_up_page(connection);
            broker.show_unseen_page(connection);
        });
    }
}

impl Handler<FellBehind> for ChatServer {
    type Result = ();

    fn handle(&mut self, FellBehind { connection, after, changes }: FellBehind, ctx: &mut Self::Context) {
        self.work_on_counted::<FellBehind, _>(ctx, |broker| broker.go_on_with_catch_up(connection, after, changes));
    }
}

impl Handler<Confirmed> for ChatServer {
    type Result = ();

    fn handle(&mut self, Confirmed { connection, watermark }: Confirmed, ctx: &mut Self::Context) {
        self.work_on_counted::<Confirmed, _>(ctx, |broker| broker.on_confirmed(connection, watermark));
    }
}

impl Handler<Committed> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Committed, ctx: &mut Self::Context) {
        self.work_on_counted::<Committed, _>(ctx, |broker| broker.on_committed(message.outcomes));
    }
}

impl Handler<ModelSaid> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: ModelSaid, ctx: &mut Self::Context) {
        self.work::<ModelSaid, _>(ctx, |broker| broker.hear(message));
    }
}

impl Handler<HookSaid> for ChatServer {
    type Result = ();

    fn handle(&mut self, HookSaid { ticket, verdict }: HookSaid, ctx: &mut Self::Context) {
        self.work::<HookSaid, _>(ctx, |broker| broker.on_hook_said(ticket, verdict));
    }
}

impl Handler<Tick> for ChatServer {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        self.work::<Tick, _>(ctx, Broker::tick);
    }
}

impl Handler<CalledBack> for ChatServer {
    type Result = ();

    fn handle(&mut self, CalledBack(callback): CalledBack, ctx: &mut Self::Context) {
        self.work::<CalledBack, _>(ctx, |broker| match callback {
            Callback::PageRead => broker.end_page_read(),
            Callback::Received => broker.notify_received(),
        });
    }
}
