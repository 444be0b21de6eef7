//! Questions and orders of administrators, and the answers.
use actix::Message;

use super::connection::{Capabilities, ClientDialects};
use super::room::RoomKey;
use super::trace::Trace;
use crate::engineio::{ConnectionKey, Peer};
use crate::feed::{SocketView, Watcher};
use crate::model::{ConversationId, SocketId, Timestamp, UserId};
use crate::store::StoreError;

/// An act of an administrator. Answers whether there is whom it is about.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<bool, StoreError>")]
pub enum Administer {
    /// Disables an account, or enables it again. A disabled one's sockets are kicked, its sessions cannot be come back to, and
    /// its tokens prove nobody.
    SetDisabled {
        /// Whose.
        user: UserId,
        /// Whether it is to be.
        disabled: bool,
    },
    /// Deletes an account: its sockets are kicked, its tokens prove nobody, what is personal is gone.
    Delete {
        /// Whose.
        user: UserId,
    },
    /// Puts a socket out: its client is told so, and does not come back by itself. One whose connection was lost a short while
    /// ago cannot come back to its session.
    Kick {
        /// Which.
        socket: SocketId,
    },
    /// Puts all sockets out that are in a room, as administrators call it: `user:ID`, `conversation:ID`, `room:NAME`,
    /// `common_chat`, or a socket's id.
    KickRoom {
        /// Its name; `None`: all sockets.
        room: Option<Box<str>>,
    },
}

/// Messages from before were deleted: no conversation is shown with one of them as its last.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct MessagesPruned {
    /// Those that were written before that.
    pub before: Timestamp,
}

/// Asks for sessions, in the order of their sockets' ids. It looks at all that there are.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Vec<SessionView>")]
pub struct ListSessions {
    /// Whose; `None`: everybody's.
    pub users: Option<Vec<UserId>>,
    /// Those after this one.
    pub after: Option<SocketId>,
    /// At most so many.
    pub limit: usize,
}

/// Asks for one session, open or detached.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Option<SessionView>")]
pub struct FindSession {
    /// Its socket's id.
    pub socket: SocketId,
}

/// A session as the broker knows it.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// The id of its socket.
    pub socket: SocketId,
    /// Whose it is.
    pub user: UserId,
    /// The user's name, where it is at hand.
    pub username: Option<String>,
    /// Its connection; `None`: it is detached.
    pub connection: Option<ConnectionKey>,
    /// How it is reached; `None`: it is detached.
    pub peer: Option<Peer>,
    /// Since when it has that, or is detached.
    pub since: Timestamp,
    /// How it speaks.
    pub client_dialects: ClientDialects,
    /// Kinds of events that it can show.
    pub capabilities: Capabilities,
    /// The rooms in which it is.
    pub rooms: Vec<RoomKey>,
    /// Groups of which it wants to hear nothing.
    pub muted: Vec<ConversationId>,
    /// When it ends with its token.
    pub expires_at: Option<Timestamp>,
    /// Whether it is being shown what it missed.
    pub is_catching_up: bool,
    /// Requests that wait for the database behind the first of them.
    pub waiting_requests: usize,
    /// Events that were dispatched to somebody since the last one that it is known to have.
    pub unconfirmed_events: u64,
}

/// By what rooms are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomOrder {
    /// Those with the most connections first.
    Members,
    /// Those with the most messages a minute first.
    Rate,
}

/// Asks for the largest or busiest rooms. It looks at all that there are.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Vec<RoomView>")]
pub struct ListRooms {
    /// Which first.
    pub order: RoomOrder,
    /// At most so many.
    pub limit: usize,
}

/// Asks who is in a room: connections in no order.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Option<(RoomView, Vec<(SocketId, UserId)>)>")]
pub struct FindRoom {
    /// Which.
    pub room: RoomKey,
    /// At most so many of its connections.
    pub limit: usize,
}

/// A room with somebody in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomView {
    /// Which.
    pub room: RoomKey,
    /// Connections in it.
    pub members: usize,
    /// Sessions in it whose connection was lost.
    pub detached: usize,
    /// Messages in the last whole minute, or in this one where those are more.
    pub messages_per_minute: u32,
}

/// Asks how a user came and went lately.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Trace")]
pub struct TraceOf {
    /// Who.
    pub user: UserId,
}

/// Asks for all sockets, and to be notified from that very moment on of what happens.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Sockets")]
pub struct WatchSockets {
    /// Only if there are no more than so many.
    pub most: usize,
}

/// The sockets, and what happens to them.
#[derive(Debug)]
pub enum Sockets {
    /// All of them.
    Watched(Vec<SocketView>, Watcher),
    /// There are more, or more watch than may.
    TooMany,
}
