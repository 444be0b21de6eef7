//! Telling: events get their place in the order, are kept for those who come back, and leave.
use std::sync::Arc;

use smallvec::SmallVec;

use super::broadcast::Broadcast;
use super::event::Event;
use super::ports::Notice;
use super::rings::{Except, RingKey};
use super::rooms::RoomKey;
use super::server::ChatServer;
use crate::engineio::{ConnectionKey, Delivery};
use crate::model::{Offset, OffsetKind, Part, SocketId, UserId};

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

impl ChatServer {
    /// A word for one connection.
    pub(super) fn tell(&self, connection: ConnectionKey, notice: Notice) {
        if let Some(worker) = self.worker(connection.worker) {
            worker.do_send(Delivery::ToOne { to: connection.seat, notice });
        }
    }

    /// Gives an event that is about to be handed out its place in the order. Volatile events have none.
    pub(super) fn place(&mut self, event: Broadcast) -> Arc<Broadcast> {
        if event.event().is_volatile() {
            return Arc::new(event);
        }
        self.serial += 1;
        let own = event.message().map(|message| message.position).filter(|position| *position > self.handed);
        self.handed = own.unwrap_or(self.handed);
        let kind = OffsetKind::Event { serial: self.serial, is_message: own.is_some() };
        Arc::new(event.placed(Offset { boot: self.offsets.boot(), position: self.handed, part: Part::FIRST, kind }))
    }

    /// The offset of one who has all that was handed out by now.
    pub(super) fn present(&self) -> Offset {
        let kind = OffsetKind::Event { serial: self.serial, is_message: false };
        Offset { boot: self.offsets.boot(), position: self.handed, part: Part::ALL, kind }
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
        let event = self.place(event);
        let now = self.now();
        let mut to = SmallVec::new();
        for id in users {
            let Some(user) = self.users.get(id).filter(|user| user.has_sessions()) else { continue };
            to.extend(user.sessions.iter().copied().filter(|socket| !spared.connections.contains(socket)));
            if !spared.except.users.contains(id) {
                self.rings.push(RingKey::User(id.clone()), &event, spared.except.clone(), now);
            }
        }
        self.tell_few(to.iter().copied(), &event);
        (event, to)
    }

    /// Tells all in a room, less some.
    pub(super) fn tell_room(&mut self, key: &RoomKey, event: Broadcast, spared: Spared) -> Arc<Broadcast> {
        let event = self.place(event);
        let Some(room) = self.rooms.find(key) else { return event };
        for (number, list) in room.lists() {
            let Some(worker) = self.worker(number) else { continue };
            let except = spared.connections.iter().filter(|key| key.worker == number).map(|key| key.seat).collect();
            worker.do_send(Delivery::ToMany { event: event.clone(), to: list.clone(), except });
        }
        let now = self.now();
        self.rings.push(RingKey::Room(key.clone()), &event, spared.except, now);
        event
    }

    /// Tells all sockets; how many those are.
    pub(super) fn tell_everyone(&mut self, event: Broadcast) -> usize {
        let event = self.place(event);
        self.tell_few(self.sessions.keys().copied(), &event);
        let now = self.now();
        self.rings.push(RingKey::Everyone, &event, Except::default(), now);
        self.sessions.len()
    }

    /// Sends an event to these sockets. It is kept for nobody.
    pub(super) fn tell_few(&self, to: impl IntoIterator<Item = ConnectionKey>, event: &Arc<Broadcast>) {
        let mut to: SmallVec<[ConnectionKey; 4]> = to.into_iter().collect();
        to.sort_unstable();
        for group in to.chunk_by(|one, other| one.worker == other.worker) {
            let Some(worker) = group.first().and_then(|first| self.worker(first.worker)) else { continue };
            worker.do_send(Delivery::ToFew { event: event.clone(), to: group.iter().map(|key| key.seat).collect() });
        }
    }

    pub(super) fn sockets_of(&self, user: &UserId) -> &[ConnectionKey] {
        self.users.get(user).map_or(&[], |user| &user.sessions)
    }
}
