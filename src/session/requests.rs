//! Requests of a client, from event to answer.
use std::time::{Duration, Instant};

use log::debug;

use super::answering::{Refused, answer_refusal, answer_success};
use super::namespaces::NAMESPACE;
use super::pending::Pending;
use super::ports::Broker;
use super::state::{Session, Stage};
use super::surroundings::{Now, Surroundings};
use super::turns::{Offer, Turn};
use crate::chat::{ChatError, Command, Limited, OwnCopy, Reply, Request, WordsLearned};
use crate::dialect::{Asked, Class, Decoded, Dialect, DialectSet, Entry, Fault, fault_ack, unknown_event_packet};
use crate::engineio::{CloseReason, Encoded};
use crate::feed::{Args, Happening, What};
use crate::socketio::{self, IncomingEvent};

/// Longest event name in the log, in characters.
const MAX_LOGGED_NAME: usize = 100;

impl Session {
    /// Handles an event.
    pub(super) fn on_event(&mut self, event: IncomingEvent, now: Now, around: &mut Surroundings<'_>) {
        let IncomingEvent { namespace: _, name, args, ack_id } = event;
        let Stage::In { socket, account } = &self.stage else { return around.wire.close(CloseReason::ForcedClose) };
        debug!(sid:% = socket, user:% = account.profile.id, event = shortened(&name); "event received");
        let (socket, user) = (*socket, account.profile.id.clone());
        let dialects = self.learn(&name, around.broker);
        around.rules.feed.tell(|| {
            let args = Args::new(args.json().into());
            let what = What::Received { event: name.as_str().into(), args, dialects: dialects.bits() };
            Happening { at: now.wall, socket, user, what }
        });
        let Some((dialect, entry)) = executor(dialects, &name, &args) else {
            return self.on_unknown(&name, ack_id, now.instant, around);
        };
        if entry.class == Class::Work && self.active().turns.is_flood(&around.rules.limits, now.instant) {
            return self.put_out("RATE_LIMITED", around);
        }
        let mut asked = Asked { event: entry.name, at: now.wall, ..Asked::default() };
        let request = dialect.decode(&mut asked, &args);
        if self.is_stopping {
            // Left unanswered, stock clients repeat the request by themselves (`retries`), at the server that comes next.
            if ack_id.is_none() || !is_safe_to_repeat(&request) {
                let fault = ChatError::Stopping.into();
                self.refuse_request(Refused { dialect, dialects, asked, ack_id }, &fault, now, around);
            }
            return;
        }
        let turn = Turn { dialect, dialects, asked, ack_id, class: entry.class, request };
        match self.active().turns.offer(turn, &around.rules.limits, now.instant) {
            Offer::Run(turn) => self.run(turn, now, around),
            Offer::Waits => {}
            Offer::Refused { turn, retry_after } => {
                self.note_limited(now.instant, around.broker);
                let Turn { dialect, dialects, asked, ack_id, .. } = turn;
                let fault = ChatError::RateLimited { retry_after }.into();
                self.refuse_request(Refused { dialect, dialects, asked, ack_id }, &fault, now, around);
            }
        }
    }

    fn on_unknown(&mut self, name: &str, ack_id: Option<u64>, now: Instant, around: &mut Surroundings<'_>) {
        let limits = &around.rules.limits;
        let turns = &mut self.active().turns;
        if turns.is_flood(limits, now) {
            return self.put_out("RATE_LIMITED", around);
        }
        let paid = turns.pay_unknown(limits, now);
        if paid.is_err() {
            self.note_limited(now, around.broker);
        }
        // An ack that is asked for must come: stock clients with `retries` send nothing more until then.
        if !around.rules.strict_events && ack_id.is_none() {
            return;
        }
        let fault = match paid {
            Ok(()) => Fault::UnknownEvent,
            Err(retry_after) => ChatError::RateLimited { retry_after }.into(),
        };
        let error_id = self.note_fault(around.rules, name, &fault);
        let text = match ack_id {
            Some(ack_id) => socketio::encode_ack(NAMESPACE, ack_id, &fault_ack(&fault, error_id)),
            None => unknown_event_packet(name, &fault, error_id),
        };
        around.wire.send(&Encoded::text(&text));
    }

    fn note_limited(&mut self, now: Instant, broker: &mut dyn Broker) {
        if let Some(refused) = self.active().turns.note_refused(now) {
            broker.limited(Limited { connection: self.key, refused });
        }
    }

