//! Notes for users who were not there.
use serde_json::json;

use super::conversation::Conversation;
use super::id::{ConversationId, NotificationId, UserId};
use super::message::Message;
use super::timestamp::Timestamp;
use super::user::Profile;

/// A notification as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Opaque to clients.
    pub id: NotificationId,
    /// Whom it tells.
    pub user: UserId,
    /// `message`, `group`, or what a server key named it.
    pub kind: String,
    /// For people.
    pub message: String,
    /// For programs: any JSON, as text.
    pub data: Option<String>,
    /// Its user has read it.
    pub read: bool,
    /// When it was made, or renewed.
    pub created_at: Timestamp,
}

impl Notification {
    /// Tells `user` of a message in a conversation.
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

    /// Tells `user` that `by` put them into a group.
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
