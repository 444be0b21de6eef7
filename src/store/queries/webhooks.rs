//! Queries on events for webhooks.
use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;

use super::conversations::load_with_members;
use super::messages::load_messages;
use super::users::find_profiles;
use crate::config::WebhookEvent;
use crate::model::{Conversation, ConversationId, MODEL_USER, Message, MessageId, Profile, Timestamp, UserId};
use crate::store::connection::{AnyConnection, in_snapshot};
use crate::store::rows::corrupt;
use crate::store::schema::{messages, participants, users, webhook_checks, webhook_dead_letters, webhook_events};
use crate::store::webhook_event::{EventDetail, EventRow, ListedEvent, ListedRow, QueuedEvent, StoredEvent};
use crate::store::write::Unreached;

/// Maximum number of users listed as unreached by one message.
const UNREACHED_MAX: usize = 1_000;

/// Returns a webhook's waiting events after that number, in order.
pub fn list_webhook_events(conn: &mut AnyConnection, webhook: &str, after: i64, limit: i64) -> QueryResult<Vec<QueuedEvent>> {
    let rows: Vec<(i64, String, i64)> = webhook_events::table
        .filter(webhook_events::number.gt(after).and(webhook_events::webhook.eq(webhook)))
        .order(webhook_events::number)
        .limit(limit)
        .select((webhook_events::number, webhook_events::lane, webhook_events::queued_at))
        .load(conn)?;
    let queued = |(number, lane, queued_at)| QueuedEvent { number, lane, queued_at: Timestamp::from_millis(queued_at) };
    Ok(rows.into_iter().map(queued).collect())
}

/// Loads those of these events that still wait, with all that they tell of.
pub fn load_webhook_events(conn: &mut AnyConnection, numbers: &[i64]) -> QueryResult<Vec<StoredEvent>> {
    // Otherwise a message deleted between the queries would be told of as it was.
    in_snapshot(conn, |conn| {
        let rows = webhook_events::table.filter(webhook_events::number.eq_any(numbers)).order(webhook_events::number);
        let rows: Vec<EventRow> = rows.load(conn)?;
        let mut events = Vec::with_capacity(rows.len());
        for (number, webhook, event, lane, subject, detail, happened_at, _) in rows {
            let event: WebhookEvent = event.parse().map_err(|_| corrupt("webhook_events.event", &event))?;
            let (detail, at) = (EventDetail::of_json(detail.as_deref())?, Timestamp::from_millis(happened_at));
            let (message, conversation, users) = (None, None, Vec::new());
            events.push(StoredEvent { number, webhook, event, at, subject, detail, lane, message, conversation, users });
        }
        complete(conn, &mut events)?;
        Ok(events)
    })
}

/// Adds messages, conversations and users.
fn complete(conn: &mut AnyConnection, events: &mut [StoredEvent]) -> QueryResult<()> {
    let ids = events.iter().filter(|event| MessageId::parse(&event.subject).is_ok() && is_of_message(event.event));
    let found = load_messages(conn, ids.map(|event| event.subject.clone()).collect())?;
    let messages: HashMap<String, Arc<Message>> =
        found.into_iter().map(|message| (message.id.to_string(), Arc::new(message))).collect();
    let lanes = events.iter().map(|event| event.lane.as_str()).filter(|lane| ConversationId::parse(lane).is_ok());
    let conversations: HashMap<String, Arc<Conversation>> = load_with_members(conn, &lanes.collect::<Vec<_>>())?
        .into_iter()
        .map(|conversation| (conversation.id.to_string(), Arc::new(conversation)))
        .collect();
    let ids = events.iter().flat_map(about).filter_map(|id| UserId::parse(id).ok());
    let ids: Vec<UserId> = ids.collect();
    let profiles = if ids.is_empty() { Vec::new() } else { find_profiles(conn, &ids)? };
    let profiles: HashMap<&str, &Arc<Profile>> = profiles.iter().map(|profile| (profile.id.as_str(), profile)).collect();
    for event in events {
        event.message = messages.get(&event.subject).cloned();
        event.conversation = conversations.get(&event.lane).cloned();
        event.users = about(event).filter_map(|id| profiles.get(id)).map(|profile| Arc::clone(profile)).collect();
    }
    Ok(())
}

