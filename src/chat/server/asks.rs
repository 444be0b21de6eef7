//! Questions to the broker beside commands: over HTTP, by administrators, by the rest of the server.
use std::sync::Arc;

use actix::{ActorFutureExt as _, Context, Handler, MessageResult, ResponseActFuture, ResponseFuture, WrapFuture as _};
use tokio::sync::oneshot;

use super::ChatServer;
use crate::auth::Claims;
use crate::chat::ports::{
    AccountRead, AccountsChanged, Administer, Authenticate, AuthenticateError, Drain, DropFiles, Emit, EmitFrom, FindRoom,
    FindSession, FinishAnswers, Health, ListRooms, ListSessions, MessagesPruned, OnlineUsers, PresenceOf, RevokeTokens, RoomView,
    SaveNotifications, SessionView, SocketsOf, Stats, TitleListing, TraceMessage, TraceOf, UserPresence, WatchSockets,
};
use crate::chat::query::{describe, find_users};
use crate::model::{Account, Conversation, MODEL_USER, SocketId, Timestamp, UserId};
use crate::store::{self, AnyConnection, Done, Membership, NewUser, Store, StoreError, Write, Written};

type Later<T> = ResponseActFuture<ChatServer, T>;

fn ready<T: 'static>(value: T) -> Later<T> {
    Box::pin(actix::fut::ready(value))
}

// ---- whom a token proves ----

impl Handler<Authenticate> for ChatServer {
    type Result = Later<Result<Arc<Account>, AuthenticateError>>;

    fn handle(&mut self, message: Authenticate, ctx: &mut Context<Self>) -> Self::Result {
        self.authenticate(message.claims, ctx)
    }
}

impl ChatServer {
    fn authenticate(&mut self, claims: Box<Claims>, ctx: &mut Context<Self>) -> Later<Result<Arc<Account>, AuthenticateError>> {
        let wanted = self.work::<Authenticate, _>(ctx, |broker| broker.account_to_read(&claims));
        let Some(AccountRead { seen, new_user }) = wanted else { return self.authenticate_known(claims, ctx) };
        let read = read_account(self.store.clone(), claims.user.clone(), new_user);
        Box::pin(read.into_actor(self).then(move |found, server, ctx| match found {
            Ok(found) => {
                if server.work::<Authenticate, _>(ctx, |broker| broker.keep_account(&claims.user, seen, found)) {
                    server.authenticate_known(claims, ctx)
                } else {
                    server.authenticate(claims, ctx)
                }
            }
            Err(_) => ready(Err(AuthenticateError::Unavailable)),
        }))
    }

    /// The user's account is at hand, if there is one.
    fn authenticate_known(
        &mut self,
        claims: Box<Claims>,
        ctx: &mut Context<Self>,
    ) -> Later<Result<Arc<Account>, AuthenticateError>> {
        let description = self.broker.description_of(&claims);
        let Some(description) = description else {
            return ready(self.work::<Authenticate, _>(ctx, |broker| broker.authenticated(&claims)));
        };
        let described = describe(self.store.clone(), claims.user.clone(), description);
        Box::pin(described.into_actor(self).map(move |outcome, server, ctx| {
            server.work::<Authenticate, _>(ctx, |broker| {
                // Who is known is let in though the store is away.
                outcome.ok().flatten().into_iter().for_each(|account| broker.follow(account));
                broker.authenticated(&claims)
            })
        }))
    }
}

async fn read_account(
    store: Store,
    user: UserId,
    new_user: Option<Box<NewUser>>,
) -> Result<Vec<(Account, Vec<Membership>)>, StoreError> {
    let asked = [user.clone()];
    let found = store.read_after_writes(move |conn| find_users(conn, &asked)).await?;
    match new_user {
        Some(new_user) if found.is_empty() && user.as_str() != MODEL_USER => {
            store.write(Write::CreateUser(new_user)).await?;
            store.read_after_writes(move |conn| find_users(conn, &[user])).await
        }
        _ => Ok(found),
    }
}

