//! The broker's actor: its state, its mailbox and its clock.
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler, Recipient, SpawnHandle};
use hashbrown::{HashMap, HashSet};
use log::{error, info};
use tokio::sync::oneshot;

use super::catch_up::PageReads;
use super::census::Census;
use super::changes::UntoldChanges;
use super::delivered::Progress;
use super::leftovers::Leftovers;
use super::loading::{AccountChanges, Load, LoadFor};
use super::made_users::MadeUsers;
use super::notifications::Gathered;
use super::offsets::Offsets;
use super::online::OnlineChanges;
use super::options::{Options, Sources};
use super::parked::ParkedSessions;
use super::ports::{
    Ask, CatchUpDrained, Connect, Disconnect, Limited, Notice, Prompt, RegisterWorker, Request, Tick, ToWorker, Upgraded,
    WordsLearned,
};
use super::presence::PresenceWindow;
use super::questions::Questions;
use super::resuming::NotRecovered;
use super::rings::Rings;
use super::rooms::Rooms;
use super::sending::{FailedSends, InFlight};
use super::stored::Awaiting;
use super::tables::{Asker, CachedConversation, Facts, Pending, Session, User, pair_key};
use super::titles::Titles;
use super::traces::Traces;
use super::typing::Typing;
use super::{ChatError, Reply};
use crate::auth::Revocations;
use crate::config::PresenceScope;
use crate::engineio::{CloseReason, ConnectionKey, TransportKind};
use crate::feed::{Feed, What};
use crate::logging::{RefusalKind, RefusalNote, Refusals};
use crate::meter::{Counted, Meter, Metered};
use crate::model::{ConversationId, MessageId, Timestamp, UserId};
use crate::store::{Committed, Done, Store, Write};

/// What is known of users and conversations without a socket is kept so long after its last use.
const IDLE_CACHE_MS: i64 = 60_000;
/// How often members' progress, last-seen times and notifications of messages are stored: a crash repeats at most so much
/// of a catch-up. What it takes of the notifications is made up for at the next start.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How often caches are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// At most so many requests of one socket wait behind a read.
const QUEUE_PER_SOCKET: usize = 1_000;

/// The central actor: who is here, who talks where. It never blocks and does no I/O; see [`crate::chat`].
pub struct ChatServer {
    pub(super) options: Options,
    pub(super) store: Store,
    sources: Sources,
    workers: Vec<Option<Counted<ToWorker>>>,
    meter: Arc<Meter>,
    pub(super) users: HashMap<UserId, Box<User>>,
    pub(super) sessions: HashMap<ConnectionKey, Box<Session>>,
    pub(super) connecting: HashMap<ConnectionKey, Connect>,
    pub(super) rooms: Rooms,
    pub(super) conversations: HashMap<ConversationId, CachedConversation>,
    pub(super) directs: HashMap<String, ConversationId>,
    pub(super) in_flight: HashMap<MessageId, InFlight>,
    /// Admitted messages that are not handed out yet, in order.
    pub(super) unhanded: VecDeque<MessageId>,
    pub(super) failed: FailedSends,
    /// Who had which socket, of those that left while messages up to a position were under way.
    pub(super) departed: VecDeque<(i64, ConnectionKey, UserId)>,
    /// Position of the last message that is in flight no more.
    pub(super) landed: i64,
    pub(super) awaiting: HashMap<u64, Awaiting>,
    next_tag: u64,
    /// Position of the last message, or change of one, that was admitted.
    pub(super) position: i64,
    /// Highest position of a message that was handed out, or of a change that was told.
    pub(super) handed: i64,
    pub(super) untold_changes: UntoldChanges,
    /// How many events were handed out.
    pub(super) serial: u64,
    pub(super) offsets: Offsets,
    pub(super) rings: Rings,
    /// Presence and typing of late.
    pub(super) states: Rings,
    pub(super) parked: ParkedSessions,
    /// Requests whose connections have ended.
    pub(super) leftovers: Leftovers,
    pub(super) typing: Typing,
    pub(super) presence: PresenceWindow,
    /// Users whose last socket was lost, and when they count as offline.
    pub(super) grace: VecDeque<(Timestamp, UserId)>,
    /// Users that others were told are online.
    pub(super) online: usize,
    pub(super) is_scope_narrowed: bool,
    pub(super) online_changes: OnlineChanges,
    pub(super) progress: Progress,
    pub(super) gathered: Gathered,
    pub(super) page_reads: PageReads,
    /// Groups of which a change is being stored, and the changes that wait for that: each is computed from the last.
    pub(super) changing: HashMap<ConversationId, Vec<Pending>>,
    pub(super) account_changes: AccountChanges,
    pub(super) made_users: MadeUsers,
    pub(super) titles: Titles,
    /// Receipts that are being stored.
    pub(super) reading: HashSet<(MessageId, UserId)>,
    pub(super) revocations: Revocations,
    pub(super) questions: Questions,
    /// How often files were dropped that nothing named: what was looked up before is too old.
    pub(super) files_dropped: u64,
    pub(super) model: Option<Recipient<Prompt>>,
    pub(super) feed: Feed,
    pub(super) is_draining: bool,
    /// Reads that somebody waits for.
    pub(super) reads: usize,
    /// Who waits until nothing is under way any more.
    pub(super) awaiting_rest: Vec<oneshot::Sender<()>>,
    pub(super) counters: Counters,
    pub(super) census: Census,
    pub(super) traces: Traces,
    pub(super) refusals: Arc<Refusals>,
    timer: Option<(Timestamp, SpawnHandle)>,
}

