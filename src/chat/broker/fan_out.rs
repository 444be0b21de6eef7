//! Telling: events get their place in the order, are kept for those who come back, and leave.
use std::sync::Arc;

use smallvec::SmallVec;

use super::Broker;
use crate::chat::ports::{Broadcast, Event, Notice, RoomKey};
use crate::chat::state::{ReplayExclude, RingKey};
use crate::engineio::{ConnectionKey, Delivery};
use crate::model::{PrivateId, SocketId, UserId};

/// The sockets that an event is not for: a socket by its connection, where it has one now, and by its id.
#[derive(Debug, Default)]
pub(super) struct Exclude {
    pub connections: SmallVec<[ConnectionKey; 4]>,
    pub except: ReplayExclude,
}

impl Exclude {
    /// One socket.
    pub(super) fn one(connection: Option<ConnectionKey>, socket: Option<SocketId>) -> Self {
        let except = ReplayExclude { sockets: socket.into_iter().collect(), users: Vec::new() };
        Self { connections: connection.into_iter().collect(), except }
    }
}

impl Extend<(Option<ConnectionKey>, SocketId)> for Exclude {
    fn extend<T: IntoIterator<Item = (Option<ConnectionKey>, SocketId)>>(&mut self, sockets: T) {
        for (connection, socket) in sockets {
            self.connections.extend(connection);
            self.except.sockets.push(socket);
        }
    }
}

impl Broker {
    /// A word for one connection.
    pub(super) fn notify(&self, connection: ConnectionKey, notice: Notice) {
        self.outside.deliver(connection.worker, Delivery::ToOne { to: connection.slot, notice });
    }

    fn keep_event(&mut self, key: RingKey, event: &Arc<Broadcast>, except: ReplayExclude) {
        let now = self.now();
        self.replay.keep(key, event, except, now);
    }

    /// Keeps a copy for the socket that sent it.
    pub(super) fn keep_own(&mut self, pid: PrivateId, event: &Arc<Broadcast>) {
        self.keep_event(RingKey::Socket(pid), event, ReplayExclude::default());
    }

    /// Notifies all sockets of these users.
    pub(super) fn fan_out_to_users<'a>(&mut self, users: impl IntoIterator<Item = &'a UserId>, event: Event) {
        self.fan_out_to_users_except(users, Broadcast::new(event), Exclude::default());
    }

    /// Notifies the sockets of these users, less some; the event is answered with those who were notified.
    pub(super) fn fan_out_to_users_except<'a>(
        &mut self,
        users: impl IntoIterator<Item = &'a UserId>,
        event: Broadcast,
        excluded: Exclude,
    ) -> (Arc<Broadcast>, SmallVec<[ConnectionKey; 4]>) {
        let event = self.replay.number(event);
        let mut to = SmallVec::new();
        for id in users {
            let Some(user) = self.users.get(id).filter(|user| user.has_sessions()) else { continue };
            to.extend(user.sessions.iter().copied().filter(|socket| !excluded.connections.contains(socket)));
            if !excluded.except.users.contains(id) {
                self.keep_event(RingKey::User(id.clone()), &event, excluded.except.clone());
            }
        }
        self.fan_out_to(to.iter().copied(), &event);
        (event, to)
    }

    /// Notifies all in a room, less some.
    pub(super) fn fan_out_to_room(&mut self, key: &RoomKey, event: Broadcast, excluded: Exclude) -> Arc<Broadcast> {
        let event = self.replay.number(event);
        if event.message().is_some() {
            let now = self.now();
            self.rooms.note_said(key, now);
        }
        let Some(room) = self.rooms.find(key) else { return event };
        for (number, list) in room.lists() {
            let except = excluded.connections.iter().filter(|key| key.worker == number).map(|key| key.slot).collect();
            self.outside.deliver(number, Delivery::ToMany { event: event.clone(), to: list.clone(), except });
        }
        self.keep_event(RingKey::Room(key.clone()), &event, excluded.except);
        event
    }

    /// Notifies all sockets but some users'; how many those are.
    pub(super) fn fan_out_to_everyone(&mut self, event: Broadcast, but: Vec<UserId>) -> usize {
        let event = self.replay.number(event);
        let notified = self.sessions.iter().filter(|(_, session)| !but.contains(&session.user)).map(|(socket, _)| *socket);
        let notified: Vec<ConnectionKey> = notified.collect();
        self.fan_out_to(notified.iter().copied(), &event);
        self.keep_event(RingKey::Everyone, &event, ReplayExclude { users: but, ..ReplayExclude::default() });
        notified.len()
    }

    /// Sends an event to these sockets. It is kept for nobody.
    pub(super) fn fan_out_to(&self, to: impl IntoIterator<Item = ConnectionKey>, event: &Arc<Broadcast>) {
        let mut to: SmallVec<[ConnectionKey; 4]> = to.into_iter().collect();
        to.sort_unstable();
        for group in to.chunk_by(|one, other| one.worker == other.worker) {
            let Some(number) = group.first().map(|first| first.worker) else { continue };
            self.outside
                .deliver(number, Delivery::ToFew { event: event.clone(), to: group.iter().map(|key| key.slot).collect() });
        }
    }

    pub(super) fn sockets_of(&self, user: &UserId) -> &[ConnectionKey] {
        self.users.get(user).map_or(&[], |user| &user.sessions)
    }
}
