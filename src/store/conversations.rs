//! Questions about conversations and who is in them.
use std::collections::HashMap;

use diesel::prelude::*;

use super::rows::{self, ConversationRow};
use super::schema::{conversation_names, conversations, messages, participants};
use super::{AnyConnection, direct_key};
use crate::model::{Conversation, ConversationId, ConversationKind, LastMessage, Timestamp, UserId};

/// What a last message without a text shows.
const FILE_CONTENT: &str = "File";

/// A user's place in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Where.
    pub conversation: ConversationId,
    /// Of which kind it is.
    pub kind: ConversationKind,
    /// Of a direct conversation: the one the user talks with, which can be the user.
    pub other: Option<UserId>,
    /// All up to this one was received.
    pub delivered_seq: i64,
    /// The newest one that was read.
    pub read_seq: i64,
    /// The newest message of the conversation.
    pub last_seq: i64,
    /// Messages up to this position are no news for this member.
    pub joined_position: i64,
}

/// Where a page of conversations ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationCursor {
    /// The last one's time of change.
    pub updated_at: Timestamp,
    /// The last one.
    pub id: ConversationId,
}

/// The conversations that a user is in.
pub fn load_memberships(conn: &mut AnyConnection, user: &UserId) -> QueryResult<Vec<Membership>> {
    type Row = (String, String, Option<String>, i64, i64, i64, i64);
    let rows: Vec<Row> = participants::table
        .inner_join(conversations::table.on(conversations::id.eq(participants::conversation)))
        .filter(participants::user_id.eq(user.as_str()).and(participants::left_at.is_null()))
        .select((
            conversations::id,
            conversations::kind,
            conversations::direct_key,
            participants::delivered_seq,
            participants::read_seq,
            conversations::last_seq,
            participants::joined_position,
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, kind, direct_key, delivered_seq, read_seq, last_seq, joined_position)| {
            let other = direct_key.and_then(|key| other_of(&key, user));
            let (conversation, kind) = (rows::conversation_id(&id)?, rows::conversation_kind(&kind)?);
            Ok(Membership { conversation, kind, other, delivered_seq, read_seq, last_seq, joined_position })
        })
        .collect()
}

/// The other user that a direct conversation's key names.
fn other_of(direct_key: &str, user: &UserId) -> Option<UserId> {
    let (one, other) = direct_key.split_once('\n')?;
    UserId::parse(if one == user.as_str() { other } else { one }).ok()
}

/// The conversation with this id.
pub fn find_conversation(conn: &mut AnyConnection, id: ConversationId) -> QueryResult<Option<Conversation>> {
    let row = conversations::table.find(id.to_string()).select(ConversationRow::as_select()).first(conn).optional()?;
    Ok(complete(conn, row.into_iter().collect())?.pop())
}

/// The direct conversation of two users.
pub fn find_direct(conn: &mut AnyConnection, one: &UserId, other: &UserId) -> QueryResult<Option<Conversation>> {
    let row = conversations::table
        .filter(conversations::direct_key.eq(direct_key(one, other)))
        .select(ConversationRow::as_select())
        .first(conn)
        .optional()?;
    Ok(complete(conn, row.into_iter().collect())?.pop())
}

/// The conversation that its owner calls so.
pub fn find_named(conn: &mut AnyConnection, owner: &UserId, name: &str) -> QueryResult<Option<ConversationId>> {
    let named = conversation_names::table.find((owner.as_str(), name)).select(conversation_names::conversation);
    let id: Option<String> = named.first(conn).optional()?;
    id.map(|id| rows::conversation_id(&id)).transpose()
}

/// A user's conversations, last active first, each with the number of messages by others that the user has not read.
pub fn list_conversations(
    conn: &mut AnyConnection,
    user: &UserId,
    before: Option<ConversationCursor>,
    limit: i64,
) -> QueryResult<Vec<(Conversation, i64)>> {
    let mut query = participants::table
        .inner_join(conversations::table.on(conversations::id.eq(participants::conversation)))
        .filter(participants::user_id.eq(user.as_str()).and(participants::left_at.is_null()))
        .order((conversations::updated_at.desc(), conversations::id.desc()))
        .limit(limit)
        .select(ConversationRow::as_select())
        .into_boxed();
    if let Some(ConversationCursor { updated_at, id }) = before {
        let time = updated_at.as_millis();
        let is_older = conversations::updated_at.lt(time);
        let is_next = conversations::updated_at.eq(time).and(conversations::id.lt(id.to_string()));
        query = query.filter(is_older.or(is_next));
    }
    let rows = query.load(conn)?;
    let page = complete(conn, rows)?;
    page.into_iter()
        .map(|conversation| {
            let unread = count_unread(conn, user, conversation.id)?;
            Ok((conversation, unread))
        })
        .collect()
}

/// How many messages by others a member has not read.
pub fn count_unread(conn: &mut AnyConnection, user: &UserId, conversation: ConversationId) -> QueryResult<i64> {
    let place = conversation.to_string();
    let read_seq: Option<i64> =
        participants::table.find((&place, user.as_str())).select(participants::read_seq).first(conn).optional()?;
    messages::table
        .filter(messages::place.eq(&place).and(messages::seq.gt(read_seq.unwrap_or_default())))
        .filter(messages::sender.ne(user.as_str()).and(messages::deleted_at.is_null()))
        .count()
        .get_result(conn)
}

/// Adds members and last messages, keeping the order.
fn complete(conn: &mut AnyConnection, rows: Vec<ConversationRow>) -> QueryResult<Vec<Conversation>> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let members: Vec<(String, String)> = participants::table
        .filter(participants::conversation.eq_any(&ids).and(participants::left_at.is_null()))
        .order((participants::joined_at, participants::joined_rank, participants::user_id))
        .select((participants::conversation, participants::user_id))
        .load(conn)?;
    let mut by_conversation: HashMap<String, Vec<UserId>> = HashMap::new();
    for (conversation, user) in members {
        by_conversation.entry(conversation).or_default().push(rows::user_id(&user)?);
    }
    rows.into_iter()
        .map(|row| {
            let participants = by_conversation.remove(&row.id).unwrap_or_default();
            let last_message = find_last_message(conn, &row.id)?;
            let mut conversation = row.into_conversation(participants)?;
            conversation.last_message = last_message;
            Ok(conversation)
        })
        .collect()
}

/// The newest message that was not deleted, as lists show it.
fn find_last_message(conn: &mut AnyConnection, place: &str) -> QueryResult<Option<LastMessage>> {
    let newest: Option<(String, String, i64, String)> = messages::table
        .filter(messages::place.eq(place).and(messages::deleted_at.is_null()))
        .order(messages::seq.desc())
        .select((messages::content, messages::sender, messages::created_at, messages::message_type))
        .first(conn)
        .optional()?;
    newest
        .map(|(content, sender, created_at, message_type)| {
            Ok(LastMessage {
                content: if content.is_empty() { FILE_CONTENT.to_owned() } else { content },
                sender: rows::user_id(&sender)?,
                timestamp: Timestamp::from_millis(created_at),
                message_type,
            })
        })
        .transpose()
}
