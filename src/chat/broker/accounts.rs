//! Accounts and tokens: whom one proves, and what changes elsewhere.
use std::sync::Arc;

use log::info;
use tokio::sync::oneshot;

use super::Broker;
use super::connect::provisioned_user;
use crate::auth::Claims;
use crate::chat::ports::{
    AccountRead, AuthenticateError, BrokerStats, Notice, RefusedConnect, Reply, RevokeTokens, UserPresence,
};
use crate::engineio::ConnectionKey;
use crate::model::{Account, ChosenStatus, MODEL_USER, Timestamp, UserId};
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
        let Some(entry) = self.users.at_hand.get_mut(&id).filter(|_| id.as_str() != MODEL_USER) else { return };
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
        if !self.users.revocations.revoke(key, until) {
            return;
        }
        let with_sessions = self.users.at_hand.iter().filter(|(_, user)| user.has_sessions()).map(|(id, _)| id);
        let users: Vec<UserId> = with_sessions.chain(self.leftovers.users()).cloned().collect();
        for user in users {
            self.put_out(&user, "INVALID_TOKEN", |token| token == key);
        }
    }
}

impl Broker {
    // ---- whom a token proves ----

    /// What has to be read before a token can be judged; `None`: its user is at hand.
    pub(in crate::chat) fn account_to_read(&mut self, claims: &Claims) -> Option<AccountRead> {
        if self.users.at_hand.contains_key(&claims.user) {
            return None;
        }
        let provisions = self.options.auto_provision_users;
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
        let user = self.users.at_hand.get(&claims.user);
        user.map(|user| user.account.clone()).ok_or(AuthenticateError::Refused(RefusedConnect::UserNotFound))
    }

    pub(in crate::chat) fn presence_of(&self, asker: &UserId, id: &UserId) -> UserPresence {
        let Some(user) = self.users.at_hand.get(id) else {
            return UserPresence { is_online: false, status: ChosenStatus::Offline, last_seen: None };
        };
        let status = user.account.status;
        let is_shown = id == asker || status != ChosenStatus::Offline;
        let is_online = !user.sessions.is_empty() && is_shown;
        UserPresence {
            is_online,
            status: if is_online { status } else { ChosenStatus::Offline },
            last_seen: user.account.last_seen,
        }
    }

    /// Who is online, as far as a user may see it, by name.
    pub(in crate::chat) fn online_users(&mut self, asker: &UserId) -> Vec<(Arc<Account>, UserPresence)> {
        let contacts = self.is_scope_contacts().then(|| self.contacts_of(asker));
        let mut online: Vec<_> = self
            .users
            .at_hand
            .values()
            .filter(|user| contacts.as_ref().is_none_or(|contacts| contacts.binary_search(&user.account.profile.id).is_ok()))
            .map(|user| (user.account.clone(), self.presence_of(asker, &user.account.profile.id)))
            .filter(|(_, presence)| presence.is_online)
            .collect();
        online.sort_by(|(one, _), (other, _)| one.profile.username.cmp(&other.profile.username));
        online
    }

    /// The figures of now.
    pub(in crate::chat) fn stats(&self) -> BrokerStats {
        BrokerStats {
            sockets: self.sessions.open.len(),
            online_users: self.presence.online(),
            cached_users: self.users.at_hand.len(),
            rooms: self.rooms.count(),
            conversations: self.conversations.at_hand.len(),
            in_flight: self.sends.in_flight.len(),
            parked: self.sessions.detached.len(),
            recovered: self.observers.counters.recovered,
            not_recovered: self.observers.counters.not_recovered().collect(),
            manners: self.sessions.census.manners(),
            questions: self.questions.asked(),
            recovery_bytes: self.replay.bytes(),
            requests: self.observers.counters.requests,
            messages: self.observers.counters.messages,
            refused: self.observers.counters.refused,
            panics: self.observers.counters.panics,
        }
    }

