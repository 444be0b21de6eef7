//! Acts of administrators on users and their sockets.
use std::sync::Arc;

use log::info;

use super::Broker;
use crate::chat::ports::RoomKey;
use crate::engineio::ConnectionKey;
use crate::model::{SocketId, Timestamp, UserId};

impl Broker {
    /// Messages from before were deleted.
    pub(in crate::chat) fn on_messages_pruned(&mut self, before: Timestamp) {
        for cached in self.conversations.values_mut() {
            if cached.conversation.last_message.as_ref().is_some_and(|last| last.timestamp < before) {
                Arc::make_mut(&mut cached.conversation).last_message = None;
            }
        }
    }

    pub(in crate::chat) fn kick(&mut self, socket: SocketId) -> bool {
        let open = self.sessions.iter().find(|(_, session)| session.socket == socket).map(|(connection, _)| *connection);
        if let Some(connection) = open {
            info!(sid:% = socket; "kicked");
            self.kick_connection(connection, "KICKED");
            return true;
        }
        let had_waiting = self.drop_leftovers_of(socket);
        let detached = self.sessions.detached_socket(&socket);
        detached.inspect(|pid| self.forget_detached(*pid)).is_some() || had_waiting
    }

    pub(in crate::chat) fn kick_room(&mut self, room: Option<&str>) -> bool {
        if let Some(Ok(user)) = room.and_then(|room| room.strip_prefix("user:")).map(UserId::parse) {
            let was_there = self.users.get(&user).is_some_and(|user| user.has_sessions());
            self.kick_user(&user, "KICKED", |_| true);
            return was_there;
        }
        let connections: Vec<ConnectionKey> = match room {
            None => self.sessions.iter().map(|(connection, _)| *connection).collect(),
            Some(room) => match (SocketId::parse(room), RoomKey::parse(room)) {
                (Ok(socket), _) => return self.kick(socket),
                (_, Some(key)) => self.rooms.find(&key).map(|room| room.connections().collect()).unwrap_or_default(),
                (_, None) => Vec::new(),
            },
        };
        info!("kicked room={} sockets={}", room.unwrap_or("-"), connections.len());
        for connection in &connections {
            self.kick_connection(*connection, "KICKED");
        }
        !connections.is_empty()
    }
}
