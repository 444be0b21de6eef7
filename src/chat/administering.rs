//! What administrators do to users and their sockets.
use std::sync::Arc;

use actix::Message;
use log::info;

use super::broker::Broker;
use super::rooms::RoomKey;
use crate::engineio::ConnectionKey;
use crate::model::{ConversationKind, DELETED_NAME, Profile, SocketId, Timestamp, UserId, UserRole};
use crate::store::StoreError;

/// An act of an administrator. Answers whether there is whom it is about.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<bool, StoreError>")]
pub enum Administer {
    /// Disables an account, or enables it again. A disabled one's sockets are put out, its sessions cannot be come back to, and
    /// its tokens prove nobody.
    SetDisabled {
        /// Whose.
        user: UserId,
        /// Whether it is to be.
        disabled: bool,
    },
    /// Deletes an account: its sockets are put out, its tokens prove nobody, what is personal is gone.
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

impl Broker {
    /// Messages from before were deleted.
    pub(super) fn on_messages_pruned(&mut self, before: Timestamp) {
        for cached in self.conversations.values_mut() {
            if cached.conversation.last_message.as_ref().is_some_and(|last| last.timestamp < before) {
                Arc::make_mut(&mut cached.conversation).last_message = None;
            }
        }
    }

    pub(super) fn kick(&mut self, socket: SocketId) -> bool {
        let open = self.sessions.iter().find(|(_, session)| session.socket == socket).map(|(connection, _)| *connection);
        if let Some(connection) = open {
            info!(sid:% = socket; "kicked");
            self.kick_out(connection, "KICKED");
            return true;
        }
        let had_waiting = self.drop_leftovers_of(socket);
        let parked = self.parked.find_socket(&socket);
        parked.inspect(|pid| self.forget_parked(*pid)).is_some() || had_waiting
    }

    pub(super) fn on_deleted(&mut self, user: &UserId) {
        info!("account deleted user={user}");
        let now = self.now();
        if let Some(entry) = self.users.get_mut(user) {
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
        self.account_changes.note([user], now);
        self.put_out(user, "USER_NOT_FOUND", |_| true);
    }

    pub(super) fn kick_room(&mut self, room: Option<&str>) -> bool {
        if let Some(Ok(user)) = room.and_then(|room| room.strip_prefix("user:")).map(UserId::parse) {
            let was_there = self.users.get(&user).is_some_and(|user| user.has_sessions());
            self.put_out(&user, "KICKED", |_| true);
            return was_there;
        }
        let connections: Vec<ConnectionKey> = match room {
            None => self.sessions.keys().copied().collect(),
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

    pub(super) fn on_disabled(&mut self, user: &UserId, disabled: bool) {
        info!(user:% = user; "account {}", if disabled { "disabled" } else { "enabled" });
        let now = self.now();
        if let Some(entry) = self.users.get_mut(user) {
            Arc::make_mut(&mut entry.account).disabled = disabled;
        }
        self.account_changes.note([user], now);
        if disabled {
            self.drop_questions_of(user);
            self.put_out(user, "ACCOUNT_DISABLED", |_| true);
        }
    }
}