    /// The sockets that `asker` may see, the own ones first: those of users who are online for the asker's eyes. In the scope
    /// of everyone these are few, else they are the contacts'.
    pub(super) fn list_connections(&mut self, asker: &UserId, limit: usize) -> Reply {
        let own = self.sockets_of(asker).to_vec();
        let others: Vec<ConnectionKey> = if self.is_scope_contacts() {
            let contacts = self.contacts_of(asker);
            contacts.iter().filter(|user| *user != asker).flat_map(|user| self.sockets_of(user)).copied().collect()
        } else {
            self.sessions.open.keys().filter(|key| !own.contains(key)).copied().collect()
        };
        let sessions = own.iter().chain(&others).filter_map(|key| self.sessions.open.get(key));
        let (mut connections, mut total) = (Vec::new(), 0);
        for session in sessions.filter(|session| self.presence_of(asker, &session.user).is_online) {
            total += 1;
            if connections.len() < limit {
                connections.push((session.user.clone(), session.socket));
            }
        }
        Reply::Connections { connections, total }
    }

    /// Puts out the sessions of a user for which `is_revoked` holds.
    pub(super) fn put_out(&mut self, user: &UserId, code: &'static str, is_revoked: impl Fn(&str) -> bool) {
        self.put_out_parked(user, &is_revoked);
        self.drop_revoked_leftovers(user, &is_revoked);
        let sockets: Vec<ConnectionKey> = self.sockets_of(user).to_vec();
        for socket in sockets {
            if self.sessions.open.get(&socket).is_some_and(|session| session.tokens.keys.iter().any(|key| is_revoked(key))) {
                self.kick_out(socket, code);
            }
        }
    }

    /// Puts a socket out, with all of its requests that are not carried out yet.
    pub(super) fn kick_out(&mut self, connection: ConnectionKey, code: &'static str) {
        if let Some(session) = self.sessions.open.get_mut(&connection) {
            session.is_put_out = true;
            session.queue = None;
            let socket = session.socket;
            self.leftovers.drop_of(&session.user, |origin| origin.socket == socket);
        }
        self.tell(connection, Notice::Kick { code });
    }
}

impl Broker {
    /// Tokens were revoked, which is stored.
    pub(in crate::chat) fn on_revoked(&mut self, message: RevokeTokens, now: Timestamp) {
        match message {
            RevokeTokens::Key { user, key, until } => {
                self.put_out(&user, "INVALID_TOKEN", |token| token == key);
                // Nobody else is in by it.
                let _ = self.users.revocations.revoke(&key, until);
            }
            RevokeTokens::All { user } => self.on_tokens_revoked(&user, None, now),
            RevokeTokens::Password { user, kept_login, .. } => self.on_tokens_revoked(&user, kept_login, now),
        }
    }

    /// A user's tokens from before `valid_from` are revoked, but for those of one login.
    pub(super) fn on_tokens_revoked(&mut self, user: &UserId, kept_login: Option<String>, valid_from: Timestamp) {
        let now = self.now();
        if let Some(entry) = self.users.at_hand.get_mut(user) {
            let account = Arc::make_mut(&mut entry.account);
            account.tokens_valid_from = Some(valid_from);
            account.kept_login.clone_from(&kept_login);
        }
        self.users.changes.note([user], now);
        self.put_out(user, "INVALID_TOKEN", |token| kept_login.as_deref() != Some(token));
    }
}

impl Broker {
    /// The server stops: nothing more is taken in. What is returned ends when all that was taken is carried out.
    pub(in crate::chat) fn drain(&mut self) -> oneshot::Receiver<()> {
        self.work.is_draining = true;
        let online: Vec<UserId> = self
            .users
            .at_hand
            .values()
            .filter(|user| !user.sessions.is_empty() && user.account.status != ChosenStatus::Offline)
            .map(|user| user.account.profile.id.clone())
            .collect();
        let now = self.now();
        for user in online {
            self.due.progress.saw_last(&user, now);
            self.presence.unstored.went(&user);
        }
        self.save_progress();
        self.save_online();
        self.save_notifications();
        self.carry_on_with_all();
        let (rested, rest) = oneshot::channel();
        self.work.awaiting_rest.push(rested);
        rest
    }

    /// Tells those who wait for it that nothing is under way any more, where that is so.
    pub(super) fn note_rest(&mut self) {
        if self.work.awaiting_rest.is_empty() {
            return;
        }
        let has_rested = self.work.reads == 0
            && self.leftovers.is_empty()
            && self.sends.in_flight.is_empty()
            && self.sends.known.is_empty()
            && self.commits.is_empty()
            && self.conversations.changing.is_empty();
        if has_rested {
            for rested in self.work.awaiting_rest.drain(..) {
                // Who does not wait any more need not hear it.
                let _ = rested.send(());
            }
        }
    }
}
