//! Events that watchers of sockets and rooms are sent.
use super::Broker;
use crate::chat::ports::{RoomKey, Sockets};
use crate::chat::state::Session;
use crate::engineio::{CloseReason, ConnectionKey};
use crate::feed::{FeedEvent, FeedEventKind, SocketView};
use crate::model::Timestamp;

/// Maximum number of rooms of one socket that are named.
const ROOMS_MAX: usize = 200;

impl Broker {
    /// Lists all sockets, and has a watcher notified from now on of what happens.
    pub(in crate::chat) fn watch_sockets(&self, most: usize) -> Sockets {
        let watcher = (self.sessions.len() <= most).then(|| self.observers.feed.watch()).flatten();
        watcher.map_or(Sockets::TooMany, |watcher| {
            let views = self.sessions.iter().filter_map(|(connection, session)| self.view(*connection, session)).collect();
            Sockets::Watched(views, watcher)
        })
    }

    fn view(&self, connection: ConnectionKey, session: &Session) -> Option<SocketView> {
        let user = self.users.get(&session.user)?.profile().clone();
        let &Session { socket, peer, connected_at, .. } = session;
        Some(SocketView { socket, user, connection, peer, connected_at, rooms: self.room_names(session) })
    }

    /// The rooms of a socket: its user's, and those in which it is.
    fn room_names(&self, session: &Session) -> Vec<Box<str>> {
        let rooms = self.users.rooms_of(&session.user, session.subscriptions.as_deref(), session.is_in_common_chat);
        let names = rooms.iter().map(|room| room.to_string().into_boxed_str());
        std::iter::once(format!("user:{}", session.user).into_boxed_str()).chain(names).take(ROOMS_MAX).collect()
    }

    /// Tells what happened to a socket that is in.
    pub(super) fn notify_watchers(&self, connection: ConnectionKey, kind: impl FnOnce() -> FeedEventKind) {
        if self.observers.feed.is_watched()
            && let Some(session) = self.sessions.get(&connection)
        {
            self.notify_of(session, kind());
        }
    }

    fn notify_of(&self, session: &Session, kind: FeedEventKind) {
        self.observers.feed.publish(|| FeedEvent {
            at: Timestamp::now(),
            socket: Some(session.socket),
            user: Some(session.user.clone()),
            kind,
        });
    }

    pub(super) fn notify_connected(&self, connection: ConnectionKey) {
        if self.observers.feed.is_watched()
            && let Some(session) = self.sessions.get(&connection)
            && let Some(view) = self.view(connection, session)
        {
            self.notify_of(session, FeedEventKind::Connected(Box::new(view)));
        }
    }

    /// Tells that a socket is gone, as long as its user's memberships are known.
    pub(super) fn notify_disconnected(&self, session: &Session, reason: CloseReason) {
        if self.observers.feed.is_watched() {
            self.notify_of(session, FeedEventKind::Disconnected { reason, rooms: self.room_names(session) });
        }
    }

    /// Tells that a socket comes into a room; of one that is just coming its rooms are named with it.
    pub(super) fn notify_joined(&self, connection: ConnectionKey, room: &RoomKey) {
        self.notify_watchers(connection, || FeedEventKind::Joined { room: room.to_string().into() });
    }

    /// Tells that a socket left a room; of one that is gone that was said with it.
    pub(super) fn notify_left(&self, connection: ConnectionKey, room: &RoomKey) {
        self.notify_watchers(connection, || FeedEventKind::Left { room: room.to_string().into() });
    }
}
