//! Users noted as online, so that a start after a crash can tell when they were last seen.
use diesel::prelude::*;

use crate::model::{Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::schema::{boots, online_users, users};

/// Maximum number of users in one statement; SQLite binds only some thousands of values.
const USERS_AT_ONCE: usize = 1_000;

/// Notes users who came online or went offline, and the time, at which the server was alive.
pub(super) fn store(conn: &mut AnyConnection, came: &[UserId], gone: &[UserId], at: Timestamp) -> QueryResult<()> {
    for some in gone.chunks(USERS_AT_ONCE) {
        let ids = some.iter().map(UserId::as_str);
        diesel::delete(online_users::table.filter(online_users::user_id.eq_any(ids))).execute(conn)?;
    }
    for some in came.chunks(USERS_AT_ONCE) {
        // Deleted users, and those noted already, are left out.
        let ids = some.iter().map(UserId::as_str);
        let known = users::table.filter(users::id.eq_any(ids).and(users::deleted_at.is_null()));
        let noted = online_users::table.filter(online_users::user_id.eq(users::id));
        let new: Vec<String> = known.filter(diesel::dsl::not(diesel::dsl::exists(noted))).select(users::id).load(conn)?;
        let rows: Vec<_> = new.iter().map(|id| online_users::user_id.eq(id)).collect();
        match conn {
            AnyConnection::Postgres(conn) => diesel::insert_into(online_users::table).values(rows).execute(conn)?,
            AnyConnection::Sqlite(conn) => diesel::insert_into(online_users::table).values(rows).execute(conn)?,
        };
    }
    let Some(present) = boots::table.select(diesel::dsl::max(boots::id)).first::<Option<i64>>(conn)? else { return Ok(()) };
    diesel::update(boots::table.find(present)).set(boots::alive_at.eq(at.as_millis())).execute(conn).map(drop)
}

/// Sets `last_seen` of users who were online when the previous server died to the last time at which it was known to be
/// alive.
pub(in crate::store) fn settle_those_of_before(conn: &mut AnyConnection) -> QueryResult<()> {
    let last: Option<Option<i64>> = boots::table.order(boots::id.desc()).select(boots::alive_at).first(conn).optional()?;
    if let Some(at) = last.flatten() {
        let were_online = users::id.eq_any(online_users::table.select(online_users::user_id));
        let is_later = users::last_seen.is_null().or(users::last_seen.lt(at));
        let seen = users::table.filter(were_online.and(users::deleted_at.is_null()).and(is_later.assume_not_null()));
        diesel::update(seen).set(users::last_seen.eq(at)).execute(conn)?;
    }
    diesel::delete(online_users::table).execute(conn).map(drop)
}
