//! Messages of connections to the broker, and how they speak.
use std::time::Duration;

use actix::Message;

use super::command::Command;
use crate::auth::Claims;
use crate::engineio::{CloseReason, ConnectionKey, Peer};
use crate::model::{ChangesNotified, ConversationKind, Offset, PrivateId, SocketId};

/// Kinds of events that a connection can show: what it cannot show is not delivered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Messages of direct conversations that others wrote.
    pub direct_message: bool,
    /// Messages of direct conversations that its own user wrote on another device.
    pub own_direct_message: bool,
    /// Messages of groups.
    pub group_message: bool,
    /// Answers of the model, beside those who show direct messages and so these.
    pub answer: bool,
    /// That a message of its user was received, also by those who had it before the send was answered.
    pub received_at_once: bool,
    /// Notifications.
    pub notification: bool,
    /// Set while the connection, undetermined and known by a cookie alone, proves nothing yet.
    pub unconfirmed: bool,
}

impl Capabilities {
    /// Returns whether others' messages in conversations of this kind can be shown.
    pub fn can_show(&self, kind: ConversationKind) -> bool {
        match kind {
            ConversationKind::Direct => self.direct_message,
            ConversationKind::Group => self.group_message,
            ConversationKind::Ai => self.direct_message || self.answer,
        }
    }
}

/// Dialects of a client, in the words of the layer above. The broker keeps them for a session that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ClientDialects {
    /// Dialect requested at its CONNECT: a client that requests another does not come back, but comes anew.
    pub asked: u64,
    /// Dialects learned of it.
    pub learned: [u64; 2],
    /// The last encoding of events that it may be shown.
    pub last_encoding: u8,
}

/// Copy of a message that the socket that sends it is shown, beside the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OwnCopy {
    /// Nothing: its front end shows what it sends by itself.
    #[default]
    None,
    /// The same event as all others in the group or room, at once.
    Live,
    /// The event, once the message is stored: it is the only confirmation that its front end knows.
    Held,
}

/// Token that a guest is given at a CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestPass {
    /// Token by which the guest comes back.
    pub token: Box<str>,
    /// Set if the guest comes for the first time, and is to be made.
    pub is_new: bool,
}

/// A client with a verified token asks to be admitted. Answered by `Notice::Admitted` or `Notice::Refused`,
/// or by `Notice::Close` where a retry can cure it.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Connect {
    /// The connection.
    pub connection: ConnectionKey,
    /// The id that the socket will have.
    pub socket: SocketId,
    /// The private id that its session will have.
    pub pid: PrivateId,
    /// Claims of the token. One that is merely past its time serves only for a session that comes back.
    pub claims: Box<Claims>,
    /// Kinds of events that its dialects can show.
    pub capabilities: Capabilities,
    /// Dialects that its client requested and speaks.
    pub client_dialects: ClientDialects,
    /// The session that it wants to come back to.
    pub back_to: Option<PrivateId>,
    /// Offset that its client had reached.
    pub offset: Option<Offset>,
    /// Token of a guest for its next CONNECT.
    pub guest: Option<Box<GuestPass>>,
    /// The client's end of it: address and transport.
    pub peer: Peer,
}

/// A request whose turn had not come when its connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateRequest {
    /// So long after the end it would have been its turn.
    pub after: Duration,
    /// Command to carry out.
    pub command: Command,
    /// Of a send: what the connection would have been shown of it.
    pub own_copy: OwnCopy,
}

/// Fate of the requests that wait when a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftBehind {
    /// All are carried out: those that the broker has, then these.
    Requests(Vec<LateRequest>),
    /// None is: the client was kicked.
    Dropped,
}

/// A connection that had been admitted, or asked to be, is gone.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Disconnect {
    /// The connection.
    pub connection: ConnectionKey,
    /// Set if the client left on purpose: then its user is offline at once.
    pub on_purpose: bool,
    /// Set if the client may come back to its session.
    pub may_return: bool,
    /// For the log.
    pub reason: CloseReason,
    /// Mark up to which the client surely has all that it was sent.
    pub confirmed: Watermark,
    /// The requests that wait.
    pub left: LeftBehind,
}

/// Mark in all that a session was sent: pages of the catch-up come before events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Watermark {
    /// Nothing.
    #[default]
    Nothing,
    /// Number of `Notice::CatchUp` that have arrived; no event has.
    Page(u32),
    /// All up to the event with this number.
    Event(u64),
}

impl Watermark {
    /// Number of the last event.
    pub fn event_seq(self) -> Option<u64> {
        match self {
            Self::Event(event_seq) => Some(event_seq),
            Self::Nothing | Self::Page(_) => None,
        }
    }
}

/// Tells the broker that all up to a mark has arrived at a connection's client; sent only if somebody waited to hear it.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Confirmed {
    /// The connection.
    pub connection: ConnectionKey,
    /// All up to this.
    pub watermark: Watermark,
}

/// Requests of a connection were refused because there were too many. Sent once a second at most.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct Limited {
    /// The connection.
    pub connection: ConnectionKey,
    /// Number of refusals since the last time.
    pub refused: u32,
}

/// A connection has learned its dialect: what it can show has changed.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct CapabilitiesChanged {
    /// The connection.
    pub connection: ConnectionKey,
    /// Kinds of events that it can show now.
    pub capabilities: Capabilities,
    /// Dialects that it speaks now.
    pub client_dialects: ClientDialects,
}

/// A connection has moved from polling to a WebSocket.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Upgraded {
    /// The connection.
    pub connection: ConnectionKey,
}

/// A connection's request. Answered by `Notice::Reply` with the same ticket.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Request {
    /// The connection.
    pub connection: ConnectionKey,
    /// The connection's own number for this request.
    pub ticket: u32,
    /// Command to carry out.
    pub command: Command,
    /// Of a send: what this connection is shown of it.
    pub own_copy: OwnCopy,
}

/// All of a catch-up page has left: the next one may come.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct CatchUpDrained {
    /// The connection.
    pub connection: ConnectionKey,
}

/// More waited at a socket than may: messages after a position were left out, and all that came before has left. Its catch-up
/// goes on from there, which `Notice::CatchUpGoesOn` says.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct FellBehind {
    /// The connection.
    pub connection: ConnectionKey,
    /// The position.
    pub after: i64,
    /// Edits and deletions after these were left out, too.
    pub changes: ChangesNotified,
}

/// Looks at the clock and does what is due. The broker sends it to itself; tests send it when they have moved the clock.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Tick;

/// Reason for which a client that wanted to come back to its session came anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRecovered {
    /// There is no such session of this user: it was detached for too long, or ended, or the server was started since. Or its
    /// token is past its time.
    Unknown,
    /// The client asked for other dialects than before.
    AskedOtherwise,
    /// The client's offset is missing, or says nothing about its session.
    OffsetUnknown,
    /// Some of what it has missed is not kept any more.
    Forgotten,
    /// More was missed than is shown again.
    TooMuch,
}

impl NotRecovered {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::AskedOtherwise, Self::OffsetUnknown, Self::Forgotten, Self::TooMuch];

    /// A name for figures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "session unknown",
            Self::AskedOtherwise => "other dialects",
            Self::OffsetUnknown => "offset unknown",
            Self::Forgotten => "forgotten",
            Self::TooMuch => "too much",
        }
    }
}
