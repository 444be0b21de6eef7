//! Accounts and tokens as they are stored, where that is not what is known here.
use std::sync::Arc;

use actix::Message;
use log::info;

use super::broker::Broker;
use crate::model::{Account, MODEL_USER, Timestamp, UserId};
use crate::store::StoreError;

/// Accounts were changed in the database, or tokens revoked, by this process or by another. Answered when all of it counts here.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<(), StoreError>")]
pub struct AccountsChanged {
    /// Whose account.
    pub users: Vec<UserId>,
    /// The keys of the tokens, and until when they are kept.
    pub revoked: Vec<(String, Timestamp)>,
}

impl Broker {
    /// Accounts were changed elsewhere, or tokens revoked: what is being read of them may be older.
    pub(super) fn note_accounts_changed(&mut self, users: &[UserId], revoked: Vec<(String, Timestamp)>) {
        for (key, until) in revoked {
            self.revoke_token(&key, until);
        }
        let now = self.now();
        self.account_changes.note(users, now);
    }

    /// An account is so in the database. What this server alone writes – presence – is newer here.
    pub(super) fn follow(&mut self, stored: Account) {
        let id = stored.profile.id.clone();
        let Some(entry) = self.users.get_mut(&id).filter(|_| id.as_str() != MODEL_USER) else { return };
        if stored.is_deleted {
            if !entry.account.is_deleted {
                self.on_deleted(&id);
            }
            return;
        }
        let known = Arc::make_mut(&mut entry.account);
        known.described_at = stored.described_at;
        if known.profile != stored.profile {
            info!(user:% = id, role = stored.profile.role.as_str(); "the account was changed");
            known.profile = stored.profile;
        }
        let are_tokens_revoked = known.tokens_valid_from != stored.tokens_valid_from;
        let is_disabled_now = known.disabled != stored.disabled;
        if are_tokens_revoked && let Some(valid_from) = stored.tokens_valid_from {
            self.on_tokens_revoked(&id, stored.kept_login, valid_from);
        }
        if is_disabled_now {
            self.on_disabled(&id, stored.disabled);
        }
    }

    /// A login's tokens, or one, are refused from now on; who is in by one of them is put out.
    pub(super) fn revoke_token(&mut self, key: &str, until: Timestamp) {
        if !self.revocations.revoke(key, until) {
            return;
        }
        let with_sessions = self.users.iter().filter(|(_, user)| user.has_sessions()).map(|(id, _)| id);
        let users: Vec<UserId> = with_sessions.chain(self.leftovers.users()).cloned().collect();
        for user in users {
            self.put_out(&user, "INVALID_TOKEN", |token| token == key);
        }
    }
}
