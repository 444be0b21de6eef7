//! The broker: a value that is handed its surroundings, and what each of its turns begins and ends with.
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use log::{error, info};
use tokio::sync::oneshot;

use super::catch_up::PageReads;
use super::census::Census;
use super::changes::UntoldChanges;
use super::delivered::Progress;
use super::leftovers::Leftovers;
use super::loading::AccountChanges;
use super::made_users::MadeUsers;
use super::notifications::Gathered;
use super::offsets::Offsets;
use super::online::OnlineChanges;
use super::options::Options;
use super::outside::Outside;
use super::parked::ParkedSessions;
use super::ports::{Ask, Connect, Limited, Notice, Request, WordsLearned};
use super::presence::PresenceWindow;
use super::query::{Answer, Load, LoadFor};
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
use crate::model::{ConversationId, MessageId, Timestamp, UserId};
use crate::store::{Start, StoreError, Write, Written};

/// What is known of users and conversations without a socket is kept so long after its last use.
const IDLE_CACHE_MS: i64 = 60_000;
/// At most so many requests of one socket wait behind a read.
const QUEUE_PER_SOCKET: usize = 1_000;

/// Who is here, who talks where, and what follows from what they ask for. It does no I/O: all that it wants of the world goes
/// through its [`Outside`].
pub struct Broker {
    pub(super) options: Options,
    pub(super) outside: Box<dyn Outside>,
    pub(super) users: HashMap<UserId, Box<User>>,
    pub(super) sessions: HashMap<ConnectionKey, Box<Session>>,
    pub(super) connecting: HashMap<ConnectionKey, Connect>,
    pub(super) rooms: Rooms,
    pub(super) conversations: HashMap<ConversationId, CachedConversation>,
    pub(super) directs: HashMap<String, ConversationId>,
    pub(super) in_flight: HashMap<MessageId, InFlight>,
    /// Sends that the store had already, while what it has is read.
    pub(super) known: HashMap<u64, InFlight>,
    /// Admitted messages that are not handed out yet, in order.
    pub(super) unhanded: VecDeque<MessageId>,
    pub(super) failed: FailedSends,
    /// Who had which socket, of those that left while messages up to a position were under way.
    pub(super) departed: VecDeque<(i64, ConnectionKey, UserId)>,
    /// Position of the last message that is in flight no more.
    pub(super) landed: i64,
    pub(super) awaiting: HashMap<u64, Awaiting>,
    pub(super) next_tag: u64,
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
    /// Whether there is a model that answers.
    pub(super) has_model: bool,
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

impl Broker {
    /// A broker that nobody has connected to. `revocations` are those that were stored.
    pub fn new(
        options: Options,
        outside: Box<dyn Outside>,
        last_position: i64,
        starts: &[Start],
        revocations: Revocations,
    ) -> Self {
        Self {
            rings: Rings::new(options.ring_limits()),
            states: Rings::new(options.state_limits()),
            options,
            outside,
            users: HashMap::new(),
            sessions: HashMap::new(),
            connecting: HashMap::new(),
            rooms: Rooms::default(),
            conversations: HashMap::new(),
            directs: HashMap::new(),
            in_flight: HashMap::new(),
            known: HashMap::new(),
            unhanded: VecDeque::new(),
            failed: FailedSends::default(),
            departed: VecDeque::new(),
            landed: 0,
            awaiting: HashMap::new(),
            next_tag: 0,
            position: last_position,
            handed: last_position,
            untold_changes: UntoldChanges::default(),
            serial: 0,
            offsets: Offsets::new(starts),
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
            has_model: false,
            feed: Feed::default(),
            is_draining: false,
            reads: 0,
            awaiting_rest: Vec::new(),
            counters: Counters::default(),
            census: Census::default(),
            traces: Traces::default(),
            refusals: Arc::default(),
        }
    }

    /// Closes a connection before its CONNECT is answered, for what a retry can cure.
    pub(super) fn turn_away(&self, connect: &Connect, code: &'static str, cause: &str, reason: CloseReason) {
        let (kind, user, address) = (RefusalKind::Connect, Some(connect.claims.user.as_str()), connect.peer.address);
        let note = RefusalNote { kind, code, cause, sid: Some(connect.socket.as_str()), user, event: None, address };
        self.refusals.note(&note);
        self.tell(connect.connection, Notice::Close(reason));
    }

