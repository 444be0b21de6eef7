//! Accounts and tokens: whom one proves, and what changes elsewhere.
use std::sync::Arc;

use log::info;

use super::Broker;
use super::admission::provisioned_user;
use crate::auth::Claims;
use crate::chat::ports::{AccountRead, AuthenticateError, Notice, RefusedConnect, RevokeTokens};
use crate::engineio::ConnectionKey;
use crate::model::{Account, ConversationKind, DELETED_NAME, MODEL_USER, Profile, Timestamp, UserId, UserRole};
use crate::store::Membership;

impl Broker {
    /// Accounts were changed elsewhere, or tokens revoked: what is being read of them may be older.
    pub(in crate::chat) fn note_accounts_changed(&mut self, users: &[UserId], revoked: Vec<(String, Timestamp)>) {
        for (key, until) in revoked {
            self.revoke_token(&key, until);
        }
        let now = self.now();
        self.users.changes.note(users, now);
    }

    /// An account is so in the database. What this server alone writes – presence – is newer here.
    pub(in crate::chat) fn follow(&mut self, stored: Account) {
        let id = stored.profile.id.clone();
        let Some(entry) = self.users.get_mut(&id).filter(|_| id.as_str() != MODEL_USER) else { return };
        if stored.is_deleted {
            if !entry.account.is_deleted {
                self.on_deleted(&id, false);
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

    /// A login's tokens, or one, are refused from now on; who is in by one of them is kicked.
    fn revoke_token(&mut self, key: &str, until: Timestamp) {
        if !self.users.revocations.revoke(key, until) {
            return;
        }
        let with_sessions = self.users.iter().filter(|(_, user)| user.has_sessions()).map(|(id, _)| id);
        let users: Vec<UserId> = with_sessions.chain(self.leftovers.users()).cloned().collect();
        for user in users {
            self.kick_user(&user, "INVALID_TOKEN", |token| token == key);
        }
    }

    /// Returns the account that has to be read before a token can be judged; `None`: its user is at hand.
    pub(in crate::chat) fn account_to_read(&mut self, claims: &Claims) -> Option<AccountRead> {
        if self.users.contains(&claims.user) {
            return None;
        }
        let provisions = self.options.auto_provision_users && !claims.user.is_guest();
        let new_user = provisions.then(|| Box::new(provisioned_user(claims, self.now())));
        Some(AccountRead { seen: self.users.changes.newest_of([&claims.user]), new_user })
    }

    /// Keeps an account that was read. `false`: it may be older than what has taken effect since, and is not kept.
    pub(in crate::chat) fn keep_account(&mut self, user: &UserId, seen: u64, found: Vec<(Account, Vec<Membership>)>) -> bool {
        if seen != self.users.changes.newest_of([user]) {
            return false;
        }
        let now = self.now();
        self.keep_users(found, now);
        true
    }

    /// Judges a token; the user's account is at hand, if there is one.
    pub(in crate::chat) fn authenticated(&mut self, claims: &Claims) -> Result<Arc<Account>, AuthenticateError> {
        self.check(claims).map_err(AuthenticateError::Refused)?;
        let user = self.users.get(&claims.user);
        user.map(|user| user.account.clone()).ok_or(AuthenticateError::Refused(RefusedConnect::UserNotFound))
    }

    /// Kicks the sessions of a user for which `is_revoked` holds.
    pub(super) fn kick_user(&mut self, user: &UserId, code: &'static str, is_revoked: impl Fn(&str) -> bool) {
        self.kick_detached(user, &is_revoked);
        self.drop_revoked_leftovers(user, &is_revoked);
        let sockets: Vec<ConnectionKey> = self.sockets_of(user).to_vec();
        for socket in sockets {
            if self.sessions.get(&socket).is_some_and(|session| session.tokens.keys.iter().any(|key| is_revoked(key))) {
                self.kick_connection(socket, code);
            }
        }
    }

    /// Puts a socket out, with all of its requests that are not carried out yet.
    pub(super) fn kick_connection(&mut self, connection: ConnectionKey, code: &'static str) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.is_kicked = true;
            session.request_queue = None;
            let socket = session.socket;
            self.leftovers.drop_of(&session.user, |origin| origin.socket == socket);
        }
        self.notify(connection, Notice::Kick { code });
    }

    /// Tokens were revoked, which is stored.
    pub(in crate::chat) fn on_revoked(&mut self, message: RevokeTokens, now: Timestamp) {
        match message {
            RevokeTokens::Key { user, key, until } => {
                self.kick_user(&user, "INVALID_TOKEN", |token| token == key);
                // Nobody else is in by it.
                let _ = self.users.revocations.revoke(&key, until);
            }
            RevokeTokens::All { user } => self.on_tokens_revoked(&user, None, now),
            RevokeTokens::Password { user, kept_login, .. } => self.on_tokens_revoked(&user, kept_login, now),
        }
    }

    /// A user's tokens from before `valid_from` are revoked, but for those of one login.
    fn on_tokens_revoked(&mut self, user: &UserId, kept_login: Option<String>, valid_from: Timestamp) {
        let now = self.now();
        if let Some(entry) = self.users.get_mut(user) {
            let account = Arc::make_mut(&mut entry.account);
            account.tokens_valid_from = Some(valid_from);
            account.kept_login.clone_from(&kept_login);
        }
        self.users.changes.note([user], now);
        self.kick_user(user, "INVALID_TOKEN", |token| kept_login.as_deref() != Some(token));
    }

    /// An account is gone. `keeps_name`: what its user wrote stays under the name.
    pub(in crate::chat) fn on_deleted(&mut self, user: &UserId, keeps_name: bool) {
        info!("account deleted user={user}");
        let now = self.now();
        if let Some(entry) = self.users.get_mut(user) {
            let account = Arc::make_mut(&mut entry.account);
            account.is_deleted = true;
            account.last_seen = None;
            let username = if keeps_name { account.profile.username.clone() } else { DELETED_NAME.to_owned() };
            account.profile = Arc::new(Profile {
                id: user.clone(),
                username,
                full_name: None,
                avatar: None,
                email: None,
                role: UserRole::User,
            });
            // Chats with the model went with their user.
            entry.memberships.retain(|membership| membership.kind == ConversationKind::Direct);
        }
        self.drop_questions_of(user);
        self.users.changes.note([user], now);
        self.kick_user(user, "USER_NOT_FOUND", |_| true);
    }

    pub(in crate::chat) fn on_disabled(&mut self, user: &UserId, disabled: bool) {
        info!(user:% = user; "account {}", if disabled { "disabled" } else { "enabled" });
        let now = self.now();
        if let Some(entry) = self.users.get_mut(user) {
            Arc::make_mut(&mut entry.account).disabled = disabled;
        }
        self.users.changes.note([user], now);
        if disabled {
            self.drop_questions_of(user);
            self.kick_user(user, "ACCOUNT_DISABLED", |_| true);
        }
    }
}
