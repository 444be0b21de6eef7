//! What a user has missed: others' messages in the user's conversations that were not received; and what a client has missed
//! that knows how far it came: all messages since, and what became of those before.
use diesel::prelude::*;

use super::AnyConnection;
use super::connection::in_snapshot;
use super::messages::load_messages;
use super::schema::{messages, participants};
use crate::model::{Message, UserId};

/// All that `$user` missed up to a position: the query without its columns and order. A sum is in no index: SQLite is to go by
/// `seq`, over what was missed, and not by two bounds of `position`, over all that was ever said.
macro_rules! missed {
    ($user:expr, $up_to:expr) => {
        participants::table
            .inner_join(messages::table.on(messages::place.eq(participants::conversation)))
            .filter(participants::user_id.eq($user.as_str()).and(participants::left_at.is_null()))
            .filter(messages::seq.gt(participants::delivered_seq))
            .filter(messages::position.gt(participants::joined_position).and((messages::position + 0_i64).le($up_to)))
            .filter(messages::sender.ne($user.as_str()).and(messages::deleted_at.is_null()))
    };
}

/// The messages that `user` missed, with `position` in (`after`, `up_to`], ascending by it; deleted ones left out.
pub fn list_missed(conn: &mut AnyConnection, user: &UserId, after: i64, up_to: i64, limit: i64) -> QueryResult<Vec<Message>> {
    // What is deleted between the questions must not come without its text.
    in_snapshot(conn, |conn| {
        // Ids first: sorting all that was missed must not carry the texts along.
        let ids: Vec<String> = missed!(user, up_to)
            .filter(messages::position.gt(after))
            .order(messages::position.asc())
            .limit(limit)
            .select(messages::id)
            .load(conn)?;
        load_messages(conn, ids)
    })
}

/// The position after which the newest `newest` of the missed messages up to `up_to` begin: right before the first of them, where
/// there are no more, so that pages look at nothing older.
pub fn missed_start(conn: &mut AnyConnection, user: &UserId, up_to: i64, newest: i64) -> QueryResult<i64> {
    let newest_skipped: Option<i64> =
        missed!(user, up_to).order(messages::position.desc()).offset(newest).select(messages::position).first(conn).optional()?;
    if let Some(position) = newest_skipped {
        return Ok(position);
    }
    let first: Option<i64> = missed!(user, up_to).select(diesel::dsl::min(messages::position)).first(conn)?;
    Ok(first.map_or(up_to, |first| first - 1))
}

/// All that was said after a position in `$user`'s conversations, less what bears `$sent_by`: the query without its columns
/// and order.
macro_rules! said_since {
    ($user:expr, $sent_by:expr, $after:expr, $up_to:expr) => {
        participants::table
            .inner_join(messages::table.on(messages::place.eq(participants::conversation)))
            .filter(participants::user_id.eq($user.as_str()).and(participants::left_at.is_null()))
            .filter(messages::position.gt($after).and(messages::position.le($up_to)))
            .filter(messages::position.gt(participants::joined_position).and(messages::deleted_at.is_null()))
            .filter(messages::sent_by.is_null().or(messages::sent_by.ne($sent_by.map_or(&[][..], |hash| &hash[..]))))
    };
}

/// The messages in the conversations of `user` with `position` in (`after`, `up_to`], ascending by it: others', and the
/// user's own, less those that were sent by the session with the hash `sent_by`. Deleted ones are left out.
pub fn list_since(
    conn: &mut AnyConnection,
    user: &UserId,
    sent_by: Option<&[u8; 32]>,
    after: i64,
    up_to: i64,
    limit: i64,
) -> QueryResult<Vec<Message>> {
    in_snapshot(conn, |conn| {
        let said = said_since!(user, sent_by, after, up_to).order(messages::position.asc()).limit(limit);
        let ids = said.select(messages::id).load(conn)?;
        load_messages(conn, ids)
    })
}

