//! What a user is told of who was not there.
use super::{NotificationId, Timestamp, UserId};

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
    /// Whether its user has read it.
    pub read: bool,
    /// When it was made, or renewed.
    pub created_at: Timestamp,
}