impl Handler<RevokeTokens> for ChatServer {
    type Result = Later<Result<(), StoreError>>;

    fn handle(&mut self, message: RevokeTokens, _: &mut Context<Self>) -> Self::Result {
        let now = self.broker.now();
        let (store, write) = (self.store.clone(), message.write(now));
        let stored = async move { store.write(write).await };
        Box::pin(stored.into_actor(self).map(move |outcome, server, ctx| {
            outcome?;
            server.work::<RevokeTokens, _>(ctx, |broker| broker.on_revoked(message, now));
            Ok(())
        }))
    }
}

impl Handler<AccountsChanged> for ChatServer {
    type Result = Later<Result<(), StoreError>>;

    fn handle(&mut self, AccountsChanged { users, revoked }: AccountsChanged, ctx: &mut Context<Self>) -> Self::Result {
        self.work::<AccountsChanged, _>(ctx, |broker| broker.note_accounts_changed(&users, revoked));
        self.read_changed(users)
    }
}

impl ChatServer {
    /// Reads the accounts of these users once more, as far as they are at hand.
    fn read_changed(&mut self, mut users: Vec<UserId>) -> Later<Result<(), StoreError>> {
        users.retain(|user| self.broker.users.contains(user));
        if users.is_empty() {
            return ready(Ok(()));
        }
        let (seen, store, asked) = (self.broker.users.changes.newest_of(&users), self.store.clone(), users.clone());
        let find = move |conn: &mut AnyConnection| {
            let found: Result<Vec<_>, _> = asked.iter().map(|user| store::find_account(conn, user)).collect();
            found
        };
        let read = async move { store.read_after_writes(find).await };
        Box::pin(read.into_actor(self).then(move |found, server, ctx| match found {
            Ok(_) if seen != server.broker.users.changes.newest_of(&users) => server.read_changed(users),
            Ok(found) => {
                server.work::<AccountsChanged, _>(ctx, |broker| {
                    found.into_iter().flatten().for_each(|account| broker.follow(account));
                });
                ready(Ok(()))
            }
            Err(error) => ready(Err(error)),
        }))
    }
}

// ---- who is here ----

impl Handler<OnlineUsers> for ChatServer {
    type Result = Vec<(Arc<Account>, UserPresence)>;

    fn handle(&mut self, message: OnlineUsers, ctx: &mut Context<Self>) -> Self::Result {
        self.work::<OnlineUsers, _>(ctx, |broker| broker.online_users(&message.requester))
    }
}

impl Handler<PresenceOf> for ChatServer {
    type Result = Vec<UserPresence>;

    fn handle(&mut self, PresenceOf { requester, users }: PresenceOf, ctx: &mut Context<Self>) -> Self::Result {
        self.work::<PresenceOf, _>(ctx, |broker| users.iter().map(|user| broker.presence_of(&requester, user)).collect())
    }
}

impl Handler<SocketsOf> for ChatServer {
    type Result = Vec<SocketId>;

    fn handle(&mut self, message: SocketsOf, ctx: &mut Context<Self>) -> Self::Result {
        self.work::<SocketsOf, _>(ctx, |broker| broker.socket_ids_of(&message.user))
    }
}

impl Handler<Health> for ChatServer {
    type Result = MessageResult<Health>;

    fn handle(&mut self, _: Health, ctx: &mut Context<Self>) -> Self::Result {
        MessageResult(self.work::<Health, _>(ctx, |broker| (broker.sessions.len(), broker.rooms.count())))
    }
}

impl Handler<Stats> for ChatServer {
    type Result = MessageResult<Stats>;

    fn handle(&mut self, _: Stats, ctx: &mut Context<Self>) -> Self::Result {
        MessageResult(self.work::<Stats, _>(ctx, |broker| broker.stats()))
    }
}