    /// Learns the client's dialect from an event; if that changes which events it can show, the broker is notified
    /// first.
    fn learn(&mut self, event: &str, broker: &mut dyn Broker) -> DialectSet {
        let before = self.voice;
        let dialects = self.voice.learn(event);
        if self.voice != before {
            let (connection, words, manner) = (self.key, self.words(), self.voice.manner());
            broker.words_learned(WordsLearned { connection, words, manner });
        }
        dialects
    }

    /// Runs a request that the rate limits allow.
    pub(super) fn run(&mut self, turn: Turn, now: Now, around: &mut Surroundings<'_>) {
        let Turn { dialect, dialects, asked, ack_id, class: _, request } = turn;
        let (command, own_copy) = match request {
            Ok(Decoded::Done) => return answer_success(dialect, &asked.answered(now.wall), ack_id, &Reply::Done, around.wire),
            Ok(Decoded::OwnAccount) => {
                let Stage::In { account, .. } = &self.stage else { return };
                let reply = Reply::Account(account.clone());
                return answer_success(dialect, &asked.answered(now.wall), ack_id, &reply, around.wire);
            }
            Ok(Decoded::Command { command, own_copy }) => {
                let own_copy = Turn::own_copy(dialects, &command, own_copy);
                (command, own_copy)
            }
            Ok(Decoded::Authenticate { token }) => match (around.rules.verify)(&token, now.wall) {
                Ok(claims) if !claims.is_expired(now.wall) => (Command::RenewToken { claims: Box::new(claims) }, OwnCopy::None),
                Ok(_) | Err(_) => {
                    let fault = ChatError::InvalidToken.into();
                    return self.refuse_request(Refused { dialect, dialects, asked, ack_id }, &fault, now, around);
                }
            },
            Err(fault) => return self.refuse_request(Refused { dialect, dialects, asked, ack_id }, &fault, now, around),
        };
        let active = self.active();
        // A held copy counts, because it is the answer that its front end waits for.
        if active.pending.len() + active.gate.own_copies() >= around.rules.limits.unanswered {
            let fault = ChatError::RateLimited { retry_after: Duration::from_secs(1) }.into();
            return self.refuse_request(Refused { dialect, dialects, asked, ack_id }, &fault, now, around);
        }
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        self.active().pending.insert(Pending { ticket, dialect, dialects, asked, ack_id });
        around.broker.request(Request { connection: self.key, ticket, command, own_copy });
    }

    /// Refuses a request, and logs it.
    pub(super) fn refuse_request(&self, refused: Refused, fault: &Fault, now: Now, around: &mut Surroundings<'_>) {
        let error_id = self.note_fault(around.rules, refused.asked.event, fault);
        let refused = Refused { asked: Asked { error_id, ..refused.asked.answered(now.wall) }, ..refused };
        answer_refusal(&refused, fault, self.voice, around.rules, around.wire);
    }

    /// Handles the broker's answer to a request.
    pub(super) fn replied(&mut self, ticket: u32, reply: Result<Reply, ChatError>, now: Now, around: &mut Surroundings<'_>) {
        // A client that left and returned has forgotten its earlier requests.
        let Some(pending) = self.active.as_mut().and_then(|active| active.pending.take(ticket)) else { return };
        let Pending { ticket: _, dialect, dialects, asked, ack_id } = pending;
        let asked = asked.answered(now.wall);
        if let Ok(Reply::Renewed { expires_at }) = reply {
            self.end_at(expires_at, now);
            if ack_id.is_none() {
                self.show_connected(around);
            }
        }
        match reply {
            Ok(reply) => answer_success(dialect, &asked, ack_id, &reply, around.wire),
            Err(error) => self.refuse_request(Refused { dialect, dialects, asked, ack_id }, &error.into(), now, around),
        }
    }
}

/// Returns whether a repetition of a request would be recognised: it is a send with the client's own id.
fn is_safe_to_repeat(request: &Result<Decoded, Fault>) -> bool {
    let Ok(Decoded::Command { command, .. }) = request else { return false };
    command.draft().is_some_and(|draft| draft.client_message_id.is_some())
}

/// Returns the one of `dialects` that handles an event that all of them have.
fn executor(dialects: DialectSet, event: &str, args: &socketio::Args) -> Option<(Dialect, &'static Entry)> {
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
