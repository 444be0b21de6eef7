//! What HTTP asks the broker beside commands: who is here, and whom a token proves.
use std::sync::Arc;

use actix::Message;
use tokio::sync::oneshot;

use super::broker::Broker;
use super::connecting::provisioned_user;
use super::ports::{Manner, Notice, RefusedConnect};
use super::reply::Reply;
use super::resuming::NotRecovered;
use crate::auth::Claims;
use crate::engineio::ConnectionKey;
use crate::model::{Account, ChosenStatus, SocketId, Timestamp, UserId};
use crate::store::{Membership, NewUser, StoreError, Write};

/// Asks whom a verified token proves: revocation, a disabled account and provisioning as for sockets.
#[derive(Message, Debug)]
#[rtype(result = "Result<Arc<Account>, AuthenticateError>")]
pub struct Authenticate {
    /// What the token says.
    pub claims: Box<Claims>,
}

/// Why a verified token proves nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticateError {
    /// For good.
    Refused(RefusedConnect),
    /// The store is away: trying again may help.
    Unavailable,
}

/// Asks who is online, as far as `asker` may see it.
#[derive(Message, Debug)]
#[rtype(result = "Vec<(Arc<Account>, UserPresence)>")]
pub struct OnlineUsers {
    /// Who wants to know.
    pub asker: UserId,
}

/// Asks for the presence of some users, as far as `asker` may see it. Answered in their order.
#[derive(Message, Debug)]
#[rtype(result = "Vec<UserPresence>")]
pub struct PresenceOf {
    /// Who wants to know.
    pub asker: UserId,
    /// Of whom.
    pub users: Vec<UserId>,
}

/// One user's presence, for somebody's eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPresence {
    /// Whether a socket is there, and the user does not appear offline.
    pub is_online: bool,
    /// What to show: `Offline` for all who are not online.
    pub status: ChosenStatus,
    /// When the last socket closed, where that is known here and newer than what is stored.
    pub last_seen: Option<Timestamp>,
}

/// Asks for the public ids of a user's sockets.
#[derive(Message, Debug)]
#[rtype(result = "Vec<SocketId>")]
pub struct SocketsOf {
    /// Whose.
    pub user: UserId,
}

/// Asks for the figures of `/api/socket/health`. Also the probe that the broker still works.
#[derive(Message, Debug)]
#[rtype(result = "(usize, usize)")]
pub struct Health;

/// Asks for the broker's figures.
#[derive(Message, Debug)]
#[rtype(result = "BrokerStats")]
pub struct Stats;

/// The broker's figures, counted since its start where they are totals.
#[derive(Debug, Clone, Default)]
pub struct BrokerStats {
    /// Admitted sockets.
    pub sockets: usize,
    /// Users who were announced as online.
    pub online_users: usize,
    /// Users whose account is at hand.
    pub cached_users: usize,
    /// Rooms with somebody in them.
    pub rooms: usize,
    /// Conversations at hand.
    pub conversations: usize,
    /// Messages that are being stored.
    pub in_flight: usize,
    /// Sessions whose connection was lost and that may come back.
    pub parked: usize,
    /// Sessions that came back so far.
    pub recovered: u64,
    /// Clients that wanted to come back and came anew, by why.
    pub not_recovered: Vec<(NotRecovered, u64)>,
    /// Open sessions by how they speak.
    pub manners: Vec<(Manner, usize)>,
    /// Questions that the model is answering.
    pub questions: usize,
    /// Bytes of what was said lately, kept for those who come back, about.
    pub recovery_bytes: usize,
    /// Requests so far.
    pub requests: u64,
    /// Messages admitted so far.
    pub messages: u64,
    /// Requests refused so far.
    pub refused: u64,
    /// Commands that panicked so far.
    pub panics: u64,
}

/// Revokes tokens: those of a login or a single one (`key`), or, after a password change, all of a user's but `kept_login`'s.
/// Open sockets of such tokens are put out.
#[derive(Message, Debug)]
#[rtype(result = "Result<(), StoreError>")]
pub enum RevokeTokens {
    /// A login's tokens, or one token by its fingerprint in hex.
    Key { user: UserId, key: String, until: Timestamp },
    /// All of a user that there are by now.
    All { user: UserId },
    /// All but those of one login; the new password comes with it.
    Password { user: UserId, password_hash: String, kept_login: Option<String> },
}

/// The server stops: nobody is let in, nothing more is taken. Answered when all that was taken is carried out, and what is only
/// known here was given to the store.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Drain;

/// What has to be read before a token can be judged.
pub struct AccountRead {
    /// The newest change of the account when the read began.
    pub seen: u64,
    /// The user as one is made where there is none and provisioning is on.
    pub new_user: Option<Box<NewUser>>,
}

impl RevokeTokens {
    /// The change that is stored for it.
    pub(super) fn write(&self, now: Timestamp) -> Write {
        match self {
            Self::Key { key, until, .. } => Write::RevokeToken { key: key.clone(), until: *until },
            Self::All { user } => Write::RevokeTokensOf { user: user.clone(), valid_from: now },
            Self::Password { user, password_hash, kept_login } => Write::SetPassword {
                user: user.clone(),
                password_hash: password_hash.clone(),
                valid_from: now,
                kept_login: kept_login.clone(),
            },
        }
    }
}

impl Broker {
    // ---- whom a token proves ----

    /// What has to be read before a token can be judged; `None`: its user is at hand.
    pub(super) fn account_to_read(&mut self, claims: &Claims) -> Option<AccountRead> {
        if self.users.contains_key(&claims.user) {
            return None;
        }
        let provisions = self.options.auto_provision_users;
        let new_user = provisions.then(|| Box::new(provisioned_user(claims, self.now())));
        Some(AccountRead { seen: self.account_changes.newest_of([&claims.user]), new_user })
    }

