//! Logins that have tokens.
use diesel::prelude::*;

use crate::store::connection::AnyConnection;
use crate::store::schema::logins;
use crate::store::write::Login;

/// Maximum number of stored logins per user; the least recently used go first.
const LOGINS_MAX: i64 = 1_000;

/// Stores that a login got a token, and removes the user's expired logins.
pub(super) fn note(conn: &mut AnyConnection, login: &Login) -> QueryResult<()> {
    let Login { id, user, begun_at, used_at, expires_at, address, agent } = login;
    let ended = logins::table.filter(logins::user_id.eq(user.as_str()).and(logins::expires_at.lt(used_at.as_millis())));
    diesel::delete(ended).execute(conn)?;
    let renewed = (
        logins::used_at.eq(used_at.as_millis()),
        logins::expires_at.eq(expires_at.as_millis()),
        logins::address.eq(address),
        logins::agent.eq(agent),
    );
    if diesel::update(logins::table.find(id)).set(renewed).execute(conn)? > 0 {
        return Ok(());
    }
    let begun = (logins::id.eq(id), logins::user_id.eq(user.as_str()), logins::begun_at.eq(begun_at.as_millis()));
    diesel::insert_into(logins::table).values((begun, renewed)).execute(conn)?;
    let own = logins::table.filter(logins::user_id.eq(user.as_str()));
    let oldest = own.order(logins::used_at.desc()).offset(LOGINS_MAX).select(logins::used_at).first::<i64>(conn).optional()?;
    let Some(oldest) = oldest else { return Ok(()) };
    diesel::delete(own.filter(logins::used_at.le(oldest))).execute(conn).map(drop)
}

/// Deletes the logins of a user.
pub(super) fn forget_of(conn: &mut AnyConnection, user: &str) -> QueryResult<()> {
    diesel::delete(logins::table.filter(logins::user_id.eq(user))).execute(conn).map(drop)
}
