//! Requests of a client, from event to answer.
use std::time::{Duration, Instant};

use log::debug;

use super::answering::{RefusedRequest, answer_refusal, answer_success};
use super::call_context::{CallContext, Now};
use super::namespaces::NAMESPACE;
use super::pending::PendingRequest;
use super::ports::{Broker, ForwardEvent, KeysWanted};
use super::request_queue::{Offered, QueuedRequest};
use super::state::{Session, Stage};
use crate::auth::TokenError;
use crate::chat::{CapabilitiesChanged, ChatError, Command, ForwardOutcome, Forwarded, Limited, OwnCopy, Reply, Request};
use crate::dialect::{Asked, Class, ClientEvent, Decoded, Dialect, DialectSet, RequestError, error_ack, unknown_event_packet};
use crate::engineio::{CloseReason, Encoded};
use crate::feed::{Args, FeedEvent, FeedEventKind};
use crate::socketio::{self, IncomingEvent};

/// Longest event name in the log, in characters.
const MAX_LOGGED_NAME: usize = 100;

impl Session {
    /// Handles an event.
    pub(super) fn on_event(&mut self, event: IncomingEvent, now: Now, cx: &mut CallContext<'_>) {
        let IncomingEvent { namespace, name, args, ack_id } = event;
        let Stage::In { socket, account } = &self.stage else { return cx.output.close(CloseReason::ForcedClose) };
        debug!(sid:% = socket, user:% = account.profile.id, event = shortened(&name); "event received");
        let (socket, user) = (*socket, account.profile.id.clone());
        let spoken = self.dialect_state.speaks();
        let dialects = self.learn(&name, cx.broker);
        self.ask_at_connect(self.dialect_state.speaks().without(spoken), now, cx);
        cx.rules.feed.publish(|| {
            let args = Args::new(args.json().into());
            let kind = FeedEventKind::Received { event: name.as_str().into(), args, dialects: dialects.bits() };
            FeedEvent { at: now.wall, socket: Some(socket), user: Some(user), kind }
        });
        let Some((dialect, entry)) = executor(dialects, &name, &args) else {
            return self.on_unknown(IncomingEvent { namespace, name, args, ack_id }, now.instant, cx);
        };
        if entry.class == Class::Work && self.active().request_queue.is_flood(&cx.rules.limits, now.instant) {
            return self.kick("RATE_LIMITED", cx);
        }
        let mut asked = Asked { event: entry.name, at: now.wall, ..Asked::default() };
        let further = dialect.further(Some(&asked), &args);
        let request = dialect.decode(&mut asked, &args);
        if self.is_stopping {
            // Left unanswered, stock clients repeat the request by themselves (`retries`), at the server that comes next.
            if ack_id.is_none() || !is_safe_to_repeat(&request) {
                let request_error = ChatError::Stopping.into();
                self.refuse_request(RefusedRequest { dialect, dialects, asked, ack_id }, &request_error, now, cx);
            }
            return;
        }
        self.offer(QueuedRequest { dialect, dialects, asked, ack_id, class: entry.class, request }, now, cx);
        self.ask_further(dialect, further, now, cx);
    }

    /// Makes the requests that follow from a CONNECT in some dialects.
    pub(super) fn ask_at_connect(&mut self, dialects: DialectSet, now: Now, cx: &mut CallContext<'_>) {
        for dialect in dialects.iter() {
            self.ask_further(dialect, dialect.further(None, &socketio::Args::default()), now, cx);
        }
    }

    fn ask_further(
        &mut self,
        dialect: Dialect,
        further: Vec<(Asked, Result<Decoded, RequestError>)>,
        now: Now,
        cx: &mut CallContext<'_>,
    ) {
        let dialects = DialectSet::EMPTY.with(dialect);
        for (asked, request) in further {
            self.offer(QueuedRequest { dialect, dialects, asked, ack_id: None, class: Class::Work, request }, now, cx);
        }
    }

    /// Runs a request as soon as the rate limits allow it, or refuses it.
    fn offer(&mut self, queued: QueuedRequest, now: Now, cx: &mut CallContext<'_>) {
        match self.active().request_queue.offer(queued, &cx.rules.limits, now.instant) {
            Offered::Run(queued) => self.run(queued, now, cx),
            Offered::Waits => {}
            Offered::Refused { queued, retry_after } => {
                self.note_limited(now.instant, cx.broker);
                let QueuedRequest { dialect, dialects, asked, ack_id, .. } = queued;
                let request_error = ChatError::RateLimited { retry_after }.into();
                self.refuse_request(RefusedRequest { dialect, dialects, asked, ack_id }, &request_error, now, cx);
            }
        }
    }

