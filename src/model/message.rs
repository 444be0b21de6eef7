//! Messages.
use std::sync::Arc;

use schemars::JsonSchema;

use super::file::File;
use super::id::{ConversationId, MessageId, RoomId, UserId};
use super::listing::Listing;
use super::timestamp::Timestamp;
use super::user::Profile;

/// Where a message stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a conversation: members only.
    Conversation(ConversationId),
    /// In a public room.
    Room(RoomId),
    /// In the one chat that is common to all.
    CommonChat,
}

impl Place {
    /// The conversation, where it is one.
    pub fn conversation(&self) -> Option<ConversationId> {
        if let Self::Conversation(id) = self { Some(*id) } else { None }
    }
}

/// Who speaks.
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

/// How far a message got: the furthest that any recipient reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub enum MessageStatus {
    /// Stored, or on its way there.
    #[default]
    Sent,
    /// A recipient has it.
    Delivered,
    /// A recipient read it.
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
    /// Who read it.
    pub user: UserId,
    /// When.
    pub read_at: Timestamp,
}

/// A message as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Opaque to clients.
    pub id: MessageId,
    /// Where it stands.
    pub place: Place,
    /// Its number within `place`, from 1; 0 while it is not stored yet.
    pub seq: i64,
    /// Its number among all messages of this server, in the order of handing out.
    pub position: i64,
    /// Who wrote it.
    pub sender: Arc<Profile>,
    /// A person or the model.
    pub role: Role,
    /// The text; may be empty where there is a file.
    pub content: String,
    /// `text`, `image`, …: 1–32 characters.
    pub message_type: String,
    /// The file it carries.
    pub file: Option<File>,
    /// Further files, at most 20.
    pub attachments: Vec<File>,
    /// The listing it is about.
    pub listing: Option<Listing>,
    /// The sender's own name for it.
    pub client_message_id: Option<String>,
    /// Of an answer of the model: what its question called the chat, as JSON.
    pub chat: Option<Arc<str>>,
    /// Of an answer of the model: there was more to say, and it was cut by length or time.
    pub is_truncated: bool,
    /// How far it got.
    pub status: MessageStatus,
    /// Who read it and when.
    pub read_by: Vec<ReadMark>,
    /// When it was admitted.
    pub created_at: Timestamp,
    /// When it, or a receipt of it, last changed; rises strictly within a conversation.
    pub updated_at: Timestamp,
    /// When it was deleted; its content is empty then.
    pub deleted_at: Option<Timestamp>,
}
