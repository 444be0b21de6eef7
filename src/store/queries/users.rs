//! Queries on users.
use std::sync::Arc;

use diesel::prelude::*;

use crate::model::{Account, Profile, Timestamp, UserId, name_key};
use crate::store::connection::AnyConnection;
use crate::store::rows::{AccountRow, ProfileRow};
use crate::store::schema::users;

/// Finds a user by id.
pub fn find_account(conn: &mut AnyConnection, id: &UserId) -> QueryResult<Option<Account>> {
    let row = users::table.find(id.as_str()).select(AccountRow::as_select()).first(conn).optional()?;
    row.map(Account::try_from).transpose()
}

/// Finds a user by e-mail address or username, compared as names are, with the password's hash if there is one. An
/// address takes precedence over a username.
pub fn find_credentials(conn: &mut AnyConnection, login: &str) -> QueryResult<Option<(Account, Option<String>)>> {
    let key = name_key(login);
    let columns = (AccountRow::as_select(), users::password_hash);
    let mut row: Option<(AccountRow, Option<String>)> =
        users::table.filter(users::email_key.eq(&key)).select(columns).first(conn).optional()?;
    if row.is_none() {
        row = users::table.filter(users::username_key.eq(&key)).select(columns).first(conn).optional()?;
    }
    row.map(|(account, hash)| Ok((Account::try_from(account)?, hash))).transpose()
}

/// Finds a user by username, compared as names are.
pub fn find_by_username(conn: &mut AnyConnection, name: &str) -> QueryResult<Option<Account>> {
    let found = users::table.filter(users::username_key.eq(name_key(name)));
    let row = found.select(AccountRow::as_select()).first(conn).optional()?;
    row.map(Account::try_from).transpose()
}

/// Finds the hash of a user's password.
pub fn find_password_hash(conn: &mut AnyConnection, id: &UserId) -> QueryResult<Option<String>> {
    let hash = users::table.find(id.as_str()).select(users::password_hash).first::<Option<String>>(conn).optional()?;
    Ok(hash.flatten())
}

/// Returns which field of a new account is taken: `username` or `email`. An address also counts as taken if it is
/// somebody's username, since they log in with it.
pub fn find_taken(conn: &mut AnyConnection, username: &str, email: &str) -> QueryResult<Option<&'static str>> {
    if find_by_username(conn, username)?.is_some_and(|account| !account.profile.id.is_guest()) {
        return Ok(Some("username"));
    }
    let key = name_key(email);
    let is_name = users::username_key.eq(&key).and(users::password_hash.is_not_null());
    let taken = users::table.filter(users::email_key.eq(&key).or(is_name)).select(users::id).first::<String>(conn).optional()?;
    Ok(taken.map(|_| "email"))
}

/// Returns the profiles of those of these users that exist, in no particular order.
pub fn find_profiles(conn: &mut AnyConnection, ids: &[UserId]) -> QueryResult<Vec<Arc<Profile>>> {
    let ids: Vec<&str> = ids.iter().map(UserId::as_str).collect();
    let rows = users::table.filter(users::id.eq_any(ids)).select(ProfileRow::as_select()).load(conn)?;
    rows.into_iter().map(Arc::<Profile>::try_from).collect()
}

/// Returns guests after `after` whom nobody has seen since `before`, in order of id.
pub fn list_old_guests(
    conn: &mut AnyConnection,
    after: Option<&UserId>,
    before: Timestamp,
    limit: i64,
) -> QueryResult<Vec<UserId>> {
    let is_old = users::last_seen.lt(before.as_millis());
    let is_unseen = users::last_seen.is_null().and(users::created_at.lt(before.as_millis()));
    let ids: Vec<String> = users::table
        .filter(users::id.like("guest:%").and(users::id.gt(after.map_or("", UserId::as_str))).and(users::deleted_at.is_null()))
        .filter(is_unseen.or(is_old))
        .order(users::id)
        .limit(limit)
        .select(users::id)
        .load(conn)?;
    Ok(ids.iter().filter_map(|id| UserId::parse(id).ok()).collect())
}

/// Returns users after `after`, in order of id, without deleted ones.
pub fn list_accounts(conn: &mut AnyConnection, after: Option<&UserId>, limit: i64) -> QueryResult<Vec<Account>> {
    let rows = users::table
        .filter(users::id.gt(after.map_or("", UserId::as_str)).and(users::deleted_at.is_null()))
        .order(users::id)
        .limit(limit)
        .select(AccountRow::as_select())
        .load(conn)?;
    rows.into_iter().map(Account::try_from).collect()
}

/// Returns the number of users, the model included.
pub fn count_users(conn: &mut AnyConnection) -> QueryResult<i64> {
    users::table.count().get_result(conn)
}
