//! The CONNECT of a client, and the broker's answer.
use serde_json::value::RawValue;

use super::credentials::{find_pin, find_return};
use super::namespaces::{CONSOLE, NAMESPACE};
use super::showing::{show, show_seed};
use super::state::{Session, Stage};
use super::surroundings::{Now, Surroundings};
use crate::auth::{Refusal, TokenPlace, find_connect_token};
use crate::chat::{Admission, Back, Broadcast, Connect, Event, Mark, RefusedConnect};
use crate::dialect::{ConnectRefusal, Voice, connect_error};
use crate::engineio::{CloseReason, Encoded};
use crate::logging::{RefusalKind, RefusalNote};
use crate::model::{PrivateId, SocketId};
use crate::socketio;

impl Session {
    /// Handles a CONNECT.
    pub(super) fn on_connect(&mut self, namespace: &str, auth: Option<&RawValue>, now: Now, around: &mut Surroundings<'_>) {
        if namespace == CONSOLE && around.rules.has_console {
            return self.enter_console(auth, around);
        }
        if namespace != NAMESPACE {
            // The protocol has no field for an id in this packet.
            let refusal = self.refusal(RefusalKind::Connect, "INVALID_NAMESPACE", "Invalid namespace");
            around.rules.note(RefusalNote { event: Some(namespace), ..refusal });
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
            // An expired token may still resume a session.
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

    /// Handles the admission of the client.
    pub(super) fn admitted(&mut self, admission: Admission, now: Now, around: &mut Surroundings<'_>) {
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
                // Sent once the outbox is empty, if it differs from the state sent before.
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

    /// Shows the client that it is connected.
    pub(super) fn show_connected(&self, around: &mut Surroundings<'_>) {
        let Stage::In { socket, account } = &self.stage else { return };
        let user = account.profile.id.clone();
        let event = Event::Connected { user, socket: *socket };
        show(self.voice, &account.profile.id, &Broadcast::new(event), None, around.wire);
    }

    /// Handles the refusal of the client.
    pub(super) fn refused(&mut self, refused: RefusedConnect, around: &mut Surroundings<'_>) {
        let Stage::Connecting { socket } = self.stage else { return };
        self.stage = Stage::Out;
        self.refuse(refused.into(), Some(socket), around);
    }

    fn refuse(&mut self, refusal: ConnectRefusal, socket: Option<SocketId>, around: &mut Surroundings<'_>) {
        let enabled = around.rules.dialects;
        let speakable = if refusal == ConnectRefusal::UnknownDialect { enabled } else { self.voice.speakable() };
        let error = connect_error(refusal, speakable, enabled);
        let (code, cause, sid) = (error.code, &*error.message, socket.as_ref().map(SocketId::as_str));
        let error_id = around.rules.note(RefusalNote { sid, ..self.refusal(RefusalKind::Connect, code, cause) });
        let text = socketio::encode_connect_error(NAMESPACE, &error.message, Some(&error.data(error_id)));
        self.protocol.forget_connecting(NAMESPACE);
        around.wire.send(&Encoded::text(&text));
    }
}
