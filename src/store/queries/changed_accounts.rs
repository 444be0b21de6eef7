//! Accounts that were changed and tokens that were revoked, by whatever process: triggers note them.
use diesel::prelude::*;

use crate::model::{Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::schema::{account_changes, revoked_tokens};

/// Changes that are not taken away yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedAccounts {
    /// Of the notes.
    pub ids: Vec<i64>,
    /// Whose account.
    pub users: Vec<UserId>,
    /// The keys of revoked tokens, and until when they are kept.
    pub revoked: Vec<(String, Timestamp)>,
}

/// The oldest changes that are noted; at most so many.
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
        // A user whose id is none of ours, made by hand, is nobody here.
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
