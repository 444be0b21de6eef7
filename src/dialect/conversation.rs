//! `conversation`: conversations, typing, presence with status, receipts, notifications, several devices.
use serde::Serialize;
use serde_json::value::RawValue;

use super::Fault;
use super::vocabulary::{Asked, Decoded, Entry, Vocabulary, packet};
use crate::chat::{Event, Reply, Words};
use crate::engineio::Encoded;
use crate::model::{Notification, NotificationId, Timestamp};
use crate::socketio::Args;

/// The event by which other servers tell this front end of a notification, too.
pub const NOTIFICATION_EVENT: &str = "notification:new";

/// The front end of `seeds/001`.
#[derive(Debug)]
pub struct Conversation;

impl Vocabulary for Conversation {
    fn name(&self) -> &'static str {
        "conversation"
    }

    fn events(&self) -> &'static [Entry] {
        &[]
    }

    fn decode(&self, _asked: &mut Asked, _args: &Args) -> Result<Decoded, Fault> {
        Err(Fault::UnknownEvent)
    }

    fn encode(&self, event: &Event) -> Option<Encoded> {
        match event {
            Event::Notification(notification) => {
                Some(Encoded::text(&packet(NOTIFICATION_EVENT, &NotificationView::of(notification))))
            }
            _ => None,
        }
    }

    fn words(&self, _is_pinned: bool) -> Words {
        Words { notification: true, ..Words::default() }
    }

    fn encode_ack(&self, _asked: &Asked, _reply: &Reply) -> String {
        String::new()
    }
}

/// A notification as `conversation` shows it, and as HTTP does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationView<'a> {
    id: NotificationId,
    r#type: &'a str,
    message: &'a str,
    data: Option<&'a RawValue>,
    created_at: Timestamp,
    read: bool,
}

impl<'a> NotificationView<'a> {
    /// As it is now.
    pub fn of(notification: &'a Notification) -> Self {
        let Notification { id, user: _, kind, message, data, read, created_at } = notification;
        let data = data.as_deref().and_then(|json| serde_json::from_str(json).ok());
        Self { id: *id, r#type: kind, message, data, created_at: *created_at, read: *read }
    }
}
