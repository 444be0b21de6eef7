//! Events that other servers emit, in their own words.
use std::fmt;

use actix::Message;

use super::broadcast::Broadcast;
use super::event::Emitted;
use super::room::RoomKey;
use crate::model::{ConversationId, RoomId, SocketId, UserId};
use crate::store::StoreError;

/// Sockets that an event is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmitTo {
    /// A user's sockets.
    User(UserId),
    /// The sockets in a public room.
    Room(RoomId),
    /// Sockets in the common chat.
    CommonChat,
    /// Sockets in a conversation: of a group the unmuted ones.
    Conversation(ConversationId),
    /// Sockets in the conversation with this id or, if there is none, in the public room of this name.
    ConversationOrRoom(ConversationId, RoomId),
    /// One socket.
    Socket(SocketId),
    /// All sockets.
    Everyone,
}

impl fmt::Display for EmitTo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(formatter, "user:{user}"),
            Self::Room(room) | Self::ConversationOrRoom(_, room) => write!(formatter, "room:{room}"),
            Self::CommonChat => formatter.write_str("common_chat"),
            Self::Conversation(id) => write!(formatter, "conversation:{id}"),
            Self::Socket(socket) => write!(formatter, "socket:{socket}"),
            Self::Everyone => formatter.write_str("all"),
        }
    }
}

/// Emits an event to sockets of every dialect. Answered by the number of sockets that it was sent to.
#[derive(Message, Debug)]
#[rtype(result = "Result<usize, StoreError>")]
pub struct Emit {
    /// Sockets that it is for.
    pub to: EmitTo,
    /// Event, in the words of the server that emits it.
    pub event: Emitted,
}

/// Outcome of an [`Emit`].
pub(crate) enum EmitFrom {
    /// Sent to so many sockets.
    Done(usize),
    /// The conversation must be read first; where there is none, a public room may be meant.
    Store {
        /// The conversation.
        id: ConversationId,
        /// The room.
        room: Option<RoomId>,
        /// The event.
        event: Box<Broadcast>,
    },
}

impl EmitTo {
    /// Returns the sockets in a room, as administrators call it; see
    /// [`Administer::KickRoom`](super::admin::Administer::KickRoom).
    pub fn room_of_administrators(name: &str) -> Option<Self> {
        if let Some(Ok(user)) = name.strip_prefix("user:").map(UserId::parse) {
            return Some(Self::User(user));
        }
        if let Ok(socket) = SocketId::parse(name) {
            return Some(Self::Socket(socket));
        }
        RoomKey::parse(name).map(|key| match key {
            RoomKey::Group(id) => Self::Conversation(id),
            RoomKey::Public(room) => Self::Room(room),
            RoomKey::CommonChat => Self::CommonChat,
        })
    }
}
