//! Conversations and their members.
use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::{file_names, withdrawal};
use crate::model::{Conversation, ConversationId, ConversationKind, Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::file_names::picture_of_conversation;
use crate::store::schema::{boots, conversation_names, conversations, deleted_places, participants};
use crate::store::write::direct_key;

/// Stores a conversation; an existing one (of a retried batch) is left as it is.
pub(super) fn create(conn: &mut AnyConnection, conversation: &Conversation, joined_position: i64) -> QueryResult<()> {
    let Conversation { id, kind, name, avatar, admin, participants, created_at, updated_at, .. } = conversation;
    let key = match (kind, participants.first(), participants.last()) {
        (ConversationKind::Direct, Some(one), Some(other)) => Some(direct_key(one, other)),
        _ => None,
    };
    let id = id.to_string();
    diesel::sql_query(
        "INSERT INTO conversations (id, kind, name, avatar, admin, direct_key, created_at, updated_at, last_seq, last_position) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0) ON CONFLICT (id) DO NOTHING",
    )
    .bind::<Text, _>(&id)
    .bind::<Text, _>(kind.as_str())
    .bind::<Nullable<Text>, _>(name)
    .bind::<Nullable<Text>, _>(avatar)
    .bind::<Nullable<Text>, _>(admin.as_ref().map(UserId::as_str))
    .bind::<Nullable<Text>, _>(key)
    .bind::<BigInt, _>(created_at.as_millis())
    .bind::<BigInt, _>(updated_at.as_millis())
    .execute(conn)?;
    if let Some(avatar) = avatar {
        file_names::rename(conn, &picture_of_conversation(conversation.id), &[avatar])?;
    }
    join(conn, &id, participants, *created_at, joined_position, 0)
}

pub(super) fn update(
    conn: &mut AnyConnection,
    id: ConversationId,
    name: Option<&str>,
    avatar: Option<&str>,
    admin: Option<&UserId>,
    updated_at: Timestamp,
) -> QueryResult<()> {
    let columns =
        (conversations::name.eq(name), conversations::avatar.eq(avatar), conversations::admin.eq(admin.map(UserId::as_str)));
    file_names::rename(conn, &picture_of_conversation(id), &[avatar.unwrap_or_default()])?;
    let id = id.to_string();
    diesel::update(conversations::table.find(&id)).set(columns).execute(conn)?;
    touch(conn, &id, updated_at)
}

pub(super) fn set_name(
    conn: &mut AnyConnection,
    owner: &UserId,
    name: &str,
    conversation: ConversationId,
    named_at: Timestamp,
) -> QueryResult<()> {
    diesel::sql_query(
        "INSERT INTO conversation_names (owner, name, conversation, named_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (owner, name) DO UPDATE SET conversation = excluded.conversation, named_at = excluded.named_at",
    )
    .bind::<Text, _>(owner.as_str())
    .bind::<Text, _>(name)
    .bind::<Text, _>(conversation.to_string())
    .bind::<BigInt, _>(named_at.as_millis())
    .execute(conn)
    .map(drop)
}

/// Adds members; everything said before counts as received and read by them.
pub(super) fn add_participants(
    conn: &mut AnyConnection,
    id: ConversationId,
    users: &[UserId],
    joined_at: Timestamp,
    joined_position: i64,
) -> QueryResult<()> {
    let id = id.to_string();
    let last_seq = conversations::table.find(&id).select(conversations::last_seq).first(conn).optional()?;
    join(conn, &id, users, joined_at, joined_position, last_seq.unwrap_or_default())?;
    touch(conn, &id, joined_at)
}

/// Adds or re-adds members; current ones stay as they are.
fn join(
    conn: &mut AnyConnection,
    id: &str,
    users: &[UserId],
    joined_at: Timestamp,
    joined_position: i64,
    last_seq: i64,
) -> QueryResult<()> {
    for (rank, user) in (0i64..).zip(users) {
        diesel::sql_query(
            "INSERT INTO participants (conversation, user_id, delivered_seq, read_seq, joined_at, joined_rank, joined_position, \
             not_unread) VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (conversation, user_id) DO UPDATE SET \
             delivered_seq = excluded.delivered_seq, read_seq = excluded.read_seq, joined_at = excluded.joined_at, \
             joined_rank = excluded.joined_rank, joined_position = excluded.joined_position, left_at = NULL, not_unread = 0 \
             WHERE participants.left_at IS NOT NULL",
        )
        .bind::<Text, _>(id)
        .bind::<Text, _>(user.as_str())
        .bind::<BigInt, _>(last_seq)
        .bind::<BigInt, _>(last_seq)
        .bind::<BigInt, _>(joined_at.as_millis())
        .bind::<BigInt, _>(rank)
        .bind::<BigInt, _>(joined_position)
        .execute(conn)?;
    }
    Ok(())
}

pub(super) fn remove_participant(
    conn: &mut AnyConnection,
    id: ConversationId,
    user: &UserId,
    left_at: Timestamp,
) -> QueryResult<()> {
    let id = id.to_string();
    let member = participants::table.find((&id, user.as_str())).filter(participants::left_at.is_null());
    diesel::update(member).set(participants::left_at.eq(left_at.as_millis())).execute(conn)?;
    withdrawal::forget_membership(conn, &id, user)?;
    touch(conn, &id, left_at)
}

/// Deletes a conversation with its members and notifications. Its messages can be found by nobody from then on, and are
/// noted for deletion: their number must not keep others waiting. Its positions are not reused.
pub(super) fn delete(conn: &mut AnyConnection, id: ConversationId) -> QueryResult<()> {
    file_names::rename(conn, &picture_of_conversation(id), &[])?;
    let id = id.to_string();
    let last_position = conversations::table.find(&id).select(conversations::last_position).first::<i64>(conn).optional()?;
    let Some(last_position) = last_position else { return Ok(()) };
    give_up(conn, last_position)?;
    withdrawal::forget_conversation(conn, &id)?;
    diesel::insert_into(deleted_places::table).values(deleted_places::place.eq(&id)).execute(conn)?;
    diesel::delete(conversation_names::table.filter(conversation_names::conversation.eq(&id))).execute(conn)?;
    diesel::delete(participants::table.filter(participants::conversation.eq(&id))).execute(conn)?;
    diesel::delete(conversations::table.find(&id)).execute(conn)?;
    Ok(())
}

/// Prevents positions up to this one from being reused, although no stored row has them any more.
///
/// Stored separately from the starts' `last_position`, which tells how much was stored before each start.
fn give_up(conn: &mut AnyConnection, position: i64) -> QueryResult<()> {
    let Some(present) = boots::table.select(max(boots::id)).first::<Option<i64>>(conn)? else { return Ok(()) };
    let is_lower = boots::given_up_to.is_null().or(boots::given_up_to.lt(position));
    let start = boots::table.filter(boots::id.eq(present).and(is_lower.assume_not_null()));
    diesel::update(start).set(boots::given_up_to.eq(position)).execute(conn).map(drop)
}

fn touch(conn: &mut AnyConnection, id: &str, changed_at: Timestamp) -> QueryResult<()> {
    let changed = changed_at.as_millis();
    diesel::update(conversations::table.find(id).filter(conversations::updated_at.lt(changed)))
        .set(conversations::updated_at.eq(changed))
        .execute(conn)?;
    Ok(())
}
