//! A session on an Engine.IO connection.
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use actix::Recipient;
use bytes::Bytes;

use super::call_context::{CallContext, Now};
use super::namespaces::NAMESPACE;
use super::ports::{AskConnect, AtConsole, Broker, ForwardEvent, KeysWanted};
use super::publishing::Publisher;
use super::renaming::Renaming;
use super::rules::Rules;
use super::state::Session;
use crate::chat::{
    Broadcast, CapabilitiesChanged, CatchUpDrained, Confirmed, Connect, Disconnect, FellBehind, Limited, Notice, Request,
    Upgraded,
};
use crate::engineio::{CloseReason, ConnectionKey, Opening, Output, Service};
use crate::meter::Counted;
use crate::model::Timestamp;

/// Receivers of a session's messages; in production a single broker, whose mailbox keeps their order.
///
/// Sending cannot fail. The mailbox is bounded by [`Limits::unanswered`](super::Limits) requests and a handful of
/// notices for each connection.
#[derive(Debug, Clone)]
pub struct Recipients {
    /// See [`Connect`].
    pub connect: Counted<Connect>,
    /// See [`Request`].
    pub request: Counted<Request>,
    /// See [`CapabilitiesChanged`].
    pub capabilities_changed: Counted<CapabilitiesChanged>,
    /// See [`Upgraded`].
    pub upgraded: Counted<Upgraded>,
    /// See [`Limited`].
    pub limited: Counted<Limited>,
    /// See [`CatchUpDrained`].
    pub catch_up_drained: Counted<CatchUpDrained>,
    /// See [`FellBehind`].
    pub fell_behind: Counted<FellBehind>,
    /// See [`Confirmed`].
    pub confirmed: Counted<Confirmed>,
    /// See [`Disconnect`].
    pub disconnect: Counted<Disconnect>,
    /// See [`KeysWanted`]; `None` if no issuer publishes keys.
    pub keys_wanted: Option<Recipient<KeysWanted>>,
    /// See [`AskConnect`]; `None` if the hook is not asked.
    pub hook: Option<Recipient<AskConnect>>,
    /// See [`ForwardEvent`]; `None` if events are not handed on.
    pub forwarder: Option<Recipient<ForwardEvent>>,
    /// See [`AtConsole`]; `None` if there is no such namespace.
    pub console: Option<Recipient<AtConsole>>,
}

impl Broker for &Recipients {
    fn connect(&mut self, message: Connect) {
        self.connect.do_send(message);
    }

    fn request(&mut self, message: Request) {
        self.request.do_send(message);
    }

    fn capabilities_changed(&mut self, message: CapabilitiesChanged) {
        self.capabilities_changed.do_send(message);
    }

    fn upgraded(&mut self, message: Upgraded) {
        self.upgraded.do_send(message);
    }

    fn limited(&mut self, message: Limited) {
        self.limited.do_send(message);
    }

    fn catch_up_drained(&mut self, message: CatchUpDrained) {
        self.catch_up_drained.do_send(message);
    }

    fn fell_behind(&mut self, message: FellBehind) {
        self.fell_behind.do_send(message);
    }

    fn confirmed(&mut self, message: Confirmed) {
        self.confirmed.do_send(message);
    }

    fn disconnect(&mut self, message: Disconnect) {
        self.disconnect.do_send(message);
    }

    fn keys_wanted(&mut self, message: KeysWanted) {
        if let Some(keys) = &self.keys_wanted {
            keys.do_send(message);
        }
    }

    fn ask_connect(&mut self, message: AskConnect) {
        if let Some(hook) = &self.hook {
            hook.do_send(message);
        }
    }

    fn forward(&mut self, message: ForwardEvent) {
        if let Some(forwarder) = &self.forwarder {
            forwarder.do_send(message);
        }
    }

    fn at_console(&mut self, message: AtConsole) {
        if let Some(console) = &self.console {
            console.do_send(message);
        }
    }
}

/// Maximum size of a message before authentication, in bytes. It leaves room for a CONNECT with an overlong token, so
/// that it still gets an answer.
const STRANGER_BYTES: usize = 64 * 1_024;

/// State shared by all sessions of a server.
#[derive(Clone)]
pub struct Context(Arc<(Rules, Recipients)>);

impl Context {
    /// Makes the context of sessions with these rules and this broker.
    pub fn new(rules: Rules, recipients: Recipients) -> Self {
        Self(Arc::new((rules, recipients)))
    }

    fn rules(&self) -> &Rules {
        &self.0.0
    }