/// Figures since the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    pub requests: u64,
    pub messages: u64,
    pub refused: u64,
    pub panics: u64,
    pub recovered: u64,
    /// In the order of [`NotRecovered::ALL`].
    not_recovered: [u64; NotRecovered::ALL.len()],
}

impl Counters {
    pub(super) fn note_not_recovered(&mut self, reason: NotRecovered) {
        let counters = NotRecovered::ALL.iter().zip(&mut self.not_recovered);
        counters.filter(|(other, _)| **other == reason).for_each(|(_, count)| *count += 1);
    }

    pub(super) fn not_recovered(&self) -> impl Iterator<Item = (NotRecovered, u64)> {
        NotRecovered::ALL.into_iter().zip(self.not_recovered)
    }
}

impl ChatServer {
    /// A broker that nobody has connected to. `revocations` are those that were stored.
    pub fn new(options: Options, sources: Sources, store: Store, revocations: Revocations) -> Self {
        Self {
            rings: Rings::new(options.ring_limits()),
            states: Rings::new(options.state_limits()),
            options,
            sources,
            workers: Vec::new(),
            meter: Arc::default(),
            users: HashMap::new(),
            sessions: HashMap::new(),
            connecting: HashMap::new(),
            rooms: Rooms::default(),
            conversations: HashMap::new(),
            directs: HashMap::new(),
            in_flight: HashMap::new(),
            unhanded: VecDeque::new(),
            failed: FailedSends::default(),
            departed: VecDeque::new(),
            landed: 0,
            awaiting: HashMap::new(),
            next_tag: 0,
            position: store.last_position(),
            handed: store.last_position(),
            untold_changes: UntoldChanges::default(),
            serial: 0,
            offsets: Offsets::new(store.starts()),
            parked: ParkedSessions::default(),
            leftovers: Leftovers::default(),
            typing: Typing::default(),
            presence: PresenceWindow::default(),
            grace: VecDeque::new(),
            online: 0,
            is_scope_narrowed: false,
            online_changes: OnlineChanges::default(),
            progress: Progress::default(),
            gathered: Gathered::default(),
            page_reads: PageReads::default(),
            changing: HashMap::new(),
            account_changes: AccountChanges::default(),
            made_users: MadeUsers::default(),
            titles: Titles::default(),
            reading: HashSet::new(),
            revocations,
            questions: Questions::default(),
            files_dropped: 0,
            model: None,
            feed: Feed::default(),
            is_draining: false,
            reads: 0,
            awaiting_rest: Vec::new(),
            counters: Counters::default(),
            census: Census::default(),
            traces: Traces::default(),
            refusals: Arc::default(),
            timer: None,
            store,
        }
    }

