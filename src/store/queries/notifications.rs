//! Queries on notifications.
use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

use super::messages::load_messages;
use crate::model::{MODEL_USER, Notification, NotificationId, Place, Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::rows::{self, NotificationRow};
use crate::store::schema::{conversations, notifications};
use crate::store::write::{NewNotification, NotificationSubject};

/// Maximum time by which notifications can lag behind stored messages when a process dies: they are made about a second
/// after the commit, which itself may wait for the database.
const LAG_MS: i64 = 60_000;
/// Maximum number of messages loaded by one query.
const IDS_AT_ONCE: usize = 1_000;

/// End of a page of notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationCursor {
    /// Time of the last one.
    pub created_at: Timestamp,
    /// Id of the last one.
    pub id: NotificationId,
}

/// A part of a user's notifications. Bounds are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationRange {
    /// The newest ones.
    Newest,
    /// Notifications right before this one.
    Before(NotificationCursor),
    /// Notifications right after this one.
    After(NotificationCursor),
}

/// Returns a part of a user's notifications, newest first.
pub fn list_notifications(
    conn: &mut AnyConnection,
    user: &UserId,
    range: NotificationRange,
    limit: i64,
) -> QueryResult<Vec<Notification>> {
    let query = notifications::table
        .filter(notifications::user_id.eq(user.as_str()))
        .limit(limit)
        .select(NotificationRow::as_select())
        .into_boxed();
    let newest_first = (notifications::created_at.desc(), notifications::id.desc());
    let mut rows = match range {
        NotificationRange::Newest => query.order(newest_first).load(conn)?,
        NotificationRange::Before(NotificationCursor { created_at, id }) => {
            let time = created_at.as_millis();
            let is_next = notifications::created_at.eq(time).and(notifications::id.lt(id.to_string()));
            query.filter(notifications::created_at.lt(time).or(is_next)).order(newest_first).load(conn)?
        }
        NotificationRange::After(NotificationCursor { created_at, id }) => {
            let time = created_at.as_millis();
            let is_next = notifications::created_at.eq(time).and(notifications::id.gt(id.to_string()));
            let oldest_first = (notifications::created_at.asc(), notifications::id.asc());
            query.filter(notifications::created_at.gt(time).or(is_next)).order(oldest_first).load(conn)?
        }
    };
    if matches!(range, NotificationRange::After(_)) {
        rows.reverse();
    }
    rows.into_iter().map(Notification::try_from).collect()
}

/// Returns the newest of a user's notifications that were neither shown nor read, newest first.
pub fn list_unseen(conn: &mut AnyConnection, user: &UserId, limit: i64) -> QueryResult<Vec<Notification>> {
    let rows = notifications::table
        .filter(notifications::user_id.eq(user.as_str()))
        .filter(notifications::seen_at.is_null().and(notifications::read_at.is_null()))
        .order((notifications::created_at.desc(), notifications::id.desc()))
        .limit(limit)
        .select(NotificationRow::as_select())
        .load(conn)?;
    rows.into_iter().map(Notification::try_from).collect()
}

/// A member without a notification for the newest message that they have neither received nor read; and that message.
#[derive(QueryableByName)]
struct Untold {
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = Text)]
    message: String,
}

const UNTOLD: &str = "SELECT participants.user_id AS user_id, messages.id AS message FROM conversations \
     JOIN participants ON participants.conversation = conversations.id AND participants.left_at IS NULL \
     JOIN messages ON messages.id = (SELECT newest.id FROM messages AS newest WHERE newest.place = conversations.id \
     AND newest.seq > participants.delivered_seq AND newest.seq > participants.read_seq \
     AND newest.position > participants.joined_position \
     AND newest.sender <> participants.user_id AND newest.deleted_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = newest.sender AND users.deleted_at IS NOT NULL) \
     ORDER BY newest.seq DESC LIMIT 1) \
     WHERE conversations.updated_at > ";
const WITHOUT_NOTIFICATION: &str = " AND NOT EXISTS (SELECT 1 FROM notifications \
     WHERE notifications.user_id = participants.user_id AND notifications.conversation = conversations.id \
     AND notifications.kind = 'message' \
     AND notifications.created_at >= messages.created_at)";

/// Returns the notifications that a process owed when it died: of undelivered messages shortly before the newest one,
/// if no notification exists.
///
/// A user may get one for a message that a live socket showed, if its delivery was not stored yet: by the stored state
/// it is undelivered, and the catch-up will bring it again.
pub(in crate::store) fn list_owed(
    conn: &mut AnyConnection,
    mut new_id: impl FnMut() -> Uuid,
) -> QueryResult<Vec<NewNotification>> {
    let newest: Option<i64> = conversations::table.select(diesel::dsl::max(conversations::updated_at)).first(conn)?;
    let Some(newest) = newest else { return Ok(Vec::new()) };
    let since = newest - LAG_MS;
    let untold: Vec<Untold> = match conn {
        AnyConnection::Postgres(conn) => {
            let sql = format!("{UNTOLD}$1 AND messages.created_at > $1{WITHOUT_NOTIFICATION}");
            diesel::sql_query(sql).bind::<BigInt, _>(since).load(conn)?
        }
        AnyConnection::Sqlite(conn) => {
            let sql = format!("{UNTOLD}?1 AND messages.created_at > ?1{WITHOUT_NOTIFICATION}");
            diesel::sql_query(sql).bind::<BigInt, _>(since).load(conn)?
        }
    };
    let mut ids: Vec<String> = untold.iter().map(|untold| untold.message.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut messages = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(IDS_AT_ONCE) {
        messages.extend(load_messages(conn, ids.to_vec())?.into_iter().map(|message| (message.id.to_string(), message)));
    }
    let owed = untold.iter().filter(|untold| untold.user_id != MODEL_USER).filter_map(|Untold { user_id, message }| {
        let message = messages.get(message)?;
        let Place::Conversation(conversation) = message.place else { return None };
        Some(rows::user_id(user_id).map(|user| {
            let id = NotificationId::from_uuid(new_id());
            NewNotification {
                notification: Arc::new(Notification::of_message(id, user, message, conversation)),
                subject: NotificationSubject::Message { conversation, message: message.id },
                is_seen: false,
            }
        }))
    });
    owed.collect()
}
