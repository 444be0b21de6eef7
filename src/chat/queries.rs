//! What HTTP asks the broker beside commands: who is here, and whom a token proves.
use std::sync::Arc;

use actix::{ActorFutureExt as _, Context, Handler, Message, ResponseActFuture, WrapFuture as _};
use tokio::sync::oneshot;

use super::ports::{Manner, Notice, RefusedConnect};
use super::reply::Reply;
use super::resuming::NotRecovered;
use super::server::ChatServer;
use crate::auth::Claims;
use crate::engineio::ConnectionKey;
use crate::meter::Metered as _;
use crate::model::{Account, ChosenStatus, MODEL_USER, SocketId, Timestamp, UserId};
use crate::store::{self, Store, StoreError, Write};

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

impl Handler<Authenticate> for ChatServer {
    type Result = ResponseActFuture<Self, Result<Arc<Account>, AuthenticateError>>;

    fn handle(&mut self, message: Authenticate, _: &mut Context<Self>) -> Self::Result {
        self.turn::<Authenticate, _>(|broker| broker.authenticate(message.claims))
    }
}

type Found = Vec<(Account, Vec<store::Membership>)>;

async fn read_account(store: Store, user: UserId, new_user: Option<Box<store::NewUser>>) -> Result<Found, StoreError> {
    let asked = [user.clone()];
    let found = store.read_after_writes(move |conn| super::loading::find_users(conn, &asked)).await?;
    match new_user {
        Some(new_user) if found.is_empty() && user.as_str() != MODEL_USER => {
            store.write(Write::CreateUser(new_user)).await?;
            store.read_after_writes(move |conn| super::loading::find_users(conn, &[user])).await
        }
        _ => Ok(found),
    }
}

impl ChatServer {
    fn authenticate(&mut self, claims: Box<Claims>) -> ResponseActFuture<Self, Result<Arc<Account>, AuthenticateError>> {
        let new_user =
            self.options.auto_provision_users.then(|| Box::new(super::connecting::provisioned_user(&claims, self.now())));
        let seen = self.account_changes.newest_of([&claims.user]);
        let is_known = self.users.contains_key(&claims.user);
        let (store, user) = (self.store.clone(), claims.user.clone());
        let read = async move { if is_known { Ok(None) } else { read_account(store, user, new_user).await.map(Some) } };
        Box::pin(read.into_actor(self).then(move |found, broker, _| {
            let found = match found {
                // What was read may be older than what has taken effect since.
                Ok(Some(_)) if seen != broker.account_changes.newest_of([&claims.user]) => return broker.authenticate(claims),
                found => found,
            };
            match found {
                Ok(found) => {
                    let now = broker.now();
                    found.into_iter().for_each(|found| broker.keep_users(found, now));
                    broker.authenticate_known(claims)
                }
                Err(_) => Box::pin(actix::fut::ready(Err(AuthenticateError::Unavailable))),
            }
        }))
    }

    /// The user's account is at hand, if there is one.
    fn authenticate_known(&mut self, claims: Box<Claims>) -> ResponseActFuture<Self, Result<Arc<Account>, AuthenticateError>> {
        let Some(description) = self.description_of(&claims) else {
            return Box::pin(actix::fut::ready(self.authenticated(&claims)));
        };
        let described = super::loading::describe(self.store.clone(), claims.user.clone(), description);
        Box::pin(described.into_actor(self).map(move |outcome, broker, _| {
            // Who is known is let in though the store is away.
            outcome.ok().flatten().into_iter().for_each(|account| broker.follow(account));
            broker.authenticated(&claims)
        }))
    }

    fn authenticated(&mut self, claims: &Claims) -> Result<Arc<Account>, AuthenticateError> {
        self.check(claims).map_err(AuthenticateError::Refused)?;
        let user = self.users.get(&claims.user);
        user.map(|user| user.account.clone()).ok_or(AuthenticateError::Refused(RefusedConnect::UserNotFound))
    }

