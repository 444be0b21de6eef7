//! The broker: a value that is handed its surroundings, and what each of its turns begins and ends with.
mod accounts;
mod admin_actions;
mod aliases;
mod assistant;
mod catch_up;
mod census;
mod clock;
mod commands;
mod commits;
mod connect;
mod conversations;
mod delivery;
mod detached;
mod dispatch;
mod edits;
mod emit;
mod inspect;
mod leftovers;
mod mailbox;
mod notifications;
mod online;
mod reads;
mod receipts;
mod resume;
mod send;
mod titles;
mod trace;
mod watch;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use log::error;
use tokio::sync::oneshot;

use crate::auth::Revocations;
use crate::chat::outside::Outside;
use crate::chat::ports::{ChatError, Connect, Notice, Options, Reply};
use crate::chat::query::{Load, LoadFor};
use crate::chat::state::{
    AccountChanges, Asker, Awaiting, CachedConversation, Census, Counters, FailedSends, Gathered, InFlight, Leftovers, MadeUsers,
    Offsets, OnlineChanges, PageReads, ParkedSessions, Pending, PresenceWindow, Progress, Questions, Rings, Rooms, Session,
    Titles, Traces, Typing, UntoldChanges, User,
};
use crate::engineio::{CloseReason, ConnectionKey};
use crate::feed::Feed;
use crate::logging::{RefusalKind, RefusalNote, Refusals};
use crate::model::{ConversationId, MessageId, Timestamp, UserId};
use crate::store::{Start, Write};

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

pub(super) type Outcome = Result<Progressed, ChatError>;
