//! Events for webhooks, as they are stored and read.
use std::borrow::Cow;
use std::sync::Arc;

use diesel::QueryResult;
use diesel::result::Error;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rows::corrupt;
use crate::config::WebhookEvent;
use crate::model::{Conversation, Message, Profile, Timestamp};

/// Prefix of the lane of a user's events; messages and conversations have the lane of their place.
const USER_LANE: &str = "user:";

/// Returns the lane of a user's events: within a lane, events keep their order.
pub(super) fn user_lane(user: &str) -> String {
    format!("{USER_LANE}{user}")
}

/// Part of an event that its subject does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDetail {
    /// Change of a conversation: `created`, `updated`, `joined`, `left` or `deleted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Cow<'static, str>>,
    /// Users: the reader, who joined or left, or who is not reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Number of further users, who are not listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl EventDetail {
    pub(super) fn to_json(&self) -> QueryResult<String> {
        serde_json::to_string(self).map_err(|error| Error::SerializationError(error.into()))
    }

    pub(super) fn of_json(json: Option<&str>) -> QueryResult<Self> {
        let Some(json) = json else { return Ok(Self::default()) };
        serde_json::from_str(json).map_err(|_| corrupt("webhook_events.detail", json))
    }
}

/// Columns of an event.
pub(super) type EventRow = (i64, String, String, String, String, Option<String>, i64, i64);

/// A waiting event, as far as its order is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedEvent {
    /// Number of its row; rises.
    pub number: i64,
    /// Events of one lane are sent in the order of their numbers.
    pub lane: String,
    /// Time since which it waits.
    pub queued_at: Timestamp,
}

/// An event with all that it tells of, as it is now.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Number of its row.
    pub number: i64,
    /// Its webhook.
    pub webhook: String,
    /// Kind of event.
    pub event: WebhookEvent,
    /// Time of the change.
    pub at: Timestamp,
    /// Id of the message, conversation or user that it is about.
    pub subject: String,
    /// Further facts.
    pub detail: EventDetail,
    /// The place of the message, or the conversation; `user:` and the id for events of users.
    pub lane: String,
    /// The message, if it is about one that still exists.
    pub message: Option<Arc<Message>>,
    /// The conversation, if it is about one that still exists.
    pub conversation: Option<Arc<Conversation>>,
    /// Users of `detail`, or the user that it is about, as far as they still exist.
    pub users: Vec<Arc<Profile>>,
}

impl StoredEvent {
    /// Returns the event's id, which stays the same over retries, restarts and replays.
    pub fn id(&self) -> Uuid {
        let Self { webhook, event, at, subject, detail, .. } = self;
        event_id(webhook, *event, subject, detail, *at)
    }
}

/// Derives an event's id from its content.
fn event_id(webhook: &str, event: WebhookEvent, subject: &str, detail: &EventDetail, at: Timestamp) -> Uuid {
    let EventDetail { change, users, more: _ } = detail;
    let name = [webhook, event.as_str(), subject, change.as_deref().unwrap_or_default(), &at.as_millis().to_string()];
    let name = name.into_iter().chain(users.iter().map(String::as_str)).collect::<Vec<_>>().join("\n");
    Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"parlance"), name.as_bytes())
}

/// An event that its webhook has not got, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedEvent {
    /// Number of its row.
    pub number: i64,
    /// Its id, as its webhook is sent it.
    pub id: Uuid,
    /// Its webhook.
    pub webhook: String,
    /// Kind of event.
    pub event: String,
    /// Id of the message, conversation or user that it is about.
    pub subject: String,
    /// Time of the change.
    pub at: Timestamp,
    /// Time since which it waits, or waited.
    pub queued_at: Timestamp,
    /// Time at which it was given up, and the last failure; `None`: it waits.
    pub death: Option<(Timestamp, String)>,
}

/// Columns that both tables have.
pub(super) type ListedRow = (i64, String, String, String, Option<String>, i64, i64);

impl ListedEvent {
    pub(super) fn of_row(row: ListedRow, death: Option<(i64, String)>) -> QueryResult<Self> {
        let (number, webhook, event, subject, detail, happened_at, queued_at) = row;
        let [at, queued_at] = [happened_at, queued_at].map(Timestamp::from_millis);
        let kind = event.parse().map_err(|_| corrupt("webhook_events.event", &event))?;
        let id = event_id(&webhook, kind, &subject, &EventDetail::of_json(detail.as_deref())?, at);
        let death = death.map(|(died_at, failure)| (Timestamp::from_millis(died_at), failure));
        Ok(Self { number, id, webhook, event, subject, at, queued_at, death })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_the_webhook_the_change_and_who_took_part() {
        let detail = |user: &str| EventDetail { users: vec![user.to_owned()], ..EventDetail::default() };
        let at = Timestamp::from_millis;
        let of = |webhook, event, subject, user, millis| event_id(webhook, event, subject, &detail(user), at(millis));
        let one = of("mail", WebhookEvent::MessageRead, "m", "ann", 1);
        assert_eq!(one, of("mail", WebhookEvent::MessageRead, "m", "ann", 1));
        for other in [
            of("push", WebhookEvent::MessageRead, "m", "ann", 1),
            of("mail", WebhookEvent::MessageEdited, "m", "ann", 1),
            of("mail", WebhookEvent::MessageRead, "n", "ann", 1),
            of("mail", WebhookEvent::MessageRead, "m", "bob", 1),
            of("mail", WebhookEvent::MessageRead, "m", "ann", 2),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_detail_is_kept_as_json() {
        let detail = EventDetail { change: Some("joined".into()), users: vec!["ann".to_owned()], more: 2 };
        assert_eq!(detail.to_json().unwrap(), r#"{"change":"joined","users":["ann"],"more":2}"#);
        assert_eq!(EventDetail::of_json(Some(r#"{"change":"joined","users":["ann"],"more":2}"#)).unwrap(), detail);
        assert_eq!(EventDetail::of_json(None).unwrap(), EventDetail::default());
        assert!(EventDetail::of_json(Some("nonsense")).is_err());
    }
}
