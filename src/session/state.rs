//! One client, as a value.
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use log::debug;
use serde_json::value::RawValue;

use super::active::Active;
use super::answering::{Refused, answer_refusal, answer_success};
use super::console::{AtConsole, CONSOLE, ConsoleSide};
use super::credentials::{Handshake, find_pin, find_return};
use super::pending::Pending;
use super::proof::Proof;
use super::rules::Rules;
use super::showing::{show, show_seed, show_volatile};
use super::turns::{Offer, Turn};
use crate::auth::{Refusal, TokenPlace, find_connect_token};
use crate::chat::{
    Admission, Back, Broadcast, CatchUpDrained, ChatError, Command, Connect, Disconnect, Event, FellBehind, LeftBehind, Limited,
    Mark, Notice, OwnCopy, Proven, RefusedConnect, Reply, Request, Upgraded, Words, WordsLearned,
};
use crate::dialect::{
    Asked, Class, ConnectRefusal, Decoded, Dialect, DialectSet, Entry, Fault, Voice, connect_error, fault_ack, kick_packet,
    kick_sentence, unknown_event_packet,
};
use crate::engineio::{CloseReason, ConnectionKey, Encoded, Opening, Output, Peer, TransportKind};
use crate::feed::{Args, Happening, What};
use crate::logging::{ErrorId, RefusalKind, RefusalNote};
use crate::model::{Account, PrivateId, SocketId, Timestamp, UserId};
use crate::socketio::{self, Incoming, IncomingEvent};

/// The namespace of the chat.
pub const NAMESPACE: &str = "/";
/// Longest name of an event in the log, in characters.
const MAX_LOGGED_NAME: usize = 100;

/// Tells whether a repeat of a request is recognized as one: a send that bears its client's own id.
fn is_safe_to_repeat(request: &Result<Decoded, Fault>) -> bool {
    let Ok(Decoded::Command { command, .. }) = request else { return false };
    command.draft().is_some_and(|draft| draft.client_message_id.is_some())
}

/// When something happens, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For lengths of time.
    pub instant: Instant,
    /// For what tokens say.
    pub wall: Timestamp,
}

/// Where a session's words for the broker go.
pub trait Broker {
    /// A client with a verified token wants in.
    fn connect(&mut self, message: Connect);
    /// It asks for something.
    fn request(&mut self, message: Request);
    /// Requests of it were refused because there were too many.
    fn limited(&mut self, message: Limited);
    /// It learned what it can show.
    fn words_learned(&mut self, message: WordsLearned);
    /// It is reached by a WebSocket now.
    fn upgraded(&mut self, message: Upgraded);
    /// A page of its catch-up has left.
    fn catch_up_drained(&mut self, message: CatchUpDrained);
    /// Too much waited for it: its catch-up is to go on.
    fn fell_behind(&mut self, message: FellBehind);
    /// Something has surely arrived.
    fn proven(&mut self, message: Proven);
    /// It is gone.
    fn disconnect(&mut self, message: Disconnect);
    /// It does something in the administrators' namespace.
    fn at_console(&mut self, message: AtConsole);
}

/// What a session works with during one call.
pub struct Surroundings<'a> {
    /// What holds for all sessions.
    pub rules: &'a Rules,
    /// The connection.
    pub wire: &'a mut dyn Output,
    /// The broker.
    pub broker: &'a mut dyn Broker,
}

/// How far a client has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// It is not in the chat.
    Out,
    /// The broker is asked whether it may come in.
    Connecting { socket: SocketId },
    /// It is in.
    In { socket: SocketId, account: Arc<Account> },
}

