//! Changes of direct conversations, for clients that keep a copy.
//!
//! Within a conversation `updated_at` rises strictly from change to change, and changes are stored in that order: a
//! client that has seen all up to one of them only lacks later ones.
use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::messages::load_messages;
use crate::model::{ConversationId, ConversationKind, Message, MessageId, Timestamp, UserId};
use crate::store::connection::{AnyConnection, in_snapshot};
use crate::store::rows;
use crate::store::schema::{conversation_names, conversations, messages, participants};
use crate::store::write::direct_key;

/// Changes of the direct conversation of two users.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirectChanges {
    /// Messages stored, edited or read since, in their present form, the oldest change first; without deleted ones.
    pub messages: Vec<Message>,
    /// Messages deleted since, with the time, the oldest first; none if everything was asked for.
    pub deleted: Vec<(MessageId, Timestamp)>,
    /// Value for the next `since`: misses nothing and repeats nothing.
    pub up_to: Timestamp,
}

/// Returns changes after `since` in the direct conversation of two users: the oldest `limit`, deletions included.
pub fn list_direct_changes(
    conn: &mut AnyConnection,
    user: &UserId,
    other: &UserId,
    since: Option<Timestamp>,
    limit: i64,
) -> QueryResult<DirectChanges> {
    // Otherwise something stored between two queries could be in the second answer alone.
    in_snapshot(conn, |conn| {
        let Some(conversation) = find_pair(conn, user, other)? else { return Ok(DirectChanges::default()) };
        let changed = list_changed(conn, conversation, since, limit)?;
        let is_whole = i64::try_from(changed.len()).is_ok_and(|found| found < limit);
        let up_to = match changed.last() {
            Some((changed_at, ..)) if !is_whole => Timestamp::from_millis(*changed_at),
            // Clocks can go back; this cannot.
            _ => last_change(conn, conversation)?.unwrap_or_default(),
        };
        let (deleted, there): (Vec<_>, Vec<_>) = changed.into_iter().partition(|(.., deleted_at)| deleted_at.is_some());
        let messages = load_messages(conn, there.into_iter().map(|(_, id, _)| id).collect())?;
        let deleted = deleted.into_iter().map(|(at, id, _)| Ok((rows::message_id(&id)?, Timestamp::from_millis(at))));
        Ok(DirectChanges { messages, deleted: deleted.collect::<QueryResult<_>>()?, up_to })
    })
}

/// Finds the direct conversation of two users. With the model, it is the chat that the user named like the model.
fn find_pair(conn: &mut AnyConnection, user: &UserId, other: &UserId) -> QueryResult<Option<ConversationId>> {
    let direct = conversations::table.filter(conversations::direct_key.eq(direct_key(user, other)));
    let mut found: Option<String> = direct.select(conversations::id).first(conn).optional()?;
    if found.is_none() {
        found = conversation_names::table
            .inner_join(participants::table.on(participants::conversation.eq(conversation_names::conversation)))
            .inner_join(conversations::table.on(conversations::id.eq(conversation_names::conversation)))
            .filter(conversation_names::owner.eq(user.as_str()).and(conversation_names::name.eq(other.as_str())))
            .filter(participants::user_id.eq(other.as_str()).and(conversations::kind.eq(ConversationKind::Ai.as_str())))
            .select(conversations::id)
            .first(conn)
            .optional()?;
    }
    found.map(|id| rows::conversation_id(&id)).transpose()
}

/// Time of a message's last change, its id, and its time of deletion.
type Changed = (i64, String, Option<i64>);

/// Returns the messages last changed after `since`, the oldest changes first. A client that asks for everything has no
/// copies of deleted messages.
fn list_changed(
    conn: &mut AnyConnection,
    conversation: ConversationId,
    since: Option<Timestamp>,
    limit: i64,
) -> QueryResult<Vec<Changed>> {
    let with_deleted = since.is_some();
    let since = since.map_or(i64::MIN, Timestamp::as_millis);
    // Two queries, one for each index: a new message is not in the index of changes.
    let of_place = || messages::table.filter(messages::place.eq(conversation.to_string()));
    let columns = (messages::updated_at, messages::id, messages::deleted_at);
    let mut found: Vec<Changed> = of_place()
        .filter(messages::created_at.gt(since).and(messages::updated_at.le(messages::created_at)))
        .order(messages::created_at)
        .limit(limit)
        .select(columns)
        .load(conn)?;
    let mut changed = of_place()
        .filter(messages::updated_at.gt(since).and(messages::updated_at.gt(messages::created_at)))
        .order(messages::updated_at)
        .limit(limit)
        .select(columns)
        .into_boxed();
    if !with_deleted {
        changed = changed.filter(messages::deleted_at.is_null());
    }
    found.extend(changed.load::<Changed>(conn)?);
    found.sort_unstable();
    found.truncate(usize::try_from(limit).unwrap_or_default());
    Ok(found)
}

/// Returns the time of the last change in a conversation: a message stored, edited, read or deleted.
pub fn last_change(conn: &mut AnyConnection, conversation: ConversationId) -> QueryResult<Option<Timestamp>> {
    let of_place = || messages::table.filter(messages::place.eq(conversation.to_string()));
    let stored: Option<i64> = of_place().select(max(messages::created_at)).first(conn)?;
    let changed: Option<i64> =
        of_place().filter(messages::updated_at.gt(messages::created_at)).select(max(messages::updated_at)).first(conn)?;
    Ok(stored.max(changed).map(Timestamp::from_millis))
}

/// Returns the time of the last change in any of a user's direct conversations, including chats with the model.
pub fn last_activity(conn: &mut AnyConnection, user: &UserId) -> QueryResult<Option<Timestamp>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<BigInt>)]
        newest: Option<i64>,
    }
    let row: Row = diesel::sql_query(
        "WITH own AS (SELECT conversations.id FROM participants \
         JOIN conversations ON conversations.id = participants.conversation \
         WHERE participants.user_id = $1 AND participants.left_at IS NULL AND conversations.kind <> 'group') \
         SELECT max(newest) AS newest FROM (\
         SELECT (SELECT max(created_at) FROM messages WHERE place = own.id) AS newest FROM own UNION ALL \
         SELECT (SELECT max(updated_at) FROM messages WHERE place = own.id AND updated_at > created_at) FROM own) AS changes",
    )
    .bind::<Text, _>(user.as_str())
    .get_result(conn)?;
    Ok(row.newest.map(Timestamp::from_millis))
}