impl Handler<ListSessions> for ChatServer {
    type Result = Vec<SessionView>;

    fn handle(&mut self, message: ListSessions, ctx: &mut Context<Self>) -> Self::Result {
        self.work::<ListSessions, _>(ctx, |broker| broker.list_sessions(&message))
    }
}

impl Handler<FindSession> for ChatServer {
    type Result = Option<SessionView>;

    fn handle(&mut self, FindSession { socket }: FindSession, ctx: &mut Context<Self>) -> Self::Result {
        self.work::<FindSession, _>(ctx, |broker| broker.view_session(socket))
    }
}

impl Handler<ListRooms> for ChatServer {
    type Result = Vec<RoomView>;

    fn handle(&mut self, message: ListRooms, ctx: &mut Context<Self>) -> Self::Result {
        self.work::<ListRooms, _>(ctx, |broker| broker.list_rooms(message))
    }
}

impl Handler<FindRoom> for ChatServer {
    type Result = Option<(RoomView, Vec<(SocketId, UserId)>)>;

    fn handle(&mut self, message: FindRoom, ctx: &mut Context<Self>) -> Self::Result {
        self.work::<FindRoom, _>(ctx, |broker| broker.find_room(&message))
    }
}

impl Handler<TraceOf> for ChatServer {
    type Result = MessageResult<TraceOf>;

    fn handle(&mut self, TraceOf { user }: TraceOf, ctx: &mut Context<Self>) -> Self::Result {
        MessageResult(self.work::<TraceOf, _>(ctx, |broker| broker.observers.traces.of(&user)))
    }
}

impl Handler<TraceMessage> for ChatServer {
    type Result = MessageResult<TraceMessage>;

    fn handle(&mut self, message: TraceMessage, ctx: &mut Context<Self>) -> Self::Result {
        MessageResult(self.work::<TraceMessage, _>(ctx, |broker| broker.trace_message(&message)))
    }
}

impl Handler<WatchSockets> for ChatServer {
    type Result = MessageResult<WatchSockets>;

    fn handle(&mut self, WatchSockets { most }: WatchSockets, ctx: &mut Context<Self>) -> Self::Result {
        MessageResult(self.work::<WatchSockets, _>(ctx, |broker| broker.watch_sockets(most)))
    }
}

// ---- what administrators and other servers do ----

impl Handler<Administer> for ChatServer {
    type Result = Later<Result<bool, StoreError>>;

    fn handle(&mut self, act: Administer, ctx: &mut Context<Self>) -> Self::Result {
        match act {
            Administer::Kick { socket } => ready(Ok(self.work::<Administer, _>(ctx, |broker| broker.kick(socket)))),
            Administer::KickRoom { room } => {
                ready(Ok(self.work::<Administer, _>(ctx, |broker| broker.kick_room(room.as_deref()))))
            }
            Administer::Delete { user, keeps_name } => self.delete_account(user, keeps_name, ctx),
        }
    }
}

impl ChatServer {
    /// Deletes an account in the store, then here. Answers whether it exists.
    fn delete_account(&mut self, user: UserId, keeps_name: bool, ctx: &mut Context<Self>) -> Later<Result<bool, StoreError>> {
        let deleted_at = self.work::<Administer, _>(ctx, |broker| {
            // The store knows their subjects where this user's messages do not count.
            broker.save_notifications();
            broker.now()
        });
        let stored = delete_in_store(self.store.clone(), user.clone(), deleted_at, keeps_name);
        Box::pin(stored.into_actor(self).map(move |outcome, server, ctx| {
            if outcome == Ok(true) {
                server.work::<Administer, _>(ctx, |broker| broker.on_deleted(&user, keeps_name));
            }
            outcome
        }))
    }
}

