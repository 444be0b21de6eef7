//! Queries on conversations and their members.
use std::collections::HashMap;
use std::sync::Arc;

use diesel::dsl::{count_star, min};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Array, BigInt, Text};

use crate::model::{Conversation, ConversationId, ConversationKind, LastMessage, Profile, Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::queries::users::find_profiles;
use crate::store::rows::{self, ConversationRow};
use crate::store::schema::{conversation_names, conversations, messages, participants};
use crate::store::write::direct_key;

/// Columns of [`Counts`].
const COUNTS: (conversations::last_seq, participants::read_seq, participants::not_unread) =
    (conversations::last_seq, participants::read_seq, participants::not_unread);
/// Maximum number of conversations whose members are read at once.
const CONVERSATIONS_AT_ONCE: usize = 100;
/// Statement for the longest-standing members of conversations; its first part ends before the list of conversations.
const FIRST_MEMBERS: &str = "SELECT conversation, user_id FROM (SELECT conversation, user_id, row_number() OVER \
     (PARTITION BY conversation ORDER BY joined_at, joined_rank, user_id) AS place FROM participants \
     WHERE left_at IS NULL AND conversation";
const RANKED: &str = ") AS ranked WHERE place <= $2 ORDER BY conversation, place";
/// Text shown for a last message without text.
const FILE_CONTENT: &str = "File";

/// A user's membership of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// The other user of a direct conversation, who can be the user itself.
    pub other: Option<UserId>,
    /// Number up to which messages were received.
    pub delivered_seq: i64,
    /// Number of the newest message read.
    pub read_seq: i64,
    /// Number of the newest message.
    pub last_seq: i64,
    /// Position up to which messages are not news for this member.
    pub joined_position: i64,
    /// Latest name that the user gave it.
    pub name: Option<Arc<str>>,
}

/// A conversation in a member's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The conversation.
    pub conversation: Conversation,
    /// Its members, the longest-standing first.
    pub members: Vec<Arc<Profile>>,
    /// Messages by others that the member has not read.
    pub unread: i64,
    /// Latest name that the member gave it.
    pub name: Option<Arc<str>>,
}

/// Returns the users among `others` who share a conversation with `user`.
pub fn list_contacts(conn: &mut AnyConnection, user: &UserId, others: &[UserId]) -> QueryResult<Vec<UserId>> {
    let (own, shared) = diesel::alias!(participants as own, participants as shared);
    let ids: Vec<&str> = others.iter().map(UserId::as_str).collect();
    let contacts: Vec<String> = own
        .inner_join(shared.on(shared.field(participants::conversation).eq(own.field(participants::conversation))))
        .filter(own.field(participants::user_id).eq(user.as_str()).and(own.field(participants::left_at).is_null()))
        .filter(shared.field(participants::user_id).eq_any(ids).and(shared.field(participants::left_at).is_null()))
        .select(shared.field(participants::user_id))
        .distinct()
        .load(conn)?;
    Ok(contacts.iter().filter_map(|id| UserId::parse(id).ok()).collect())
}

/// Limits of a list of [`Overview`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverviewLimits {
    /// Maximum number of conversations.
    pub conversations: i64,
    /// Maximum number of members listed for each conversation.
    pub members_of_each: i64,
    /// Maximum number of members in all: the list ends with the conversation that reaches it.
    pub members: usize,
}

/// Subquery for the latest name that the owner of a `participants` row gave its conversation.
macro_rules! latest_name {
    () => {
        conversation_names::table
            .filter(conversation_names::conversation.eq(participants::conversation))
            .filter(conversation_names::owner.eq(participants::user_id))
            .order(conversation_names::named_at.desc())
            .select(conversation_names::name)
            .limit(1)
            .single_value()
    };
}

/// End of a page of conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationCursor {
    /// Time of change of the last one.
    pub updated_at: Timestamp,
    /// Id of the last one.
    pub id: ConversationId,
}

/// A row of [`FIRST_MEMBERS`].
#[derive(QueryableByName)]
struct Member {
    #[diesel(sql_type = Text)]
    conversation: String,
    #[diesel(sql_type = Text)]
    user_id: String,
}