    /// The same with a model that answers questions.
    #[must_use]
    pub fn with_model(self, model: Recipient<Prompt>) -> Self {
        Self { model: Some(model), ..self }
    }

    /// The same with watchers who are told of sockets and rooms.
    #[must_use]
    pub fn with_feed(self, feed: Feed) -> Self {
        Self { feed, ..self }
    }

    /// The same, its turns counted by this meter.
    #[must_use]
    pub fn metered(self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self }
    }

    /// The same with the refusals of the whole server.
    #[must_use]
    pub fn with_refusals(self, refusals: Arc<Refusals>) -> Self {
        Self { refusals, ..self }
    }

    /// Closes a connection before its CONNECT is answered, for what a retry can cure.
    pub(super) fn turn_away(&self, connect: &Connect, code: &'static str, cause: &str, reason: CloseReason) {
        let (kind, user, address) = (RefusalKind::Connect, Some(connect.claims.user.as_str()), connect.peer.address);
        let note = RefusalNote { kind, code, cause, sid: Some(connect.socket.as_str()), user, event: None, address };
        self.refusals.note(&note);
        self.tell(connect.connection, Notice::Close(reason));
    }

    pub(super) fn now(&mut self) -> Timestamp {
        (self.sources.clock)()
    }

    pub(super) fn new_id(&mut self) -> uuid::Uuid {
        (self.sources.ids)()
    }

    // ---- telling ----

    pub(super) fn worker(&self, number: u16) -> Option<&Counted<ToWorker>> {
        self.workers.get(usize::from(number))?.as_ref()
    }

    pub(super) fn answer(&mut self, asker: Asker, reply: Result<Reply, ChatError>) {
        self.counters.refused += u64::from(reply.is_err());
        match asker {
            Asker::Session { connection, ticket, .. } => self.tell(connection, Notice::Reply { ticket, reply }),
            Asker::Left { socket, .. } => {
                if let Err(error) = reply {
                    self.note_left_refused(socket, &error);
                }
            }
            // An asker who has gone wants no answer.
            Asker::Http(answer) => drop(answer.send(reply)),
            Asker::Model { conversation } => self.answer_settled(conversation, reply.map(drop)),
        }
    }

    // ---- storing ----

    /// Gives a change to the store; `awaiting` says what follows from its commit.
    ///
    /// # Errors
    /// [`ChatError::StorageUnavailable`] where there is no room, with what was to follow; nothing has happened then.
    pub(super) fn store(&mut self, write: Write, awaiting: Awaiting) -> Result<(), Box<(ChatError, Awaiting)>> {
        let tag = self.next_tag;
        if let Err(error) = self.store.try_write(write, Done::Tagged(tag)) {
            return Err(Box::new((error.into(), awaiting)));
        }
        self.next_tag += 1;
        self.awaiting.insert(tag, awaiting);
        Ok(())
    }

    // ---- commands ----

    /// Carries a command out, or has it wait for what it needs. Returns whether it waits for a read.
    pub(super) fn run(&mut self, mut pending: Pending, ctx: &mut Context<Self>) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.execute(&mut pending)));
        match outcome {
            Ok(Ok(Progressed::Done(reply))) => self.answer(pending.asker, Ok(reply)),
            Ok(Ok(Progressed::Needs(load))) => {
                self.start_load(load, LoadFor::Command(Box::new(pending)), ctx);
                return true;
            }
            Ok(Ok(Progressed::Then(act))) => {
                if catch_unwind(AssertUnwindSafe(|| act(self, pending))).is_err() {
                    self.counters.panics += 1;
                    error!("a command panicked while it was carried out");
                }
                self.begin_questions(ctx);
            }
            Ok(Err(error)) => self.answer(pending.asker, Err(error)),
            Err(_) => {
                self.counters.panics += 1;
                error!(user:% = pending.user; "a command panicked");
                self.answer(pending.asker, Err(ChatError::Internal));
            }
        }
        false
    }

    /// A command's read is there, or failed.
    pub(super) fn resume(&mut self, pending: Pending, outcome: Result<(), ChatError>, ctx: &mut Context<Self>) {
        let holder = pending.asker.socket().filter(|_| pending.facts.holds_queue);
        let (connection, user) = (pending.asker.connection(), pending.user.clone());
        let waits = match outcome {
            Ok(()) if holder.is_some() && !self.may_go_on(&pending) => false,
            Ok(()) => self.run(pending, ctx),
            Err(error) => {
                self.answer(pending.asker, Err(error));
                false
            }
        };
        if let (Some(socket), false) = (holder, waits) {
            let is_of = |key: &ConnectionKey| self.sessions.get(key).is_some_and(|session| session.socket == socket);
            match connection.filter(is_of) {
                Some(connection) => self.unblock(connection, ctx),
                None => self.end_late_read(&user, socket, ctx),
            }
        }
        self.arm_timer(ctx);
    }

    /// Goes on with a socket's requests that waited behind a read.
    pub(super) fn unblock(&mut self, connection: ConnectionKey, ctx: &mut Context<Self>) {
        while let Some(session) = self.sessions.get_mut(&connection) {
            session.is_blocked = false;
            let Some(next) = session.queue.as_mut().and_then(|queue| queue.pop_front()) else {
                session.queue = None;
                return;
            };
            if self.run(next, ctx) {
                if let Some(session) = self.sessions.get_mut(&connection) {
                    session.is_blocked = true;
                }
                return;
            }
        }
    }

    // ---- the clock ----

    /// At the end of a turn: sets the timer for what is due next, and has told what came together.
    pub(super) fn arm_timer(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        let grace = self.grace.front().map(|(at, _)| *at);
        let due = [self.presence.due(now), grace, self.typing.next_lapse(), self.leftovers.next_due()];
        self.tell_received_soon(ctx);
        self.note_rest();
        let Some(next) = due.into_iter().flatten().min() else { return };
        if self.timer.is_some_and(|(at, _)| at <= next) {
            return;
        }
        if let Some((_, handle)) = self.timer.take() {
            ctx.cancel_future(handle);
        }
        let wait = u64::try_from(next.as_millis() - now.as_millis()).unwrap_or(0);
        let handle = ctx.run_later(Duration::from_millis(wait), |broker, ctx| {
            broker.timer = None;
            ctx.notify(Tick);
        });
        self.timer = Some((next, handle));
    }

    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        self.forget_unheard(now, ctx);
        let old = now.plus_millis(-IDLE_CACHE_MS);
        self.keep_chats_in_use(now);
        self.users.retain(|_, user| {
            if user.sent.as_ref().is_some_and(|sent| sent.used_at < now.plus_millis(-600_000)) {
                user.sent = None;
            }
            user.has_sessions() || user.is_announced || user.sent.is_some() || user.used_at > old
        });
        let (users, directs) = (&mut self.users, &mut self.directs);
        self.conversations.retain(|id, cached| {
            let members = &cached.conversation.participants;
            let is_used = members.iter().any(|member| users.get(member).is_some_and(|user| user.has_sessions()));
            if is_used || cached.used_at > old || cached.is_progress_due || cached.in_flight > 0 {
                return true;
            }
            if let Some(key) = pair_key(&cached.conversation) {
                directs.remove(&key);
            }
            for member in members {
                // What is known of the user stays as new as what is forgotten here.
                if let Some(membership) = users.get_mut(member).and_then(|user| user.membership(*id)) {
                    membership.last_seq = cached.conversation.last_seq;
                }
            }
            false
        });
        let unprovable = now.plus_millis(-self.options.proof_memory_ms());
        self.conversations.values_mut().for_each(|cached| cached.handed.forget_before(unprovable));
        self.forget_old_parked();
        self.rings.expire(now);
        self.states.expire(now);
        self.failed.forget_before(now.plus_millis(-24 * 3_600_000));
        self.account_changes.forget_before(old);
        self.made_users.forget_old(now);
        self.revocations.forget_expired(now);
    }

    /// Whether presence goes to those who share a conversation only.
    pub(super) fn is_scope_contacts(&mut self) -> bool {
        if self.options.presence_scope == PresenceScope::Contacts {
            return true;
        }
        let narrowed = self.online > self.options.presence_everyone_max;
        if narrowed && !self.is_scope_narrowed {
            info!(online = self.online; "presence goes to contacts only: more than PRESENCE_EVERYONE_MAX are online");
        }
        self.is_scope_narrowed = narrowed;
        narrowed
    }
}