/// All that is known of one client. An idle one holds no memory of its own but this and a reference to its account.
#[derive(Debug)]
pub struct Session {
    pub(super) key: ConnectionKey,
    pub(super) protocol: socketio::Client,
    pub(super) stage: Stage,
    handshake: Handshake,
    pub(super) peer: Peer,
    pub(super) voice: Voice,
    /// Whether a cookie alone proved who it is.
    is_by_cookie: bool,
    /// Whether the server stops: nothing more is taken.
    is_stopping: bool,
    /// Whether it has asked for a namespace before.
    has_asked_in: bool,
    /// Before it was ever in: when it must be. Later: when its token expires.
    pub(super) ends_at: Option<Instant>,
    next_ticket: u32,
    pub(super) proof: Proof,
    pub(super) active: Option<Box<Active>>,
    pub(super) console: Option<Box<ConsoleSide>>,
}

impl Session {
    /// A connection has opened.
    pub fn open(rules: &Rules, key: ConnectionKey, opening: &Opening, now: Instant) -> Self {
        Self {
            key,
            protocol: socketio::Client::new(),
            stage: Stage::Out,
            handshake: Handshake::of(opening, rules.dialects, rules.allow_query_token),
            peer: opening.peer,
            voice: Voice::new(rules.dialects, DialectSet::EMPTY),
            is_by_cookie: false,
            is_stopping: false,
            has_asked_in: false,
            ends_at: now.checked_add(rules.connect_timeout),
            next_ticket: 0,
            proof: Proof::default(),
            active: None,
            console: None,
        }
    }

    /// A text message came.
    pub fn on_text(&mut self, text: &str, now: Now, around: &mut Surroundings<'_>) {
        match self.protocol.on_text(text) {
            Ok(Some(incoming)) => self.on_incoming(incoming, now, around),
            Ok(None) if self.protocol.is_assembling() => {
                self.active().attachments_due = now.instant.checked_add(around.rules.ping_timeout);
            }
            Ok(None) => {}
            Err(error) => self.violated(&error, around),
        }
    }

    /// A binary message came.
    pub fn on_binary(&mut self, data: Bytes, now: Now, around: &mut Surroundings<'_>) {
        // No event takes any: nothing of them is gathered.
        let outcome = self.protocol.on_binary(data, 0);
        if let Some(active) = self.active.as_mut().filter(|_| !self.protocol.is_assembling()) {
            active.attachments_due = None;
        }
        match outcome {
            Ok(Some(incoming)) => self.on_incoming(incoming, now, around),
            Ok(None) => self.tidy(now.instant),
            Err(error) => self.violated(&error, around),
        }
    }

    /// An event came that is shared by many.
    pub fn on_shared(&mut self, event: &Arc<Broadcast>, now: Instant, around: &mut Surroundings<'_>) {
        let Stage::In { account, .. } = &self.stage else { return };
        let viewer = &account.profile.id;
        if event.event().is_volatile() {
            let is_behind = self.active.as_ref().is_some_and(|active| !active.missed.is_empty());
            if is_behind || !show_volatile(self.voice, viewer, event, around.wire) {
                self.active().missed.add(event.event());
            }
            return;
        }
        if let Some(active) = &mut self.active
            && active.gate.is_shut()
        {
            return self.wait_behind(event, around);
        }
        let packets = show(self.voice, viewer, event, None, around.wire);
        self.proof.tell_event(event, viewer, packets, now, around.rules.proof_interval);
    }

    /// The broker has a word for this client.
    pub fn on_notice(&mut self, notice: Notice, now: Now, around: &mut Surroundings<'_>) {
        match notice {
            Notice::Admitted(admission) => self.admitted(*admission, now, around),
            Notice::Refused(refused) => self.refused(refused, around),
            Notice::Reply { ticket, reply } => self.replied(ticket, reply, now, around),
            Notice::Hold(event) if self.is_in() => self.active().gate.hold(event),
            Notice::Hold(_) => {}
            Notice::Settle { message, stored } => {
                if let Some(active) = &mut self.active {
                    active.gate.settle(message, stored);
                    self.feed(now.instant, around);
                }
            }
            Notice::CatchUp(page) => self.show_page(&page, now.instant, around),
            Notice::CatchUpDone => {
                if let Some(active) = &mut self.active {
                    active.gate.end_catch_up();
                    self.feed(now.instant, around);
                }
            }
            Notice::CatchUpGoesOn { serial } => {
                if let Some(active) = &mut self.active {
                    active.gate.go_on(serial);
                }
            }
            Notice::Kick { code } => self.put_out(code, around),
            Notice::Close(reason) => around.wire.close(reason),
            Notice::Console(notice) => self.on_console(notice, around),
        }
        self.tidy(now.instant);
    }

