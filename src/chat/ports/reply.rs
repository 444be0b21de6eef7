//! What an asker is told.
use std::sync::Arc;

use crate::model::{Account, Conversation, Message, MessageStatus, Notification, Profile, SocketId, Timestamp, UserId};
use crate::store::Overview;

/// The answer to a command that succeeded.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Done, and there is nothing more to say.
    Done,
    /// The message is stored.
    Sent {
        /// As stored; on a repeat as it is now.
        message: Arc<Message>,
        /// Of a direct conversation: who it is for.
        recipient: Option<Arc<Profile>>,
        /// `Delivered` where a live socket of the recipient has been handed it.
        status: MessageStatus,
        /// What the sender calls the conversation.
        name: Option<Arc<str>>,
    },
    /// A message as it is now.
    Message(Arc<Message>),
    /// A conversation as it is now.
    Conversation {
        /// With its members.
        conversation: Arc<Conversation>,
        /// Whether it was made by this command.
        created: bool,
    },
    /// Conversations, last active first.
    Conversations(Vec<Overview>),
    /// Sockets and whose they are.
    Connections {
        /// As many as were asked for.
        connections: Vec<(UserId, SocketId)>,
        /// How many there are.
        total: usize,
    },
    /// Notifications, newest first.
    Notifications(Vec<Notification>),
    /// A notification is stored.
    Notified {
        /// As stored.
        notification: Arc<Notification>,
        /// To how many sockets it was sent.
        sockets: usize,
    },
    /// The socket is in by its new token.
    Renewed {
        /// When that one expires.
        expires_at: Option<Timestamp>,
    },
    /// One's own account as it is now.
    Account(Arc<Account>),
}