/// The position after which the newest `newest` of the messages of [`list_since`] begin; `None` where there are no more
/// than that.
pub fn since_start(
    conn: &mut AnyConnection,
    user: &UserId,
    sent_by: Option<&[u8; 32]>,
    after: i64,
    up_to: i64,
    newest: i64,
) -> QueryResult<Option<i64>> {
    said_since!(user, sent_by, after, up_to)
        .order(messages::position.desc())
        .offset(newest)
        .select(messages::position)
        .first(conn)
        .optional()
}

/// Which messages a client had of those of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Had {
    /// All up to this position,
    pub up_to: i64,
    /// and up to this one those that the user had received, or wrote.
    pub received_up_to: i64,
    /// Also what was sent by the session with this hash.
    pub sent_by: Option<[u8; 32]>,
}

/// The edits and deletions after a position of what a client had in `$user`'s conversations: the query without its columns and
/// order. A message knows its last one.
macro_rules! changed_since {
    ($user:expr, $had:expr, $after:expr, $up_to:expr) => {
        participants::table
            .inner_join(messages::table.on(messages::place.eq(participants::conversation)))
            .filter(participants::user_id.eq($user.as_str()).and(participants::left_at.is_null()))
            .filter(messages::changed_position.gt($after).and(messages::changed_position.le($up_to)))
            .filter(messages::changed_position.gt(participants::joined_position.nullable()))
            .filter(
                messages::position
                    .le($had.up_to)
                    .or(messages::sent_by.eq($had.sent_by.as_ref().map_or(&[][..], |hash| &hash[..])))
                    .or(messages::position
                        .le($had.received_up_to)
                        .and(messages::seq.le(participants::delivered_seq).or(messages::sender.eq($user.as_str())))),
            )
    };
}

/// The messages that a client `had` in the conversations of `user` and that were edited or deleted since, as they are now, with
/// the position of that change: in (`after`, `up_to`], ascending by it.
pub fn list_changed_since(
    conn: &mut AnyConnection,
    user: &UserId,
    had: Had,
    after: i64,
    up_to: i64,
    limit: i64,
) -> QueryResult<Vec<(i64, Message)>> {
    // What is changed between two questions must not come as it will be told later.
    in_snapshot(conn, |conn| {
        let found: Vec<(String, Option<i64>)> = changed_since!(user, had, after, up_to)
            .order(messages::changed_position.asc())
            .limit(limit)
            .select((messages::id, messages::changed_position))
            .load(conn)?;
        let (ids, positions): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        Ok(positions.into_iter().flatten().zip(load_messages(conn, ids)?).collect())
    })
}

/// Positions of the newest `newest` changes of [`list_changed_since`], the newest first.
pub fn list_change_positions(
    conn: &mut AnyConnection,
    user: &UserId,
    had: Had,
    after: i64,
    up_to: i64,
    newest: i64,
) -> QueryResult<Vec<i64>> {
    let positions: Vec<Option<i64>> = changed_since!(user, had, after, up_to)
        .order(messages::changed_position.desc())
        .limit(newest)
        .select(messages::changed_position)
        .load(conn)?;
    Ok(positions.into_iter().flatten().collect())
}

/// Positions of the newest `newest` messages of [`list_since`], the newest first.
pub fn list_positions_since(
    conn: &mut AnyConnection,
    user: &UserId,
    sent_by: Option<&[u8; 32]>,
    after: i64,
    up_to: i64,
    newest: i64,
) -> QueryResult<Vec<i64>> {
    said_since!(user, sent_by, after, up_to).order(messages::position.desc()).limit(newest).select(messages::position).load(conn)
}

/// Positions of the newest `newest` messages of [`list_missed`], the newest first.
pub fn list_missed_positions(
    conn: &mut AnyConnection,
    user: &UserId,
    after: i64,
    up_to: i64,
    newest: i64,
) -> QueryResult<Vec<i64>> {
    missed!(user, up_to)
        .filter(messages::position.gt(after))
        .order(messages::position.desc())
        .limit(newest)
        .select(messages::position)
        .load(conn)
}
