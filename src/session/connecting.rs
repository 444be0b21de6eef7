//! The CONNECT of a client, and the broker's answer.
use serde_json::value::RawValue;

use super::call_context::{CallContext, Now};
use super::credentials::{find_pin, find_recovery, find_return, keys_of};
use super::identity::Identity;
use super::namespaces::{CONSOLE, NAMESPACE, NamespaceName};
use super::ports::{AskConnect, KeysWanted};
use super::showing::{show, show_initial_offset};
use super::state::{Session, Stage};
use crate::auth::{AuthError, TokenError, TokenPlace, find_connect_token};
use crate::chat::{Admission, Broadcast, Connect, ConnectVerdict, Event, RefusedConnect, ResumeData, Watermark};
use crate::dialect::{ConnectRefusal, DialectState, connect_error, guest_packet};
use crate::engineio::{CloseReason, Encoded};
use crate::logging::{RefusalKind, RefusalNote};
use crate::model::{PrivateId, SocketId, UserId};
use crate::socketio;

impl Session {
    /// Handles a CONNECT.
    pub(super) fn on_connect(&mut self, namespace: &str, auth: Option<&RawValue>, now: Now, cx: &mut CallContext<'_>) {
        if namespace == CONSOLE && cx.rules.has_console {
            return self.enter_console(auth, cx);
        }
        let Some(name) = NamespaceName::find(namespace, &cx.rules.namespaces) else {
            // The protocol has no field for an id in this packet.
            let refusal = self.refusal(RefusalKind::Connect, "INVALID_NAMESPACE", "Invalid namespace");
            cx.rules.note(RefusalNote { event: Some(namespace), ..refusal });
            let text = socketio::encode_connect_error(namespace, "Invalid namespace", None);
            self.protocol.forget_connecting(namespace);
            return cx.output.send(&Encoded::text(&text));
        };
        if !matches!(self.stage, Stage::Out) {
            if name == self.namespace {
                return cx.output.close(CloseReason::ForcedClose);
            }
            return self.refuse_second(namespace, cx);
        }
        self.namespace = name;
        let rules = cx.rules;
        let enabled = rules.dialects.current();
        let keys = keys_of(auth);
        let Ok(requested) = find_pin(&keys, &self.handshake, enabled) else {
            return self.refuse(ConnectRefusal::UnknownDialect, None, cx);
        };
        self.dialect_state = DialectState::new(enabled, requested.current());
        let Ok(recovers) = find_recovery(&keys, &self.handshake) else {
            return self.refuse(ConnectRefusal::BadRecovery, None, cx);
        };
        self.recovers = rules.offsets && recovers;
        let found = find_connect_token(auth, self.handshake.token());
        // Its front end may have no word for a token, whether it is a guest yet or not.
        let is_stranger = rules.guests.is_some() && found == Err(TokenError::Missing);
        let verified = self.identify(found, &keys, rules, now);
        if is_stranger || matches!(verified, Ok((_, _, Some(_)))) {
            self.dialect_state = DialectState::new(rules.dialects_of_guests(), requested.current());
        }
        if let (Ok((_, _, Some(guest))), Some(guests)) = (&verified, &rules.guests)
            && guest.is_new
            && !(guests.may_come)(self.peer.address, now.instant)
        {
            rules.note(self.refusal(RefusalKind::Connect, "RATE_LIMITED", "too many new guests of this address"));
            return cx.output.close(CloseReason::Unavailable);
        }
        match verified {
            // New keys of an issuer must not cause refusals. `CONNECT_TIMEOUT` limits the wait.
            Err(TokenError::KeyUnknown) => {
                self.stage = Stage::Verifying { auth: auth.map(ToOwned::to_owned) };
                cx.broker.keys_wanted(KeysWanted { connection: self.key });
            }
            verified if rules.asks_connect => {
                let proven = verified.ok().filter(|(.., guest)| guest.as_ref().is_none_or(|guest| !guest.is_new));
                self.ask_hook(proven.map(|(claims, ..)| claims.user), auth, cx);
            }
            verified => self.come_in(verified, auth, now, cx),
        }
    }

    /// Has the operator's hook asked about a CONNECT; `user` is proven by a token.
    fn ask_hook(&mut self, user: Option<UserId>, auth: Option<&RawValue>, cx: &mut CallContext<'_>) {
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        let (auth, headers) = (auth.map(ToOwned::to_owned), self.handshake.headers());
        self.stage = Stage::Asking { ticket, auth: auth.clone() };
        let (connection, address) = (self.key, self.peer.address);
        cx.broker.ask_connect(AskConnect { connection, ticket, user, auth, headers, address });
    }

    /// Handles the hook's answer about a CONNECT.
    pub(super) fn connect_judged(&mut self, asked: u32, verdict: ConnectVerdict, now: Now, cx: &mut CallContext<'_>) {
        // A client that left meanwhile has forgotten its CONNECT.
        let Stage::Asking { ticket, auth } = &mut self.stage else { return };
        if *ticket != asked {
            return;
        }
        let auth = auth.take();
        self.stage = Stage::Out;
        let verified = match verdict {
            ConnectVerdict::Allowed => {
                let found = find_connect_token(auth.as_deref(), self.handshake.token());
                self.identify(found, &keys_of(auth.as_deref()), cx.rules, now)
            }
            ConnectVerdict::Named(claims) => {
                let place = if auth.is_some() { TokenPlace::Bearer } else { TokenPlace::Cookie };
                Ok((*claims, place, None))
            }
            ConnectVerdict::Refused(refusal) => return self.refuse(ConnectRefusal::Hook(*refusal), None, cx),
            ConnectVerdict::Failed => return self.refuse(ConnectRefusal::HookFailed, None, cx),
        };
        self.come_in(verified, auth.as_deref(), now, cx);
    }