    fn on_unknown(&mut self, event: IncomingEvent, now: Instant, cx: &mut CallContext<'_>) {
        let IncomingEvent { namespace: _, name, args, ack_id } = event;
        let limits = &cx.rules.limits;
        let request_queue = &mut self.active().request_queue;
        if request_queue.is_flood(limits, now) {
            return self.kick("RATE_LIMITED", cx);
        }
        let paid = request_queue.pay_unknown(limits, now);
        if paid.is_err() {
            self.note_limited(now, cx.broker);
        }
        let hands_on = cx.rules.forwarded_bytes > 0;
        let request_error = match paid {
            Ok(()) if hands_on && self.is_stopping => ChatError::Stopping.into(),
            Ok(()) if hands_on => {
                let Stage::In { socket, account } = &self.stage else { return };
                let (connection, socket, account) = (self.key, *socket, account.clone());
                return cx.broker.forward(ForwardEvent { connection, socket, account, event: name.into(), args, ack_id });
            }
            Ok(()) => RequestError::UnknownEvent,
            Err(retry_after) => ChatError::RateLimited { retry_after }.into(),
        };
        // An ack that is asked for must come: stock clients with `retries` send nothing more until then.
        if cx.rules.strict_events || hands_on || ack_id.is_some() {
            self.refuse_unknown(&name, ack_id, &request_error, cx);
        }
    }

    /// Refuses an event that no dialect knows.
    fn refuse_unknown(&self, name: &str, ack_id: Option<u64>, request_error: &RequestError, cx: &mut CallContext<'_>) {
        let error_id = self.note_request_error(cx.rules, name, request_error);
        let text = match ack_id {
            Some(ack_id) => socketio::encode_ack(NAMESPACE, ack_id, &error_ack(request_error, error_id)),
            None => unknown_event_packet(name, request_error, error_id),
        };
        cx.output.send(&Encoded::text(&text));
    }

    /// Handles what became of an event that was handed on.
    pub(super) fn forwarded(&self, forwarded: &Forwarded, cx: &mut CallContext<'_>) {
        let Forwarded { socket, event, ack_id, outcome } = forwarded;
        // A client that left and returned has forgotten its earlier events.
        if !matches!(&self.stage, Stage::In { socket: present, .. } if present == socket) {
            return;
        }
        let error = match outcome {
            ForwardOutcome::Answered { ack } => {
                if let Some(ack_id) = ack_id {
                    cx.output.send(&Encoded::text(&socketio::encode_ack(NAMESPACE, *ack_id, ack)));
                }
                return;
            }
            ForwardOutcome::Failed => ChatError::ForwardFailed,
            ForwardOutcome::TooMany => ChatError::RateLimited { retry_after: Duration::from_secs(1) },
        };
        self.refuse_unknown(event, *ack_id, &error.into(), cx);
    }

    fn note_limited(&mut self, now: Instant, broker: &mut dyn Broker) {
        if let Some(refused) = self.active().request_queue.note_refused(now) {
            broker.limited(Limited { connection: self.key, refused });
        }
    }

    /// Learns the client's dialect from an event; if that changes which events it can show, the broker is notified
    /// first.
    fn learn(&mut self, event: &str, broker: &mut dyn Broker) -> DialectSet {
        let before = self.dialect_state;
        let dialects = self.dialect_state.learn(event);
        if self.dialect_state != before {
            let (connection, capabilities, client_dialects) =
                (self.key, self.capabilities(), self.dialect_state.client_dialects());
            broker.capabilities_changed(CapabilitiesChanged { connection, capabilities, client_dialects });
        }
        dialects
    }

