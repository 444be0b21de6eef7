//! Deletion of expired rows, a limited number at a time.
use diesel::prelude::*;

use super::outcome::Outcome;
use super::unread::{self, Pruned};
use super::{file_names, withdrawal};
use crate::model::{Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::schema::{deleted_places, message_reads, messages, notifications};
use crate::store::write::Written;

/// Deletes the oldest `limit` messages of a conversation or room written before `before`, with their receipts and
/// notifications. Numbers and positions are not reused, because their counters stay.
pub(super) fn prune_messages(conn: &mut AnyConnection, place: &str, before: Timestamp, limit: i64) -> QueryResult<Outcome> {
    let old: Vec<(String, i64, i64, String, Option<i64>)> = messages::table
        .filter(messages::place.eq(place).and(messages::created_at.lt(before.as_millis())))
        .order(messages::created_at)
        .limit(limit)
        .select((messages::id, messages::created_at, messages::seq, messages::sender, messages::deleted_at))
        .load(conn)?;
    if let Some((_, newest, ..)) = old.last() {
        withdrawal::forget_up_to(conn, place, *newest)?;
    }
    let (mut ids, mut pruned) = (Vec::with_capacity(old.len()), Vec::with_capacity(old.len()));
    for (id, _, seq, sender, deleted_at) in old {
        ids.push(id);
        // Deleted messages were counted at their deletion.
        if deleted_at.is_none() {
            pruned.push(Pruned { seq, sender });
        }
    }
    unread::note_pruning(conn, place, &pruned)?;
    let rows = delete_messages(conn, &ids)?;
    Ok(Ok(Written::Pruned { rows }))
}

/// Deletes `limit` messages of a deleted conversation, with their receipts and references to files; with the last one,
/// the note that they are to be deleted.
pub(super) fn prune_deleted(conn: &mut AnyConnection, place: &str, limit: i64) -> QueryResult<Outcome> {
    let ids: Vec<String> =
        messages::table.filter(messages::place.eq(place)).order(messages::seq).limit(limit).select(messages::id).load(conn)?;
    let rows = delete_messages(conn, &ids)?;
    if i64::try_from(rows).is_ok_and(|rows| rows < limit) {
        diesel::delete(deleted_places::table.find(place)).execute(conn)?;
    }
    Ok(Ok(Written::Pruned { rows }))
}

fn delete_messages(conn: &mut AnyConnection, ids: &[String]) -> QueryResult<usize> {
    file_names::forget(conn, ids)?;
    diesel::delete(message_reads::table.filter(message_reads::message.eq_any(ids))).execute(conn)?;
    diesel::delete(messages::table.filter(messages::id.eq_any(ids))).execute(conn)
}

/// Deletes the oldest `limit` notifications of a user last renewed before `before`.
pub(super) fn prune_notifications(
    conn: &mut AnyConnection,
    user: &UserId,
    before: Timestamp,
    limit: i64,
) -> QueryResult<Outcome> {
    let ids: Vec<String> = notifications::table
        .filter(notifications::user_id.eq(user.as_str()).and(notifications::created_at.lt(before.as_millis())))
        .order((notifications::created_at, notifications::id))
        .limit(limit)
        .select(notifications::id)
        .load(conn)?;
    let rows = diesel::delete(notifications::table.filter(notifications::id.eq_any(&ids))).execute(conn)?;
    Ok(Ok(Written::Pruned { rows }))
}