/// Returns the memberships of a user.
pub fn load_memberships(conn: &mut AnyConnection, user: &UserId) -> QueryResult<Vec<Membership>> {
    type Row = (String, String, Option<String>, i64, i64, i64, i64, Option<String>);
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
            latest_name!(),
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, kind, direct_key, delivered_seq, read_seq, last_seq, joined_position, name)| {
            let other = direct_key.and_then(|key| other_of(&key, user));
            let (conversation, kind) = (rows::conversation_id(&id)?, rows::conversation_kind(&kind)?);
            let name = name.map(Arc::from);
            Ok(Membership { conversation, kind, other, delivered_seq, read_seq, last_seq, joined_position, name })
        })
        .collect()
}

/// Returns the other user in a direct conversation's key.
fn other_of(direct_key: &str, user: &UserId) -> Option<UserId> {
    let (one, other) = direct_key.split_once('\n')?;
    UserId::parse(if one == user.as_str() { other } else { one }).ok()
}

/// Finds a conversation by id.
pub fn find_conversation(conn: &mut AnyConnection, id: ConversationId) -> QueryResult<Option<Conversation>> {
    let row = conversations::table.find(id.to_string()).select(ConversationRow::as_select()).first(conn).optional()?;
    Ok(complete(conn, row.into_iter().collect())?.pop())
}

/// Finds the direct conversation of two users.
pub fn find_direct(conn: &mut AnyConnection, one: &UserId, other: &UserId) -> QueryResult<Option<Conversation>> {
    let row = conversations::table
        .filter(conversations::direct_key.eq(direct_key(one, other)))
        .select(ConversationRow::as_select())
        .first(conn)
        .optional()?;
    Ok(complete(conn, row.into_iter().collect())?.pop())
}

/// Finds the conversation that a text denotes for a user: the one that the user named so, else any with this id.
pub fn find_by_alias(conn: &mut AnyConnection, user: &UserId, text: &str) -> QueryResult<Option<Conversation>> {
    let named = conversation_names::table.find((user.as_str(), text)).select(conversation_names::conversation);
    let named: Option<String> = named.first(conn).optional()?;
    let id = match named {
        Some(id) => Some(rows::conversation_id(&id)?),
        None => ConversationId::parse(text).ok(),
    };
    id.map_or(Ok(None), |id| find_conversation(conn, id))
}

/// Numbers of a membership and its conversation: `last_seq`, `read_seq` and `not_unread`.
type Counts = (i64, i64, Option<i64>);

/// Returns a user's conversations within `limits`, the most recently active first.
pub fn list_overviews(conn: &mut AnyConnection, user: &UserId, limits: OverviewLimits) -> QueryResult<Vec<Overview>> {
    let rows: Vec<(ConversationRow, Counts, Option<String>)> = participants::table
        .inner_join(conversations::table.on(conversations::id.eq(participants::conversation)))
        .filter(participants::user_id.eq(user.as_str()).and(participants::left_at.is_null()))
        .order((conversations::updated_at.desc(), conversations::id.desc()))
        .limit(limits.conversations)
        .select((ConversationRow::as_select(), COUNTS, latest_name!()))
        .load(conn)?;
    let (mut overviews, mut listed) = (Vec::with_capacity(rows.len()), 0);
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() && listed < limits.members {
        let rows: Vec<_> = rows.by_ref().take(CONVERSATIONS_AT_ONCE).collect();
        let ids: Vec<&str> = rows.iter().map(|(row, ..)| row.id.as_str()).collect();
        let mut members = list_members(conn, &ids, limits.members_of_each)?;
        let mut last_messages = find_last_messages(conn, &ids)?;
        for (row, counts, name) in rows {
            if listed >= limits.members {
                break;
            }
            let id = row.id.clone();
            let members = members.remove(&id).unwrap_or_default();
            listed += members.len();
            let mut conversation = row.into_conversation(members.iter().map(|member| member.id.clone()).collect())?;
            conversation.last_message = last_messages.remove(&id);
            let unread = unread(conn, user, &id, counts)?;
            overviews.push(Overview { conversation, members, unread, name: name.map(Arc::from) });
        }
    }
    Ok(overviews)
}

