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
    /// Incidents; most users that are here have none.
    incidents: Option<Box<Incidents>>,
}

/// Latest incidents of a user: refusals and losses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Incidents {
    /// A token of theirs was refused at CONNECT.
    pub refused: Option<(Timestamp, RefusedConnect)>,
    /// A socket was lost or closed.
    pub left: Option<LastDisconnect>,
    /// Requests were refused because there were too many: how many in all, and when last.
    pub limited: Option<(u64, Timestamp)>,
    /// The operator's hook refused a request, or failed: the time, and the words for it.
    pub hooked: Option<(Timestamp, Box<str>)>,
}

impl Trace {
    /// Returns the incidents; empty if there were none.
    pub fn incidents(&self) -> Incidents {
        self.incidents.as_deref().cloned().unwrap_or_default()
    }

    /// The same, to note what happens.
    pub fn incidents_mut(&mut self) -> &mut Incidents {
        self.incidents.get_or_insert_default()
    }
}

/// Way in which a socket came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectKind {
    /// Anew, without naming a session.
    New,
    /// Anew, although it named a session.
    ResumeFailed(NotRecovered),
    /// Back to its session.
    Resumed {
        /// Number of events that it had missed and was shown.
        missed: usize,
    },
}

/// Latest loss of a user's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastDisconnect {
    /// Time of the loss.
    pub at: Timestamp,
    /// Socket that was lost.
    pub socket: SocketId,
    /// Reason for which it closed.
    pub reason: CloseReason,
    /// Set if its client may come back to the session.
    pub is_detached: bool,
}

/// Asks what is known here of a message of a conversation.
#[derive(Message, Debug, Clone)]
#[rtype(result = "MessageTrace")]
pub struct TraceMessage {
    /// Message that is asked about.
    pub message: MessageId,
    /// Conversation in which it stands.
    pub conversation: ConversationId,
    /// Kind of that conversation.
    pub kind: ConversationKind,
    /// Its number there.
    pub seq: i64,
    /// Members that are asked about.
    pub members: Vec<UserId>,
}

/// Facts known of a message in memory: more of the last minutes' messages than of others.
#[derive(Debug, Clone, Default)]
pub struct MessageTrace {
    /// Set while it is being stored.
    pub is_in_flight: bool,
    /// Time at which it was dispatched, if that is remembered.
    pub dispatched_at: Option<Timestamp>,
    /// Each member that was asked for, in their order.
    pub members: Vec<MemberTrace>,
}

/// State of a member with a message.
#[derive(Debug, Clone, Default)]
pub struct MemberTrace {
    /// Set if the member is known to have received it.
    pub has_received: bool,
    /// The member's sessions, open and detached.
    pub sessions: Vec<SessionTrace>,
}

/// State of a session with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTrace {
    /// Its socket.
    pub socket: SocketId,
    /// Stage that it has reached, or the obstacle.
    pub state: SessionState,
}

/// Stage of a message in a session, or the obstacle in its way; the first that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Its dialects have no word for messages of this kind.
    NoWord,
    /// Known by a cookie alone, it has said nothing yet: what it is sent proves nothing.
    Unconfirmed,
    /// The session muted the conversation.
    Muted,
    /// Its connection is lost; the message is kept for its return.
    Detached,
    /// The session is being shown the events that it missed; the message comes in its turn.
    CatchingUp,
    /// The message was sent, and an answer to a heartbeat proves that it arrived.
    Confirmed,
    /// The message was sent; the answer to a heartbeat has not come yet.
    Sent,
    /// The session came after the message was dispatched, and was caught up by then.
    CameLater,
    /// Nobody remembers what was sent when.
    Unknown,
}