    /// Runs a request that the rate limits allow.
    pub(super) fn run(&mut self, queued: QueuedRequest, now: Now, cx: &mut CallContext<'_>) {
        let QueuedRequest { dialect, dialects, asked, ack_id, class, request } = queued;
        let (command, own_copy) = match request {
            Ok(Decoded::Done) => return answer_success(dialect, &asked.answered(now.wall), ack_id, &Reply::Done, cx.output),
            Ok(Decoded::OwnAccount) => {
                let Stage::In { account, .. } = &self.stage else { return };
                let reply = Reply::Account(account.clone());
                return answer_success(dialect, &asked.answered(now.wall), ack_id, &reply, cx.output);
            }
            Ok(Decoded::Command { command, own_copy }) => {
                let own_copy = QueuedRequest::own_copy(dialects, &command, own_copy);
                (command, own_copy)
            }
            Ok(Decoded::Authenticate { token }) => match (cx.rules.verify)(&token, now.wall) {
                Ok(claims) if !claims.is_expired(now.wall) => (Command::RenewToken { claims: Box::new(claims) }, OwnCopy::None),
                Err(TokenError::KeyUnknown) if self.active().awaits_keys.is_none() => {
                    let request = Ok(Decoded::Authenticate { token });
                    self.active().awaits_keys =
                        Some(Box::new(QueuedRequest { dialect, dialects, asked, ack_id, class, request }));
                    return cx.broker.keys_wanted(KeysWanted { connection: self.key });
                }
                Ok(_) | Err(_) => {
                    let request_error = ChatError::InvalidToken.into();
                    return self.refuse_request(RefusedRequest { dialect, dialects, asked, ack_id }, &request_error, now, cx);
                }
            },
            Err(request_error) => {
                return self.refuse_request(RefusedRequest { dialect, dialects, asked, ack_id }, &request_error, now, cx);
            }
        };
        let active = self.active();
        // A held copy counts, because it is the answer that its front end waits for.
        if active.pending.len() + active.hold_queue.own_copies() >= cx.rules.limits.unanswered {
            let request_error = ChatError::RateLimited { retry_after: Duration::from_secs(1) }.into();
            return self.refuse_request(RefusedRequest { dialect, dialects, asked, ack_id }, &request_error, now, cx);
        }
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        self.active().pending.insert(PendingRequest { ticket, dialect, dialects, asked, ack_id });
        cx.broker.request(Request { connection: self.key, ticket, command, own_copy });
    }

    /// Refuses a request, and logs it.
    pub(super) fn refuse_request(
        &self,
        refused: RefusedRequest,
        request_error: &RequestError,
        now: Now,
        cx: &mut CallContext<'_>,
    ) {
        let error_id = self.note_request_error(cx.rules, refused.asked.event, request_error);
        let refused = RefusedRequest { asked: Asked { error_id, ..refused.asked.answered(now.wall) }, ..refused };
        answer_refusal(&refused, request_error, self.dialect_state, cx.rules, cx.output);
    }

    /// Handles the broker's answer to a request.
    pub(super) fn replied(&mut self, ticket: u32, reply: Result<Reply, ChatError>, now: Now, cx: &mut CallContext<'_>) {
        // A client that left and returned has forgotten its earlier requests.
        let Some(pending) = self.active.as_mut().and_then(|active| active.pending.take(ticket)) else { return };
        let PendingRequest { ticket: _, dialect, dialects, asked, ack_id } = pending;
        let asked = asked.answered(now.wall);
        if let Ok(Reply::Renewed { expires_at }) = reply {
            self.end_at(expires_at, now);
            if ack_id.is_none() {
                self.show_connected(cx);
            }
        }
        if let (Ok(Reply::Account(new)), Stage::In { account, .. }) = (&reply, &mut self.stage)
            && new.profile.id == account.profile.id
        {
            *account = new.clone();
        }
        match reply {
            Ok(reply) => answer_success(dialect, &asked, ack_id, &reply, cx.output),
            Err(error) => self.refuse_request(RefusedRequest { dialect, dialects, asked, ack_id }, &error.into(), now, cx),
        }
    }
}

/// Returns whether a repetition of a request would be recognised: it is a send with the client's own id.
fn is_safe_to_repeat(request: &Result<Decoded, RequestError>) -> bool {
    let Ok(Decoded::Command { command, .. }) = request else { return false };
    command.draft().is_some_and(|draft| draft.client_message_id.is_some())
}

/// Returns the one of `dialects` that handles an event that all of them have.
fn executor(dialects: DialectSet, event: &str, args: &socketio::Args) -> Option<(Dialect, &'static ClientEvent)> {
    let first = dialects.iter().next()?;
    let preferred =
        dialects.iter().find(|dialect| dialect.entry(event).is_some_and(|entry| dialect.takes_precedence(entry.name, args)));
    let dialect = preferred.unwrap_or(first);
    dialect.entry(event).map(|entry| (dialect, entry))
}

/// Cuts a client-chosen name for the log.
fn shortened(name: &str) -> &str {
    name.char_indices().nth(MAX_LOGGED_NAME).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}
