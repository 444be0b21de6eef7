//! The broker, as HTTP asks it.
use std::sync::Arc;

use actix::Addr;
use log::error;
use tokio::sync::oneshot;

use super::failure::Failure;
use crate::auth::{Claims, Refusal};
use crate::chat::{
    Administer, Ask, Authenticate, AuthenticateError, BrokerStats, ChatError, ChatServer, Command, Emit, FindRoom, FindSession,
    Health, ListRooms, ListSessions, MessageTrace, OnlineUsers, PresenceOf, RefusedConnect, Reply, RevokeTokens, RoomView,
    SaveNotifications, SessionView, Sockets, SocketsOf, Stats, TitleListing, Trace, TraceMessage, TraceOf, UserPresence,
    WatchSockets,
};
use crate::model::{Account, ListingId, SocketId, UserId};

/// Asks the broker. Cheap to clone.
#[derive(Clone)]
pub struct Chat(Addr<ChatServer>);

impl Chat {
    /// Asks `broker`.
    pub fn new(broker: &Addr<ChatServer>) -> Self {
        Self(broker.clone())
    }

    /// Carries out a command of `user`.
    ///
    /// # Errors
    /// Why the broker refused it; [`ChatError::Internal`] where it gave no answer.
    pub async fn ask(&self, user: &UserId, command: Command) -> Result<Reply, ChatError> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask { user: user.clone(), command, answer };
        self.0.send(ask).await.map_err(|_| ChatError::Internal)?;
        answered.await.map_err(|_| ChatError::Internal)?
    }

    /// [`Chat::ask`] for a command whose reply is a `T`.
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

    /// Returns the user whom a verified token proves.
    ///
    /// # Errors
    /// 401 where it proves nobody, 503 while the store is away.
    pub async fn authenticate(&self, claims: Claims) -> Result<Arc<Account>, Failure> {
        let answer = self.0.send(Authenticate { claims: Box::new(claims) }).await.map_err(Failure::from)?;
        answer.map_err(|error| match error {
            AuthenticateError::Refused(RefusedConnect::InvalidToken) => Refusal::InvalidToken.into(),
            AuthenticateError::Refused(RefusedConnect::TokenExpired) => Refusal::TokenExpired.into(),
            AuthenticateError::Refused(RefusedConnect::UserNotFound) => Refusal::UserNotFound.into(),
            AuthenticateError::Refused(RefusedConnect::AccountDisabled) => Refusal::AccountDisabled.into(),
            AuthenticateError::Unavailable => Failure::store_away(),
        })
    }

    /// Who is online, for `asker`'s eyes.
    ///
    /// # Errors
    /// 500 or 503 where the broker is gone.
    pub async fn online_users(&self, asker: UserId) -> Result<Vec<(Arc<Account>, UserPresence)>, Failure> {
        Ok(self.0.send(OnlineUsers { requester: asker }).await?)
    }

    /// The presence of these users in their order, for `asker`'s eyes.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn presence_of(&self, asker: UserId, users: Vec<UserId>) -> Result<Vec<UserPresence>, Failure> {
        Ok(self.0.send(PresenceOf { requester: asker, users }).await?)
    }

    /// The public ids of a user's sockets.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn sockets_of(&self, user: UserId) -> Result<Vec<SocketId>, Failure> {
        Ok(self.0.send(SocketsOf { user }).await?)
    }

    /// Joined sockets, and rooms with somebody in them.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn health(&self) -> Result<(usize, usize), Failure> {
        Ok(self.0.send(Health).await?)
    }

    /// The broker's figures.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn stats(&self) -> Result<BrokerStats, Failure> {
        Ok(self.0.send(Stats).await?)
    }

    /// Has what a user is to be notified of given to the store: reads and writes behind this find all.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn save_notifications(&self, user: UserId) -> Result<(), Failure> {
        Ok(self.0.send(SaveNotifications { user }).await?)
    }

    /// Emits an event in another server's words; to how many sockets.
    ///
    /// # Errors
    /// 503 where it must be looked up who is meant, and the store is away.
    pub async fn emit(&self, emit: Emit) -> Result<usize, Failure> {
        Ok(self.0.send(emit).await??)
    }

    /// Revokes tokens, in the store and on open sockets.
    ///
    /// # Errors
    /// 503 while the store is away; nothing is revoked then.
    pub async fn revoke(&self, tokens: RevokeTokens) -> Result<(), Failure> {
        Ok(self.0.send(tokens).await??)
    }

    /// Does what an administrator asks for; whether there is whom it is about.
    ///
    /// # Errors
    /// 503 where it has to be stored and the store is away; nothing is done then.
    pub async fn administer(&self, act: Administer) -> Result<bool, Failure> {
        Ok(self.0.send(act).await??)
    }

    /// All sockets, if there are no more than `most`, and what happens to them from then on.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn watch_sockets(&self, most: usize) -> Result<Sockets, Failure> {
        Ok(self.0.send(WatchSockets { most }).await?)
    }

    /// Says what a listing is called.
    ///
    /// # Errors
    /// 503 while the store is away; it keeps its title then.
    pub async fn title_listing(&self, listing: ListingId, title: String) -> Result<(), Failure> {
        Ok(self.0.send(TitleListing { listing, title }).await??)
    }

    /// Sessions, in the order of their sockets' ids.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn list_sessions(&self, which: ListSessions) -> Result<Vec<SessionView>, Failure> {
        Ok(self.0.send(which).await?)
    }

    /// One session, open or parked.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn find_session(&self, socket: SocketId) -> Result<Option<SessionView>, Failure> {
        Ok(self.0.send(FindSession { socket }).await?)
    }

    /// The largest or busiest rooms.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn list_rooms(&self, which: ListRooms) -> Result<Vec<RoomView>, Failure> {
        Ok(self.0.send(which).await?)
    }

    /// A room with who is in it.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn find_room(&self, which: FindRoom) -> Result<Option<(RoomView, Vec<(SocketId, UserId)>)>, Failure> {
        Ok(self.0.send(which).await?)
    }

    /// How a user came and went lately.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn trace_of(&self, user: UserId) -> Result<Trace, Failure> {
        Ok(self.0.send(TraceOf { user }).await?)
    }

    /// Returns what is known of a message in memory.
    ///
    /// # Errors
    /// As [`Chat::online_users`].
    pub async fn trace_message(&self, which: TraceMessage) -> Result<MessageTrace, Failure> {
        Ok(self.0.send(which).await?)
    }
}