    /// Keeps an account that was read. `false`: it may be older than what has taken effect since, and is not kept.
    pub(super) fn keep_account(&mut self, user: &UserId, seen: u64, found: Vec<(Account, Vec<Membership>)>) -> bool {
        if seen != self.account_changes.newest_of([user]) {
            return false;
        }
        let now = self.now();
        self.keep_users(found, now);
        true
    }

    /// Judges a token; the user's account is at hand, if there is one.
    pub(super) fn authenticated(&mut self, claims: &Claims) -> Result<Arc<Account>, AuthenticateError> {
        self.check(claims).map_err(AuthenticateError::Refused)?;
        let user = self.users.get(&claims.user);
        user.map(|user| user.account.clone()).ok_or(AuthenticateError::Refused(RefusedConnect::UserNotFound))
    }

    pub(super) fn presence_of(&self, asker: &UserId, id: &UserId) -> UserPresence {
        let Some(user) = self.users.get(id) else {
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
    pub(super) fn online_users(&mut self, asker: &UserId) -> Vec<(Arc<Account>, UserPresence)> {
        let contacts = self.is_scope_contacts().then(|| self.contacts_of(asker));
        let mut online: Vec<_> = self
            .users
            .values()
            .filter(|user| contacts.as_ref().is_none_or(|contacts| contacts.binary_search(&user.account.profile.id).is_ok()))
            .map(|user| (user.account.clone(), self.presence_of(asker, &user.account.profile.id)))
            .filter(|(_, presence)| presence.is_online)
            .collect();
        online.sort_by(|(one, _), (other, _)| one.profile.username.cmp(&other.profile.username));
        online
    }

    /// The figures of now.
    pub(super) fn stats(&self) -> BrokerStats {
        BrokerStats {
            sockets: self.sessions.len(),
            online_users: self.online,
            cached_users: self.users.len(),
            rooms: self.rooms.count(),
            conversations: self.conversations.len(),
            in_flight: self.in_flight.len(),
            parked: self.parked.len(),
            recovered: self.counters.recovered,
            not_recovered: self.counters.not_recovered().collect(),
            manners: self.census.manners(),
            questions: self.questions.asked(),
            recovery_bytes: self.rings.bytes(),
            requests: self.counters.requests,
            messages: self.counters.messages,
            refused: self.counters.refused,
            panics: self.counters.panics,
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
            self.sessions.keys().filter(|key| !own.contains(key)).copied().collect()
        };
        let sessions = own.iter().chain(&others).filter_map(|key| self.sessions.get(key));
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
            if self.sessions.get(&socket).is_some_and(|session| session.tokens.keys.iter().any(|key| is_revoked(key))) {
                self.kick_out(socket, code);
            }
        }
    }

    /// Puts a socket out, with all of its requests that are not carried out yet.
    pub(super) fn kick_out(&mut self, connection: ConnectionKey, code: &'static str) {
        if let Some(session) = self.sessions.get_mut(&connection) {
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
    pub(super) fn on_revoked(&mut self, message: RevokeTokens, now: Timestamp) {
        match message {
            RevokeTokens::Key { user, key, until } => {
                self.put_out(&user, "INVALID_TOKEN", |token| token == key);
                // Nobody else is in by it.
                let _ = self.revocations.revoke(&key, until);
            }
            RevokeTokens::All { user } => self.on_tokens_revoked(&user, None, now),
            RevokeTokens::Password { user, kept_login, .. } => self.on_tokens_revoked(&user, kept_login, now),
        }
    }

    /// A user's tokens from before `valid_from` are revoked, but for those of one login.
    pub(super) fn on_tokens_revoked(&mut self, user: &UserId, kept_login: Option<String>, valid_from: Timestamp) {
        let now = self.now();
        if let Some(entry) = self.users.get_mut(user) {
            let account = Arc::make_mut(&mut entry.account);
            account.tokens_valid_from = Some(valid_from);
            account.kept_login.clone_from(&kept_login);
        }
        self.account_changes.note([user], now);
        self.put_out(user, "INVALID_TOKEN", |token| kept_login.as_deref() != Some(token));
    }
}

impl Broker {
    /// The server stops: nothing more is taken in. What is returned ends when all that was taken is carried out.
    pub(super) fn drain(&mut self) -> oneshot::Receiver<()> {
        self.is_draining = true;
        let online: Vec<UserId> = self
            .users
            .values()
            .filter(|user| !user.sessions.is_empty() && user.account.status != ChosenStatus::Offline)
            .map(|user| user.account.profile.id.clone())
            .collect();
        let now = self.now();
        for user in online {
            self.progress.saw_last(&user, now);
            self.online_changes.went(&user);
        }
        self.save_progress();
        self.save_online();
        self.save_notifications();
        self.carry_on_with_all();
        let (rested, rest) = oneshot::channel();
        self.awaiting_rest.push(rested);
        rest
    }

    /// Tells those who wait for it that nothing is under way any more, where that is so.
    pub(super) fn note_rest(&mut self) {
        if self.awaiting_rest.is_empty() {
            return;
        }
        let has_rested = self.reads == 0
            && self.leftovers.is_empty()
            && self.in_flight.is_empty()
            && self.known.is_empty()
            && self.awaiting.is_empty()
            && self.changing.is_empty();
        if has_rested {
            for rested in self.awaiting_rest.drain(..) {
                // Who does not wait any more need not hear it.
                let _ = rested.send(());
            }
        }
    }
}