/// What has become of a command so far.
pub(super) enum Progressed {
    /// It is done.
    Done(Reply),
    /// It needs something that must be read first; then it is carried out anew.
    Needs(Load),
    /// All is checked: this takes the asker along and cannot fail.
    Then(Act),
}

/// What a command does once nothing can fail any more.
pub(super) type Act = Box<dyn FnOnce(&mut ChatServer, Pending)>;

/// What of members' progress and of notifications is only known here is to be stored.
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
        ctx.run_interval(SAVE_EVERY, |broker, ctx| {
            broker.turn::<SaveDue, _>(|broker| {
                broker.save_progress();
                broker.save_online();
                broker.tell_received_soon(ctx);
                broker.save_notifications();
                broker.settle_doubted_changes(ctx);
            });
        });
        ctx.run_interval(SWEEP_EVERY, |broker, ctx| broker.turn::<SweepDue, _>(|broker| broker.sweep(ctx)));
    }
}

impl Handler<RegisterWorker> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: RegisterWorker, _: &mut Self::Context) {
        let number = usize::from(message.worker);
        if self.workers.len() <= number {
            self.workers.resize_with(number + 1, || None);
        }
        if let Some(place) = self.workers.get_mut(number) {
            *place = Some(message.deliveries);
        }
    }
}

