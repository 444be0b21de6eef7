//! What became of one message: who has it, who lacks it, and what stands in the way.
use actix::Message;

use super::broker::Broker;
use super::resuming::was_told;
use super::rooms::RoomKey;
use super::tables::Places;
use crate::model::{ConversationId, ConversationKind, MessageId, SocketId, Timestamp, UserId};

/// Asks what is known here of a message of a conversation.
#[derive(Message, Debug, Clone)]
#[rtype(result = "MessageTrace")]
pub struct TraceMessage {
    /// Which.
    pub message: MessageId,
    /// Where it stands.
    pub conversation: ConversationId,
    /// Of which kind that is.
    pub kind: ConversationKind,
    /// Its number there.
    pub seq: i64,
    /// Of whom it is asked.
    pub members: Vec<UserId>,
}

/// What is known of a message in memory: of those of the last minutes more than of others.
#[derive(Debug, Clone, Default)]
pub struct MessageTrace {
    /// Whether it is being stored.
    pub is_in_flight: bool,
    /// When it was handed out, where that is remembered.
    pub handed_at: Option<Timestamp>,
    /// Each member that was asked for, in their order.
    pub members: Vec<MemberTrace>,
}

/// Where a member is with a message.
#[derive(Debug, Clone, Default)]
pub struct MemberTrace {
    /// Whether the member is known to have received it.
    pub has_received: bool,
    /// The member's sessions, open and parked.
    pub sessions: Vec<SessionTrace>,
}

/// Where a session is with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTrace {
    /// Its socket.
    pub socket: SocketId,
    /// What stands in the way.
    pub state: SessionState,
}

/// What a session has of a message, or what stands in the way; the first that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Its dialects have no word for messages of this kind.
    NoWord,
    /// Known by a cookie alone, it has said nothing yet: what it is sent proves nothing.
    Unproven,
    /// It muted the conversation.
    Muted,
    /// Its connection is lost; the message is kept for its return.
    Parked,
    /// It is being shown what it missed; the message comes in its turn.
    CatchingUp,
    /// It was sent, and an answer to a heartbeat proves that it arrived.
    Proven,
    /// It was sent; the answer to a heartbeat has not come yet.
    Sent,
    /// It came after the message was handed out, and was caught up by then.
    CameLater,
    /// What was sent when is not remembered.
    Unknown,
}

/// What decides about a session's [`SessionState`].
struct Seen<'a> {
    words: super::Words,
    places: Option<&'a Places>,
    told_after: u64,
    proven: Option<u64>,
    is_catching_up: bool,
}

impl Broker {
    pub(super) fn trace_message(&self, asked: &TraceMessage) -> MessageTrace {
        let TraceMessage { message, conversation, kind, seq, members } = asked;
        let handed = self.conversations.get(conversation).and_then(|cached| cached.handed.find(*seq));
        let serial = handed.map(|handed| handed.serial);
        let of_member = |user: &UserId| MemberTrace {
            has_received: self.has_received(user, *conversation, *seq),
            sessions: self.session_traces(user, *conversation, *kind, serial),
        };
        MessageTrace {
            is_in_flight: self.in_flight.contains_key(message),
            handed_at: handed.map(|handed| handed.at),
            members: members.iter().map(of_member).collect(),
        }
    }

    fn session_traces(
        &self,
        user: &UserId,
        conversation: ConversationId,
        kind: ConversationKind,
        serial: Option<u64>,
    ) -> Vec<SessionTrace> {
        let Some(entry) = self.users.get(user) else { return Vec::new() };
        let open = entry.sessions.iter().filter_map(|connection| self.sessions.get(connection)).map(|session| {
            let seen = Seen {
                words: session.words,
                places: session.places.as_deref(),
                told_after: session.told_after,
                proven: Some(session.proven),
                is_catching_up: session.catch_up.is_some(),
            };
            SessionTrace { socket: session.socket, state: seen.state(conversation, kind, serial) }
        });
        let parked = entry.parked.iter().filter_map(|pid| self.parked.find(pid)).map(|parked| {
            let seen = Seen {
                words: parked.words,
                places: parked.places.as_deref(),
                told_after: parked.told_after,
                proven: None,
                is_catching_up: false,
            };
            SessionTrace { socket: parked.socket, state: seen.state(conversation, kind, serial) }
        });
        open.chain(parked).collect()
    }
}

impl Seen<'_> {
    fn state(&self, conversation: ConversationId, kind: ConversationKind, serial: Option<u64>) -> SessionState {
        if !self.words.has_word_for(kind) {
            return SessionState::NoWord;
        }
        if self.words.unproven {
            return SessionState::Unproven;
        }
        if self.places.is_some_and(|places| places.muted.contains_key(&conversation)) {
            return SessionState::Muted;
        }
        let Some(proven) = self.proven else { return SessionState::Parked };
        if self.is_catching_up {
            return SessionState::CatchingUp;
        }
        let Some(serial) = serial else { return SessionState::Unknown };
        if !was_told(self.told_after, self.places, &RoomKey::Group(conversation), serial) {
            return SessionState::CameLater;
        }
        if proven >= serial { SessionState::Proven } else { SessionState::Sent }
    }
}
