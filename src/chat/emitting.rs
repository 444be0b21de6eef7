//! Events that other servers emit, in their own words.
use std::fmt;

use actix::Message;

use super::broadcast::Broadcast;
use super::broker::Broker;
use super::event::Event;
use super::rooms::RoomKey;
use super::telling::Spared;
use crate::model::{Conversation, ConversationId, ConversationKind, RoomId, SocketId, UserId};
use crate::store::StoreError;

/// An event as another server words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// Its name; none that Socket.IO keeps for itself.
    pub name: Box<str>,
    /// Its arguments, as JSON joined by commas; `None`: it has none.
    pub data: Option<Box<str>>,
}

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmitTo {
    /// A user's sockets.
    User(UserId),
    /// The sockets in a public room.
    Room(RoomId),
    /// Those in the common chat.
    CommonChat,
    /// Those in a conversation: of a group the unmuted ones.
    Conversation(ConversationId),
    /// Those in the conversation with this id; where there is none, those in the public room that is called so.
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

/// Emits an event to sockets of every dialect. Answered by how many sockets were told.
#[derive(Message, Debug)]
#[rtype(result = "Result<usize, StoreError>")]
pub struct Emit {
    /// To whom.
    pub to: EmitTo,
    /// What.
    pub event: Emitted,
}

/// What an [`Emit`] comes to.
pub enum EmitFrom {
    /// So many sockets were told.
    Done(usize),
    /// The conversation must be read first; where there is none, a public room may be meant.
    Store {
        /// The conversation.
        id: ConversationId,
        /// The room.
        room: Option<RoomId>,
        /// The event.
        event: Broadcast,
    },
}

impl EmitTo {
    /// Who is in a room, as administrators call it; see [`Administer::KickRoom`](super::Administer::KickRoom).
    pub fn room_of_administrators(name: &str) -> Option<Self> {
        if let Some(Ok(user)) = name.strip_prefix("user:").map(UserId::parse) {
            return Some(Self::User(user));
        }
        if let Ok(socket) = SocketId::parse(name) {
            return Some(Self::Socket(socket));
        }
        RoomKey::called(name).map(|key| match key {
            RoomKey::Group(id) => Self::Conversation(id),
            RoomKey::Public(room) => Self::Room(room),
            RoomKey::CommonChat => Self::CommonChat,
        })
    }
}

impl Broker {
    /// Emits another server's event.
    pub(super) fn emit(&mut self, Emit { to, event }: Emit) -> EmitFrom {
        let event = Broadcast::new(Event::Emitted(event));
        let (id, room) = match to {
            EmitTo::User(user) => return EmitFrom::Done(self.emit_to_users(&[user], event)),
            EmitTo::Socket(socket) => return EmitFrom::Done(self.emit_to_socket(socket, event)),
            EmitTo::Everyone => return EmitFrom::Done(self.tell_everyone(event, Vec::new())),
            EmitTo::Room(room) => return EmitFrom::Done(self.emit_to_room(&RoomKey::Public(room), event)),
            EmitTo::CommonChat => return EmitFrom::Done(self.emit_to_room(&RoomKey::CommonChat, event)),
            EmitTo::Conversation(id) => (id, None),
            EmitTo::ConversationOrRoom(id, room) => (id, Some(room)),
        };
        match self.conversations.get(&id).map(|cached| cached.conversation.clone()) {
            Some(conversation) => EmitFrom::Done(self.emit_to_found(Some(&conversation), room, event)),
            None => EmitFrom::Store { id, room, event },
        }
    }

    /// Emits an event to a conversation that was looked up; where there is none, to a public room.
    pub(super) fn emit_to_found(&mut self, found: Option<&Conversation>, room: Option<RoomId>, event: Broadcast) -> usize {
        match (found, room) {
            (Some(conversation), _) if conversation.kind == ConversationKind::Group => {
                self.emit_to_room(&RoomKey::Group(conversation.id), event)
            }
            (Some(conversation), _) => self.emit_to_users(&conversation.participants, event),
            (None, Some(room)) => self.emit_to_room(&RoomKey::Public(room), event),
            (None, None) => 0,
        }
    }

    fn emit_to_socket(&mut self, socket: SocketId, event: Broadcast) -> usize {
        let found = self.sessions.iter().find(|(_, session)| session.socket == socket);
        let Some((connection, pid)) = found.map(|(connection, session)| (*connection, session.pid)) else { return 0 };
        let event = self.place(event);
        self.tell_few([connection], &event);
        self.keep_own(pid, &event);
        1
    }

    fn emit_to_users(&mut self, users: &[UserId], event: Broadcast) -> usize {
        let (_, told) = self.tell_users_but(users, event, Spared::default());
        told.len()
    }

    fn emit_to_room(&mut self, room: &RoomKey, event: Broadcast) -> usize {
        self.tell_room(room, event, Spared::default());
        self.rooms.find(room).map_or(0, |room| room.connections().count())
    }
}