/// Returns current members of each conversation, the longest-standing first, at most `limit`.
fn list_members(conn: &mut AnyConnection, conversations: &[&str], limit: i64) -> QueryResult<HashMap<String, Vec<Arc<Profile>>>> {
    let members = match conn {
        AnyConnection::Postgres(conn) => {
            let question = diesel::sql_query(format!("{FIRST_MEMBERS} = ANY($1){RANKED}"));
            question.bind::<Array<Text>, _>(conversations).bind::<BigInt, _>(limit).load::<Member>(conn)?
        }
        AnyConnection::Sqlite(conn) => {
            let question = diesel::sql_query(format!("{FIRST_MEMBERS} IN (SELECT value FROM json_each($1)){RANKED}"));
            let list = serde_json::to_string(conversations).map_err(|error| Error::SerializationError(Box::new(error)))?;
            question.bind::<Text, _>(list).bind::<BigInt, _>(limit).load::<Member>(conn)?
        }
    };
    let mut ids: Vec<UserId> = members.iter().map(|member| rows::user_id(&member.user_id)).collect::<QueryResult<_>>()?;
    ids.sort_unstable();
    ids.dedup();
    let profiles = find_profiles(conn, &ids)?;
    let profiles: HashMap<&str, &Arc<Profile>> = profiles.iter().map(|profile| (profile.id.as_str(), profile)).collect();
    let mut by_conversation: HashMap<String, Vec<Arc<Profile>>> = HashMap::new();
    for Member { conversation, user_id } in members {
        if let Some(profile) = profiles.get(user_id.as_str()) {
            by_conversation.entry(conversation).or_default().push(Arc::clone(profile));
        }
    }
    Ok(by_conversation)
}

/// Returns a user's conversations, the most recently active first, each with the number of messages by others that the
/// user has not read.
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
        .select((ConversationRow::as_select(), COUNTS))
        .into_boxed();
    if let Some(ConversationCursor { updated_at, id }) = before {
        let time = updated_at.as_millis();
        let is_older = conversations::updated_at.lt(time);
        let is_next = conversations::updated_at.eq(time).and(conversations::id.lt(id.to_string()));
        query = query.filter(is_older.or(is_next));
    }
    let (rows, counts): (Vec<_>, Vec<_>) = query.load::<(ConversationRow, Counts)>(conn)?.into_iter().unzip();
    let page = complete(conn, rows)?;
    page.into_iter()
        .zip(counts)
        .map(|(conversation, counts)| {
            let unread = unread(conn, user, &conversation.id.to_string(), counts)?;
            Ok((conversation, unread))
        })
        .collect()
}

/// Returns the number of messages by others that a member has not read.
pub fn count_unread(conn: &mut AnyConnection, user: &UserId, conversation: ConversationId) -> QueryResult<i64> {
    let place = conversation.to_string();
    let counts: Option<Counts> = participants::table
        .inner_join(conversations::table.on(conversations::id.eq(participants::conversation)))
        .filter(participants::conversation.eq(&place).and(participants::user_id.eq(user.as_str())))
        .select(COUNTS)
        .first(conn)
        .optional()?;
    match counts {
        Some(counts) => unread(conn, user, &place, counts),
        None => count_after(conn, user, &place, 0),
    }
}

/// Returns the number of unread messages: the difference of what is stored, or counted where `not_unread` is null.
fn unread(conn: &mut AnyConnection, user: &UserId, place: &str, counts: Counts) -> QueryResult<i64> {
    let (last_seq, read_seq, not_unread) = counts;
    match not_unread {
        Some(not_unread) => Ok((last_seq - read_seq - not_unread).max(0)),
        None => count_after(conn, user, place, read_seq),
    }
}

/// Messages of one conversation that a member has not been confirmed to have received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The conversation.
    pub conversation: ConversationId,
    /// Number of messages.
    pub messages: i64,
    /// Time of the oldest of them.
    pub since: Timestamp,
}