    pub(super) fn now(&mut self) -> Timestamp {
        self.outside.now()
    }

    pub(super) fn new_id(&mut self) -> uuid::Uuid {
        self.outside.new_id()
    }

    // ---- telling ----

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
        if let Err(error) = self.outside.commit(write, tag) {
            return Err(Box::new((error.into(), awaiting)));
        }
        self.next_tag += 1;
        self.awaiting.insert(tag, awaiting);
        Ok(())
    }

    // ---- commands ----

    /// Carries a command out, or has it wait for what it needs. Returns whether it waits for a read.
    pub(super) fn run(&mut self, mut pending: Pending) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.execute(&mut pending)));
        match outcome {
            Ok(Ok(Progressed::Done(reply))) => self.answer(pending.asker, Ok(reply)),
            Ok(Ok(Progressed::Needs(load))) => {
                self.start_load(load, LoadFor::Command(Box::new(pending)));
                return true;
            }
            Ok(Ok(Progressed::Then(act))) => {
                if catch_unwind(AssertUnwindSafe(|| act(self, pending))).is_err() {
                    self.counters.panics += 1;
                    error!("a command panicked while it was carried out");
                }
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
    pub(super) fn resume(&mut self, pending: Pending, outcome: Result<(), ChatError>) {
        let holder = pending.asker.socket().filter(|_| pending.facts.holds_queue);
        let (connection, user) = (pending.asker.connection(), pending.user.clone());
        let waits = match outcome {
            Ok(()) if holder.is_some() && !self.may_go_on(&pending) => false,
            Ok(()) => self.run(pending),
            Err(error) => {
                self.answer(pending.asker, Err(error));
                false
            }
        };
        if let (Some(socket), false) = (holder, waits) {
            let is_of = |key: &ConnectionKey| self.sessions.get(key).is_some_and(|session| session.socket == socket);
            match connection.filter(is_of) {
                Some(connection) => self.unblock(connection),
                None => self.end_late_read(&user, socket),
            }
        }
    }

    /// Goes on with a socket's requests that waited behind a read.
    pub(super) fn unblock(&mut self, connection: ConnectionKey) {
        while let Some(session) = self.sessions.get_mut(&connection) {
            session.is_blocked = false;
            let Some(next) = session.queue.as_mut().and_then(|queue| queue.pop_front()) else {
                session.queue = None;
                return;
            };
            if self.run(next) {
                if let Some(session) = self.sessions.get_mut(&connection) {
                    session.is_blocked = true;
                }
                return;
            }
        }
    }

    // ---- what comes in ----

    /// A client wants to be admitted.
    pub(super) fn connect(&mut self, message: Connect) {
        let connection = message.connection;
        if self.is_draining {
            return self.turn_away(&message, "DRAINING", "the server is stopping", CloseReason::Shutdown);
        }
        let user = message.claims.user.clone();
        self.connecting.insert(connection, message);
        if self.users.contains_key(&user) {
            self.on_account_loaded(connection, Ok(()), true);
        } else {
            self.start_load(Load::Users(vec![user]), LoadFor::Connect(connection));
        }
    }

    /// A connection has moved to a WebSocket.
    pub(super) fn on_upgraded(&mut self, connection: ConnectionKey) {
        let peer = match (self.sessions.get_mut(&connection), self.connecting.get_mut(&connection)) {
            (Some(session), _) => &mut session.peer,
            (None, Some(connect)) => &mut connect.peer,
            (None, None) => return,
        };
        peer.transport = TransportKind::Websocket;
        self.tell_watchers(connection, || What::Upgraded);
    }

    /// A connection has learned its dialect.
    pub(super) fn on_words_learned(&mut self, message: WordsLearned) {
        let WordsLearned { connection, words, manner } = message;
        let Some(user) = self.sessions.get(&connection).map(|session| session.user.clone()) else { return };
        // What it has received by now stays received although it may have no word for the like from here on.
        self.note_progress_of(&user);
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.words = words;
        }
        self.change_manner(connection, manner);
    }

    /// A connection's requests were refused for their rate.
    pub(super) fn on_limited(&mut self, Limited { connection, refused }: Limited) {
        let now = self.now();
        let Some(session) = self.sessions.get(&connection) else { return };
        self.traces.note(&session.user, |trace| {
            let incidents = trace.incidents_mut();
            let before = incidents.limited.map_or(0, |(count, _)| count);
            incidents.limited = Some((before + u64::from(refused), now));
        });
    }

    /// A connection asks for something.
    pub(super) fn request(&mut self, message: Request) {
        let Request { connection, ticket, command, own_copy } = message;
        self.counters.requests += 1;
        let Some(session) = self.sessions.get_mut(&connection) else {
            self.ask_late(connection, command, own_copy);
            return;
        };
        if session.is_put_out {
            return;
        }
        let asker = Asker::Session { connection, socket: session.socket, pid: session.pid, ticket, own_copy };
        let facts = Facts { holds_queue: true, ..Facts::default() };
        let pending = Pending { user: session.user.clone(), asker, command, facts };
        if self.is_draining {
            return self.answer(pending.asker, Err(ChatError::Stopping));
        }
        if session.is_blocked {
            let queue = session.queue.get_or_insert_default();
            if queue.len() < QUEUE_PER_SOCKET {
                queue.push_back(pending);
            } else {
                let error = ChatError::RateLimited { retry_after: Duration::from_secs(1) };
                self.answer(pending.asker, Err(error));
            }
            return;
        }
        if self.run(pending)
            && let Some(session) = self.sessions.get_mut(&connection)
        {
            session.is_blocked = true;
        }
    }

    /// Somebody asks for something over HTTP.
    pub(super) fn ask(&mut self, message: Ask) {
        let Ask { user, command, answer } = message;
        self.counters.requests += 1;
        self.run(Pending { user, asker: Asker::Http(answer), command, facts: Facts::default() });
    }

    /// The store is done with some changes.
    pub(super) fn on_committed(&mut self, outcomes: Vec<(u64, Result<Written, StoreError>)>) {
        let mut stored_some = false;
        for (tag, outcome) in outcomes {
            let Some(awaiting) = self.awaiting.remove(&tag) else { continue };
            stored_some |= outcome.is_ok();
            if catch_unwind(AssertUnwindSafe(|| self.on_stored(awaiting, outcome))).is_err() {
                self.counters.panics += 1;
                error!(tag; "a panic after a commit");
            }
        }
        if stored_some {
            self.hand_out_what_waits();
        }
    }

    /// A read is there, or failed.
    pub(super) fn on_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Load(query, loaded) => self.on_load(*query, loaded),
            Answer::Page(to, page, took) => self.on_page(to, page, took),
            Answer::Unseen(to, found, noted) => self.on_unseen(to, found, noted),
            Answer::Turns(ticket, found) => self.prompt(ticket, found),
            Answer::Known(ticket, found) => self.on_known(ticket, found),
            Answer::Doubted(found) => self.on_doubted(found),
        }
    }

    // ---- the clock ----

    /// At the end of a turn: begins what may begin by now, and says when it is to be woken.
    pub(super) fn end_turn(&mut self) {
        self.begin_questions();
        self.tell_received_soon();
        self.note_rest();
        let now = self.now();
        let grace = self.grace.front().map(|(at, _)| *at);
        let due = [self.presence.due(now), grace, self.typing.next_lapse(), self.leftovers.next_due()];
        if let Some(next) = due.into_iter().flatten().min() {
            self.outside.wake_at(next);
        }
    }

    /// Does what is due by the clock.
    pub(super) fn tick(&mut self) {
        let now = self.now();
        for change in self.typing.lapse(now) {
            self.tell_typing(&change, None);
        }
        self.forget_old_parked();
        self.carry_on_with_what_is_due(now);
        while self.grace.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((at, user)) = self.grace.pop_front()
                && self.users.get(&user).is_some_and(|entry| entry.offline_at == Some(at))
            {
                self.announce_if_gone(&user, now);
            }
        }
        self.tell_presence(now);
    }

    /// Stores what of members' progress, of last-seen times and of notifications is only known here.
    pub(super) fn save(&mut self) {
        self.save_progress();
        self.save_online();
        self.save_notifications();
        self.settle_doubted_changes();
    }

    /// Looks through the caches.
    pub(super) fn sweep(&mut self) {
        let now = self.now();
        self.forget_unheard(now);
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
pub(super) type Act = Box<dyn FnOnce(&mut Broker, Pending)>;
