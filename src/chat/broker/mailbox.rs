//! Messages that come in: from connections, over HTTP, from the store.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use log::error;

use super::Broker;
use crate::chat::ports::{CapabilitiesChanged, ChatError, Command, Connect, Limited, Request};
use crate::chat::query::{Answer, Lookup, LookupFor};
use crate::chat::state::{Prefetched, ReplyTo, Running};
use crate::engineio::{CloseReason, ConnectionKey, TransportKind};
use crate::feed::FeedEventKind;
use crate::model::UserId;
use crate::store::{StoreError, Written};

/// Maximum number of requests of one socket that wait behind a read.
const QUEUE_PER_SOCKET: usize = 1_000;

impl Broker {
    /// A client wants to be admitted.
    pub(in crate::chat) fn connect(&mut self, message: Connect) {
        let connection = message.connection;
        if self.work.is_draining {
            return self.turn_away(&message, "DRAINING", "the server is stopping", CloseReason::Shutdown);
        }
        let user = message.claims.user.clone();
        self.sessions.begin_connect(connection, message);
        if self.users.contains(&user) {
            self.on_account_looked_up(connection, Ok(()), true);
        } else {
            self.start_lookup(Lookup::Users(vec![user]), LookupFor::Connect(connection));
        }
    }

    /// A connection has moved to a WebSocket.
    pub(in crate::chat) fn on_upgraded(&mut self, connection: ConnectionKey) {
        let Some(peer) = self.sessions.peer_mut(&connection) else { return };
        peer.transport = TransportKind::Websocket;
        self.notify_watchers(connection, || FeedEventKind::Upgraded);
    }

    /// A connection has learned its dialect.
    pub(in crate::chat) fn on_capabilities_changed(&mut self, message: CapabilitiesChanged) {
        let CapabilitiesChanged { connection, capabilities, client_dialects } = message;
        let Some(user) = self.sessions.get(&connection).map(|session| session.user.clone()) else { return };
        // What it has received by now stays received although it may have no word for the like from here on.
        self.note_progress_of(&user);
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.capabilities = capabilities;
        }
        self.sessions.change_client_dialects(&connection, client_dialects);
    }

    /// A connection's requests were refused for their rate.
    pub(in crate::chat) fn on_limited(&mut self, Limited { connection, refused }: Limited) {
        let now = self.now();
        let Some(session) = self.sessions.get(&connection) else { return };
        self.observers.traces.note(&session.user, |trace| {
            let incidents = trace.incidents_mut();
            let before = incidents.limited.map_or(0, |(count, _)| count);
            incidents.limited = Some((before + u64::from(refused), now));
        });
    }

    /// A connection asks for something.
    pub(in crate::chat) fn request(&mut self, message: Request) {
        let Request { connection, ticket, command, own_copy } = message;
        self.observers.counters.requests += 1;
        let Some(session) = self.sessions.get_mut(&connection) else {
            self.ask_late(connection, command, own_copy);
            return;
        };
        if session.is_kicked {
            return;
        }
        let reply_to = ReplyTo::Session { connection, socket: session.socket, pid: session.pid, ticket, own_copy };
        let prefetched = Prefetched { holds_queue: true, ..Prefetched::default() };
        let running = Running { user: session.user.clone(), reply_to, command, prefetched };
        if self.work.is_draining {
            return self.answer(running.reply_to, Err(ChatError::Stopping));
        }
        if session.is_blocked {
            let queue = session.request_queue.get_or_insert_default();
            if queue.len() < QUEUE_PER_SOCKET {
                queue.push_back(running);
            } else {
                let error = ChatError::RateLimited { retry_after: Duration::from_secs(1) };
                self.answer(running.reply_to, Err(error));
            }
            return;
        }
        if self.run(running)
            && let Some(session) = self.sessions.get_mut(&connection)
        {
            session.is_blocked = true;
        }
    }

    /// Somebody asks for something over HTTP; the reply goes to [`Outside::reply`](crate::chat::outside::Outside::reply)
    /// under this ticket.
    pub(in crate::chat) fn ask(&mut self, user: UserId, command: Command, ticket: u64) {
        self.observers.counters.requests += 1;
        self.run(Running { user, reply_to: ReplyTo::Http(ticket), command, prefetched: Prefetched::default() });
    }

    /// The store is done with some changes.
    pub(in crate::chat) fn on_committed(&mut self, outcomes: Vec<(u64, Result<Written, StoreError>)>) {
        let mut stored_some = false;
        for (tag, outcome) in outcomes {
            let Some(after) = self.commits.take(tag) else { continue };
            stored_some |= outcome.is_ok();
            let reply_to = self.reply_to(&after);
            if catch_unwind(AssertUnwindSafe(|| self.on_stored(after, outcome))).is_err() {
                self.observers.counters.panics += 1;
                error!(tag; "a panic after a commit");
                if let Some(reply_to) = reply_to {
                    self.answer(reply_to, Err(ChatError::Internal));
                }
            }
        }
        if stored_some {
            self.dispatch_waiting();
        }
    }

    /// A read is there, or failed.
    pub(in crate::chat) fn on_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Lookup(query, looked_up) => self.on_lookup(*query, looked_up),
            Answer::Page(to, page, took) => self.on_page(to, page, took),
            Answer::Settled(settled) => self.on_settled(settled),
            Answer::Unseen(to, found, noted) => self.on_unseen(to, found, noted),
            Answer::Turns(ticket, found) => self.prompt(ticket, found),
            Answer::Known(ticket, found) => self.on_known(ticket, *found),
            Answer::Doubted(found) => self.on_doubted(found),
        }
    }
}
