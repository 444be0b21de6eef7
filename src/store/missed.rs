//! What a user has missed: others' messages in the user's conversations that were not received.
use diesel::prelude::*;

use super::AnyConnection;
use super::messages::load_messages;
use super::schema::{messages, participants};
use crate::model::{Message, UserId};

/// All that `$user` missed up to a position: the query without its columns and order.
macro_rules! missed {
    ($user:expr, $up_to:expr) => {
        participants::table
            .inner_join(messages::table.on(messages::place.eq(participants::conversation)))
            .filter(participants::user_id.eq($user.as_str()).and(participants::left_at.is_null()))
            .filter(messages::seq.gt(participants::delivered_seq))
            .filter(messages::position.gt(participants::joined_position).and(messages::position.le($up_to)))
            .filter(messages::sender.ne($user.as_str()).and(messages::deleted_at.is_null()))
    };
}

/// The messages that `user` missed, with `position` in (`after`, `up_to`], ascending by it; deleted ones left out.
pub fn list_missed(conn: &mut AnyConnection, user: &UserId, after: i64, up_to: i64, limit: i64) -> QueryResult<Vec<Message>> {
    // Ids first: sorting all that was missed must not carry the texts along.
    let ids: Vec<String> = missed!(user, up_to)
        .filter(messages::position.gt(after))
        .order(messages::position.asc())
        .limit(limit)
        .select(messages::id)
        .load(conn)?;
    load_messages(conn, ids)
}

/// The position after which the newest `newest` of the missed messages up to `up_to` begin; 0 where there are no more
/// than that.
pub fn missed_start(conn: &mut AnyConnection, user: &UserId, up_to: i64, newest: i64) -> QueryResult<i64> {
    let newest_skipped: Option<i64> =
        missed!(user, up_to).order(messages::position.desc()).offset(newest).select(messages::position).first(conn).optional()?;
    Ok(newest_skipped.unwrap_or_default())
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
    let ids: Vec<String> =
        said_since!(user, sent_by, after, up_to).order(messages::position.asc()).limit(limit).select(messages::id).load(conn)?;
    load_messages(conn, ids)
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
