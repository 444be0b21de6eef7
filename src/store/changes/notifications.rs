//! Notifications: creation, renewal, and marking as seen or read.
use std::collections::HashMap;

use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Nullable, Text};

use crate::model::{ConversationId, MessageId, NotificationId, Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::schema::{messages, notifications, participants, users};
use crate::store::write::{NewNotification, NotificationSubject};

/// Replaces an unseen notification of the same user and conversation instead of adding a row.
const STORE: &str = ") AS input (id, user_id, kind, message, data, conversation, seen_at, created_at, subject) \
     WHERE NOT EXISTS (SELECT 1 FROM notifications AS known WHERE known.id = input.id) \
     AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = input.user_id AND users.deleted_at IS NOT NULL) \
     AND (input.subject IS NULL OR EXISTS (SELECT 1 FROM messages \
     JOIN participants ON participants.conversation = messages.place AND participants.user_id = input.user_id \
     JOIN users ON users.id = messages.sender WHERE messages.id = input.subject AND messages.deleted_at IS NULL \
     AND messages.seq > participants.read_seq AND participants.left_at IS NULL AND users.deleted_at IS NULL)) \
     ON CONFLICT (user_id, conversation) \
     WHERE kind = 'message' AND conversation IS NOT NULL AND seen_at IS NULL AND read_at IS NULL \
     DO UPDATE SET message = excluded.message, data = excluded.data, created_at = excluded.created_at \
     WHERE notifications.created_at <= excluded.created_at";

/// Stores new notifications, renewing unseen ones. Deleted users get none, and outdated ones are left out.
pub(in crate::store) fn store(conn: &mut AnyConnection, new: &[NewNotification]) -> QueryResult<()> {
    let new = newest_of_each(new);
    if new.is_empty() {
        return Ok(());
    }
    match conn {
        AnyConnection::Postgres(conn) => Arrays::of(&new).execute(conn).map(drop),
        AnyConnection::Sqlite(conn) => new.into_iter().try_for_each(|new| store_one(conn, new)),
    }
}

/// Keeps the last of those that renew each other, because a statement may touch a row only once.
fn newest_of_each(new: &[NewNotification]) -> Vec<&NewNotification> {
    let mut last = HashMap::with_capacity(new.len());
    for (place, new) in new.iter().enumerate() {
        last.extend(renewed_key(new).map(|key| (key, place)));
    }
    let is_last = |place: usize, new: &NewNotification| renewed_key(new).is_none_or(|key| last.get(&key) == Some(&place));
    new.iter().enumerate().filter(|(place, new)| is_last(*place, new)).map(|(_, new)| new).collect()
}

/// Returns the key shared by notifications that renew each other.
fn renewed_key(new: &NewNotification) -> Option<(&UserId, ConversationId)> {
    if let NotificationSubject::Message { conversation, .. } = new.subject {
        Some((&new.notification.user, conversation))
    } else {
        None
    }
}

/// Returns whether a user still has to be notified of a message.
fn is_news(conn: &mut SqliteConnection, user: &UserId, message: MessageId) -> QueryResult<bool> {
    let unread = messages::table
        .inner_join(participants::table.on(participants::conversation.eq(messages::place)))
        .inner_join(users::table.on(users::id.eq(messages::sender)))
        .filter(messages::id.eq(message.to_string()).and(messages::deleted_at.is_null()))
        .filter(participants::user_id.eq(user.as_str()).and(participants::left_at.is_null()))
        .filter(messages::seq.gt(participants::read_seq).and(users::deleted_at.is_null()));
    diesel::select(diesel::dsl::exists(unread)).get_result(conn)
}

fn store_one(conn: &mut SqliteConnection, new: &NewNotification) -> QueryResult<()> {
    let NewNotification { notification, subject, is_seen } = new;
    let conversation = subject.conversation().map(|id| id.to_string());
    let created = notification.created_at.as_millis();
    let deleted = users::table.find(notification.user.as_str()).filter(users::deleted_at.is_not_null());
    if diesel::select(diesel::dsl::exists(deleted)).get_result(conn)? {
        return Ok(());
    }
    if let Some(message) = subject.message()
        && !is_news(conn, &notification.user, message)?
    {
        return Ok(());
    }
    if let (Some(conversation), Some(_), false) = (&conversation, subject.message(), is_seen) {
        let unseen = notifications::user_id
            .eq(notification.user.as_str())
            .and(notifications::conversation.eq(conversation))
            .and(notifications::kind.eq(&notification.kind))
            .and(notifications::seen_at.is_null())
            .and(notifications::read_at.is_null());
        let renewed = (
            notifications::message.eq(&notification.message),
            notifications::data.eq(&notification.data),
            notifications::created_at.eq(created),
        );
        let is_known: bool = diesel::select(diesel::dsl::exists(notifications::table.filter(unseen))).get_result(conn)?;
        if is_known {
            let older = notifications::table.filter(unseen).filter(notifications::created_at.le(created));
            return diesel::update(older).set(renewed).execute(conn).map(drop);
        }
    }
    diesel::insert_into(notifications::table)
        .values((
            notifications::id.eq(notification.id.to_string()),
            notifications::user_id.eq(notification.user.as_str()),
            notifications::kind.eq(&notification.kind),
            notifications::message.eq(&notification.message),
            notifications::data.eq(&notification.data),
            notifications::conversation.eq(conversation),
            notifications::seen_at.eq(is_seen.then_some(created)),
            notifications::created_at.eq(created),
        ))
        .on_conflict(notifications::id)
        .do_nothing()
        .execute(conn)
        .map(drop)
}

/// Marks unseen notifications of a user.
pub(super) fn mark_seen(
    conn: &mut AnyConnection,
    user: &UserId,
    ids: Option<&[NotificationId]>,
    seen_at: Timestamp,
) -> QueryResult<()> {
    let unseen =
        notifications::user_id.eq(user.as_str()).and(notifications::seen_at.is_null()).and(notifications::read_at.is_null());
    let seen = notifications::seen_at.eq(seen_at.as_millis());
    match texts(ids) {
        Some(ids) => {
            diesel::update(notifications::table.filter(unseen).filter(notifications::id.eq_any(ids))).set(seen).execute(conn)
        }
        None => diesel::update(notifications::table.filter(unseen)).set(seen).execute(conn),
    }
    .map(drop)
}

/// Marks unread notifications of a user.
pub(super) fn mark_read(
    conn: &mut AnyConnection,
    user: &UserId,
    ids: Option<&[NotificationId]>,
    read_at: Timestamp,
) -> QueryResult<()> {
    let unread = notifications::user_id.eq(user.as_str()).and(notifications::read_at.is_null());
    let read = notifications::read_at.eq(read_at.as_millis());
    match texts(ids) {
        Some(ids) => {
            diesel::update(notifications::table.filter(unread).filter(notifications::id.eq_any(ids))).set(read).execute(conn)
        }
        None => diesel::update(notifications::table.filter(unread)).set(read).execute(conn),
    }
    .map(drop)
}

fn texts(ids: Option<&[NotificationId]>) -> Option<Vec<String>> {
    ids.map(|ids| ids.iter().map(NotificationId::to_string).collect())
}

/// New notifications as columns.
#[derive(Default)]
struct Arrays<'a> {
    id: Vec<String>,
    user: Vec<&'a str>,
    kind: Vec<&'a str>,
    message: Vec<&'a str>,
    data: Vec<Option<&'a str>>,
    conversation: Vec<Option<String>>,
    seen_at: Vec<Option<i64>>,
    created_at: Vec<i64>,
    /// The messages that they are about.
    subject_message: Vec<Option<String>>,
}