/// Returns the conversations with messages by others that a user has not been confirmed to have received: at most
/// `most`, the longest waiting first.
pub fn list_undelivered(conn: &mut AnyConnection, user: &UserId, most: i64) -> QueryResult<Vec<Undelivered>> {
    let is_waiting = messages::seq
        .gt(participants::delivered_seq)
        .and(messages::position.gt(participants::joined_position))
        .and(messages::sender.ne(participants::user_id))
        .and(messages::deleted_at.is_null());
    let rows: Vec<(String, i64, Option<i64>)> = messages::table
        .inner_join(participants::table.on(participants::conversation.eq(messages::place)))
        .filter(participants::user_id.eq(user.as_str()).and(participants::left_at.is_null()))
        .filter(is_waiting)
        .group_by(messages::place)
        .select((messages::place, count_star(), min(messages::created_at)))
        .order(min(messages::created_at).asc())
        .limit(most)
        .load(conn)?;
    rows.into_iter()
        .map(|(place, messages, since)| {
            let since = Timestamp::from_millis(since.unwrap_or_default());
            Ok(Undelivered { conversation: rows::conversation_id(&place)?, messages, since })
        })
        .collect()
}

fn count_after(conn: &mut AnyConnection, user: &UserId, place: &str, seq: i64) -> QueryResult<i64> {
    messages::table
        .filter(messages::place.eq(place).and(messages::seq.gt(seq)))
        .filter(messages::sender.ne(user.as_str()).and(messages::deleted_at.is_null()))
        .count()
        .get_result(conn)
}

/// Loads conversations with their members, without last messages, in no particular order.
pub(super) fn load_with_members(conn: &mut AnyConnection, ids: &[&str]) -> QueryResult<Vec<Conversation>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = conversations::table.filter(conversations::id.eq_any(ids)).select(ConversationRow::as_select()).load(conn)?;
    with_members(conn, rows)
}

/// Adds members and last messages, in the same order.
fn complete(conn: &mut AnyConnection, rows: Vec<ConversationRow>) -> QueryResult<Vec<Conversation>> {
    let mut conversations = with_members(conn, rows)?;
    let ids: Vec<String> = conversations.iter().map(|conversation| conversation.id.to_string()).collect();
    let mut last_messages = find_last_messages(conn, &ids.iter().map(String::as_str).collect::<Vec<_>>())?;
    for (conversation, id) in conversations.iter_mut().zip(&ids) {
        conversation.last_message = last_messages.remove(id);
    }
    Ok(conversations)
}

/// Adds members, in the same order.
fn with_members(conn: &mut AnyConnection, rows: Vec<ConversationRow>) -> QueryResult<Vec<Conversation>> {
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
            row.into_conversation(participants)
        })
        .collect()
}

/// Finds the newest message that is not deleted of each conversation, as lists show it.
fn find_last_messages(conn: &mut AnyConnection, places: &[&str]) -> QueryResult<HashMap<String, LastMessage>> {
    let newest = messages::table
        .filter(messages::place.eq(conversations::id).and(messages::deleted_at.is_null()))
        .order(messages::seq.desc())
        .select(messages::id)
        .limit(1)
        .single_value();
    let ids: Vec<Option<String>> = conversations::table.filter(conversations::id.eq_any(places)).select(newest).load(conn)?;
    type Row = (String, String, String, i64, String);
    let rows: Vec<Row> = messages::table
        .filter(messages::id.eq_any(ids.iter().flatten()))
        .select((messages::place, messages::content, messages::sender, messages::created_at, messages::message_type))
        .load(conn)?;
    rows.into_iter()
        .map(|(place, content, sender, created_at, message_type)| {
            let last = LastMessage {
                content: if content.is_empty() { FILE_CONTENT.to_owned() } else { content },
                sender: rows::user_id(&sender)?,
                timestamp: Timestamp::from_millis(created_at),
                message_type,
            };
            Ok((place, last))
        })
        .collect()
}
