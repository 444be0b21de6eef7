//! The state of one client.
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::active::Active;
use super::call_context::Now;
use super::confirmation::Confirmation;
use super::console_side::ConsoleSide;
use super::credentials::Handshake;
use super::namespaces::{CONSOLE, NamespaceName};
use super::rules::Rules;
use super::showing::View;
use crate::chat::Capabilities;
use crate::dialect::{DialectSet, DialectState, RequestError};
use crate::engineio::{ConnectionKey, Opening, Peer};
use crate::logging::{ErrorId, RefusalKind, RefusalNote};
use crate::model::{Account, SocketId, Timestamp, UserId};
use crate::socketio;

/// Progress of a client into the chat.
#[derive(Debug)]
pub(super) enum Stage {
    /// Not connected.
    Out,
    /// Its token names an unknown key, and the issuer is being asked.
    Verifying { auth: Option<Box<RawValue>> },
    /// The operator's hook is being asked, under this number.
    Asking { ticket: u32, auth: Option<Box<RawValue>> },
    /// The broker is deciding.
    Connecting { socket: SocketId },
    /// Connected.
    In { socket: SocketId, account: Arc<Account> },
}

/// State of one client. An idle one uses no other memory but its share of the account.
#[derive(Debug)]
pub struct Session {
    pub(super) key: ConnectionKey,
    pub(super) protocol: socketio::Client,
    pub(super) stage: Stage,
    /// The name by which its client last asked for the chat.
    pub(super) namespace: NamespaceName,
    pub(super) handshake: Handshake,
    pub(super) peer: Peer,
    pub(super) dialect_state: DialectState,
    /// Set if its client understands connection state recovery: only then it is told of ids and offsets to return by.
    pub(super) recovers: bool,
    /// Set if the client was authenticated by a cookie alone.
    pub(super) is_by_cookie: bool,
    /// Set once the server stops: nothing more is taken.
    pub(super) is_stopping: bool,
    /// Set after the first CONNECT.
    pub(super) has_asked_in: bool,
    /// Time by which the client must have connected; after that, expiry of its token.
    pub(super) ends_at: Option<Instant>,
    pub(super) next_ticket: u32,
    pub(super) confirmation: Confirmation,
    pub(super) active: Option<Box<Active>>,
    pub(super) console: Option<Box<ConsoleSide>>,
}

impl Session {
    /// Makes the session of a connection that has opened.
    pub fn open(rules: &Rules, key: ConnectionKey, opening: &Opening, now: Instant) -> Self {
        Self {
            key,
            protocol: socketio::Client::new(),
            stage: Stage::Out,
            namespace: NamespaceName::default(),
            handshake: Handshake::of(opening, rules.dialects.current(), rules.allow_query_token, rules.guests.is_some()),
            peer: opening.peer,
            dialect_state: DialectState::new(rules.dialects.current(), DialectSet::EMPTY),
            recovers: rules.offsets,
            is_by_cookie: false,
            is_stopping: false,
            has_asked_in: false,
            ends_at: now.checked_add(rules.connect_timeout),
            next_ticket: 0,
            confirmation: Confirmation::default(),
            active: None,
            console: None,
        }
    }

    /// Returns the socket and its user, once connected.
    pub fn who(&self) -> Option<(SocketId, UserId)> {
        match &self.stage {
            Stage::In { socket, account } => Some((*socket, account.profile.id.clone())),
            Stage::Out | Stage::Verifying { .. } | Stage::Asking { .. } | Stage::Connecting { .. } => None,
        }
    }

    /// Returns the dialects in which events are sent.
    pub fn receives_in(&self) -> DialectSet {
        self.dialect_state.receives_in()
    }

    /// Returns whether the client is authenticated.
    pub fn is_known(&self) -> bool {
        self.is_in() || self.protocol.has_joined(CONSOLE)
    }

    /// Returns whether nothing is pending.
    pub fn is_idle(&self) -> bool {
        self.active.is_none() && !self.console.as_ref().is_some_and(|side| side.is_awaited)
    }

    pub(super) fn is_in(&self) -> bool {
        matches!(self.stage, Stage::In { .. })
    }

    /// Returns the time at which to call [`Session::on_deadline`].
    #[inline]
    pub fn deadline(&self, rules: &Rules) -> Option<Instant> {
        let active = self.active.as_ref();
        let queued = active.and_then(|active| active.request_queue.deadline(&rules.limits));
        let attachments = active.and_then(|active| active.attachments_due);
        [self.ends_at, queued, attachments].into_iter().flatten().min()
    }

    /// Returns the time by which a ping is wanted.
    pub fn ping_wanted(&self) -> Option<Instant> {
        self.confirmation.wanted()
    }

    /// Records that a ping was queued behind everything sent so far.
    pub fn on_ping(&mut self) {
        self.confirmation.on_ping();
    }

    /// Returns the name by which its client calls the chat's namespace.
    pub(super) fn namespace<'a>(&self, rules: &'a Rules) -> &'a str {
        self.namespace.of(&rules.namespaces)
    }

    /// Returns whether its client has another name for the chat's namespace, so that packets have to bear it.
    #[inline]
    pub(super) fn is_elsewhere(&self) -> bool {
        self.namespace.is_other()
    }

    /// Returns the way in which it is shown events.
    #[inline]
    pub(super) fn view(&self) -> View {
        View { dialect_state: self.dialect_state, has_offsets: self.recovers }
    }

    pub(super) fn active(&mut self) -> &mut Active {
        self.active.get_or_insert_default()
    }

    /// Drops state that time has made irrelevant.
    #[inline]
    pub(super) fn tidy(&mut self, now: Instant) {
        let Some(active) = &mut self.active else { return };
        active.request_queue.forget_past(now);
        if active.is_idle() {
            self.active = None;
        }
    }

    /// Returns the kinds of events that it can show, for the broker.
    pub(super) fn capabilities(&self) -> Capabilities {
        Capabilities {
            unconfirmed: self.is_by_cookie && self.dialect_state.speaks().is_empty(),
            ..self.dialect_state.capabilities()
        }
    }

    /// Ends the session when its token expires.
    pub(super) fn end_at(&mut self, expires_at: Option<Timestamp>, now: Now) {
        self.ends_at = expires_at.and_then(|expires_at| {
            let millis = expires_at.as_millis().saturating_sub(now.wall.as_millis());
            now.instant.checked_add(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
        });
    }

    /// Returns the log entry for a refusal of this client.
    pub(super) fn refusal<'a>(&'a self, kind: RefusalKind, code: &'static str, cause: &'a str) -> RefusalNote<'a> {
        let (sid, user) = match &self.stage {
            Stage::Out | Stage::Verifying { .. } | Stage::Asking { .. } => (None, None),
            Stage::Connecting { socket } => (Some(socket.as_str()), None),
            Stage::In { socket, account } => (Some(socket.as_str()), Some(account.profile.id.as_str())),
        };
        RefusalNote { kind, code, cause, sid, user, event: None, address: self.peer.address }
    }

    /// Logs the refusal of an event.
    pub(super) fn note_request_error(&self, rules: &Rules, event: &str, request_error: &RequestError) -> Option<ErrorId> {
        let cause = request_error.sentence();
        rules.note(RefusalNote { event: Some(event), ..self.refusal(RefusalKind::Event, request_error.code(), &cause) })
    }
}
