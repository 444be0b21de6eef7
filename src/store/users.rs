//! Questions about users.
use std::sync::Arc;

use diesel::prelude::*;

use super::AnyConnection;
use super::rows::{AccountRow, ProfileRow};
use super::schema::users;
use crate::model::{Account, Profile, UserId};

/// What others see in place of the name of a deleted user.
pub const DELETED_NAME: &str = "Deleted user";

/// The form in which usernames and e-mail addresses are compared.
pub(super) fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// What [`search_users`] looks into.
pub(super) fn search_text(username: &str, full_name: Option<&str>) -> String {
    folded(&format!("{username}\n{}", full_name.unwrap_or_default()))
}

/// The user with this id.
pub fn find_account(conn: &mut AnyConnection, id: &UserId) -> QueryResult<Option<Account>> {
    let row = users::table.find(id.as_str()).select(AccountRow::as_select()).first(conn).optional()?;
    row.map(Account::try_from).transpose()
}

/// The user with this username or e-mail address, without regard to case, and the password's hash if there is one.
pub fn find_credentials(conn: &mut AnyConnection, login: &str) -> QueryResult<Option<(Account, Option<String>)>> {
    let key = folded(login);
    let columns = (AccountRow::as_select(), users::password_hash);
    let mut row: Option<(AccountRow, Option<String>)> =
        users::table.filter(users::username_key.eq(&key)).select(columns).first(conn).optional()?;
    if row.is_none() {
        row = users::table.filter(users::email_key.eq(&key)).select(columns).first(conn).optional()?;
    }
    row.map(|(account, hash)| Ok((Account::try_from(account)?, hash))).transpose()
}

/// What others see of these users, as far as there are such, in no particular order.
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
    for character in folded(text).chars() {
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
