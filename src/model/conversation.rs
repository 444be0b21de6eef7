//! Conversations: who talks with whom.
use schemars::JsonSchema;

use super::id::{ConversationId, UserId};
use super::timestamp::Timestamp;

/// Kind of a conversation: decides how it is made and who can join it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub enum ConversationKind {
    /// Two users, or one user alone; at most one per pair.
    Direct,
    /// A named group with an administrator.
    Group,
    /// One user with the model.
    Ai,
}

impl ConversationKind {
    /// `direct`, `group` or `ai`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Ai => "ai",
        }
    }

    /// Reads what [`ConversationKind::as_str`] prints.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "direct" => Some(Self::Direct),
            "group" => Some(Self::Group),
            "ai" => Some(Self::Ai),
            _ => None,
        }
    }
}

/// The newest message of a conversation, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastMessage {
    /// The text; `File` if the message has none.
    pub content: String,
    /// The author.
    pub sender: UserId,
    /// Time of the message.
    pub timestamp: Timestamp,
    /// `text`, `image`, …
    pub message_type: String,
}

/// A conversation with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Opaque to clients.
    pub id: ConversationId,
    /// Direct, group or with the model.
    pub kind: ConversationKind,
    /// Name of a group.
    pub name: Option<String>,
    /// Picture of a group.
    pub avatar: Option<String>,
    /// Administrator of a group.
    pub admin: Option<UserId>,
    /// Current members, the longest-standing first.
    pub participants: Vec<UserId>,
    /// The newest message.
    pub last_message: Option<LastMessage>,
    /// `seq` of the newest message; 0 before the first.
    pub last_seq: i64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change of the conversation, its members or its last message.
    pub updated_at: Timestamp,
}

impl Conversation {
    /// Returns whether `user` is a current member.
    pub fn has(&self, user: &UserId) -> bool {
        self.participants.contains(user)
    }

    /// Returns the other member of a direct conversation; `user` itself if there is no other.
    pub fn other_than<'a>(&'a self, user: &'a UserId) -> &'a UserId {
        self.participants.iter().find(|member| *member != user).unwrap_or(user)
    }
}
