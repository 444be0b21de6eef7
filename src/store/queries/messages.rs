//! Queries on messages.
use std::collections::HashMap;

use diesel::dsl::exists;
use diesel::prelude::*;

use super::listings::find_titles;
use crate::model::{File, Message, MessageId, Place, ReadMark, Timestamp, UserId};
use crate::store::connection::{AnyConnection, in_snapshot};
use crate::store::rows::{self, MessageRow, ProfileRow, hash_of, place_key};
use crate::store::schema::{deleted_places, message_reads, messages, participants, uploads, users};

/// A page of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryRange {
    /// The newest messages.
    Newest,
    /// Messages before this `seq`, the nearest.
    Before(i64),
    /// Messages after this `seq`, the nearest.
    After(i64),
}

/// A message to which its sender gave an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdRow {
    /// The sender's id.
    pub client_message_id: String,
    /// Our id.
    pub message: MessageId,
    /// SHA-256 of the first request.
    pub request_hash: Option<[u8; 32]>,
}

/// Finds a message by id, even a deleted one.
pub fn find_message(conn: &mut AnyConnection, id: MessageId) -> QueryResult<Option<Message>> {
    Ok(load_messages(conn, vec![id.to_string()])?.pop())
}

/// Finds a message that was stored, also one of a conversation that was deleted since: its id is taken.
pub fn find_stored(conn: &mut AnyConnection, id: MessageId) -> QueryResult<Option<Message>> {
    Ok(load(conn, vec![id.to_string()])?.pop().map(|(message, _)| message))
}

/// Finds the hash of the request that made a message; `None` if there is no such message.
pub fn find_request_hash(conn: &mut AnyConnection, id: MessageId) -> QueryResult<Option<Option<[u8; 32]>>> {
    let hash = messages::table.find(id.to_string()).select(messages::request_hash).first(conn).optional()?;
    Ok(hash.map(hash_of))
}

/// Returns a page of a history, ascending by `seq`, without deleted messages.
pub fn list_history(conn: &mut AnyConnection, place: &Place, range: HistoryRange, limit: i64) -> QueryResult<Vec<Message>> {
    let mut query = messages::table
        .filter(messages::place.eq(place_key(place)).and(messages::deleted_at.is_null()))
        .select(messages::id)
        .limit(limit)
        .into_boxed();
    query = match range {
        HistoryRange::Newest => query.order(messages::seq.desc()),
        HistoryRange::Before(seq) => query.filter(messages::seq.lt(seq)).order(messages::seq.desc()),
        HistoryRange::After(seq) => query.filter(messages::seq.gt(seq)).order(messages::seq.asc()),
    };
    // Otherwise a message deleted between the queries would be returned without its text.
    in_snapshot(conn, |conn| {
        let mut ids: Vec<String> = query.load(conn)?;
        if !matches!(range, HistoryRange::After(_)) {
            ids.reverse();
        }
        load_messages(conn, ids)
    })
}

/// Returns a sender's own ids of messages written since then, newest first.
pub fn list_client_ids(conn: &mut AnyConnection, user: &UserId, since: Timestamp, limit: i64) -> QueryResult<Vec<ClientIdRow>> {
    let rows: Vec<(Option<String>, String, Option<Vec<u8>>)> = messages::table
        .filter(messages::sender.eq(user.as_str()).and(messages::client_message_id.is_not_null()))
        .filter(messages::created_at.ge(since.as_millis()))
        .order(messages::created_at.desc())
        .limit(limit)
        .select((messages::client_message_id, messages::id, messages::request_hash))
        .load(conn)?;
    rows.into_iter()
        .map(|(name, id, hash)| {
            let message = rows::message_id(&id)?;
            Ok(ClientIdRow { client_message_id: name.unwrap_or_default(), message, request_hash: hash_of(hash) })
        })
        .collect()
}

/// Returns the uploads that exist among these URLs, with their owners.
pub fn find_uploads(conn: &mut AnyConnection, urls: &[String]) -> QueryResult<Vec<(File, UserId)>> {
    let rows = uploads::table.filter(uploads::url.eq_any(urls)).select(rows::UploadRow::as_select()).load(conn)?;
    rows.into_iter().map(TryFrom::try_from).collect()
}

/// Loads messages with their senders, receipts and listings' titles, in the order of `ids`; those of deleted
/// conversations are left out.
pub(in crate::store) fn load_messages(conn: &mut AnyConnection, ids: Vec<String>) -> QueryResult<Vec<Message>> {
    Ok(load(conn, ids)?.into_iter().filter(|(_, is_gone)| !is_gone).map(|(message, _)| message).collect())
}

/// Loads messages, and tells of each whether its conversation was deleted.
fn load(conn: &mut AnyConnection, ids: Vec<String>) -> QueryResult<Vec<(Message, bool)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let received = exists(
        participants::table
            .filter(participants::conversation.eq(messages::place).and(participants::user_id.ne(messages::sender)))
            .filter(participants::delivered_seq.ge(messages::seq))
            .filter(participants::joined_position.lt(messages::position)),
    );
    let is_gone = exists(deleted_places::table.find(messages::place));
    let rows: Vec<(MessageRow, ProfileRow, bool, bool)> = messages::table
        .inner_join(users::table.on(users::id.eq(messages::sender)))
        .filter(messages::id.eq_any(&ids))
        .select((MessageRow::as_select(), ProfileRow::as_select(), received, is_gone))
        .load(conn)?;
    let mut receipts = load_receipts(conn, &ids)?;
    let titles = find_titles(conn, rows.iter().filter_map(|(row, ..)| row.listing_id.as_deref()).collect())?;
    let mut by_id = HashMap::with_capacity(rows.len());
    for (row, sender, is_delivered, is_gone) in rows {
        let id = row.id.clone();
        let read_by = receipts.remove(&id).unwrap_or_default();
        by_id.insert(id, (row.into_message(sender.try_into()?, is_delivered, read_by, &titles)?, is_gone));
    }
    Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
}

fn load_receipts(conn: &mut AnyConnection, ids: &[String]) -> QueryResult<HashMap<String, Vec<ReadMark>>> {
    let marks: Vec<(String, String, i64)> = message_reads::table
        .filter(message_reads::message.eq_any(ids))
        .order((message_reads::read_at, message_reads::user_id))
        .select((message_reads::message, message_reads::user_id, message_reads::read_at))
        .load(conn)?;
    let mut receipts: HashMap<String, Vec<ReadMark>> = HashMap::new();
    for (message, user, read_at) in marks {
        let mark = ReadMark { user: rows::user_id(&user)?, read_at: Timestamp::from_millis(read_at) };
        receipts.entry(message).or_default().push(mark);
    }
    Ok(receipts)
}
