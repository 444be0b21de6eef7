//! Commands on their way, and who waits for their answers.
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::chat::ports::{ChatError, Command, OwnCopy, Reply};
use crate::engineio::ConnectionKey;
use crate::model::{ConversationId, File, Listing, Message, Notification, PrivateId, SocketId, UserId};
use crate::store::Overview;

/// Where the socket is now that asked for something.
#[derive(Debug, Clone, Copy)]
pub struct AskingSocket {
    /// `None`: it is parked.
    pub connection: Option<ConnectionKey>,
    pub socket: SocketId,
    pub pid: PrivateId,
}

/// Who waits for an answer.
#[derive(Debug)]
pub enum Asker {
    /// A socket's request.
    Session { connection: ConnectionKey, socket: SocketId, pid: PrivateId, ticket: u32, own_copy: OwnCopy },
    /// A request of a socket that is gone; its client may have come back to its session.
    Left { socket: SocketId, pid: PrivateId, own_copy: OwnCopy },
    /// A request over HTTP.
    Http(oneshot::Sender<Result<Reply, ChatError>>),
    /// Nobody: the model answers a question of this chat.
    Model { conversation: ConversationId },
}

impl Asker {
    /// The socket that asks, if it is one.
    pub fn connection(&self) -> Option<ConnectionKey> {
        match self {
            Self::Session { connection, .. } => Some(*connection),
            Self::Left { .. } | Self::Http(_) | Self::Model { .. } => None,
        }
    }

    /// The public id of the asking socket, which may be gone by now.
    pub fn socket(&self) -> Option<SocketId> {
        match self {
            Self::Session { socket, .. } | Self::Left { socket, .. } => Some(*socket),
            Self::Http(_) | Self::Model { .. } => None,
        }
    }

    /// The session of the asking socket, which may be gone by now.
    pub fn pid(&self) -> Option<PrivateId> {
        match self {
            Self::Session { pid, .. } | Self::Left { pid, .. } => Some(*pid),
            Self::Http(_) | Self::Model { .. } => None,
        }
    }

    /// What the asking socket is shown of what it sends.
    pub fn own_copy(&self) -> OwnCopy {
        match self {
            Self::Session { own_copy, .. } | Self::Left { own_copy, .. } => *own_copy,
            Self::Http(_) | Self::Model { .. } => OwnCopy::None,
        }
    }
}

/// A command on its way, with what was read for it so far.
#[derive(Debug)]
pub struct Pending {
    pub user: UserId,
    pub asker: Asker,
    pub command: Command,
    pub facts: Facts,
}

/// What was read for one command and is kept nowhere else.
#[derive(Debug, Default)]
pub struct Facts {
    /// `Some(None)`: there is no such message.
    pub message: Option<Option<Arc<Message>>>,
    /// `Some(None)`: the question has no answer yet.
    pub answer: Option<Option<Arc<Message>>>,
    /// The uploads that the draft names, and how often files had been dropped by then.
    pub uploads: Option<(u64, Vec<(File, UserId)>)>,
    /// What the sender calls a conversation was looked up.
    pub called: Option<Called>,
    /// The sender's conversations.
    pub overviews: Option<Vec<Overview>>,
    /// The asker's notifications.
    pub notifications: Option<Vec<Notification>>,
    /// The listing that the draft is about; without a title also where that could not be read.
    pub listing: Option<Listing>,
    /// The conversation was looked up; where it is not at hand now, there is none.
    pub conversation_read: bool,
    /// These users were looked up; who is not at hand now is unknown.
    pub users_read: Vec<UserId>,
    /// The sender's ids could not be read: the index decides.
    pub sent_ids_unreadable: bool,
    /// Whether the socket's further requests wait for this one.
    pub holds_queue: bool,
}

/// What a text meant to a user as a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Called {
    /// How many names the user had given by then.
    pub names_given: u64,
    /// `None`: nothing.
    pub conversation: Option<ConversationId>,
}
