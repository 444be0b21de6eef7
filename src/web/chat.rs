//! The broker's interface for HTTP.
use std::sync::Arc;

use actix::Addr;
use log::error;
use tokio::sync::oneshot;

use super::http_error::HttpError;
use crate::auth::{AuthError, Claims};
use crate::chat::{
    AccountsChanged, Administer, Ask, Authenticate, AuthenticateError, BrokerStats, ChatError, ChatServer, Command, Emit,
    FindRoom, FindSession, Health, ListRooms, ListSessions, MessageTrace, OnlineUsers, PresenceOf, RefusedConnect, Reply,
    RevokeTokens, RoomView, SaveNotifications, SessionView, Sockets, SocketsOf, Stats, TitleListing, Trace, TraceMessage,
    TraceOf, UserPresence, WatchSockets,
};
use crate::model::{Account, ListingId, SocketId, UserId};

/// Client of the broker. Cheap to clone.
#[derive(Clone)]
pub struct Chat(Addr<ChatServer>);

impl Chat {
    /// Makes a client of `broker`.
    pub fn new(broker: &Addr<ChatServer>) -> Self {
        Self(broker.clone())
    }

    /// Runs a command of `user`.
    ///
    /// # Errors
    /// The reason for the broker's refusal; [`ChatError::Internal`] if it did not answer.
    pub async fn ask(&self, user: &UserId, command: Command) -> Result<Reply, ChatError> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask { user: user.clone(), command, answer };
        self.0.send(ask).await.map_err(|_| ChatError::Internal)?;
        answered.await.map_err(|_| ChatError::Internal)?
    }

    /// Runs a command whose reply is a `T`.
    ///
    /// # Errors
    /// As [`Chat::ask`].
    pub async fn ask_for<T: TryFrom<Reply>>(&self, user: &UserId, command: Command) -> Result<T, ChatError> {
        let reply = self.ask(user, command).await?;
        reply.try_into().map_err(|_| {
            error!("the broker gave another reply than the command has");
            ChatError::Internal
        })
    }

    /// Returns the user of a verified token.
    ///
    /// # Errors
    /// 401 if the user is not let in, 503 if the store is unavailable.
    pub async fn authenticate(&self, claims: Claims) -> Result<Arc<Account>, HttpError> {
        let answer = self.0.send(Authenticate { claims: Box::new(claims) }).await.map_err(HttpError::from)?;
        answer.map_err(|error| match error {
            AuthenticateError::Refused(RefusedConnect::InvalidToken) => AuthError::InvalidToken.into(),
            AuthenticateError::Refused(RefusedConnect::TokenExpired) => AuthError::TokenExpired.into(),
            AuthenticateError::Refused(RefusedConnect::UserNotFound) => AuthError::UserNotFound.into(),
            AuthenticateError::Refused(RefusedConnect::AccountDisabled) => AuthError::AccountDisabled.into(),
            AuthenticateError::Unavailable => HttpError::store_away(),
        })
    }

    /// Returns the online users that `requester` may see.
    ///
    /// # Errors
    /// 500 or 503 if the broker is gone.
    pub async fn online_users(&self, requester: UserId) -> Result<Vec<(Arc<Account>, UserPresence)>, HttpError> {
        Ok(self.0.send(OnlineUsers { requester }).await?)
    }

    /// Returns the presence of users as `requester` sees it, in their order.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn presence_of(&self, requester: UserId, users: Vec<UserId>) -> Result<Vec<UserPresence>, HttpError> {
        Ok(self.0.send(PresenceOf { requester, users }).await?)
    }

    /// Returns the public ids of a user's sockets.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn sockets_of(&self, user: UserId) -> Result<Vec<SocketId>, HttpError> {
        Ok(self.0.send(SocketsOf { user }).await?)
    }

    /// Returns the number of joined sockets, and of rooms with at least one socket.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn health(&self) -> Result<(usize, usize), HttpError> {
        Ok(self.0.send(Health).await?)
    }

    /// Returns the broker's figures.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn stats(&self) -> Result<BrokerStats, HttpError> {
        Ok(self.0.send(Stats).await?)
    }

    /// Writes a user's pending notifications to the store: later reads and writes include them.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn save_notifications(&self, user: UserId) -> Result<(), HttpError> {
        Ok(self.0.send(SaveNotifications { user }).await?)
    }

    /// Emits an event from another server; returns the number of sockets that get it.
    ///
    /// # Errors
    /// 503 if the target must be looked up and the store is unavailable.
    pub async fn emit(&self, emit: Emit) -> Result<usize, HttpError> {
        Ok(self.0.send(emit).await??)
    }

    /// Revokes tokens in the store and for open sockets.
    ///
    /// # Errors
    /// 503 if the store is unavailable; nothing is revoked then.
    pub async fn revoke(&self, tokens: RevokeTokens) -> Result<(), HttpError> {
        Ok(self.0.send(tokens).await??)
    }

    /// Has the broker read an account anew, after its stored state changed.
    ///
    /// # Errors
    /// 503 while the store is away: the change takes effect within seconds after it is back.
    pub async fn follow_account(&self, user: UserId) -> Result<(), HttpError> {
        Ok(self.0.send(AccountsChanged { users: vec![user], revoked: Vec::new() }).await??)
    }

    /// Performs an administrator's action; returns whether its object exists.
    ///
    /// # Errors
    /// 503 if it must be stored and the store is unavailable; nothing is done then.
    pub async fn administer(&self, act: Administer) -> Result<bool, HttpError> {
        Ok(self.0.send(act).await??)
    }

    /// Returns all sockets, if there are no more than `most`, and the stream of events from then on.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn watch_sockets(&self, most: usize) -> Result<Sockets, HttpError> {
        Ok(self.0.send(WatchSockets { most }).await?)
    }

    /// Sets the title of a listing.
    ///
    /// # Errors
    /// 503 if the store is unavailable; the old title stays.
    pub async fn title_listing(&self, listing: ListingId, title: String) -> Result<(), HttpError> {
        Ok(self.0.send(TitleListing { listing, title }).await??)
    }

    /// Returns sessions in the order of their sockets' ids.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn list_sessions(&self, which: ListSessions) -> Result<Vec<SessionView>, HttpError> {
        Ok(self.0.send(which).await?)
    }

    /// Returns one session, open or detached.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn find_session(&self, socket: SocketId) -> Result<Option<SessionView>, HttpError> {
        Ok(self.0.send(FindSession { socket }).await?)
    }

    /// Returns the largest or busiest rooms.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn list_rooms(&self, which: ListRooms) -> Result<Vec<RoomView>, HttpError> {
        Ok(self.0.send(which).await?)
    }

    /// Returns a room and its sockets.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn find_room(&self, which: FindRoom) -> Result<Option<(RoomView, Vec<(SocketId, UserId)>)>, HttpError> {
        Ok(self.0.send(which).await?)
    }

    /// Returns a user's recent connects and disconnects.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn trace_of(&self, user: UserId) -> Result<Trace, HttpError> {
        Ok(self.0.send(TraceOf { user }).await?)
    }

    /// Returns everything in memory about a message.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn trace_message(&self, which: TraceMessage) -> Result<MessageTrace, HttpError> {
        Ok(self.0.send(which).await?)
    }
}