    /// The client has moved to a WebSocket.
    pub fn on_upgraded(&mut self, broker: &mut dyn Broker) {
        self.peer.transport = TransportKind::Websocket;
        if let Stage::Connecting { .. } | Stage::In { .. } = self.stage {
            broker.upgraded(Upgraded { connection: self.key });
        }
    }

    /// When [`Session::on_deadline`] wants to be called.
    #[inline]
    pub fn deadline(&self, rules: &Rules) -> Option<Instant> {
        let active = self.active.as_ref();
        let turn = active.and_then(|active| active.turns.deadline(&rules.limits));
        let attachments = active.and_then(|active| active.attachments_due);
        [self.ends_at, turn, attachments].into_iter().flatten().min()
    }

    /// The deadline has passed.
    pub fn on_deadline(&mut self, now: Now, around: &mut Surroundings<'_>) {
        if self.ends_at.is_some_and(|ends_at| ends_at <= now.instant) {
            self.ends_at = None;
            match self.stage {
                Stage::In { .. } => self.put_out("TOKEN_EXPIRED", around),
                Stage::Out | Stage::Connecting { .. } => {
                    let cause = "no namespace was joined in time (CONNECT_TIMEOUT)";
                    note(around.rules, self.refusal(RefusalKind::Connect, "CONNECT_TIMEOUT", cause));
                    around.wire.close(CloseReason::ConnectTimeout);
                }
            }
        }
        if self.active.as_ref().and_then(|active| active.attachments_due).is_some_and(|due| due <= now.instant) {
            self.active().attachments_due = None;
            return self.violated(&socketio::ProtocolError::AttachmentsLate, around);
        }
        while let Some(turn) = self.active.as_mut().and_then(|active| active.turns.next(&around.rules.limits, now.instant)) {
            self.run(turn, now, around);
        }
        self.tidy(now.instant);
    }

    /// The outbox has run empty.
    pub fn on_drained(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        self.console_drained(around);
        let (Some(active), Stage::In { account, .. }) = (&mut self.active, &self.stage) else { return };
        if active.gate.page_left() {
            around.broker.catch_up_drained(CatchUpDrained { connection: self.key });
        }
        for event in active.missed.take() {
            show_volatile(self.voice, &account.profile.id, &Broadcast::new(event), around.wire);
        }
        self.feed(now, around);
        self.tidy(now);
    }

    /// By when a ping is wanted.
    pub fn ping_wanted(&self) -> Option<Instant> {
        self.proof.wanted()
    }

    /// A ping was queued behind all that was sent by now.
    pub fn on_ping(&mut self) {
        self.proof.on_ping();
    }

    /// The last ping was answered.
    pub fn on_pong(&mut self, broker: &mut dyn Broker) {
        if let Some(mark) = self.proof.on_pong()
            && self.is_in()
        {
            broker.proven(Proven { connection: self.key, mark });
        }
    }

    /// The server stops: what waits is carried out at once, and nothing more is taken.
    pub fn on_stopping(&mut self, now: Now, around: &mut Surroundings<'_>) {
        self.is_stopping = true;
        while let Some(turn) = self.active.as_mut().and_then(|active| active.turns.pop()) {
            self.run(turn, now, around);
        }
        self.tidy(now.instant);
    }