impl Handler<Connect> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Connect, ctx: &mut Self::Context) {
        self.turn_of_counted::<Connect, _>(|broker| {
            let connection = message.connection;
            if broker.is_draining {
                return broker.turn_away(&message, "DRAINING", "the server is stopping", CloseReason::Shutdown);
            }
            let user = message.claims.user.clone();
            broker.connecting.insert(connection, message);
            if broker.users.contains_key(&user) {
                broker.on_account_loaded(connection, Ok(()), true, ctx);
            } else {
                broker.start_load(Load::Users(vec![user]), LoadFor::Connect(connection), ctx);
            }
            broker.arm_timer(ctx);
        });
    }
}

impl Handler<Disconnect> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Disconnect, ctx: &mut Self::Context) {
        self.turn_of_counted::<Disconnect, _>(|broker| {
            broker.disconnect(message, ctx);
            broker.arm_timer(ctx);
        });
    }
}

impl Handler<Upgraded> for ChatServer {
    type Result = ();

    fn handle(&mut self, Upgraded { connection }: Upgraded, _: &mut Self::Context) {
        self.turn_of_counted::<Upgraded, _>(|broker| {
            let peer = match (broker.sessions.get_mut(&connection), broker.connecting.get_mut(&connection)) {
                (Some(session), _) => &mut session.peer,
                (None, Some(connect)) => &mut connect.peer,
                (None, None) => return,
            };
            peer.transport = TransportKind::Websocket;
            broker.tell_watchers(connection, || What::Upgraded);
        });
    }
}

impl Handler<WordsLearned> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: WordsLearned, ctx: &mut Self::Context) {
        self.turn_of_counted::<WordsLearned, _>(|broker| {
            let WordsLearned { connection, words, manner } = message;
            let Some(user) = broker.sessions.get(&connection).map(|session| session.user.clone()) else { return };
            // What it has received by now stays received although it may have no word for the like from here on.
            broker.note_progress_of(&user);
            broker.tell_received_soon(ctx);
            if let Some(session) = broker.sessions.get_mut(&connection) {
                session.words = words;
            }
            broker.change_manner(connection, manner);
        });
    }
}

