//! Queries on tokens.
use diesel::prelude::*;

use crate::model::Timestamp;
use crate::store::connection::AnyConnection;
use crate::store::schema::revoked_tokens;

/// Returns the revoked logins and tokens, each with the time until which it is kept.
pub fn list_revoked(conn: &mut AnyConnection, now: Timestamp) -> QueryResult<Vec<(String, Timestamp)>> {
    let rows: Vec<(String, i64)> = revoked_tokens::table
        .filter(revoked_tokens::revoked_until.gt(now.as_millis()))
        .select((revoked_tokens::token_key, revoked_tokens::revoked_until))
        .load(conn)?;
    Ok(rows.into_iter().map(|(key, until)| (key, Timestamp::from_millis(until))).collect())
}
