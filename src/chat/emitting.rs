//! Events that other servers emit, in their own words.
use std::fmt;
use std::sync::Arc;

use actix::{ActorFutureExt as _, Context, Handler, Message, ResponseActFuture, WrapFuture as _};

use super::broadcast::Broadcast;
use super::event::Event;
use super::rooms::RoomKey;
use super::server::ChatServer;
use super::telling::Spared;
use crate::meter::Metered as _;
use crate::model::{Conversation, ConversationId, ConversationKind, RoomId, SocketId, UserId};
use crate::store::{self, StoreError};

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

impl Handler<Emit> for ChatServer {
    type Result = ResponseActFuture<Self, Result<usize, StoreError>>;

    fn handle(&mut self, message: Emit, _: &mut Context<Self>) -> Self::Result {
        self.turn::<Emit, _>(|broker| {
            let Emit { to, event } = message;
            let event = Broadcast::new(Event::Emitted(event));
            let (id, room) = match to {
                EmitTo::User(user) => return ready(broker.emit_to_users(&[user], event)),
                EmitTo::Socket(socket) => return ready(broker.emit_to_socket(socket, event)),
                EmitTo::Everyone => return ready(broker.tell_everyone(event, Vec::new())),
                EmitTo::Room(room) => return ready(broker.emit_to_room(&RoomKey::Public(room), event)),
                EmitTo::CommonChat => return ready(broker.emit_to_room(&RoomKey::CommonChat, event)),
                EmitTo::Conversation(id) => (id, None),
                EmitTo::ConversationOrRoom(id, room) => (id, Some(room)),
            };
            let cached = broker.conversations.get(&id).map(|cached| cached.conversation.clone());
            let store = broker.store.clone();
            let find = async move {
                match cached {
                    Some(conversation) => Ok(Some(conversation)),
                    None => Ok(store.read_after_writes(move |conn| store::find_conversation(conn, id)).await?.map(Arc::new)),
                }
            };
            Box::pin(find.into_actor(broker).map(move |found: Result<Option<Arc<Conversation>>, StoreError>, broker, _| {
                Ok(match (found?, room) {
                    (Some(conversation), _) if conversation.kind == ConversationKind::Group => {
                        broker.emit_to_room(&RoomKey::Group(id), event)
                    }
                    (Some(conversation), _) => broker.emit_to_users(&conversation.participants, event),
                    (None, Some(room)) => broker.emit_to_room(&RoomKey::Public(room), event),
                    (None, None) => 0,
                })
            }))
        })
    }
}

fn ready(sockets: usize) -> ResponseActFuture<ChatServer, Result<usize, StoreError>> {
    Box::pin(actix::fut::ready(Ok(sockets)))
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

impl ChatServer {
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
