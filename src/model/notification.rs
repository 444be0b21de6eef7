//! Notifications for users who were offline.
use serde_json::json;

use super::conversation::Conversation;
use super::id::{ConversationId, NotificationId, UserId};
use super::message::Message;
use super::timestamp::Timestamp;
use super::user::Profile;

/// A notification as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Opaque to clients.
    pub id: NotificationId,
    /// The recipient.
    pub user: UserId,
    /// `message`, `group`, or a kind named by a server with an API key.
    pub kind: String,
    /// A sentence for people.
    pub message: String,
    /// Data for programs: any JSON, as text.
    pub data: Option<String>,
    /// Set once the user has read it.
    pub read: bool,
    /// Time of creation, or of the last renewal.
    pub created_at: Timestamp,
}

impl Notification {
    /// Notifies `user` of a message in a conversation.
    pub fn of_message(id: NotificationId, user: UserId, message: &Message, conversation: ConversationId) -> Self {
        let sender = &message.sender;
        let data = json!({"conversationId": conversation, "messageId": message.id, "senderId": sender.id});
        Self {
            id,
            user,
            kind: "message".to_owned(),
            message: format!("New message from {}", sender.username),
            data: Some(data.to_string()),
            read: false,
            created_at: message.created_at,
        }
    }

    /// Notifies `user` that `by` added them to a group.
    pub fn of_joining(id: NotificationId, user: UserId, group: &Conversation, by: &Profile, created_at: Timestamp) -> Self {
        let name = group.name.as_deref().unwrap_or_default();
        Self {
            id,
            user,
            kind: "group".to_owned(),
            message: format!("{} added you to {name}", by.username),
            data: Some(json!({"conversationId": group.id, "by": by.id}).to_string()),
            read: false,
            created_at,
        }
    }
}
