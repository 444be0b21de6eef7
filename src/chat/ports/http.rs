//! Questions over HTTP beside commands.
use std::sync::Arc;

use actix::{Message, Message as ActixMessage};
use tokio::sync::oneshot;

use super::command::Command;
use super::connection::{ClientDialects, NotRecovered};
use super::error::ChatError;
use super::notice::RefusedConnect;
use super::reply::Reply;
use crate::auth::Claims;
use crate::model::{Account, ChosenStatus, ListingId, SocketId, Timestamp, UserId};
use crate::store::{NewUser, StoreError, Write};

/// Accounts were changed in the database, or tokens revoked, by this process or by another. Answered when all of it counts here.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<(), StoreError>")]
pub struct AccountsChanged {
    /// Users whose accounts changed.
    pub users: Vec<UserId>,
    /// Keys of the revoked tokens, each with the time until which it is kept.
    pub revoked: Vec<(String, Timestamp)>,
}

/// Takes away the uploads among these files that nothing names. Answers with the files to remove.
#[derive(Message, Debug)]
#[rtype(result = "Result<Vec<String>, StoreError>")]
pub struct DropFiles {
    /// Their addresses.
    pub urls: Vec<String>,
}

/// Stores what is gathered for a user: what is read behind this has it.
#[derive(ActixMessage, Debug)]
#[rtype(result = "()")]
pub struct SaveNotifications {
    /// User whose notifications are to be stored.
    pub user: UserId,
}

/// A request that came over HTTP.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Ask {
    /// User who asks.
    pub user: UserId,
    /// Command to carry out.
    pub command: Command,
    /// Receiver of the answer.
    pub answer: oneshot::Sender<Result<Reply, ChatError>>,
}

/// Asks whom a verified token proves: revocation, a disabled account and provisioning as for sockets.
#[derive(Message, Debug)]
#[rtype(result = "Result<Arc<Account>, AuthenticateError>")]
pub struct Authenticate {
    /// Claims of the token.
    pub claims: Box<Claims>,
}

/// Reason for which a verified token proves nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticateError {
    /// For good.
    Refused(RefusedConnect),
    /// The store is away: trying again may help.
    Unavailable,
}

/// Asks who is online, as far as `requester` may see it.
#[derive(Message, Debug)]
#[rtype(result = "Vec<(Arc<Account>, UserPresence)>")]
pub struct OnlineUsers {
    /// User who wants to know.
    pub requester: UserId,
}

/// Asks for the presence of some users, as far as `requester` may see it. Answered in their order.
#[derive(Message, Debug)]
#[rtype(result = "Vec<UserPresence>")]
pub struct PresenceOf {
    /// User who wants to know.
    pub requester: UserId,
    /// Users whose presence is wanted.
    pub users: Vec<UserId>,
}

/// One user's presence, for somebody's eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPresence {
    /// Set if a socket is there, and the user does not appear offline.
    pub is_online: bool,
    /// Status to show: `Offline` for all who are not online.
    pub status: ChosenStatus,
    /// Time at which the last socket closed, if it is known here and newer than the stored one.
    pub last_seen: Option<Timestamp>,
}

/// Asks for the public ids of a user's sockets.
#[derive(Message, Debug)]
#[rtype(result = "Vec<SocketId>")]
pub struct SocketsOf {
    /// User whose sockets are wanted.
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
    pub detached: usize,
    /// Sessions that came back so far.
    pub recovered: u64,
    /// Clients that wanted to come back and came anew, by why.
    pub not_recovered: Vec<(NotRecovered, u64)>,
    /// Open sessions by how they speak.
    pub client_dialect_counts: Vec<(ClientDialects, usize)>,
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
/// Open sockets of such tokens are kicked.
#[expect(missing_docs, reason = "a variant's comment explains its fields")]
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

/// Account that has to be read before a token can be judged.
pub(crate) struct AccountRead {
    /// The newest change of the account when the read began.
    pub seen: u64,
    /// The user as one is made where there is none and provisioning is on.
    pub new_user: Option<Box<NewUser>>,
}

impl RevokeTokens {
    /// The change that is stored for it.
    pub fn write(&self, now: Timestamp) -> Write {
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

/// Gives a listing its title. Messages that are dispatched or read from now on bear the title.
#[derive(Message, Debug)]
#[rtype(result = "Result<(), StoreError>")]
pub struct TitleListing {
    /// The listing, with its title.
    pub listing: ListingId,
    /// For people.
    pub title: String,
}
