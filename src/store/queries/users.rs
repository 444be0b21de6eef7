//! Questions about users.
use std::sync::Arc;

use diesel::prelude::*;

use crate::model::{Account, Profile, UserId, name_key};
use crate::store::connection::AnyConnection;
use crate::store::rows::{AccountRow, ProfileRow};
use crate::store::schema::users;

/// Text that [`search_users`] looks into.
pub(in crate::store) fn search_text(username: &str, full_name: Option<&str>) -> String {
    format!("{}\n{}", name_key(username), name_key(full_name.unwrap_or_default()))
}

/// The user with this id.
pub fn find_account(conn: &mut AnyConnection, id: &UserId) -> QueryResult<Option<Account>> {
    let row = users::table.find(id.as_str()).select(AccountRow::as_select()).first(conn).optional()?;
    row.map(Account::try_from).transpose()
}

/// The user with this e-mail address or username, as names are compared, and the password's hash if there is one. An address
/// is its owner's, whoever is called so.
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

/// The user with this username, as names are compared.
pub fn find_by_username(conn: &mut AnyConnection, name: &str) -> QueryResult<Option<Account>> {
    let found = users::table.filter(users::username_key.eq(name_key(name)));
    let row = found.select(AccountRow::as_select()).first(conn).optional()?;
    row.map(Account::try_from).transpose()
}

/// The hash of a user's password, if there is one.
pub fn find_password_hash(conn: &mut AnyConnection, id: &UserId) -> QueryResult<Option<String>> {
    let hash = users::table.find(id.as_str()).select(users::password_hash).first::<Option<String>>(conn).optional()?;
    Ok(hash.flatten())
}

/// Which of a new account's username and address is another's already: `username` or `email`. An address is also taken by who
/// logs in with it as a name.
pub fn find_taken(conn: &mut AnyConnection, username: &str, email: &str) -> QueryResult<Option<&'static str>> {
    if find_by_username(conn, username)?.is_some() {
        return Ok(Some("username"));
    }
    let key = name_key(email);
    let is_name = users::username_key.eq(&key).and(users::password_hash.is_not_null());
    let taken = users::table.filter(users::email_key.eq(&key).or(is_name)).select(users::id).first::<String>(conn).optional()?;
    Ok(taken.map(|_| "email"))
}

/// Returns what others see of these users, as far as there are such, in no particular order.
pub fn find_profiles(conn: &mut AnyConnection, ids: &[UserId]) -> QueryResult<Vec<Arc<Profile>>> {
    let ids: Vec<&str> = ids.iter().map(UserId::as_str).collect();
    let rows = users::table.filter(users::id.eq_any(ids)).select(ProfileRow::as_select()).load(conn)?;
    rows.into_iter().map(Arc::<Profile>::try_from).collect()
}

/// Users whose username or full name contains `text`, without regard to case, by username.
pub fn search_users(conn: &mut AnyConnection, text: &str, limit: i64) -> QueryResult<Vec<Account>> {
    let rows = users::table
        .filter(users::search_text.like(pattern(text)).escape('\\').and(users::deleted_at.is_null()))
        .order(users::username_key)
        .limit(limit)
        .select(AccountRow::as_select())
        .load(conn)?;
    rows.into_iter().map(Account::try_from).collect()
}

/// All users by id, after that one; deleted ones left out.
pub fn list_accounts(conn: &mut AnyConnection, after: Option<&UserId>, limit: i64) -> QueryResult<Vec<Account>> {
    let rows = users::table
        .filter(users::id.gt(after.map_or("", UserId::as_str)).and(users::deleted_at.is_null()))
        .order(users::id)
        .limit(limit)
        .select(AccountRow::as_select())
        .load(conn)?;
    rows.into_iter().map(Account::try_from).collect()
}

/// How many users there are, the model among them.
pub fn count_users(conn: &mut AnyConnection) -> QueryResult<i64> {
    users::table.count().get_result(conn)
}

/// `LIKE`'s pattern for all that contains `text`; its own signs stand for themselves.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in name_key(text).chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    #[test]
    fn signs_of_patterns_stand_for_themselves() {
        assert_eq!(super::pattern("50%_A\\"), "%50\\%\\_a\\\\%");
    }
}
