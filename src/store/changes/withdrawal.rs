//! Withdraws notifications when their subject disappears.
use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use serde_json::Value;

use crate::model::{Notification, NotificationId, Place, UserId};
use crate::store::connection::AnyConnection;
use crate::store::queries::messages::load_messages;
use crate::store::schema::{notifications, participants};

/// Maximum number of rows in one statement.
const IDS_AT_ONCE: usize = 1_000;
/// Kind of a notification about a message.
const OF_MESSAGE: &str = "message";
/// Kind of a notification about the user's membership of a group.
const OF_MEMBERSHIP: &str = "group";

/// A notification whose message is gone, and the message to replace it with.
#[derive(QueryableByName)]
struct Orphan {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Nullable<Text>)]
    older: Option<String>,
}

/// Finds for each the newest message before the deleted one that its user has not read, and that no earlier
/// notification is about. Within a conversation, `created_at` is unique to a message.
const ORPHANS: &str = "SELECT notifications.id AS id, (SELECT older.id FROM messages AS older \
     WHERE older.place = participants.conversation AND older.seq < subject.seq AND older.seq > participants.read_seq \
     AND older.position > participants.joined_position AND older.sender <> participants.user_id AND older.deleted_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = older.sender AND users.deleted_at IS NOT NULL) \
     AND older.created_at > coalesce((SELECT max(earlier.created_at) FROM notifications AS earlier \
     WHERE earlier.user_id = participants.user_id AND earlier.conversation = participants.conversation \
     AND earlier.kind = 'message' AND earlier.created_at < notifications.created_at), 0) \
     ORDER BY older.seq DESC LIMIT 1) AS older \
     FROM messages AS subject JOIN participants ON participants.conversation = subject.place \
     JOIN notifications ON notifications.user_id = participants.user_id \
     AND notifications.conversation = participants.conversation AND notifications.created_at = subject.created_at \
     WHERE notifications.kind = 'message' AND ";

/// Handles a deleted message: its notifications change to the newest unread message before it without one, or are
/// deleted.
pub(super) fn forget_message(conn: &mut AnyConnection, message: &str) -> QueryResult<()> {
    let orphans = diesel::sql_query(format!("{ORPHANS}subject.id = $1")).bind::<Text, _>(message).load(conn)?;
    settle(conn, orphans)
}

/// Handles a deleted account: notifications of its messages and of its invitations contain its name, so they are
/// deleted. To be called once its row is marked as deleted.
pub(super) fn forget_author(conn: &mut AnyConnection, author: &UserId) -> QueryResult<()> {
    let by_author = format!(
        "{ORPHANS}subject.sender = $1 AND subject.place IN (SELECT own.conversation FROM participants AS own WHERE own.user_id = $1)"
    );
    let orphans = diesel::sql_query(by_author).bind::<Text, _>(author.as_str()).load(conn)?;
    settle(conn, orphans)?;

    let own = participants::table.filter(participants::user_id.eq(author.as_str())).select(participants::conversation);
    let conversations: Vec<String> = own.load(conn)?;
    let mut added_by_author = Vec::new();
    for conversation in &conversations {
        let invitations: Vec<(String, Option<String>)> = in_conversation(conversation)
            .filter(notifications::kind.eq(OF_MEMBERSHIP))
            .select((notifications::id, notifications::data))
            .load(conn)?;
        added_by_author.extend(invitations.into_iter().filter(|(_, data)| is_by(data.as_deref(), author)).map(|(id, _)| id));
    }
    delete(conn, &added_by_author)
}

fn is_by(data: Option<&str>, author: &UserId) -> bool {
    let data: Option<Value> = data.and_then(|data| serde_json::from_str(data).ok());
    data.is_some_and(|data| data.get("by").and_then(Value::as_str) == Some(author.as_str()))
}

/// Handles a user leaving a conversation: deletes their notifications of it.
pub(super) fn forget_membership(conn: &mut AnyConnection, conversation: &str, user: &UserId) -> QueryResult<()> {
    let outdated = notifications::user_id.eq(user.as_str()).and(notifications::conversation.eq(conversation));
    diesel::delete(notifications::table.filter(outdated)).execute(conn).map(drop)
}

/// Handles the deletion of a conversation. To be called while its members still exist.
pub(super) fn forget_conversation(conn: &mut AnyConnection, conversation: &str) -> QueryResult<()> {
    let ids: Vec<String> = in_conversation(conversation).select(notifications::id).load(conn)?;
    delete(conn, &ids)
}

/// Handles the expiry of a conversation's messages up to this time: deletes the notifications of them.
pub(super) fn forget_up_to(conn: &mut AnyConnection, conversation: &str, created_at: i64) -> QueryResult<()> {
    let of_messages = notifications::kind.eq(OF_MESSAGE).and(notifications::created_at.le(created_at));
    let ids: Vec<String> = in_conversation(conversation).filter(of_messages).select(notifications::id).load(conn)?;
    delete(conn, &ids)
}

/// Handles a user having read a conversation's messages up to the one of this time.
pub(super) fn forget_read(conn: &mut SqliteConnection, conversation: &str, user: &UserId, created_at: i64) -> QueryResult<()> {
    let outdated = notifications::user_id
        .eq(user.as_str())
        .and(notifications::conversation.eq(conversation))
        .and(notifications::kind.eq(OF_MESSAGE))
        .and(notifications::created_at.le(created_at));
    diesel::delete(notifications::table.filter(outdated)).execute(conn).map(drop)
}

/// Restricts to present and former members of a conversation, because the index is by user.
#[diesel::dsl::auto_type]
fn in_conversation<'a>(conversation: &'a str) -> _ {
    let members = participants::table.filter(participants::conversation.eq(conversation)).select(participants::user_id);
    notifications::table.filter(notifications::conversation.eq(conversation).and(notifications::user_id.eq_any(members)))
}

/// Changes each to its replacement message, or deletes it if there is none.
fn settle(conn: &mut AnyConnection, orphans: Vec<Orphan>) -> QueryResult<()> {
    let mut by_older: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    for Orphan { id, older } in orphans {
        by_older.entry(older).or_default().push(id);
    }
    for (older, ids) in by_older {
        let message = match older {
            Some(older) => load_messages(conn, vec![older])?.pop(),
            None => None,
        };
        let Some((message, Place::Conversation(conversation))) = message.as_ref().map(|message| (message, &message.place)) else {
            delete(conn, &ids)?;
            continue;
        };
        // Recipient and id of this value do not matter; text and time come from the message.
        let id = NotificationId::from_uuid(*message.id.as_uuid());
        let replacement = Notification::of_message(id, message.sender.id.clone(), message, *conversation);
        let columns = (
            notifications::message.eq(&replacement.message),
            notifications::data.eq(&replacement.data),
            notifications::created_at.eq(replacement.created_at.as_millis()),
        );
        for ids in ids.chunks(IDS_AT_ONCE) {
            diesel::update(notifications::table.filter(notifications::id.eq_any(ids))).set(columns).execute(conn)?;
        }
    }
    Ok(())
}

fn delete(conn: &mut AnyConnection, ids: &[String]) -> QueryResult<()> {
    for ids in ids.chunks(IDS_AT_ONCE) {
        diesel::delete(notifications::table.filter(notifications::id.eq_any(ids))).execute(conn)?;
    }
    Ok(())
}
