//! Commands on their way, and who waits for their answers.
use std::sync::Arc;

use crate::chat::ports::{Command, OwnCopy};
use crate::engineio::ConnectionKey;
use crate::model::{ConversationId, File, Listing, Message, MessageId, Notification, PrivateId, SocketId, UserId};
use crate::store::Overview;

/// Present place of the socket that asked for something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requester {
    /// `None`: it is detached.
    pub connection: Option<ConnectionKey>,
    pub socket: SocketId,
    pub pid: PrivateId,
}

/// Address of a command's reply.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReplyTo {
    /// A socket's request.
    Session { connection: ConnectionKey, socket: SocketId, pid: PrivateId, ticket: u32, own_copy: OwnCopy },
    /// A request of a socket that is gone; its client may have come back to its session.
    Left { socket: SocketId, pid: PrivateId, own_copy: OwnCopy },
    /// A request over HTTP, by the number under which the outside keeps who waits for it.
    Http(u64),
    /// Nobody: the model answers a question of this chat.
    Model { conversation: ConversationId },
}

impl ReplyTo {
    /// Returns the connection that asked, if it was one.
    pub(crate) fn connection(&self) -> Option<ConnectionKey> {
        match self {
            Self::Session { connection, .. } => Some(*connection),
            Self::Left { .. } | Self::Http(_) | Self::Model { .. } => None,
        }
    }

    /// Returns the public id of the socket that asked, which may be gone by now.
    pub(crate) fn socket(&self) -> Option<SocketId> {
        match self {
            Self::Session { socket, .. } | Self::Left { socket, .. } => Some(*socket),
            Self::Http(_) | Self::Model { .. } => None,
        }
    }

    /// Returns the session of the socket that asked, which may be gone by now.
    pub(crate) fn pid(&self) -> Option<PrivateId> {
        match self {
            Self::Session { pid, .. } | Self::Left { pid, .. } => Some(*pid),
            Self::Http(_) | Self::Model { .. } => None,
        }
    }

    /// Returns what the socket that asked is shown of what it sends.
    pub(crate) fn own_copy(&self) -> OwnCopy {
        match self {
            Self::Session { own_copy, .. } | Self::Left { own_copy, .. } => *own_copy,
            Self::Http(_) | Self::Model { .. } => OwnCopy::None,
        }
    }
}

/// A command on its way, with what was read for it so far.
#[derive(Debug)]
pub(crate) struct Running {
    pub user: UserId,
    pub reply_to: ReplyTo,
    pub command: Command,
    pub prefetched: Prefetched,
}

/// Data that was read for one command and is kept nowhere else.
#[derive(Debug, Default)]
pub(crate) struct Prefetched {
    /// `Some(None)`: there is no such message.
    pub message: Option<Option<Arc<Message>>>,
    /// `Some(None)`: the question has no answer yet.
    pub answer: Option<Option<Arc<Message>>>,
    /// The uploads that the draft names, and how often files had been dropped by then.
    pub uploads: Option<(u64, Vec<(File, UserId)>)>,
    /// Outcome of the lookup of the sender's alias for a conversation.
    pub alias: Option<ResolvedAlias>,
    /// The sender's conversations.
    pub overviews: Option<Vec<Overview>>,
    /// Messages of the place that was asked for.
    pub history: Option<Vec<Message>>,
    /// The requester's notifications.
    pub notifications: Option<Vec<Notification>>,
    /// The listing that the draft is about; without a title also where that could not be read.
    pub listing: Option<Listing>,
    /// The conversation was looked up; where it is not at hand now, there is none.
    pub conversation_read: bool,
    /// These users were looked up; who is not at hand now is unknown.
    pub users_read: Vec<UserId>,
    /// The requester was described anew.
    pub is_described: bool,
    /// The sender's ids could not be read: the index decides.
    pub sent_ids_unreadable: bool,
    /// The operator's hook was asked, and allows it.
    pub hook_answer: Option<HookAnswer>,
    /// Set if the socket's further requests wait for this one.
    pub holds_queue: bool,
}

/// Leave of the operator's hook for a command.
#[derive(Debug, Clone)]
pub(crate) struct HookAnswer {
    /// Id that the hook was told of the message of a send.
    pub message: Option<MessageId>,
    /// Text in place of the one that was asked about.
    pub content: Option<String>,
}

/// Conversation that a text meant to a user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResolvedAlias {
    /// Number of aliases that the user had given by then.
    pub names_given: u64,
    /// `None`: nothing.
    pub conversation: Option<ConversationId>,
}
