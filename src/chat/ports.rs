//! The messages that the broker takes from connections and HTTP, and those that it sends to them.
use std::sync::Arc;
use std::time::Duration;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use super::{Broadcast, ChatError, Command, ModelError, Reply};
use crate::auth::Claims;
use crate::engineio::{CloseReason, ConnectionKey, Delivery, Encoded, Peer};
use crate::meter::Counted;
use crate::model::{
    Account, ChangesTold, ConversationKind, MessageId, Offset, Part, PrivateId, Role, SocketId, Timestamp, UserId,
};

/// What a worker's connections are told.
pub type ToWorker = Delivery<Broadcast, Notice>;

/// Which kinds of events a connection has words for: what it has none for is not delivered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Words {
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
    /// Whether the connection, undetermined and known by a cookie alone, proves nothing yet.
    pub unproven: bool,
}

impl Words {
    /// Whether others' messages in conversations of this kind can be shown.
    pub fn has_word_for(&self, kind: ConversationKind) -> bool {
        match kind {
            ConversationKind::Direct => self.direct_message,
            ConversationKind::Group => self.group_message,
            ConversationKind::Ai => self.direct_message || self.answer,
        }
    }
}

/// How a client speaks, in the words of the layer above. The broker keeps it for a session that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Manner {
    /// What it asked for at its CONNECT: who asks for something else does not come back, but comes anew.
    pub asked: u8,
    /// What was learned of it.
    pub learned: [u8; 2],
    /// The last encoding of events that it may be shown.
    pub last_encoding: u8,
}

/// What the socket that sends a message is shown of it, beside the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OwnCopy {
    /// Nothing: its front end shows what it sends by itself.
    #[default]
    None,
    /// What all others in the group or room are shown, at once.
    Live,
    /// The event, once the message is stored: it is the only confirmation that its front end knows.
    Held,
}

/// A worker thread is ready to be told things.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct RegisterWorker {
    /// Its number, from 0.
    pub worker: u16,
    /// Where its connections are told things.
    pub deliveries: Counted<ToWorker>,
}

/// A client with a verified token asks to be admitted. Answered by [`Notice::Admitted`] or [`Notice::Refused`],
/// or by [`Notice::Close`] where a retry can cure it.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Connect {
    /// The connection.
    pub connection: ConnectionKey,
    /// The id that the socket will have.
    pub socket: SocketId,
    /// The private id that its session will have.
    pub pid: PrivateId,
    /// What the token says. One that is merely past its time serves only for a session that comes back.
    pub claims: Box<Claims>,
    /// What its dialects can show.
    pub words: Words,
    /// How it speaks.
    pub manner: Manner,
    /// The session that it wants to come back to.
    pub back_to: Option<PrivateId>,
    /// How far it had come.
    pub offset: Option<Offset>,
    /// Where it comes from, and how.
    pub peer: Peer,
}

/// A request whose turn had not come when its connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateRequest {
    /// So long after the end it would have been its turn.
    pub after: Duration,
    /// What it asks for.
    pub command: Command,
    /// Of a send: what the connection would have been shown of it.
    pub own_copy: OwnCopy,
}

/// What becomes of the requests that wait when a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftBehind {
    /// All are carried out: those that the broker has, then these.
    Requests(Vec<LateRequest>),
    /// None is: the client was put out.
    Dropped,
}

/// A connection that had been admitted, or asked to be, is gone.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Disconnect {
    /// The connection.
    pub connection: ConnectionKey,
    /// Whether the client left on purpose: then its user is offline at once.
    pub on_purpose: bool,
    /// For the log.
    pub reason: CloseReason,
    /// What is proven to have reached the client.
    pub proven: Mark,
    /// The requests that wait.
    pub left: LeftBehind,
}

/// How much of what a session was told: pages of the catch-up come before events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mark {
    /// Nothing.
    #[default]
    Nothing,
    /// So many [`Notice::CatchUp`].
    Page(u32),
    /// All up to the event with this number.
    Event(u64),
}

