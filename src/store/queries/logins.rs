//! Questions about logins.
use diesel::prelude::*;

use crate::model::{Account, Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::rows::LoginRow;
use crate::store::schema::{logins, revoked_tokens};
use crate::store::write::Login;

/// Lists the valid logins of a user, the last used first.
pub fn list_logins(conn: &mut AnyConnection, account: &Account, now: Timestamp, limit: i64) -> QueryResult<Vec<Login>> {
    let revoked = revoked_tokens::table.select(revoked_tokens::token_key);
    let valid = logins::expires_at.gt(now.as_millis()).and(logins::id.ne_all(revoked));
    let rows: Vec<LoginRow> = logins::table
        .filter(logins::user_id.eq(account.profile.id.as_str()).and(valid))
        .order((logins::used_at.desc(), logins::id.desc()))
        .limit(limit)
        .select(LoginRow::as_select())
        .load(conn)?;
    let logins = rows.into_iter().map(Login::try_from).collect::<QueryResult<Vec<_>>>()?;
    // A new password revokes older tokens, except those of the login that set it.
    let counts = |login: &Login| {
        account.tokens_valid_from.is_none_or(|from| login.used_at >= from || account.kept_login.as_ref() == Some(&login.id))
    };
    Ok(logins.into_iter().filter(counts).collect())
}

/// Finds a login of a user by its id.
pub fn find_login(conn: &mut AnyConnection, user: &UserId, id: &str) -> QueryResult<Option<Login>> {
    let own = logins::table.find(id).filter(logins::user_id.eq(user.as_str()));
    let row: Option<LoginRow> = own.select(LoginRow::as_select()).first(conn).optional()?;
    row.map(Login::try_from).transpose()
}