fn is_of_message(event: WebhookEvent) -> bool {
    match event {
        WebhookEvent::MessageCreated
        | WebhookEvent::MessageEdited
        | WebhookEvent::MessageDeleted
        | WebhookEvent::MessageRead
        | WebhookEvent::MessageUnreached => true,
        WebhookEvent::ConversationChanged | WebhookEvent::UserConnected | WebhookEvent::UserDisconnected => false,
    }
}

/// Returns the ids of the users that an event is about.
fn about(event: &StoredEvent) -> impl Iterator<Item = &str> {
    let is_of_user = matches!(event.event, WebhookEvent::UserConnected | WebhookEvent::UserDisconnected);
    is_of_user.then_some(event.subject.as_str()).into_iter().chain(event.detail.users.iter().map(String::as_str))
}

/// Checks that are due, and what they found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueChecks {
    /// Numbers of their rows.
    pub numbers: Vec<i64>,
    /// Messages that have not reached everybody.
    pub unreached: Vec<Unreached>,
    /// Time of the next check, if none was due by then.
    pub next_due: Option<Timestamp>,
}

/// Makes the checks that were due by that time, at most `limit`, by the stored progress of members.
pub fn make_due_checks(conn: &mut AnyConnection, by: Timestamp, limit: i64) -> QueryResult<DueChecks> {
    let rows: Vec<(i64, String, i64)> = webhook_checks::table.order(webhook_checks::number).limit(limit).load(conn)?;
    let next_due = rows.first().map(|(.., due_at)| Timestamp::from_millis(*due_at)).filter(|due_at| *due_at > by);
    // Numbers and times rise together, as far as the clock does.
    let due = rows.into_iter().take_while(|(.., due_at)| *due_at <= by.as_millis());
    let (numbers, ids): (Vec<i64>, Vec<String>) = due.map(|(number, message, _)| (number, message)).unzip();
    let unreached = if ids.is_empty() { Vec::new() } else { list_unreached(conn, &ids)? };
    Ok(DueChecks { numbers, unreached, next_due })
}

/// Returns those of these messages that have not reached everybody: no device of a member is proven to have it, nor has
/// the member read it. Members whose accounts are disabled or deleted, the model and the sender do not count.
fn list_unreached(conn: &mut AnyConnection, ids: &[String]) -> QueryResult<Vec<Unreached>> {
    let lacks_it = participants::delivered_seq
        .lt(messages::seq)
        .and(participants::read_seq.lt(messages::seq))
        .and(participants::joined_position.lt(messages::position))
        .and(participants::left_at.is_null());
    let is_recipient = participants::user_id
        .ne(messages::sender)
        .and(participants::user_id.ne(MODEL_USER))
        .and(users::deleted_at.is_null())
        .and(users::disabled.eq(false));
    let rows: Vec<(String, String, i64, String)> = messages::table
        .inner_join(participants::table.on(participants::conversation.eq(messages::place)))
        .inner_join(users::table.on(users::id.eq(participants::user_id)))
        .filter(messages::id.eq_any(ids).and(messages::deleted_at.is_null()))
        .filter(lacks_it)
        .filter(is_recipient)
        .order((messages::position, participants::user_id))
        .select((messages::id, messages::place, messages::created_at, participants::user_id))
        .load(conn)?;
    let mut unreached: Vec<Unreached> = Vec::new();
    for (message, conversation, created_at, user) in rows {
        match unreached.last_mut() {
            Some(last) if last.message == message => {
                if last.users.len() < UNREACHED_MAX {
                    last.users.push(user);
                } else {
                    last.more += 1;
                }
            }
            _ => {
                let at = Timestamp::from_millis(created_at);
                unreached.push(Unreached { message, conversation, at, users: vec![user], more: 0 });
            }
        }
    }
    Ok(unreached)
}

/// Events to list.
#[derive(Debug, Clone, Default)]
pub struct UntoldRange {
    /// Webhook whose events are listed; `None`: those of all.
    pub webhook: Option<String>,
    /// Number before which dead letters are listed; `None`: from the newest on.
    pub before: Option<i64>,
}

