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
mod drain;
mod edits;
mod emit;
mod inspect;
mod leftovers;
mod mailbox;
mod notifications;
mod presence;
mod reads;
mod receipts;
mod resume;
mod send;
mod titles;
mod trace;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};

use log::error;

use crate::auth::Revocations;
use crate::chat::outside::Outside;
use crate::chat::ports::{ChatError, Connect, Notice, Options, Reply};
use crate::chat::query::{Load, LoadFor};
use crate::chat::state::{
    Asker, Awaiting, Commits, Conversations, Due, Leftovers, Observers, Pending, Presence, Questions, ReplayLog, Rooms, Sends,
    Sessions, Typing, Users, Work,
};
use crate::engineio::{CloseReason, ConnectionKey};
use crate::logging::{RefusalKind, RefusalNote};
use crate::model::Timestamp;
use crate::store::{Start, Write};

/// Who is here, who talks where, and what follows from what they ask for. It does no I/O: all that it wants of the world goes
/// through its [`Outside`].
pub struct Broker {
    options: Options,
    outside: Box<dyn Outside>,
    pub(super) users: Users,
    pub(super) sessions: Sessions,
    pub(super) rooms: Rooms,
    conversations: Conversations,
    sends: Sends,
    commits: Commits,
    replay: ReplayLog,
    /// Requests whose connections have ended.
    leftovers: Leftovers,
    typing: Typing,
    presence: Presence,
    due: Due,
    pub(super) questions: Questions,
    pub(super) work: Work,
    pub(super) observers: Observers,
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
            replay: ReplayLog::new(options.ring_limits(), options.state_limits(), starts, last_position),
            options,
            outside,
            users: Users { revocations, ..Users::default() },
            sessions: Sessions::default(),
            rooms: Rooms::default(),
            conversations: Conversations::default(),
            sends: Sends { position: last_position, ..Sends::default() },
            commits: Commits::default(),
            leftovers: Leftovers::default(),
            typing: Typing::default(),
            presence: Presence::default(),
            due: Due::default(),
            questions: Questions::default(),
            work: Work::default(),
            observers: Observers::default(),
        }
    }

    /// Closes a connection before its CONNECT is answered, for what a retry can cure.
    pub(super) fn turn_away(&self, connect: &Connect, code: &'static str, cause: &str, reason: CloseReason) {
        let (kind, user, address) = (RefusalKind::Connect, Some(connect.claims.user.as_str()), connect.peer.address);
        let note = RefusalNote { kind, code, cause, sid: Some(connect.socket.as_str()), user, event: None, address };
        self.observers.refusals.note(&note);
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
        self.observers.counters.refused += u64::from(reply.is_err());
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
        let tag = self.commits.new_tag();
        if let Err(error) = self.outside.commit(write, tag) {
            return Err(Box::new((error.into(), awaiting)));
        }
        self.commits.expect(tag, awaiting);
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
                    self.observers.counters.panics += 1;
                    error!("a command panicked while it was carried out");
                }
            }
            Ok(Err(error)) => self.answer(pending.asker, Err(error)),
            Err(_) => {
                self.observers.counters.panics += 1;
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
            let is_of = |key: &ConnectionKey| self.sessions.open.get(key).is_some_and(|session| session.socket == socket);
            match connection.filter(is_of) {
                Some(connection) => self.unblock(connection),
                None => self.end_late_read(&user, socket),
            }
        }
    }

    /// Goes on with a socket's requests that waited behind a read.
    pub(super) fn unblock(&mut self, connection: ConnectionKey) {
        while let Some(session) = self.sessions.open.get_mut(&connection) {
            session.is_blocked = false;
            let Some(next) = session.queue.as_mut().and_then(|queue| queue.pop_front()) else {
                session.queue = None;
                return;
            };
            if self.run(next) {
                if let Some(session) = self.sessions.open.get_mut(&connection) {
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
