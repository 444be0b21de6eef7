//! Replies to requesters.
use std::sync::Arc;

use crate::model::{Account, Conversation, Message, MessageStatus, Notification, Profile, SocketId, Timestamp};
use crate::store::Overview;

/// The answer to a command that succeeded.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Done, and there is nothing more to say.
    Done,
    /// The message is stored.
    Sent(Sent),
    /// A message as it is now.
    Message(Arc<Message>),
    /// Messages, oldest first.
    Messages(Vec<Message>),
    /// A conversation as it is now.
    Conversation(ConversationReply),
    /// Conversations, last active first.
    Conversations(Vec<Overview>),
    /// Sockets and whose they are.
    Connections {
        /// As many as were asked for.
        connections: Vec<(Arc<Profile>, SocketId)>,
        /// Number of all that there are.
        total: usize,
    },
    /// Notifications, newest first.
    Notifications(Vec<Notification>),
    /// A notification is stored.
    Notified(Notified),
    /// The socket is in by its new token.
    Renewed {
        /// Time at which that one expires.
        expires_at: Option<Timestamp>,
    },
    /// One's own account as it is now.
    Account(Arc<Account>),
}

/// Reply to a send: the message is stored.
#[derive(Debug, Clone)]
pub struct Sent {
    /// As stored; on a repeat as it is now.
    pub message: Arc<Message>,
    /// Of a direct conversation: who it is for.
    pub recipient: Option<Arc<Profile>>,
    /// `Delivered` where a live socket of the recipient has been sent it.
    pub status: MessageStatus,
    /// Alias that the sender has for the conversation.
    pub name: Option<Arc<str>>,
}

/// Reply to a command that makes or changes a conversation.
#[derive(Debug, Clone)]
pub struct ConversationReply {
    /// With its members.
    pub conversation: Arc<Conversation>,
    /// Set if it was made by this command.
    pub created: bool,
}

/// Reply to a command that notifies a user: the notification is stored.
#[derive(Debug, Clone)]
pub struct Notified {
    /// As stored.
    pub notification: Arc<Notification>,
    /// Number of sockets that it was sent to.
    pub sockets: usize,
}

/// Gives a reply its own type: who asks for it by that type gets it, or what came instead.
macro_rules! typed {
    ($($variant:ident => $reply:ty),*) => {$(
        impl TryFrom<Reply> for $reply {
            type Error = Reply;

            fn try_from(reply: Reply) -> Result<Self, Reply> {
                if let Reply::$variant(reply) = reply { Ok(reply) } else { Err(reply) }
            }
        }
    )*};
}

typed!(Sent => Sent, Conversation => ConversationReply, Notified => Notified, Message => Arc<Message>, Account => Arc<Account>);