impl Mark {
    /// Number of the last event.
    pub fn serial(self) -> Option<u64> {
        match self {
            Self::Event(serial) => Some(serial),
            Self::Nothing | Self::Page(_) => None,
        }
    }
}

/// What a connection was told has surely reached its client, and somebody waited to hear it.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Proven {
    /// The connection.
    pub connection: ConnectionKey,
    /// All up to this.
    pub mark: Mark,
}

/// Requests of a connection were refused because there were too many. Sent once a second at most.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct Limited {
    /// The connection.
    pub connection: ConnectionKey,
    /// How many since the last time.
    pub refused: u32,
}

/// A connection has learned its dialect: what it can show has changed.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct WordsLearned {
    /// The connection.
    pub connection: ConnectionKey,
    /// What it can show now.
    pub words: Words,
    /// How it speaks now.
    pub manner: Manner,
}

/// A connection has moved from polling to a WebSocket.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Upgraded {
    /// The connection.
    pub connection: ConnectionKey,
}

/// A connection's request. Answered by [`Notice::Reply`] with the same ticket.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Request {
    /// The connection.
    pub connection: ConnectionKey,
    /// The connection's own number for this request.
    pub ticket: u32,
    /// What it asks for.
    pub command: Command,
    /// Of a send: what this connection is shown of it.
    pub own_copy: OwnCopy,
}

/// A request that came over HTTP.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Ask {
    /// Who asks.
    pub user: UserId,
    /// What for.
    pub command: Command,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Reply, ChatError>>,
}

/// All of a catch-up page has left: the next one may come.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct CatchUpDrained {
    /// The connection.
    pub connection: ConnectionKey,
}

/// More waited at a socket than may: messages after a position were left out, and all that came before has left. Its catch-up
/// goes on from there, which [`Notice::CatchUpGoesOn`] says.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct FellBehind {
    /// The connection.
    pub connection: ConnectionKey,
    /// The position.
    pub after: i64,
    /// Edits and deletions after these were left out, too.
    pub changes: ChangesTold,
}

/// Looks at the clock and does what is due. The broker sends it to itself; tests send it when they have moved the clock.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Tick;

/// Asks the model. `answers` gets pieces, where `stream`, and then one answer or failure, whatever happens.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Prompt {
    /// The broker's number for it.
    pub ticket: u64,
    /// What was said last, the question at the end.
    pub turns: Vec<Turn>,
    /// Whether the answer is wanted piece by piece.
    pub stream: bool,
    /// Where the answer goes.
    pub answers: Recipient<ModelSaid>,
    /// Ends when nobody waits for the answer any more: the model need not say more.
    pub wanted: oneshot::Receiver<()>,
}

/// What the model is asked, without where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// The broker's number for it.
    pub ticket: u64,
    /// What was said last, the question at the end.
    pub turns: Vec<Turn>,
    /// Whether the answer is wanted piece by piece.
    pub stream: bool,
    /// Ends when nobody waits for the answer any more.
    pub wanted: oneshot::Receiver<()>,
}

impl Asked {
    /// The same with a place for the answer.
    pub fn answered_to(self, answers: Recipient<ModelSaid>) -> Prompt {
        let Self { ticket, turns, stream, wanted } = self;
        Prompt { ticket, turns, stream, answers, wanted }
    }
}

/// Something that was said in a chat with the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// By whom.
    pub role: Role,
    /// What; never empty.
    pub text: String,
}

/// The model, or what stands for it, says something to a [`Prompt`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ModelSaid {
    /// The prompt's.
    pub ticket: u64,
    /// What.
    pub word: ModelWord,
}

/// What came of a [`Prompt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelWord {
    /// More of the answer; the whole one follows.
    Piece(String),
    /// The whole answer.
    Answer {
        /// Not empty, and without what cannot be stored.
        text: String,
        /// Whether it was cut by length or time.
        is_truncated: bool,
    },
    /// There is none.
    Failed(ModelError),
}

