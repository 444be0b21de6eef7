//! Emitting events of other servers.
use super::Broker;
use super::fan_out::Exclude;
use crate::chat::ports::{Broadcast, Emit, EmitFrom, EmitTo, Event, RoomKey};
use crate::model::{Conversation, ConversationKind, RoomId, SocketId, UserId};

impl Broker {
    /// Emits another server's event.
    pub(in crate::chat) fn emit(&mut self, Emit { to, event }: Emit) -> EmitFrom {
        let event = Broadcast::new(Event::Emitted(event));
        let (id, room) = match to {
            EmitTo::User(user) => return EmitFrom::Done(self.emit_to_users(&[user], event)),
            EmitTo::Socket(socket) => return EmitFrom::Done(self.emit_to_socket(socket, event)),
            EmitTo::Everyone => return EmitFrom::Done(self.fan_out_to_everyone(event, Vec::new())),
            EmitTo::Room(room) => return EmitFrom::Done(self.emit_to_room(&RoomKey::Public(room), event)),
            EmitTo::CommonChat => return EmitFrom::Done(self.emit_to_room(&RoomKey::CommonChat, event)),
            EmitTo::Conversation(id) => (id, None),
            EmitTo::ConversationOrRoom(id, room) => (id, Some(room)),
        };
        match self.conversations.get(&id).map(|cached| cached.conversation.clone()) {
            Some(conversation) => EmitFrom::Done(self.emit_to_found(Some(&conversation), room, event)),
            None => EmitFrom::Store { id, room, event: Box::new(event) },
        }
    }

    /// Emits an event to a conversation that was looked up; where there is none, to a public room.
    pub(in crate::chat) fn emit_to_found(
        &mut self,
        found: Option<&Conversation>,
        room: Option<RoomId>,
        event: Broadcast,
    ) -> usize {
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
        let event = self.replay.number(event);
        self.fan_out_to([connection], &event);
        self.keep_own(pid, &event);
        1
    }

    fn emit_to_users(&mut self, users: &[UserId], event: Broadcast) -> usize {
        let (_, notified) = self.fan_out_to_users_except(users, event, Exclude::default());
        notified.len()
    }

    fn emit_to_room(&mut self, room: &RoomKey, event: Broadcast) -> usize {
        self.fan_out_to_room(room, event, Exclude::default());
        self.rooms.find(room).map_or(0, |room| room.connections().count())
    }
}