    /// The server has stopped, and this connection is closed next: what is not answered by now may be stored or not.
    pub fn on_stopped(&mut self, now: Now, around: &mut Surroundings<'_>) {
        while let Some(pending) = self.active.as_mut().and_then(|active| active.pending.pop()) {
            let Pending { ticket: _, dialect, dialects, asked, ack_id } = pending;
            let fault = ChatError::NotStored.into();
            self.refuse_request(Refused { dialect, dialects, asked, ack_id }, &fault, now, around);
        }
    }

    /// The connection is gone.
    pub fn on_close(&mut self, reason: CloseReason, now: Instant, rules: &Rules, broker: &mut dyn Broker) {
        if let Stage::Connecting { .. } | Stage::In { .. } = self.stage {
            let left = self.leave_behind(now, rules);
            let (connection, proven) = (self.key, self.proof.proven());
            broker.disconnect(Disconnect { connection, on_purpose: false, reason, proven, left });
        }
        self.leave();
        self.leave_console(reason, broker);
    }

    /// Which socket this is and whose, once it is in.
    pub fn who(&self) -> Option<(SocketId, UserId)> {
        match &self.stage {
            Stage::In { socket, account } => Some((*socket, account.profile.id.clone())),
            Stage::Out | Stage::Connecting { .. } => None,
        }
    }

    /// What it is sent events in.
    pub fn heard(&self) -> DialectSet {
        self.voice.heard()
    }

    /// Whether it is known who the client is.
    pub fn is_known(&self) -> bool {
        self.is_in() || self.protocol.has_joined(CONSOLE)
    }

    /// Whether nothing is going on: all that is known stands in this value.
    pub fn is_idle(&self) -> bool {
        self.active.is_none() && !self.is_awaited_by_console()
    }

    /// Something came that asks for nothing.
    pub fn on_control(&mut self, now: Now, around: &mut Surroundings<'_>) {
        self.has_paid(now, around);
    }

    /// Counts what is not an event as a receipt; whether there was one left. Who sends more is closed as flooding.
    fn has_paid(&mut self, now: Now, around: &mut Surroundings<'_>) -> bool {
        if self.active().turns.pay_control(&around.rules.limits, now.instant) {
            return true;
        }
        if self.is_in() {
            self.put_out("RATE_LIMITED", around);
        } else {
            note(around.rules, self.refusal(RefusalKind::Connect, "RATE_LIMITED", "flooding with packets that ask for nothing"));
        }
        around.wire.close(CloseReason::ForcedClose);
        false
    }

    // ---- coming ----

    fn on_incoming(&mut self, incoming: Incoming, now: Now, around: &mut Surroundings<'_>) {
        let is_free = match &incoming {
            // The first one is what a connection is for.
            Incoming::Connect { .. } => !std::mem::replace(&mut self.has_asked_in, true),
            Incoming::Ack { .. } => false,
            // A DISCONNECT that says something follows a CONNECT.
            Incoming::Disconnect { .. } | Incoming::Event(_) => true,
        };
        if !is_free && !self.has_paid(now, around) {
            return;
        }
        match incoming {
            Incoming::Connect { namespace, auth } => self.on_connect(&namespace, auth.as_deref(), now, around),
            Incoming::Event(event) if event.namespace.as_ref() == CONSOLE => {
                self.ask_console(event.name, event.args, now, around)
            }
            Incoming::Event(event) => self.on_event(event, now, around),
            // Nothing that is sent asks for one.
            Incoming::Ack { .. } => {}
            Incoming::Disconnect { namespace } if namespace.as_ref() == CONSOLE => {
                self.leave_console(CloseReason::Disconnected, around.broker);
            }
            Incoming::Disconnect { .. } => {
                if self.is_in() {
                    let left = self.leave_behind(now.instant, around.rules);
                    around.broker.disconnect(Disconnect {
                        connection: self.key,
                        on_purpose: true,
                        reason: CloseReason::Disconnected,
                        proven: self.proof.proven(),
                        left,
                    });
                    self.leave();
                }
            }
        }
        self.tidy(now.instant);
    }