/// Deletes an account, if it exists. Returns whether it does.
async fn delete_in_store(store: Store, user: UserId, deleted_at: Timestamp, keeps_name: bool) -> Result<bool, StoreError> {
    let id = user.clone();
    let found = store.read_after_writes(move |conn| store::find_account(conn, &id)).await?;
    if !found.is_some_and(|account| !account.is_deleted && account.profile.id.as_str() != MODEL_USER) {
        return Ok(false);
    }
    store.write(Write::DeleteUser { user, deleted_at, keeps_name }).await.map(|_| true)
}

impl Handler<Emit> for ChatServer {
    type Result = Later<Result<usize, StoreError>>;

    fn handle(&mut self, message: Emit, ctx: &mut Context<Self>) -> Self::Result {
        let (id, room, event) = match self.work::<Emit, _>(ctx, |broker| broker.emit(message)) {
            EmitFrom::Done(sockets) => return ready(Ok(sockets)),
            EmitFrom::Store { id, room, event } => (id, room, event),
        };
        let store = self.store.clone();
        let find = async move { store.read_after_writes(move |conn| store::find_conversation(conn, id)).await };
        Box::pin(find.into_actor(self).map(move |found: Result<Option<Conversation>, StoreError>, server, ctx| {
            let found = found?;
            Ok(server.work::<Emit, _>(ctx, |broker| broker.emit_to_found(found.as_ref(), room, *event)))
        }))
    }
}

impl Handler<TitleListing> for ChatServer {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, message: TitleListing, ctx: &mut Context<Self>) -> Self::Result {
        let answered = self.work::<TitleListing, _>(ctx, |broker| broker.title_listing(message));
        Box::pin(async move { answered.await.unwrap_or(Err(StoreError::Unavailable)) })
    }
}

// ---- the server itself ----

impl Handler<MessagesPruned> for ChatServer {
    type Result = ();

    fn handle(&mut self, MessagesPruned { before }: MessagesPruned, ctx: &mut Context<Self>) {
        self.work::<MessagesPruned, _>(ctx, |broker| broker.on_messages_pruned(before));
    }
}

impl Handler<SaveNotifications> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: SaveNotifications, ctx: &mut Context<Self>) {
        self.work::<SaveNotifications, _>(ctx, |broker| broker.save_notifications_of(&message.user));
    }
}

impl Handler<DropFiles> for ChatServer {
    type Result = ResponseFuture<Result<Vec<String>, StoreError>>;

    fn handle(&mut self, DropFiles { urls }: DropFiles, ctx: &mut Context<Self>) -> Self::Result {
        let (answer, outcome) = oneshot::channel();
        // In this very step: what the broker looks up from here on is read behind it.
        let admitted = self.store.try_write(Write::DropFiles { urls }, Done::Answer(answer));
        self.work::<DropFiles, _>(ctx, |broker| broker.work.files_dropped += 1);
        Box::pin(async move {
            admitted?;
            match outcome.await.unwrap_or(Err(StoreError::Unavailable))? {
                Written::Unnamed { urls } => Ok(urls),
                _ => Err(StoreError::Internal),
            }
        })
    }
}

impl Handler<FinishAnswers> for ChatServer {
    type Result = Later<()>;

    fn handle(&mut self, FinishAnswers { within }: FinishAnswers, ctx: &mut Context<Self>) -> Self::Result {
        let idle = self.work::<FinishAnswers, _>(ctx, |broker| broker.drop_waiting_questions());
        let waited = tokio::time::timeout(within, idle);
        Box::pin(waited.into_actor(self).map(|outcome, server, ctx| {
            if outcome.is_err() {
                server.work::<FinishAnswers, _>(ctx, |broker| broker.give_up_questions());
            }
        }))
    }
}

impl Handler<Drain> for ChatServer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, ctx: &mut Context<Self>) -> Self::Result {
        let rest = self.work::<Drain, _>(ctx, |broker| broker.drain());
        // Dropped unanswered only with the broker.
        Box::pin(async move { drop(rest.await) })
    }
}
