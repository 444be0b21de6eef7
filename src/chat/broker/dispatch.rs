//! Telling: events get their place in the order, are kept for those who come back, and leave.
use std::sync::Arc;

use smallvec::SmallVec;

use super::Broker;
use crate::chat::ports::{Broadcast, Event, Notice, RoomKey};
use crate::chat::state::{Except, RingKey};
use crate::engineio::{ConnectionKey, Delivery};
use crate::model::{PrivateId, SocketId, UserId};

/// The sockets that an event is not for: a socket by its connection, where it has one now, and by its id.
#[derive(Debug, Default)]
pub struct Spared {
    pub connections: SmallVec<[ConnectionKey; 4]>,
    pub except: Except,
}

impl Spared {
    /// One socket.
    pub fn one(connection: Option<ConnectionKey>, socket: Option<SocketId>) -> Self {
        let except = Except { sockets: socket.into_iter().collect(), users: Vec::new() };
        Self { connections: connection.into_iter().collect(), except }
    }
}

impl Extend<(Option<ConnectionKey>, SocketId)> for Spared {
    fn extend<T: IntoIterator<Item = (Option<ConnectionKey>, SocketId)>>(&mut self, sockets: T) {
        for (connection, socket) in sockets {
            self.connections.extend(connection);
            self.except.sockets.push(socket);
        }
    }
}

impl Broker {
    /// A word for one connection.
    pub(super) fn tell(&self, connection: ConnectionKey, notice: Notice) {
        self.outside.deliver(connection.worker, Delivery::ToOne { to: connection.seat, notice });
    }

    fn keep_event(&mut self, key: RingKey, event: &Arc<Broadcast>, except: Except) {
        let now = self.now();
        self.replay.keep(key, event, except, now);
    }

    /// Keeps a copy for the socket that sent it.
    pub(super) fn keep_own(&mut self, pid: PrivateId, event: &Arc<Broadcast>) {
        self.keep_event(RingKey::Socket(pid), event, Except::default());
    }

    /// Tells all sockets of these users.
    pub(super) fn tell_users<'a>(&mut self, users: impl IntoIterator<Item = &'a UserId>, event: Event) {
        self.tell_users_but(users, Broadcast::new(event), Spared::default());
    }

    /// Tells the sockets of these users, less some; the event is answered with those who were told.
    pub(super) fn tell_users_but<'a>(
        &mut self,
        users: impl IntoIterator<Item = &'a UserId>,
        event: Broadcast,
        spared: Spared,
    ) -> (Arc<Broadcast>, SmallVec<[ConnectionKey; 4]>) {
        let event = self.replay.number(event);
        let mut to = SmallVec::new();
        for id in users {
            let Some(user) = self.users.get(id).filter(|user| user.has_sessions()) else { continue };
            to.extend(user.sessions.iter().copied().filter(|socket| !spared.connections.contains(socket)));
            if !spared.except.users.contains(id) {
                self.keep_event(RingKey::User(id.clone()), &event, spared.except.clone());
            }
        }
        self.tell_few(to.iter().copied(), &event);
        (event, to)
    }

    /// Tells all in a room, less some.
    pub(super) fn tell_room(&mut self, key: &RoomKey, event: Broadcast, spared: Spared) -> Arc<Broadcast> {
        let event = self.replay.number(event);
        if event.message().is_some() {
            let now = self.now();
            self.rooms.note_said(key, now);
        }
        let Some(room) = self.rooms.find(key) else { return event };
        for (number, list) in room.lists() {
            let except = spared.connections.iter().filter(|key| key.worker == number).map(|key| key.seat).collect();
            self.outside.deliver(number, Delivery::ToMany { event: event.clone(), to: list.clone(), except });
        }
        self.keep_event(RingKey::Room(key.clone()), &event, spared.except);
        event
    }

    /// Tells all sockets but some users'; how many those are.
    pub(super) fn tell_everyone(&mut self, event: Broadcast, but: Vec<UserId>) -> usize {
        let event = self.replay.number(event);
        let told = self.sessions.iter().filter(|(_, session)| !but.contains(&session.user)).map(|(socket, _)| *socket);
        let told: Vec<ConnectionKey> = told.collect();
        self.tell_few(told.iter().copied(), &event);
        self.keep_event(RingKey::Everyone, &event, Except { users: but, ..Except::default() });
        told.len()
    }

    /// Sends an event to these sockets. It is kept for nobody.
    pub(super) fn tell_few(&self, to: impl IntoIterator<Item = ConnectionKey>, event: &Arc<Broadcast>) {
        let mut to: SmallVec<[ConnectionKey; 4]> = to.into_iter().collect();
        to.sort_unstable();
        for group in to.chunk_by(|one, other| one.worker == other.worker) {
            let Some(number) = group.first().map(|first| first.worker) else { continue };
            self.outside
                .deliver(number, Delivery::ToFew { event: event.clone(), to: group.iter().map(|key| key.seat).collect() });
        }
    }

    pub(super) fn sockets_of(&self, user: &UserId) -> &[ConnectionKey] {
        self.users.get(user).map_or(&[], |user| &user.sessions)
    }
}