    fn on_connect(&mut self, namespace: &str, auth: Option<&RawValue>, now: Now, around: &mut Surroundings<'_>) {
        if namespace == CONSOLE && around.rules.has_console {
            return self.enter_console(auth, around);
        }
        if namespace != NAMESPACE {
            // The protocol has no place for an id in this one.
            let refusal = self.refusal(RefusalKind::Connect, "INVALID_NAMESPACE", "Invalid namespace");
            note(around.rules, RefusalNote { event: Some(namespace), ..refusal });
            let text = socketio::encode_connect_error(namespace, "Invalid namespace", None);
            self.protocol.forget_connecting(namespace);
            return around.wire.send(&Encoded::text(&text));
        }
        if !matches!(self.stage, Stage::Out) {
            return around.wire.close(CloseReason::ForcedClose);
        }
        let rules = around.rules;
        let pinned = match find_pin(auth, &self.handshake, rules.dialects) {
            Ok(pinned) => pinned,
            Err(_) => return self.refuse(ConnectRefusal::UnknownDialect, None, around),
        };
        self.voice = Voice::new(rules.dialects, pinned);
        let found = find_connect_token(auth, self.handshake.token.as_deref());
        let verified = found.and_then(|found| (rules.verify)(&found.text, now.wall).map(|claims| (claims, found.place)));
        let (back_to, offset) = find_return(auth);
        match verified {
            // It may serve for a session that comes back.
            Ok((claims, _)) if claims.is_expired(now.wall) && back_to.is_none() => {
                self.refuse(Refusal::TokenExpired.into(), None, around);
            }
            Ok((claims, place)) => {
                let (socket, pid) = (SocketId::parse(&(rules.random_ids)()), PrivateId::parse(&(rules.random_ids)()));
                let (Ok(socket), Ok(pid)) = (socket, pid) else { return around.wire.close(CloseReason::Internal) };
                let pid = back_to.map_or(pid, |earlier| pid.of_client(earlier));
                self.stage = Stage::Connecting { socket };
                self.is_by_cookie = place == TokenPlace::Cookie;
                around.broker.connect(Connect {
                    connection: self.key,
                    socket,
                    pid,
                    claims: Box::new(claims),
                    words: self.words(),
                    manner: self.voice.manner(),
                    back_to,
                    offset,
                    peer: self.peer,
                });
            }
            Err(error) => self.refuse(Refusal::from(error).into(), None, around),
        }
    }

    fn admitted(&mut self, admission: Admission, now: Now, around: &mut Surroundings<'_>) {
        let Stage::Connecting { .. } = self.stage else { return };
        let Admission { account, expires_at, catch_up, socket, pid, seed, serial, back } = admission;
        self.protocol.join(NAMESPACE);
        let connected = socketio::encode_connect(NAMESPACE, socket.as_str(), Some(pid.expose()));
        around.wire.send(&Encoded::text(&connected));
        let viewer = account.profile.id.clone();
        self.stage = Stage::In { socket, account };
        self.end_at(expires_at, now);
        match back {
            Some(Back { manner, missed, states }) => {
                self.voice = Voice::of_manner(around.rules.dialects, manner);
                let active = self.active();
                active.gate.push_missed(missed, seed);
                // Told when the outbox has run empty, where it differs from what was told before.
                states.iter().for_each(|state| active.missed.add(state.event()));
                self.feed(now.instant, around);
            }
            None => {
                show_seed(self.voice, &viewer, &seed, around.wire);
                match catch_up {
                    true => self.active().gate.begin_catch_up(serial),
                    false => self.proof.tell(Mark::Event(serial)),
                }
            }
        }
    }

