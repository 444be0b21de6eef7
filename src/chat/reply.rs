//! What an asker is told.
use std::sync::Arc;

use crate::model::{Account, Conversation, Message, MessageStatus, Notification, Profile, Timestamp};

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
    /// Notifications, newest first.
    Notifications(Vec<Notification>),
    /// The socket is in by its new token.
    Renewed {
        /// When that one expires.
        expires_at: Option<Timestamp>,
    },
    /// One's own account as it is now.
    Account(Arc<Account>),
}
