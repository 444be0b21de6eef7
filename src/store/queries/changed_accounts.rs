//! Changed accounts and revoked tokens, noted by triggers whichever process made the change.
use diesel::prelude::*;

use crate::model::{Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::schema::{account_changes, revoked_tokens};

/// Notes not yet deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedAccounts {
    /// Ids of the notes.
    pub ids: Vec<i64>,
    /// Users whose account was changed.
    pub users: Vec<UserId>,
    /// Keys of revoked tokens, and the times until which they are kept.
    pub revoked: Vec<(String, Timestamp)>,
}

/// Returns the oldest notes, at most `limit`.
pub fn list_changed_accounts(conn: &mut AnyConnection, limit: i64) -> QueryResult<ChangedAccounts> {
    let rows: Vec<(i64, Option<String>, Option<String>)> = account_changes::table
        .order(account_changes::id)
        .limit(limit)
        .select((account_changes::id, account_changes::user_id, account_changes::token_key))
        .load(conn)?;
    let mut changes = ChangedAccounts::default();
    let mut keys = Vec::new();
    for (id, user, key) in rows {
        changes.ids.push(id);
        // An id that we could not have made, inserted by hand, belongs to no user.
        changes.users.extend(user.and_then(|user| UserId::parse(&user).ok()));
        keys.extend(key);
    }
    changes.users.sort_unstable();
    changes.users.dedup();
    if !keys.is_empty() {
        let revoked: Vec<(String, i64)> = revoked_tokens::table
            .filter(revoked_tokens::token_key.eq_any(keys))
            .select((revoked_tokens::token_key, revoked_tokens::revoked_until))
            .load(conn)?;
        changes.revoked = revoked.into_iter().map(|(key, until)| (key, Timestamp::from_millis(until))).collect();
    }
    Ok(changes)
}
