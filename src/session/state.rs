//! One client, as a value.
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::active::Active;
use super::console_side::ConsoleSide;
use super::credentials::Handshake;
use super::namespaces::CONSOLE;
use super::proof::Proof;
use super::rules::Rules;
use super::surroundings::Now;
use crate::chat::Words;
use crate::dialect::{DialectSet, Fault, Voice};
use crate::engineio::{ConnectionKey, Opening, Peer};
use crate::logging::{ErrorId, RefusalKind, RefusalNote};
use crate::model::{Account, SocketId, Timestamp, UserId};
use crate::socketio;

/// Progress of a client on its way into the chat.
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
    pub(super) handshake: Handshake,
    pub(super) peer: Peer,
    pub(super) voice: Voice,
    /// Set if a cookie alone proved who it is.
    pub(super) is_by_cookie: bool,
    /// Set once the server stops: nothing more is taken.
    pub(super) is_stopping: bool,
    /// Set once it has asked for a namespace before.
    pub(super) has_asked_in: bool,
    /// Before it was ever in: when it must be. Later: when its token expires.
    pub(super) ends_at: Option<Instant>,
    pub(super) next_ticket: u32,
    pub(super) proof: Proof,
    pub(super) active: Option<Box<Active>>,
    pub(super) console: Option<Box<ConsoleSide>>,
}

impl Session {
    /// Returns the session of a connection that has opened.
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

    /// Returns which socket this is and whose, once it is in.
    pub fn who(&self) -> Option<(SocketId, UserId)> {
        match &self.stage {
            Stage::In { socket, account } => Some((*socket, account.profile.id.clone())),
            Stage::Out | Stage::Connecting { .. } => None,
        }
    }

    /// Returns the dialects that it is sent events in.
    pub fn heard(&self) -> DialectSet {
        self.voice.heard()
    }

    /// Tells whether it is known who the client is.
    pub fn is_known(&self) -> bool {
        self.is_in() || self.protocol.has_joined(CONSOLE)
    }

    /// Tells whether nothing is going on: all that is known stands in this value.
    pub fn is_idle(&self) -> bool {
        self.active.is_none() && !self.console.as_ref().is_some_and(|side| side.is_awaited)
    }

    pub(super) fn is_in(&self) -> bool {
        matches!(self.stage, Stage::In { .. })
    }

    /// Returns when [`Session::on_deadline`] wants to be called.
    #[inline]
    pub fn deadline(&self, rules: &Rules) -> Option<Instant> {
        let active = self.active.as_ref();
        let turn = active.and_then(|active| active.turns.deadline(&rules.limits));
        let attachments = active.and_then(|active| active.attachments_due);
        [self.ends_at, turn, attachments].into_iter().flatten().min()
    }

    /// Returns by when a ping is wanted.
    pub fn ping_wanted(&self) -> Option<Instant> {
        self.proof.wanted()
    }

    /// A ping was queued behind all that was sent by now.
    pub fn on_ping(&mut self) {
        self.proof.on_ping();
    }

    pub(super) fn active(&mut self) -> &mut Active {
        self.active.get_or_insert_default()
    }

    /// Forgets what time has made good.
    #[inline]
    pub(super) fn tidy(&mut self, now: Instant) {
        let Some(active) = &mut self.active else { return };
        active.turns.forget_past(now);
        if active.is_idle() {
            self.active = None;
        }
    }

    /// Returns what it can show, as the broker is told.
    pub(super) fn words(&self) -> Words {
        Words { unproven: self.is_by_cookie && self.voice.spoken().is_empty(), ..self.voice.words() }
    }

    /// The session ends with its token.
    pub(super) fn end_at(&mut self, expires_at: Option<Timestamp>, now: Now) {
        self.ends_at = expires_at.and_then(|expires_at| {
            let millis = expires_at.as_millis().saturating_sub(now.wall.as_millis());
            now.instant.checked_add(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
        });
    }

    /// Returns what is known of a refusal of this client.
    pub(super) fn refusal<'a>(&'a self, kind: RefusalKind, code: &'static str, cause: &'a str) -> RefusalNote<'a> {
        let (sid, user) = match &self.stage {
            Stage::Out => (None, None),
            Stage::Connecting { socket } => (Some(socket.as_str()), None),
            Stage::In { socket, account } => (Some(socket.as_str()), Some(account.profile.id.as_str())),
        };
        RefusalNote { kind, code, cause, sid, user, event: None, address: self.peer.address }
    }

    /// Takes note that an event is refused.
    pub(super) fn note_fault(&self, rules: &Rules, event: &str, fault: &Fault) -> Option<ErrorId> {
        let cause = fault.sentence();
        rules.note(RefusalNote { event: Some(event), ..self.refusal(RefusalKind::Event, fault.code(), &cause) })
    }
}
