//! Conversations: who talks with whom.
use schemars::JsonSchema;

use super::id::{ConversationId, UserId};
use super::timestamp::Timestamp;

/// How a conversation came to be and who can join it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub enum ConversationKind {
    /// Two users (or one with itself); at most one per pair.
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

/// The newest message of a conversation, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastMessage {
    /// The text; `File` where there is none.
    pub content: String,
    /// Who wrote it.
    pub sender: UserId,
    /// When.
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
    /// A group's name.
    pub name: Option<String>,
    /// A group's picture.
    pub avatar: Option<String>,
    /// A group's administrator.
    pub admin: Option<UserId>,
    /// Present members, the longest-standing first.
    pub participants: Vec<UserId>,
    /// The newest message.
    pub last_message: Option<LastMessage>,
    /// `seq` of the newest message; 0 before the first.
    pub last_seq: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it, its members or its last message last changed.
    pub updated_at: Timestamp,
}

impl Conversation {
    /// Tells whether `user` is a present member.
    pub fn has(&self, user: &UserId) -> bool {
        self.participants.contains(user)
    }

    /// Returns the one whom `user` talks with in a direct conversation (`user` itself where it is alone).
    pub fn other_than<'a>(&'a self, user: &'a UserId) -> &'a UserId {
        self.participants.iter().find(|member| *member != user).unwrap_or(user)
    }
}
