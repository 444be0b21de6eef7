//! Words of the broker to connections.
use std::sync::Arc;

use actix::Message;

use super::broadcast::Broadcast;
use super::connection::ClientDialects;
use super::error::ChatError;
use super::hook::ConnectVerdict;
use super::reply::Reply;
use crate::engineio::{CloseReason, Delivery, Encoded};
use crate::meter::Counted;
use crate::model::{Account, MessageId, Part, PrivateId, SocketId, Timestamp};

/// A worker thread is ready to be sent things.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct RegisterWorker {
    /// Its number, from 0.
    pub worker: u16,
    /// Receiver of all that its connections are sent.
    pub deliveries: Counted<ToWorker>,
}

/// Delivery to a worker's connections.
pub type ToWorker = Delivery<Broadcast, Notice>;

/// Facts that an admitted socket needs to know.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Account of its user.
    pub account: Arc<Account>,
    /// Time at which its token expires.
    pub expires_at: Option<Timestamp>,
    /// Set if a catch-up follows, of messages or of notifications: until [`Notice::CatchUpDone`] events wait behind it.
    pub catch_up: bool,
    /// The id of its socket.
    pub socket: SocketId,
    /// The private id of its session.
    pub pid: PrivateId,
    /// The event that brings the client its offset: behind all that is shown of the session that came back.
    pub initial_offset: Arc<Broadcast>,
    /// The number of the last event before.
    pub event_seq: u64,
    /// Of a session that came back: how it speaks, and what it has missed.
    pub resume_data: Option<ResumeData>,
}

/// Data that a session needs to come back.
#[derive(Debug, Clone)]
pub struct ResumeData {
    /// Dialects that its client requested and spoke.
    pub client_dialects: ClientDialects,
    /// Events that it missed, in order.
    pub missed: Vec<Replay>,
    /// Presence and typing that it may have missed, in order: the latest counts.
    pub states: Vec<Arc<Broadcast>>,
}

/// An event that was missed.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Event that was missed.
    pub event: Arc<Broadcast>,
    /// The packets up to this one had arrived.
    pub had: Option<Part>,
    /// Way in which it is shown.
    pub kind: ReplayKind,
}

/// Way in which a missed event is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayKind {
    /// As to all.
    Shared,
    /// As the sender's own copy of a stored message.
    Own,
    /// As the sender's own copy of a message that is being stored, as [`Notice::Hold`].
    Held,
}

/// Reason for which a client was not admitted, for good.
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
    /// Admits it.
    Admitted {
        /// The id of its socket.
        socket: SocketId,
    },
    /// Turns it away.
    Refused {
        /// Reason, in words that its front end knows.
        message: String,
    },
    /// Sends it packets.
    Packets {
        /// Whole Engine.IO packets.
        packets: Encoded,
        /// Set if the sender waits to hear that they have left; else they may be dropped.
        is_awaited: bool,
    },
    /// Kicks it.
    Out {
        /// Closes the connection too, whatever else is on it.
        closes: bool,
    },
}

/// An event of no dialect, and what became of it.
#[derive(Debug)]
pub struct Forwarded {
    /// Socket that sent it; its connection may have another by now.
    pub socket: SocketId,
    /// Its name.
    pub event: Box<str>,
    /// Id of the ack that its client waits for.
    pub ack_id: Option<u64>,
    /// Outcome.
    pub outcome: ForwardOutcome,
}

/// Outcome of handing an event on to the operator's server.
#[derive(Debug)]
pub enum ForwardOutcome {
    /// It was answered.
    Answered {
        /// Arguments of the ack, as JSON joined by commas.
        ack: Box<str>,
    },
    /// There is no usable answer.
    Failed,
    /// Too many wait already.
    TooMany,
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
        /// Outcome of the request.
        reply: Result<Reply, ChatError>,
    },
    /// The sender's own copy of a message: keep it, and all events behind it, until [`Notice::Settle`].
    Hold(Arc<Broadcast>),
    /// A held copy may be shown (`stored`) or is dropped.
    Settle {
        /// Message that was held.
        message: MessageId,
        /// Set if it is stored, and so shown; else it is dropped.
        stored: bool,
    },
    /// A page of the catch-up, oldest first. `CatchUpDrained` asks for the next one.
    CatchUp(Vec<Arc<Broadcast>>),
    /// The catch-up is complete.
    CatchUpDone,
    /// A further catch-up begins, as `FellBehind` asked: its pages bring the messages that were left out, in their order with
    /// what was kept. Events wait behind it as behind the first one.
    CatchUpGoesOn {
        /// The number of the last event before it.
        event_seq: u64,
    },
    /// The socket is kicked, for good: `error` with this code, then DISCONNECT.
    Kick {
        /// `TOKEN_EXPIRED`, `INVALID_TOKEN`, `USER_NOT_FOUND`, `ACCOUNT_DISABLED`, `KICKED`, `RATE_LIMITED`.
        code: &'static str,
    },
    /// The transport is closed; the client comes back by itself.
    Close(CloseReason),
    /// The operator's hook was asked about a CONNECT; not sent by the chat's broker.
    ConnectJudged {
        /// The question's.
        ticket: u32,
        /// Answer of the hook.
        verdict: ConnectVerdict,
    },
    /// An event of no dialect was handed on; not sent by the chat's broker.
    Forwarded(Box<Forwarded>),
    /// The issuers of unknown keys were asked; not sent by the chat's broker.
    KeysRead,
    /// Of another namespace, and not from the chat's broker.
    Console(ConsoleNotice),
}
