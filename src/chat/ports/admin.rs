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
    /// Deletes an account: its sockets are kicked, its tokens prove nobody, what is personal is gone.
    Delete {
        /// User whose account it is.
        user: UserId,
        /// Set if what the user wrote stays under the user's name.
        keeps_name: bool,
    },
    /// Puts a socket out: its client learns so, and does not come back by itself. One whose connection was lost a short while
    /// ago cannot come back to its session.
    Kick {
        /// Id of the socket to kick.
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
    /// Bound of the deletion: older messages were deleted.
    pub before: Timestamp,
}

/// Asks for sessions, in the order of their sockets' ids. It looks at all that there are.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Vec<SessionView>")]
pub struct ListSessions {
    /// Users whose sessions are wanted; `None`: everybody's.
    pub users: Option<Vec<UserId>>,
    /// Socket after whose session the list begins; `None`: at the first one.
    pub after: Option<SocketId>,
    /// Maximum number of sessions.
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
    /// User of the session.
    pub user: UserId,
    /// The user's name, where it is at hand.
    pub username: Option<String>,
    /// Its connection; `None`: it is detached.
    pub connection: Option<ConnectionKey>,
    /// The client's end of its connection; `None`: it is detached.
    pub peer: Option<Peer>,
    /// Time since which it has that connection, or is detached.
    pub since: Timestamp,
    /// Dialects that its client requested and speaks.
    pub client_dialects: ClientDialects,
    /// Kinds of events that it can show.
    pub capabilities: Capabilities,
    /// The rooms in which it is.
    pub rooms: Vec<RoomKey>,
    /// Groups of which it wants to hear nothing.
    pub muted: Vec<ConversationId>,
    /// Time at which it ends with its token.
    pub expires_at: Option<Timestamp>,
    /// Set while it is being shown the events that it missed.
    pub is_catching_up: bool,
    /// Requests that wait for the database behind the first of them.
    pub waiting_requests: usize,
    /// Events that were dispatched to somebody since the last one that it is known to have.
    pub unconfirmed_events: u64,
}

/// Order of a list of rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomOrder {
    /// Rooms with the most connections first.
    Members,
    /// Rooms with the most messages a minute first.
    Rate,
}

/// Asks for the largest or busiest rooms. It looks at all that there are.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Vec<RoomView>")]
pub struct ListRooms {
    /// Order of the list.
    pub order: RoomOrder,
    /// Maximum number of rooms.
    pub limit: usize,
}

/// Asks who is in a room: connections in no order.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Option<(RoomView, Vec<(SocketId, UserId)>)>")]
pub struct FindRoom {
    /// Room that is asked about.
    pub room: RoomKey,
    /// Maximum number of its connections that are listed.
    pub limit: usize,
}

/// A room with somebody in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomView {
    /// Key of the room.
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
    /// User that is asked about.
    pub user: UserId,
}

/// Asks for all sockets, and to be notified from that very moment on of what happens.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Sockets")]
pub struct WatchSockets {
    /// Maximum number of sockets; if there are more, none is answered.
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