impl<'a> Arrays<'a> {
    fn of(new: &[&'a NewNotification]) -> Self {
        let mut arrays = Self::default();
        for NewNotification { notification, subject, is_seen } in new {
            let created = notification.created_at.as_millis();
            arrays.id.push(notification.id.to_string());
            arrays.user.push(notification.user.as_str());
            arrays.kind.push(&notification.kind);
            arrays.message.push(&notification.message);
            arrays.data.push(notification.data.as_deref());
            arrays.conversation.push(subject.conversation().map(|id| id.to_string()));
            arrays.subject_message.push(subject.message().map(|id| id.to_string()));
            arrays.seen_at.push(is_seen.then_some(created));
            arrays.created_at.push(created);
        }
        arrays
    }
}

impl QueryFragment<Pg> for Arrays<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql("INSERT INTO notifications (id, user_id, kind, message, data, conversation, seen_at, created_at) ");
        pass.push_sql("SELECT id, user_id, kind, message, data, conversation, seen_at, created_at FROM unnest(");
        pass.push_bind_param::<Array<Text>, _>(&self.id)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.user)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.kind)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.message)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Text>>, _>(&self.data)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Text>>, _>(&self.conversation)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.seen_at)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<BigInt>, _>(&self.created_at)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Text>>, _>(&self.subject_message)?;
        pass.push_sql(STORE);
        Ok(())
    }
}

impl QueryId for Arrays<'_> {
    type QueryId = Arrays<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for Arrays<'_> {}