    fn recipients(&self) -> &Recipients {
        &self.0.1
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Context").field(self.rules()).finish()
    }
}

/// A session as the service of its connection.
#[derive(Debug)]
pub struct Client {
    context: Context,
    session: Session,
}

impl Client {
    /// Calls the session with its context.
    fn with<T>(&mut self, out: &mut dyn Output, act: impl FnOnce(&mut Session, &mut CallContext<'_>) -> T) -> T {
        let (rules, mut broker) = (self.context.rules(), self.context.recipients());
        if rules.feed.is_watched() || self.session.is_elsewhere() {
            return self.with_more(out, act);
        }
        act(&mut self.session, &mut CallContext { rules, output: out, broker: &mut broker })
    }

    /// A function of its own, because otherwise every delivery would pay for its stack frame.
    #[cold]
    #[inline(never)]
    fn with_more<T>(&mut self, out: &mut dyn Output, act: impl FnOnce(&mut Session, &mut CallContext<'_>) -> T) -> T {
        let context = self.context.clone();
        match self.session.namespace(context.rules()) {
            NAMESPACE => self.watched(out, act),
            name => self.watched(&mut Renaming::new(out, name), act),
        }
    }

    fn watched<T>(&mut self, out: &mut dyn Output, act: impl FnOnce(&mut Session, &mut CallContext<'_>) -> T) -> T {
        let (rules, mut broker) = (self.context.rules(), self.context.recipients());
        let (before, mut publisher) = (self.session.who(), Publisher::new(out));
        let done = act(&mut self.session, &mut CallContext { rules, output: &mut publisher, broker: &mut broker });
        publisher.publish(&rules.feed, before, &self.session);
        done
    }
}

fn at(instant: Instant) -> Now {
    Now { instant, wall: Timestamp::now() }
}

impl Service for Client {
    type Context = Context;
    type Shared = Broadcast;
    type Notice = Notice;

    fn open(context: &Context, key: ConnectionKey, opening: &Opening, now: Instant, _out: &mut dyn Output) -> Self {
        Self { context: context.clone(), session: Session::open(context.rules(), key, opening, now) }
    }

    fn on_text(&mut self, text: &str, now: Instant, out: &mut dyn Output) {
        self.with(out, |session, cx| session.on_text(text, at(now), cx));
    }

    fn on_binary(&mut self, data: Bytes, now: Instant, out: &mut dyn Output) {
        self.with(out, |session, cx| session.on_binary(data, at(now), cx));
    }

    fn stranger_bytes(&self) -> Option<usize> {
        (!self.session.is_known()).then_some(STRANGER_BYTES)
    }

    fn on_upgraded(&mut self) {
        self.session.on_upgraded(&mut self.context.recipients());
    }

    fn on_shared(&mut self, event: &Arc<Broadcast>, now: Instant, out: &mut dyn Output) {
        self.with(out, |session, cx| session.on_shared(event, now, cx));
    }

    fn on_notice(&mut self, notice: Notice, now: Instant, out: &mut dyn Output) {
        self.with(out, |session, cx| session.on_notice(notice, at(now), cx));
    }

    fn deadline(&self) -> Option<Instant> {
        self.session.deadline(self.context.rules())
    }

    fn on_deadline(&mut self, now: Instant, out: &mut dyn Output) {
        self.with(out, |session, cx| session.on_deadline(at(now), cx));
    }

    fn wants_drained(&self) -> bool {
        !self.session.is_idle()
    }

    fn on_drained(&mut self, now: Instant, out: &mut dyn Output) {
        self.with(out, |session, cx| session.on_drained(now, cx));
    }

    fn ping_wanted(&self) -> Option<Instant> {
        self.session.ping_wanted()
    }

    fn on_ping(&mut self) {
        self.session.on_ping();
    }

    fn on_pong(&mut self) {
        self.session.on_pong(&mut self.context.recipients());
    }

    fn on_control(&mut self, now: Instant, out: &mut dyn Output) {
        self.with(out, |session, cx| session.on_control(at(now), cx));
    }

    fn on_stopping(&mut self, now: Instant, out: &mut dyn Output) {
        self.with(out, |session, cx| session.on_stopping(at(now), cx));
    }

    fn on_stopped(&mut self, now: Instant, out: &mut dyn Output) {
        self.with(out, |session, cx| session.on_stopped(at(now), cx));
    }

    fn on_close(&mut self, reason: CloseReason, now: Instant) {
        self.session.on_close(reason, now, self.context.rules(), &mut self.context.recipients());
    }
}