/// Returns waiting events, the longest waiting first.
pub fn list_waiting_events(conn: &mut AnyConnection, range: &UntoldRange, limit: i64) -> QueryResult<Vec<ListedEvent>> {
    let mut events = webhook_events::table
        .order(webhook_events::number)
        .limit(limit)
        .select((
            webhook_events::number,
            webhook_events::webhook,
            webhook_events::event,
            webhook_events::subject,
            webhook_events::detail,
            webhook_events::happened_at,
            webhook_events::queued_at,
        ))
        .into_boxed();
    if let Some(webhook) = &range.webhook {
        events = events.filter(webhook_events::webhook.eq(webhook.clone()));
    }
    let rows: Vec<ListedRow> = events.load(conn)?;
    rows.into_iter().map(|row| ListedEvent::of_row(row, None)).collect()
}

/// Returns dead letters, newest first.
pub fn list_dead_letters(conn: &mut AnyConnection, range: &UntoldRange, limit: i64) -> QueryResult<Vec<ListedEvent>> {
    let mut letters = webhook_dead_letters::table
        .order(webhook_dead_letters::number.desc())
        .limit(limit)
        .select((
            (
                webhook_dead_letters::number,
                webhook_dead_letters::webhook,
                webhook_dead_letters::event,
                webhook_dead_letters::subject,
                webhook_dead_letters::detail,
                webhook_dead_letters::happened_at,
                webhook_dead_letters::queued_at,
            ),
            (webhook_dead_letters::died_at, webhook_dead_letters::failure),
        ))
        .into_boxed();
    if let Some(webhook) = &range.webhook {
        letters = letters.filter(webhook_dead_letters::webhook.eq(webhook.clone()));
    }
    if let Some(before) = range.before {
        letters = letters.filter(webhook_dead_letters::number.lt(before));
    }
    let rows: Vec<(ListedRow, (i64, String))> = letters.load(conn)?;
    rows.into_iter().map(|(row, death)| ListedEvent::of_row(row, Some(death))).collect()
}

/// Returns the number of each webhook's dead letters.
pub fn count_dead_letters(conn: &mut AnyConnection) -> QueryResult<Vec<(String, i64)>> {
    webhook_dead_letters::table
        .group_by(webhook_dead_letters::webhook)
        .select((webhook_dead_letters::webhook, diesel::dsl::count_star()))
        .load(conn)
}

/// Event about a message or a user that a webhook has not got yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// The webhook.
    pub webhook: String,
    /// Kind of event.
    pub event: String,
    /// Time since which it waits, or at which it was given up.
    pub since: Timestamp,
    /// Reason for which it was given up; `None`: it waits.
    pub failure: Option<String>,
}

/// Returns the events about a message or user, by its id, that wait or were given up: the oldest `limit` of each.
pub fn list_untold(conn: &mut AnyConnection, id: &str, limit: i64) -> QueryResult<Vec<Untold>> {
    let waiting: Vec<(String, String, i64)> = webhook_events::table
        .filter(webhook_events::subject.eq(id))
        .order(webhook_events::number)
        .limit(limit)
        .select((webhook_events::webhook, webhook_events::event, webhook_events::queued_at))
        .load(conn)?;
    let dead: Vec<(String, String, i64, String)> = webhook_dead_letters::table
        .filter(webhook_dead_letters::subject.eq(id))
        .order(webhook_dead_letters::number)
        .limit(limit)
        .select((
            webhook_dead_letters::webhook,
            webhook_dead_letters::event,
            webhook_dead_letters::died_at,
            webhook_dead_letters::failure,
        ))
        .load(conn)?;
    let untold = |webhook, event, at, failure| Untold { webhook, event, since: Timestamp::from_millis(at), failure };
    let waiting = waiting.into_iter().map(|(webhook, event, at)| untold(webhook, event, at, None));
    let dead = dead.into_iter().map(|(webhook, event, at, failure)| untold(webhook, event, at, Some(failure)));
    Ok(waiting.chain(dead).collect())
}
