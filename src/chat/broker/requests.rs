//! The order of requests: a command is run, waits for what it needs, and goes on; those of a socket keep their order.
use std::panic::{AssertUnwindSafe, catch_unwind};

use log::{error, warn};

use super::Broker;
use super::step::Stop;
use crate::chat::ports::{ChatError, LeftBehind};
use crate::chat::query::LookupFor;
use crate::chat::state::{Leftover, NextLeftover, Prefetched, ReplyTo, Running};
use crate::engineio::ConnectionKey;
use crate::model::{MessageId, SocketId, Timestamp, UserId};

impl Broker {
    /// Carries a command out, or has it wait for what it needs. Returns whether it waits for a read or the hook.
    pub(super) fn run(&mut self, mut running: Running) -> bool {
        let reply_to = running.reply_to;
        match catch_unwind(AssertUnwindSafe(|| self.execute(&mut running))) {
            Ok(Ok(Some(reply))) => self.answer(reply_to, Ok(reply)),
            Ok(Ok(None)) => {}
            Ok(Err(Stop::Refused(error))) => {
                let error = self.refusal_of(&running, error);
                self.answer(reply_to, Err(error));
            }
            Ok(Err(Stop::Read(lookup))) => {
                self.start_lookup(lookup, LookupFor::Command(Box::new(running)));
                return true;
            }
            Ok(Err(Stop::AskHook(question))) => {
                self.begin_hook(question, running);
                return true;
            }
            Ok(Err(Stop::BehindHook(message))) => match self.work.hooks.wait_behind(&message, running) {
                Ok(()) => return true,
                Err(running) => self.answer(running.reply_to, Err(ChatError::Internal)),
            },
            Ok(Err(Stop::Behind(message))) => self.wait_behind(message, running),
            Ok(Err(Stop::BehindGroup(group))) => self.conversations.wait_for_change(group, running),
            Err(_) => {
                self.observers.counters.panics += 1;
                error!(user:% = running.user; "a command panicked");
                self.answer(reply_to, Err(ChatError::Internal));
            }
        }
        false
    }

    /// Returns the answer to a command that is refused: `STORAGE_UNAVAILABLE` promises that nobody has seen a message, and of one
    /// whose earlier try may have been seen nobody can.
    fn refusal_of(&self, running: &Running, error: ChatError) -> ChatError {
        let client_id = running.command.draft().and_then(|draft| draft.client_message_id.as_deref());
        let was_seen = |client_id| self.sends.may_have_been_seen(&MessageId::of_client_id(&running.user, client_id));
        match error {
            ChatError::StorageUnavailable if client_id.is_some_and(was_seen) => ChatError::NotStored,
            error => error,
        }
    }

    /// A command's read is there, or failed.
    pub(super) fn resume(&mut self, running: Running, outcome: Result<(), ChatError>) {
        let holder = running.reply_to.socket().filter(|_| running.prefetched.holds_queue);
        let (connection, user) = (running.reply_to.connection(), running.user.clone());
        let waits = match outcome {
            Ok(()) if holder.is_some() && !self.may_go_on(&running) => false,
            Ok(()) => self.run(running),
            Err(error) => {
                let error = self.refusal_of(&running, error);
                self.answer(running.reply_to, Err(error));
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
    fn unblock(&mut self, connection: ConnectionKey) {
        while let Some(session) = self.sessions.get_mut(&connection) {
            session.is_blocked = false;
            let Some(next) = session.request_queue.as_mut().and_then(|queue| queue.pop_front()) else {
                session.request_queue = None;
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

    /// Carries out what is due of a user's leftovers. Once there are none, who waited behind them goes on.
    pub(super) fn carry_on(&mut self, user: &UserId) {
        loop {
            let (now, is_store_away) = (self.now(), !self.outside.has_room());
            match self.leftovers.next(user, now, self.work.is_draining, is_store_away) {
                NextLeftover::Later => return,
                NextLeftover::Over(behind) => return behind.into_iter().for_each(|connection| self.unblock(connection)),
                NextLeftover::Drop(Leftover { origin, command, .. }, cause) => {
                    let is_send = command.draft().is_some();
                    warn!(sid:% = origin.socket, user:%, is_send, cause; "dropped what a connection left behind");
                }
                NextLeftover::Run(Leftover { origin, command, own_copy, due: _, left_at: _ }) => {
                    let reply_to = ReplyTo::Left { socket: origin.socket, pid: origin.pid, own_copy };
                    let prefetched = Prefetched { holds_queue: true, ..Prefetched::default() };
                    let running = Running { user: user.clone(), reply_to, command, prefetched };
                    if self.run(running) {
                        return self.leftovers.begin_read(origin, false);
                    }
                }
            }
        }
    }

    /// Carries out what is due by now.
    pub(super) fn carry_on_with_what_is_due(&mut self, now: Timestamp) {
        while let Some(user) = self.leftovers.user_due(now) {
            self.carry_on(&user);
        }
    }

    /// The server stops: nothing waits for its time any more.
    pub(super) fn carry_on_with_all(&mut self) {
        let users: Vec<UserId> = self.leftovers.users().cloned().collect();
        for user in users {
            self.carry_on(&user);
        }
    }

    /// Returns whether a command whose read is there may go on: not where its socket was kicked meanwhile.
    fn may_go_on(&self, running: &Running) -> bool {
        let Some(socket) = running.reply_to.socket() else { return true };
        let of_session = running.reply_to.connection().and_then(|connection| self.sessions.get(&connection));
        if let Some(session) = of_session.filter(|session| session.socket == socket) {
            return !session.is_kicked;
        }
        !self.leftovers.is_dropped(&running.user, socket)
    }

    /// A read of a socket that is gone is over, and what waited for it goes on.
    fn end_late_read(&mut self, user: &UserId, socket: SocketId) {
        if self.leftovers.end_read(user, socket) {
            self.carry_on(user);
        }
    }

    /// Has a command wait until a message is stored.
    fn wait_behind(&mut self, message: MessageId, running: Running) {
        match self.sends.get_mut(&message) {
            Some(in_flight) => in_flight.waiters.push(running),
            None => self.answer(running.reply_to, Err(ChatError::MessageNotFound)),
        }
    }

    pub(super) fn resume_waiters(&mut self, waiters: Vec<Running>) {
        for waiter in waiters {
            // What was read before is older than what is stored now.
            let running = Running { prefetched: Prefetched::default(), ..waiter };
            self.resume(running, Ok(()));
        }
    }

    /// Goes on where a connection that was taken over never said its last word: its thread is gone.
    pub(super) fn forget_unheard(&mut self, now: Timestamp) {
        for connection in self.leftovers.unheard(now) {
            if let Some(user) = self.hear_last_word(connection, LeftBehind::Requests(Vec::new())) {
                self.carry_on(&user);
            }
        }
    }
}
