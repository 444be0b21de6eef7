//! Events that webhooks are told of, as they follow from changes.
use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::webhook_rows::{self, NewEvent, ROWS_AT_ONCE};
use crate::config::WebhookEvent;
use crate::model::{ConversationKind, Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::rows::place_key;
use crate::store::schema::{conversations, message_reads, messages, online_users, participants, users};
use crate::store::subscribers::Subscribers;
use crate::store::webhook_event::{EventDetail, user_lane};
use crate::store::write::{NewMessage, Unreached, Write};

/// Adds the events of messages that were stored, and notes those whose arrival is to be checked.
pub(super) fn note_messages(
    conn: &mut AnyConnection,
    wanted: &Subscribers,
    stored: &[&NewMessage],
    events: &mut Vec<NewEvent>,
) -> QueryResult<()> {
    events.extend(of_messages(stored));
    if wanted.want(WebhookEvent::MessageUnreached) { webhook_rows::insert_checks(conn, wanted, stored) } else { Ok(()) }
}

fn of_messages(stored: &[&NewMessage]) -> Vec<NewEvent> {
    let event = |new: &&NewMessage| NewEvent {
        event: WebhookEvent::MessageCreated,
        lane: place_key(&new.message.place),
        subject: new.message.id.to_string(),
        detail: None,
        at: new.message.created_at,
    };
    stored.iter().map(event).collect()
}

/// Returns the events of changes to stored messages that took effect.
pub(super) fn of_changed_messages(
    conn: &mut AnyConnection,
    wanted: &Subscribers,
    changes: &[&Write],
) -> QueryResult<Vec<NewEvent>> {
    let mut events = Vec::new();
    for change in changes {
        let (event, message, at, detail) = match change {
            Write::EditMessage { message, updated_at, .. } => (WebhookEvent::MessageEdited, *message, *updated_at, None),
            Write::DeleteMessage { message, deleted_at, .. } => (WebhookEvent::MessageDeleted, *message, *deleted_at, None),
            Write::MarkRead { message, conversation: _, reader, read_at } => {
                let detail = EventDetail { users: vec![reader.to_string()], ..EventDetail::default() };
                (WebhookEvent::MessageRead, *message, *read_at, Some(detail))
            }
            _ => continue,
        };
        if wanted.want(event) {
            events.push(NewEvent { event, lane: String::new(), subject: message.to_string(), detail, at });
        }
    }
    if events.is_empty() {
        return Ok(events);
    }
    let ids: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
    let lanes: HashMap<String, String> = load_pairs(conn, &ids)?;
    let first_receipts = load_receipts(conn, &events)?;
    events.retain_mut(|event| {
        let Some(lane) = lanes.get(&event.subject) else { return false };
        event.lane.clone_from(lane);
        // Only the first receipt of a reader is stored.
        let reader = event.detail.as_ref().and_then(|detail| detail.users.first());
        reader.is_none_or(|reader| first_receipts.contains(&(event.subject.clone(), reader.clone(), event.at.as_millis())))
    });
    Ok(events)
}

/// Returns where each message stands.
fn load_pairs(conn: &mut AnyConnection, ids: &[&str]) -> QueryResult<HashMap<String, String>> {
    let found: Vec<(String, String)> =
        messages::table.filter(messages::id.eq_any(ids)).select((messages::id, messages::place)).load(conn)?;
    Ok(found.into_iter().collect())
}

/// Returns message, reader and time of the stored receipts among `events`.
fn load_receipts(conn: &mut AnyConnection, events: &[NewEvent]) -> QueryResult<HashSet<(String, String, i64)>> {
    let reads = || events.iter().filter(|event| event.event == WebhookEvent::MessageRead);
    let ids: Vec<&str> = reads().map(|event| event.subject.as_str()).collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let readers = reads().filter_map(|event| event.detail.as_ref()).flat_map(|detail| &detail.users);
    let found: Vec<(String, String, i64)> = message_reads::table
        .filter(message_reads::message.eq_any(ids).and(message_reads::user_id.eq_any(readers)))
        .select((message_reads::message, message_reads::user_id, message_reads::read_at))
        .load(conn)?;
    Ok(found.into_iter().collect())
}

/// Returns the events of a change to conversations or users; called before it is applied.
pub(super) fn of_change(conn: &mut AnyConnection, wanted: &Subscribers, write: &Write) -> QueryResult<Vec<NewEvent>> {
    let changed = |conversation: String, change: &'static str, users: &[UserId], at: Timestamp| NewEvent {
        event: WebhookEvent::ConversationChanged,
        lane: conversation.clone(),
        subject: conversation,
        detail: Some(EventDetail {
            change: Some(change.into()),
            users: users.iter().map(ToString::to_string).collect(),
            ..EventDetail::default()
        }),
        at,
    };
    if !write.is_event(wanted) {
        return Ok(Vec::new());
    }
    let one = |event| Ok(vec![event]);
    match write {
        Write::CreateConversation { conversation, .. } => {
            one(changed(conversation.id.to_string(), "created", &conversation.participants, conversation.created_at))
        }
        Write::UpdateConversation { conversation, updated_at, .. } => {
            one(changed(conversation.to_string(), "updated", &[], *updated_at))
        }
        Write::AddParticipants { conversation, users, joined_at, .. } => {
            one(changed(conversation.to_string(), "joined", users, *joined_at))
        }
        Write::RemoveParticipant { conversation, user, left_at } => {
            one(changed(conversation.to_string(), "left", std::slice::from_ref(user), *left_at))
        }
        Write::DeleteConversation { conversation } => one(changed(conversation.to_string(), "deleted", &[], Timestamp::now())),
        Write::DeleteUser { user, deleted_at, keeps_name: _ } => {
            let groups = load_groups_of(conn, user)?;
            Ok(groups.into_iter().map(|group| changed(group, "left", std::slice::from_ref(user), *deleted_at)).collect())
        }
        Write::Online { came, gone, at } => {
            let (came, gone) = (newly_online(conn, came)?, noted_online(conn, gone)?);
            let came = came.into_iter().map(|user| presence(WebhookEvent::UserConnected, user, *at));
            let gone = gone.into_iter().map(|user| presence(WebhookEvent::UserDisconnected, user, *at));
            Ok(gone.chain(came).filter(|event| wanted.want(event.event)).collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn presence(event: WebhookEvent, user: String, at: Timestamp) -> NewEvent {
    NewEvent { event, lane: user_lane(&user), subject: user, detail: None, at }
}

fn load_groups_of(conn: &mut AnyConnection, user: &UserId) -> QueryResult<Vec<String>> {
    participants::table
        .inner_join(conversations::table.on(conversations::id.eq(participants::conversation)))
        .filter(participants::user_id.eq(user.as_str()).and(participants::left_at.is_null()))
        .filter(conversations::kind.eq(ConversationKind::Group.as_str()))
        .select(conversations::id)
        .load(conn)
}

/// Returns those of these users who are noted as online.
fn noted_online(conn: &mut AnyConnection, ids: &[UserId]) -> QueryResult<Vec<String>> {
    let mut noted = Vec::new();
    for some in ids.chunks(ROWS_AT_ONCE) {
        let ids = some.iter().map(UserId::as_str);
        noted.extend(
            online_users::table.filter(online_users::user_id.eq_any(ids)).select(online_users::user_id).load::<String>(conn)?,
        );
    }
    Ok(noted)
}

/// Returns those of these users who are not noted as online yet, and can be.
fn newly_online(conn: &mut AnyConnection, ids: &[UserId]) -> QueryResult<Vec<String>> {
    let noted: HashSet<String> = noted_online(conn, ids)?.into_iter().collect();
    let mut new = Vec::new();
    for some in ids.chunks(ROWS_AT_ONCE) {
        let ids = some.iter().map(UserId::as_str).filter(|id| !noted.contains(*id));
        let known = users::table.filter(users::id.eq_any(ids).and(users::deleted_at.is_null()));
        new.extend(known.select(users::id).load::<String>(conn)?);
    }
    Ok(new)
}

/// Stores the disconnects of those who were online when the previous server died; called before they are forgotten.
pub(in crate::store) fn insert_lost(conn: &mut AnyConnection, wanted: &Subscribers, at: Timestamp) -> QueryResult<()> {
    if !wanted.want(WebhookEvent::UserDisconnected) {
        return Ok(());
    }
    let lost: Vec<String> = online_users::table.select(online_users::user_id).load(conn)?;
    let events: Vec<NewEvent> = lost.into_iter().map(|user| presence(WebhookEvent::UserDisconnected, user, at)).collect();
    webhook_rows::insert(conn, wanted, &events)
}

/// Returns the events of messages that have not reached everybody.
pub(super) fn of_unreached(unreached: &[Unreached]) -> Vec<NewEvent> {
    let event = |unreached: &Unreached| NewEvent {
        event: WebhookEvent::MessageUnreached,
        lane: unreached.conversation.clone(),
        subject: unreached.message.clone(),
        detail: Some(EventDetail { users: unreached.users.clone(), more: unreached.more, ..EventDetail::default() }),
        at: unreached.at,
    };
    unreached.iter().map(event).collect()
}