    fn presence_of(&self, asker: &UserId, id: &UserId) -> UserPresence {
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

impl Handler<OnlineUsers> for ChatServer {
    type Result = Vec<(Arc<Account>, UserPresence)>;

    fn handle(&mut self, message: OnlineUsers, _: &mut Context<Self>) -> Self::Result {
        self.turn::<OnlineUsers, _>(|broker| {
            let contacts = broker.is_scope_contacts().then(|| broker.contacts_of(&message.asker));
            let mut online: Vec<_> = broker
                .users
                .values()
                .filter(|user| contacts.as_ref().is_none_or(|contacts| contacts.binary_search(&user.account.profile.id).is_ok()))
                .map(|user| (user.account.clone(), broker.presence_of(&message.asker, &user.account.profile.id)))
                .filter(|(_, presence)| presence.is_online)
                .collect();
            online.sort_by(|(one, _), (other, _)| one.profile.username.cmp(&other.profile.username));
            online
        })
    }
}

impl Handler<PresenceOf> for ChatServer {
    type Result = Vec<UserPresence>;

    fn handle(&mut self, message: PresenceOf, _: &mut Context<Self>) -> Self::Result {
        self.turn::<PresenceOf, _>(|broker| message.users.iter().map(|user| broker.presence_of(&message.asker, user)).collect())
    }
}

impl Handler<SocketsOf> for ChatServer {
    type Result = Vec<SocketId>;

    fn handle(&mut self, message: SocketsOf, _: &mut Context<Self>) -> Self::Result {
        self.turn::<SocketsOf, _>(|broker| broker.socket_ids_of(&message.user))
    }
}

impl Handler<Health> for ChatServer {
    type Result = actix::MessageResult<Health>;

    fn handle(&mut self, _: Health, _: &mut Context<Self>) -> Self::Result {
        self.turn::<Health, _>(|broker| actix::MessageResult((broker.sessions.len(), broker.rooms.count())))
    }
}

impl Handler<Stats> for ChatServer {
    type Result = actix::MessageResult<Stats>;

    fn handle(&mut self, _: Stats, _: &mut Context<Self>) -> Self::Result {
        self.turn::<Stats, _>(|broker| {
            actix::MessageResult(BrokerStats {
                sockets: broker.sessions.len(),
                online_users: broker.online,
                cached_users: broker.users.len(),
                rooms: broker.rooms.count(),
                conversations: broker.conversations.len(),
                in_flight: broker.in_flight.len(),
                parked: broker.parked.len(),
                recovered: broker.counters.recovered,
                not_recovered: broker.counters.not_recovered().collect(),
                manners: broker.census.manners(),
                questions: broker.questions.asked(),
                recovery_bytes: broker.rings.bytes(),
                requests: broker.counters.requests,
                messages: broker.counters.messages,
                refused: broker.counters.refused,
                panics: broker.counters.panics,
            })
        })
    }
}

impl Handler<RevokeTokens> for ChatServer {
    type Result = ResponseActFuture<Self, Result<(), StoreError>>;

    fn handle(&mut self, message: RevokeTokens, _: &mut Context<Self>) -> Self::Result {
        self.turn::<RevokeTokens, _>(|broker| {
            let now = broker.now();
            let write = match &message {
                RevokeTokens::Key { key, until, .. } => Write::RevokeToken { key: key.clone(), until: *until },
                RevokeTokens::All { user } => Write::RevokeTokensOf { user: user.clone(), valid_from: now },
                RevokeTokens::Password { user, password_hash, kept_login } => Write::SetPassword {
                    user: user.clone(),
                    password_hash: password_hash.clone(),
                    valid_from: now,
                    kept_login: kept_login.clone(),
                },
            };
            let store = broker.store.clone();
            let stored = async move { store.write(write).await };
            Box::pin(stored.into_actor(broker).map(move |outcome, broker, _| {
                outcome?;
                match message {
                    RevokeTokens::Key { user, key, until } => {
                        broker.put_out(&user, "INVALID_TOKEN", |token| token == key);
                        // Nobody else is in by it.
                        let _ = broker.revocations.revoke(&key, until);
                    }
                    RevokeTokens::All { user } => broker.on_tokens_revoked(&user, None, now),
                    RevokeTokens::Password { user, kept_login, .. } => broker.on_tokens_revoked(&user, kept_login, now),
                }
                Ok(())
            }))
        })
    }
}

impl ChatServer {
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

impl Handler<Drain> for ChatServer {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Drain, ctx: &mut Context<Self>) -> Self::Result {
        self.turn::<Drain, _>(|broker| {
            broker.is_draining = true;
            let online: Vec<UserId> = broker
                .users
                .values()
                .filter(|user| !user.sessions.is_empty() && user.account.status != ChosenStatus::Offline)
                .map(|user| user.account.profile.id.clone())
                .collect();
            let now = broker.now();
            for user in online {
                broker.progress.saw_last(&user, now);
                broker.online_changes.went(&user);
            }
            broker.save_progress();
            broker.save_online();
            broker.save_notifications();
            broker.carry_on_with_all(ctx);
            let (rested, rest) = oneshot::channel();
            broker.awaiting_rest.push(rested);
            broker.note_rest();
            // Dropped unanswered only with the broker.
            Box::pin(async move { drop(rest.await) }.into_actor(broker))
        })
    }
}

impl ChatServer {
    /// Tells those who wait for it that nothing is under way any more, where that is so.
    pub(super) fn note_rest(&mut self) {
        if self.awaiting_rest.is_empty() {
            return;
        }
        let has_rested = self.reads == 0
            && self.leftovers.is_empty()
            && self.in_flight.is_empty()
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
