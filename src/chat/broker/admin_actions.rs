//! Acts of administrators on users and their sockets.
use std::sync::Arc;

use log::info;

use super::Broker;
use crate::chat::ports::RoomKey;
use crate::engineio::ConnectionKey;
use crate::model::{ConversationKind, DELETED_NAME, Profile, SocketId, Timestamp, UserId, UserRole};

impl Broker {
    /// Messages from before were deleted.
    pub(in crate::chat) fn on_messages_pruned(&mut self, before: Timestamp) {
        for cached in self.conversations.at_hand.values_mut() {
            if cached.conversation.last_message.as_ref().is_some_and(|last| last.timestamp < before) {
                Arc::make_mut(&mut cached.conversation).last_message = None;
            }
        }
    }

    pub(in crate::chat) fn kick(&mut self, socket: SocketId) -> bool {
        let open = self.sessions.open.iter().find(|(_, session)| session.socket == socket).map(|(connection, _)| *connection);
        if let Some(connection) = open {
            info!(sid:% = socket; "kicked");
            self.kick_out(connection, "KICKED");
            return true;
        }
        let had_waiting = self.drop_leftovers_of(socket);
        let parked = self.sessions.detached.find_socket(&socket);
        parked.inspect(|pid| self.forget_parked(*pid)).is_some() || had_waiting
    }

    pub(in crate::chat) fn on_deleted(&mut self, user: &UserId) {
        info!("account deleted user={user}");
        let now = self.now();
        if let Some(entry) = self.users.at_hand.get_mut(user) {
            let account = Arc::make_mut(&mut entry.account);
            account.is_deleted = true;
            account.last_seen = None;
            account.profile = Arc::new(Profile {
                id: user.clone(),
                username: DELETED_NAME.to_owned(),
                full_name: None,
                avatar: None,
                email: None,
                role: UserRole::User,
            });
            // Chats with the model went with their user.
            entry.memberships.retain(|membership| membership.kind == ConversationKind::Direct);
        }
        self.drop_questions_of(user);
        self.users.changes.note([user], now);
        self.put_out(user, "USER_NOT_FOUND", |_| true);
    }

    pub(in crate::chat) fn kick_room(&mut self, room: Option<&str>) -> bool {
        if let Some(Ok(user)) = room.and_then(|room| room.strip_prefix("user:")).map(UserId::parse) {
            let was_there = self.users.at_hand.get(&user).is_some_and(|user| user.has_sessions());
            self.put_out(&user, "KICKED", |_| true);
            return was_there;
        }
        let connections: Vec<ConnectionKey> = match room {
            None => self.sessions.open.keys().copied().collect(),
            Some(room) => match (SocketId::parse(room), RoomKey::called(room)) {
                (Ok(socket), _) => return self.kick(socket),
                (_, Some(key)) => self.rooms.find(&key).map(|room| room.connections().collect()).unwrap_or_default(),
                (_, None) => Vec::new(),
            },
        };
        info!("kicked room={} sockets={}", room.unwrap_or("-"), connections.len());
        for connection in &connections {
            self.kick_out(*connection, "KICKED");
        }
        !connections.is_empty()
    }

    pub(in crate::chat) fn on_disabled(&mut self, user: &UserId, disabled: bool) {
        info!(user:% = user; "account {}", if disabled { "disabled" } else { "enabled" });
        let now = self.now();
        if let Some(entry) = self.users.at_hand.get_mut(user) {
            Arc::make_mut(&mut entry.account).disabled = disabled;
        }
        self.users.changes.note([user], now);
        if disabled {
            self.drop_questions_of(user);
            self.put_out(user, "ACCOUNT_DISABLED", |_| true);
        }
    }
}
