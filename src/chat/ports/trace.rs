//! Traces of users who came and went, and of messages.
use actix::Message;

use super::connection::NotRecovered;
use super::notice::RefusedConnect;
use crate::engineio::CloseReason;
use crate::model::{ConversationId, ConversationKind, MessageId, SocketId, Timestamp, UserId};

/// The latest of each that happened to a user since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// A socket was admitted.
    pub came: Option<(Timestamp, SocketId, ConnectKind)>,
    /// What has not happened to most of those who are here.
    incidents: Option<Box<Incidents>>,
}

/// What went otherwise than by a socket that comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Incidents {
    /// A token of theirs was refused at CONNECT.
    pub refused: Option<(Timestamp, RefusedConnect)>,
    /// A socket was lost or closed.
    pub left: Option<LastDisconnect>,
    /// Requests were refused because there were too many: how many in all, and when last.
    pub limited: Option<(u64, Timestamp)>,
}

impl Trace {
    /// What went otherwise.
    pub fn incidents(&self) -> Incidents {
        self.incidents.as_deref().copied().unwrap_or_default()
    }

    /// The same, to note what happens.
    pub fn incidents_mut(&mut self) -> &mut Incidents {
        self.incidents.get_or_insert_default()
    }
}

/// How a socket came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectKind {
    /// Anew, without naming a session.
    New,
    /// Anew, although it named a session.
    ResumeFailed(NotRecovered),
    /// Back to its session.
    Resumed {
        /// How many events it had missed and was shown.
        missed: usize,
    },
}

/// How a socket went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastDisconnect {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub socket: SocketId,
    /// Why.
    pub reason: CloseReason,
    /// Whether its client may come back to the session.
    pub is_detached: bool,
}

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
    /// When it was dispatched, where that is remembered.
    pub dispatched_at: Option<Timestamp>,
    /// Each member that was asked for, in their order.
    pub members: Vec<MemberTrace>,
}

/// Where a member is with a message.
#[derive(Debug, Clone, Default)]
pub struct MemberTrace {
    /// Whether the member is known to have received it.
    pub has_received: bool,
    /// The member's sessions, open and detached.
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
    Unconfirmed,
    /// It muted the conversation.
    Muted,
    /// Its connection is lost; the message is kept for its return.
    Detached,
    /// It is being shown what it missed; the message comes in its turn.
    CatchingUp,
    /// It was sent, and an answer to a heartbeat proves that it arrived.
    Confirmed,
    /// It was sent; the answer to a heartbeat has not come yet.
    Sent,
    /// It came after the message was dispatched, and was caught up by then.
    CameLater,
    /// What was sent when is not remembered.
    Unknown,
}