    /// The session ends with its token.
    fn end_at(&mut self, expires_at: Option<Timestamp>, now: Now) {
        self.ends_at = expires_at.and_then(|expires_at| {
            let millis = expires_at.as_millis().saturating_sub(now.wall.as_millis());
            now.instant.checked_add(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
        });
    }

    fn show_connected(&self, around: &mut Surroundings<'_>) {
        let Stage::In { socket, account } = &self.stage else { return };
        let user = account.profile.id.clone();
        let event = Event::Connected { user, socket: *socket };
        show(self.voice, &account.profile.id, &Broadcast::new(event), None, around.wire);
    }

    fn refused(&mut self, refused: RefusedConnect, around: &mut Surroundings<'_>) {
        let Stage::Connecting { socket } = self.stage else { return };
        self.stage = Stage::Out;
        self.refuse(refused.into(), Some(socket), around);
    }

    fn refuse(&mut self, refusal: ConnectRefusal, socket: Option<SocketId>, around: &mut Surroundings<'_>) {
        let enabled = around.rules.dialects;
        let speakable = if refusal == ConnectRefusal::UnknownDialect { enabled } else { self.voice.speakable() };
        let error = connect_error(refusal, speakable, enabled);
        let (code, cause, sid) = (error.code, &*error.message, socket.as_ref().map(SocketId::as_str));
        let error_id = note(around.rules, RefusalNote { sid, ..self.refusal(RefusalKind::Connect, code, cause) });
        let text = socketio::encode_connect_error(NAMESPACE, &error.message, Some(&error.data(error_id)));
        self.protocol.forget_connecting(NAMESPACE);
        around.wire.send(&Encoded::text(&text));
    }

    // ---- asking ----

    fn on_event(&mut self, event: IncomingEvent, now: Now, around: &mut Surroundings<'_>) {
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
            // Without an answer the stock client repeats it by itself (`retries`), at the server that comes next.
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
        // Who waits for an answer gets one: stock clients with `retries` send nothing further until then.
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

    /// Learns the client's dialect from what it says; where that changes what it can show, the broker is told first.
    fn learn(&mut self, event: &str, broker: &mut dyn Broker) -> DialectSet {
        let before = self.voice;
        let dialects = self.voice.learn(event);
        if self.voice != before {
            let (connection, words, manner) = (self.key, self.words(), self.voice.manner());
            broker.words_learned(WordsLearned { connection, words, manner });
        }
        dialects
    }

    /// Carries out a request whose turn it is.
    fn run(&mut self, turn: Turn, now: Now, around: &mut Surroundings<'_>) {
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
        // A copy that waits is the answer that its front end waits for.
        if active.pending.len() + active.gate.own_copies() >= around.rules.limits.unanswered {
            let fault = ChatError::RateLimited { retry_after: Duration::from_secs(1) }.into();
            return self.refuse_request(Refused { dialect, dialects, asked, ack_id }, &fault, now, around);
        }
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        self.active().pending.insert(Pending { ticket, dialect, dialects, asked, ack_id });
        around.broker.request(Request { connection: self.key, ticket, command, own_copy });
    }

    fn refuse_request(&self, refused: Refused, fault: &Fault, now: Now, around: &mut Surroundings<'_>) {
        let error_id = self.note_fault(around.rules, refused.asked.event, fault);
        let refused = Refused { asked: Asked { error_id, ..refused.asked.answered(now.wall) }, ..refused };
        answer_refusal(&refused, fault, self.voice, around.rules, around.wire);
    }

    fn replied(&mut self, ticket: u32, reply: Result<Reply, ChatError>, now: Now, around: &mut Surroundings<'_>) {
        // A client that left and came back has forgotten what it asked before.
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

    // ---- going ----

    /// Puts the client out for good.
    fn put_out(&mut self, code: &'static str, around: &mut Surroundings<'_>) {
        if !self.is_in() {
            return;
        }
        let error_id = note(around.rules, self.refusal(RefusalKind::Disconnect, code, kick_sentence(code)));
        around.wire.send(&Encoded::text(&kick_packet(code, error_id)));
        around.wire.send(&Encoded::text(&socketio::encode_disconnect(NAMESPACE)));
        self.protocol.leave(NAMESPACE);
        let (connection, proven) = (self.key, self.proof.proven());
        let (reason, left) = (CloseReason::Disconnected, LeftBehind::Dropped);
        around.broker.disconnect(Disconnect { connection, on_purpose: true, reason, proven, left });
        self.leave();
        if !self.protocol.has_joined(CONSOLE) {
            around.wire.close(CloseReason::Disconnected);
        }
    }

    fn violated(&mut self, error: &socketio::ProtocolError, around: &mut Surroundings<'_>) {
        let (kind, cause) = (if self.is_in() { RefusalKind::Disconnect } else { RefusalKind::Connect }, error.to_string());
        note(around.rules, self.refusal(kind, "PROTOCOL_VIOLATION", &cause));
        around.wire.close(CloseReason::ForcedClose);
    }

    /// The requests that wait, which are carried out without this connection.
    fn leave_behind(&mut self, now: Instant, rules: &Rules) -> LeftBehind {
        let active = self.active.as_mut();
        LeftBehind::Requests(active.map(|active| active.turns.leave_behind(&rules.limits, now)).unwrap_or_default())
    }

    fn leave(&mut self) {
        self.stage = Stage::Out;
        // Who comes back on the same connection has not paid less.
        self.active = self.active.take().and_then(|active| active.left());
        self.ends_at = None;
        self.proof = Proof::default();
    }

    // ---- the log ----

    /// What is known of a refusal of this client.
    fn refusal<'a>(&'a self, kind: RefusalKind, code: &'static str, cause: &'a str) -> RefusalNote<'a> {
        let (sid, user) = match &self.stage {
            Stage::Out => (None, None),
            Stage::Connecting { socket } => (Some(socket.as_str()), None),
            Stage::In { socket, account } => (Some(socket.as_str()), Some(account.profile.id.as_str())),
        };
        RefusalNote { kind, code, cause, sid, user, event: None, address: self.peer.address }
    }

    /// Takes note that an event is refused.
    fn note_fault(&self, rules: &Rules, event: &str, fault: &Fault) -> Option<ErrorId> {
        let cause = fault.sentence();
        note(rules, RefusalNote { event: Some(event), ..self.refusal(RefusalKind::Event, fault.code(), &cause) })
    }

    // ---- helpers ----

    pub(super) fn is_in(&self) -> bool {
        matches!(self.stage, Stage::In { .. })
    }

    fn words(&self) -> Words {
        self.words_of(self.voice)
    }

    fn words_of(&self, voice: Voice) -> Words {
        Words { unproven: self.is_by_cookie && voice.spoken().is_empty(), ..voice.words() }
    }

    pub(super) fn active(&mut self) -> &mut Active {
        self.active.get_or_insert_default()
    }

    fn tidy(&mut self, now: Instant) {
        let Some(active) = &mut self.active else { return };
        active.turns.forget_past(now);
        if active.is_idle() {
            self.active = None;
        }
    }
}

fn note(rules: &Rules, note: RefusalNote<'_>) -> Option<ErrorId> {
    (rules.note_refusal)(&note)
}

/// Which of `dialects` carries out an event that all of them have.
fn executor(dialects: DialectSet, event: &str, args: &socketio::Args) -> Option<(Dialect, &'static Entry)> {
    let first = dialects.iter().next()?;
    let preferred =
        dialects.iter().find(|dialect| dialect.entry(event).is_some_and(|entry| dialect.takes_precedence(entry.name, args)));
    let dialect = preferred.unwrap_or(first);
    dialect.entry(event).map(|entry| (dialect, entry))
}

/// A name that a client made up, for the log.
fn shortened(name: &str) -> &str {
    name.char_indices().nth(MAX_LOGGED_NAME).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}