impl Handler<Limited> for ChatServer {
    type Result = ();

    fn handle(&mut self, Limited { connection, refused }: Limited, _: &mut Self::Context) {
        self.turn_of_counted::<Limited, _>(|broker| {
            let now = broker.now();
            let Some(session) = broker.sessions.get(&connection) else { return };
            broker.traces.note(&session.user, |trace| {
                let incidents = trace.incidents_mut();
                let before = incidents.limited.map_or(0, |(count, _)| count);
                incidents.limited = Some((before + u64::from(refused), now));
            });
        });
    }
}

impl Handler<Request> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Request, ctx: &mut Self::Context) {
        self.turn_of_counted::<Request, _>(|broker| {
            let Request { connection, ticket, command, own_copy } = message;
            broker.counters.requests += 1;
            let Some(session) = broker.sessions.get_mut(&connection) else {
                broker.ask_late(connection, command, own_copy);
                return;
            };
            if session.is_put_out {
                return;
            }
            let asker = Asker::Session { connection, socket: session.socket, pid: session.pid, ticket, own_copy };
            let facts = Facts { holds_queue: true, ..Facts::default() };
            let pending = Pending { user: session.user.clone(), asker, command, facts };
            if broker.is_draining {
                return broker.answer(pending.asker, Err(ChatError::Stopping));
            }
            if session.is_blocked {
                let queue = session.queue.get_or_insert_default();
                if queue.len() < QUEUE_PER_SOCKET {
                    queue.push_back(pending);
                } else {
                    let error = ChatError::RateLimited { retry_after: Duration::from_secs(1) };
                    broker.answer(pending.asker, Err(error));
                }
                return;
            }
            if broker.run(pending, ctx)
                && let Some(session) = broker.sessions.get_mut(&connection)
            {
                session.is_blocked = true;
            }
            broker.arm_timer(ctx);
        });
    }
}

impl Handler<Ask> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Ask, ctx: &mut Self::Context) {
        self.turn::<Ask, _>(|broker| {
            let Ask { user, command, answer } = message;
            broker.counters.requests += 1;
            broker.run(Pending { user, asker: Asker::Http(answer), command, facts: Facts::default() }, ctx);
            broker.arm_timer(ctx);
        });
    }
}

impl Handler<CatchUpDrained> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: CatchUpDrained, ctx: &mut Self::Context) {
        self.turn_of_counted::<CatchUpDrained, _>(|broker| {
            broker.read_catch_up_page(message.connection, ctx);
            broker.show_unseen_page(message.connection);
        });
    }
}

impl Handler<Committed> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Committed, ctx: &mut Self::Context) {
        self.turn_of_counted::<Committed, _>(|broker| {
            let mut stored_some = false;
            for (tag, outcome) in message.outcomes {
                let Some(awaiting) = broker.awaiting.remove(&tag) else { continue };
                stored_some |= outcome.is_ok();
                if catch_unwind(AssertUnwindSafe(|| broker.on_stored(awaiting, outcome, ctx))).is_err() {
                    broker.counters.panics += 1;
                    error!(tag; "a panic after a commit");
                }
            }
            if stored_some {
                broker.hand_out_what_waits();
            }
            broker.begin_questions(ctx);
            broker.arm_timer(ctx);
        });
    }
}

impl Handler<Tick> for ChatServer {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        self.turn::<Tick, _>(|broker| {
            let now = broker.now();
            for change in broker.typing.lapse(now) {
                broker.tell_typing(&change, None);
            }
            broker.forget_old_parked();
            broker.carry_on_with_what_is_due(now, ctx);
            while broker.grace.front().is_some_and(|(at, _)| *at <= now) {
                if let Some((at, user)) = broker.grace.pop_front()
                    && broker.users.get(&user).is_some_and(|entry| entry.offline_at == Some(at))
                {
                    broker.announce_if_gone(&user, now);
                }
            }
            broker.tell_presence(now, ctx);
        });
    }
}
