//! Plans for when a change is stored.
use std::sync::Arc;

use tokio::sync::oneshot;

use super::notifications::Owed;
use super::requests::ReplyTo;
use super::sends::Audience;
use crate::model::{ChosenStatus, Conversation, ConversationId, ListingId, Message, MessageId, Notification, Timestamp, UserId};
use crate::store::StoreError;

/// A change that takes effect once it is stored.
#[derive(Debug)]
pub(crate) enum Change {
    /// A conversation was made.
    Made(Arc<Conversation>),
    /// Name, picture or administrator are these now.
    Updated { conversation: ConversationId, name: Option<String>, avatar: Option<String>, admin: Option<UserId>, at: Timestamp },
    /// These joined, added by one.
    Joined { conversation: ConversationId, users: Vec<UserId>, by: UserId, at: Timestamp },
    /// This one left, and perhaps another one is administrator now.
    Left { conversation: ConversationId, user: UserId, admin: Option<UserId>, at: Timestamp },
    /// The conversation is gone.
    Deleted(ConversationId),
}

impl Change {
    /// Returns the conversation that changes.
    pub(crate) fn conversation(&self) -> ConversationId {
        match self {
            Self::Made(conversation) => conversation.id,
            Self::Updated { conversation, .. } | Self::Joined { conversation, .. } | Self::Left { conversation, .. } => {
                *conversation
            }
            Self::Deleted(conversation) => *conversation,
        }
    }
}

/// A name that was given and is being stored.
#[derive(Debug)]
pub(crate) struct GivenName {
    pub owner: UserId,
    pub conversation: ConversationId,
    pub name: Arc<str>,
    pub before: Option<Arc<str>>,
}

/// Consequences of a commit, by the change that was stored.
#[derive(Debug)]
pub(crate) enum AfterCommit {
    /// Nothing: a failure is in the store's log.
    Nothing,
    /// Users who came online or went.
    Online { came: Vec<UserId>, gone: Vec<UserId> },
    /// A message.
    Message(MessageId),
    /// A direct conversation, or a chat with the model, that is in use already.
    ConversationMade(ConversationId),
    /// A name that is in use already.
    Named(GivenName),
    /// A receipt.
    Read { message: Arc<Message>, reader: UserId, read_at: Timestamp, reply_to: ReplyTo },
    /// An edit or a deletion; `message` as it is then, `position` its place in the order, `audience` those who are notified.
    Changed { message: Arc<Message>, position: Option<i64>, audience: Option<Audience>, reply_to: ReplyTo },
    /// A change of a conversation.
    Conversation { change: Change, reply_to: ReplyTo },
    /// A chosen presence.
    Status { user: UserId, status: ChosenStatus, reply_to: ReplyTo },
    /// A new name or picture.
    Profile { user: UserId, full_name: Option<Option<String>>, avatar: Option<Option<String>>, reply_to: ReplyTo },
    /// Notifications of messages.
    Gathered(Vec<Owed>),
    /// A notification that a server asked for, and to how many sockets it was sent.
    Notified { notification: Arc<Notification>, sockets: usize, reply_to: ReplyTo },
    /// A listing's title.
    Titled { listing: ListingId, title: String, answer: oneshot::Sender<Result<(), StoreError>> },
}

impl AfterCommit {
    /// Returns who is answered, where the plan itself says so.
    pub(crate) fn reply_to(&self) -> Option<ReplyTo> {
        match self {
            Self::Nothing
            | Self::Online { .. }
            | Self::Message(_)
            | Self::ConversationMade(_)
            | Self::Named(_)
            | Self::Gathered(_)
            | Self::Titled { .. } => None,
            Self::Read { reply_to, .. }
            | Self::Changed { reply_to, .. }
            | Self::Conversation { reply_to, .. }
            | Self::Status { reply_to, .. }
            | Self::Profile { reply_to, .. }
            | Self::Notified { reply_to, .. } => Some(*reply_to),
        }
    }
}