    /// Asks the broker to admit the client, as whom its token or the hook says it is, or as a guest.
    fn come_in(&mut self, verified: Result<Identity, TokenError>, auth: Option<&RawValue>, now: Now, cx: &mut CallContext<'_>) {
        let rules = cx.rules;
        match verified {
            Ok((claims, place, guest)) => {
                let (back_to, offset) = if self.recovers { find_return(&keys_of(auth), &claims.user) } else { (None, None) };
                // An expired token may still resume a session.
                if claims.is_expired(now.wall) && back_to.is_none() {
                    return self.refuse(AuthError::TokenExpired.into(), None, cx);
                }
                let (socket, pid) = (SocketId::parse(&(rules.random_ids)()), PrivateId::parse(&(rules.random_ids)()));
                let (Ok(socket), Ok(pid)) = (socket, pid) else { return cx.output.close(CloseReason::Internal) };
                let earlier = back_to.filter(|earlier| earlier.is_of(&claims.user));
                let pid = earlier.map_or_else(|| pid.of_user(&claims.user), |earlier| pid.of_client(earlier));
                self.stage = Stage::Connecting { socket };
                self.is_by_cookie = place == TokenPlace::Cookie;
                cx.broker.connect(Connect {
                    connection: self.key,
                    socket,
                    pid,
                    claims: Box::new(claims),
                    capabilities: self.capabilities(),
                    client_dialects: self.dialect_state.client_dialects(),
                    back_to,
                    offset,
                    guest,
                    peer: self.peer,
                });
            }
            Err(error) => self.refuse(AuthError::from(error).into(), None, cx),
        }
    }

    /// Refuses a second name of the chat on one connection, which has one session.
    fn refuse_second(&mut self, namespace: &str, cx: &mut CallContext<'_>) {
        let message = format!("This connection is in the chat already, as {}", self.namespace(cx.rules));
        let refusal = self.refusal(RefusalKind::Connect, "INVALID_NAMESPACE", &message);
        cx.rules.note(RefusalNote { event: Some(namespace), ..refusal });
        self.protocol.forget_connecting(namespace);
        cx.output.send(&Encoded::text(&socketio::encode_connect_error(namespace, &message, None)));
    }

    /// Handles the admission of the client.
    pub(super) fn admitted(&mut self, admission: Admission, now: Now, cx: &mut CallContext<'_>) {
        let Stage::Connecting { .. } = self.stage else { return };
        let Admission { account, expires_at, catch_up, socket, pid, initial_offset, event_seq, resume_data } = admission;
        self.protocol.join(self.namespace(cx.rules));
        let pid = self.recovers.then(|| pid.expose());
        let connected = socketio::encode_connect(NAMESPACE, socket.as_str(), pid);
        cx.output.send(&Encoded::text(&connected));
        if let Event::Connected { token: Some(token), .. } = initial_offset.event() {
            cx.output.send(&Encoded::text(&guest_packet(&account.profile, token)));
        }
        let viewer = account.profile.id.clone();
        self.stage = Stage::In { socket, account };
        self.end_at(expires_at, now);
        match resume_data {
            Some(ResumeData { client_dialects, missed, states }) => {
                let enabled = if viewer.is_guest() { cx.rules.dialects_of_guests() } else { cx.rules.dialects };
                self.dialect_state = DialectState::of_client_dialects(enabled, client_dialects);
                let active = self.active();
                active.hold_queue.push_missed(missed, initial_offset);
                // Sent once the outbox is empty, if it differs from the state sent before.
                states.iter().for_each(|state| active.missed.add(state.event()));
                self.feed(now.instant, cx);
            }
            None => {
                show_initial_offset(self.view(), &viewer, &initial_offset, cx.output);
                match catch_up {
                    true => self.active().hold_queue.begin_catch_up(event_seq),
                    false => self.confirmation.note_sent(Watermark::Event(event_seq)),
                }
            }
        }
    }

    /// Shows the client that it is connected.
    pub(super) fn show_connected(&self, cx: &mut CallContext<'_>) {
        let Stage::In { socket, account } = &self.stage else { return };
        let user = account.profile.id.clone();
        let event = Event::Connected { user, socket: *socket, token: None };
        show(self.view(), &account.profile.id, &Broadcast::new(event), None, cx.output);
    }

    /// Handles the refusal of the client.
    pub(super) fn refused(&mut self, refused: RefusedConnect, cx: &mut CallContext<'_>) {
        let Stage::Connecting { socket } = self.stage else { return };
        self.stage = Stage::Out;
        self.refuse(refused.into(), Some(socket), cx);
    }

    fn refuse(&mut self, refusal: ConnectRefusal, socket: Option<SocketId>, cx: &mut CallContext<'_>) {
        let enabled = cx.rules.dialects.current();
        let speakable = if refusal == ConnectRefusal::UnknownDialect { enabled } else { self.dialect_state.speakable() };
        let error = connect_error(refusal, speakable, enabled);
        let (code, cause, sid) = (error.code, &*error.message, socket.as_ref().map(SocketId::as_str));
        let error_id = cx.rules.note(RefusalNote { sid, ..self.refusal(RefusalKind::Connect, code, cause) });
        let namespace = self.namespace(cx.rules);
        let text = socketio::encode_connect_error(namespace, &error.message, Some(&error.data(error_id)));
        self.protocol.forget_connecting(namespace);
        cx.output.send(&Encoded::text(&text));
    }
}