/// What an admitted socket needs to know.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Who it is.
    pub account: Arc<Account>,
    /// When its token expires.
    pub expires_at: Option<Timestamp>,
    /// Whether a catch-up follows, of messages or of notifications: until [`Notice::CatchUpDone`] events wait behind it.
    pub catch_up: bool,
    /// The id of its socket.
    pub socket: SocketId,
    /// The private id of its session.
    pub pid: PrivateId,
    /// The event that brings the client its offset: behind all that is shown of the session that came back.
    pub seed: Arc<Broadcast>,
    /// The number of the last event before.
    pub serial: u64,
    /// Of a session that came back: how it speaks, and what it has missed.
    pub back: Option<Back>,
}

/// What a session that came back is told.
#[derive(Debug, Clone)]
pub struct Back {
    /// How it spoke.
    pub manner: Manner,
    /// What it has missed, in order.
    pub missed: Vec<Replay>,
    /// Presence and typing that it may have missed, in order: the latest counts.
    pub states: Vec<Arc<Broadcast>>,
}

/// An event that was missed.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Which.
    pub event: Arc<Broadcast>,
    /// The packets up to this one had arrived.
    pub had: Option<Part>,
    /// How it is shown.
    pub kind: ReplayKind,
}

/// How an event that was missed is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayKind {
    /// As to all.
    Shared,
    /// It is the sender's own copy of a stored message.
    Own,
    /// It is the sender's own copy of a message that is being stored, as [`Notice::Hold`].
    Held,
}

/// Why a client was not admitted, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedConnect {
    /// The token is revoked.
    InvalidToken,
    /// The token is past its time, and there is no session to come back to.
    TokenExpired,
    /// There is no such user.
    UserNotFound,
    /// An administrator disabled the account.
    AccountDisabled,
}

/// A word for a connection's client in the administrators' namespace, in which the chat has no part.
#[derive(Debug)]
pub enum ConsoleNotice {
    /// It is in.
    Admitted {
        /// The id of its socket.
        socket: SocketId,
    },
    /// It is not in.
    Refused {
        /// Why, in words that its front end knows.
        message: String,
    },
    /// It is sent these.
    Packets {
        /// Whole Engine.IO packets.
        packets: Encoded,
        /// Whether it is to be said when they have left; else they may be dropped.
        is_awaited: bool,
    },
    /// It is put out.
    Out {
        /// Whether the connection is closed, whatever else is on it.
        closes: bool,
    },
}

/// A word for one connection.
#[derive(Debug)]
pub enum Notice {
    /// The socket is in. Everything that concerns it comes after this.
    Admitted(Box<Admission>),
    /// The socket is not in, and trying again will not help.
    Refused(RefusedConnect),
    /// The answer to a request.
    Reply {
        /// The request's.
        ticket: u32,
        /// What became of it.
        reply: Result<Reply, ChatError>,
    },
    /// The sender's own copy of a message: keep it, and all events behind it, until [`Notice::Settle`].
    Hold(Arc<Broadcast>),
    /// A held copy may be shown (`stored`) or is dropped.
    Settle {
        /// Which.
        message: MessageId,
        /// Whether it is shown.
        stored: bool,
    },
    /// A page of the catch-up, oldest first. [`CatchUpDrained`] asks for the next one.
    CatchUp(Vec<Arc<Broadcast>>),
    /// The catch-up is complete.
    CatchUpDone,
    /// A further catch-up begins, as [`FellBehind`] asked: its pages bring the messages that were left out, in their order with
    /// what was kept. Events wait behind it as behind the first one.
    CatchUpGoesOn {
        /// The number of the last event before it.
        serial: u64,
    },
    /// The socket is put out, for good: `error` with this code, then DISCONNECT.
    Kick {
        /// `TOKEN_EXPIRED`, `INVALID_TOKEN`, `USER_NOT_FOUND`, `ACCOUNT_DISABLED`, `KICKED`, `RATE_LIMITED`.
        code: &'static str,
    },
    /// The transport is closed; the client comes back by itself.
    Close(CloseReason),
    /// Of another namespace, and not from the chat's broker.
    Console(ConsoleNotice),
}
