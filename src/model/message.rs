//! Messages.
use std::sync::Arc;

use schemars::JsonSchema;

use super::file::File;
use super::id::{ConversationId, MessageId, RoomId, UserId};
use super::listing::Listing;
use super::timestamp::Timestamp;
use super::user::Profile;

/// The conversation, room or chat that a message belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A conversation: only members see it.
    Conversation(ConversationId),
    /// In a public room.
    Room(RoomId),
    /// The one chat that all users share.
    CommonChat,
}

impl Place {
    /// Returns the conversation, if it is one.
    pub fn conversation(&self) -> Option<ConversationId> {
        if let Self::Conversation(id) = self { Some(*id) } else { None }
    }
}

/// Kind of author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub enum Role {
    /// A person.
    #[default]
    User,
    /// The AI model.
    Model,
}

impl Role {
    /// `user` or `model`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Model => "model",
        }
    }
}

/// Delivery status of a message: the furthest that any recipient has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub enum MessageStatus {
    /// Stored, or about to be.
    #[default]
    Sent,
    /// Received by a recipient.
    Delivered,
    /// Read by a recipient.
    Read,
}

impl MessageStatus {
    /// `sent`, `delivered` or `read`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

/// One reader's receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMark {
    /// The reader.
    pub user: UserId,
    /// Time of reading.
    pub read_at: Timestamp,
}

/// A message as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Opaque to clients.
    pub id: MessageId,
    /// The conversation, room or chat that it belongs to.
    pub place: Place,
    /// Number within `place`, from 1; 0 until it is stored.
    pub seq: i64,
    /// Number among all messages of this server, in order of dispatch.
    pub position: i64,
    /// The author.
    pub sender: Arc<Profile>,
    /// Kind of the author.
    pub role: Role,
    /// The text; may be empty if there is a file.
    pub content: String,
    /// `text`, `image`, …: 1–32 characters.
    pub message_type: String,
    /// The attached file.
    pub file: Option<File>,
    /// Further files, at most 20.
    pub attachments: Vec<File>,
    /// The listing it is about.
    pub listing: Option<Listing>,
    /// The sender's own name for it.
    pub client_message_id: Option<String>,
    /// Only in an answer of the model: the chat's id as JSON, as given with the question.
    pub chat: Option<Arc<str>>,
    /// Only in an answer of the model: it was cut off by length or time.
    pub is_truncated: bool,
    /// Delivery status.
    pub status: MessageStatus,
    /// Receipts of the readers.
    pub read_by: Vec<ReadMark>,
    /// Time of admission.
    pub created_at: Timestamp,
    /// Time of the last change of the message or its receipts; rises strictly within a conversation.
    pub updated_at: Timestamp,
    /// Time of deletion; the content is empty then.
    pub deleted_at: Option<Timestamp>,
}
