//! Rooms: which sockets and detached sessions are in them.
use super::Broker;
use crate::chat::ports::RoomKey;
use crate::chat::state::RingKey;
use crate::engineio::ConnectionKey;
use crate::model::{ConversationId, UserId};

impl Broker {
    /// A socket is in a room from here on. It must not be there yet.
    pub(super) fn join_one(&mut self, room: RoomKey, connection: ConnectionKey) {
        self.tell_joined(connection, &room);
        self.rooms.join(room, connection);
    }

    /// A connection is no longer in a room.
    pub(super) fn leave_one(&mut self, room: &RoomKey, connection: ConnectionKey) {
        if self.rooms.leave(room, connection) {
            self.tell_left(connection, room);
        }
        self.forget_ring_of_empty(room);
    }

    /// A parked session is no longer in a room.
    pub(super) fn leave_parked(&mut self, room: &RoomKey) {
        self.rooms.leave_parked(room);
        self.forget_ring_of_empty(room);
    }

    fn forget_ring_of_empty(&mut self, room: &RoomKey) {
        if self.rooms.find(room).is_none() {
            self.replay.forget(&RingKey::Room(room.clone()));
        }
    }

    /// Drops a user's ring where nobody can want it.
    pub(super) fn forget_ring_of(&mut self, user: &UserId) {
        if self.users.get(user).is_none_or(|user| !user.has_sessions()) {
            self.replay.forget(&RingKey::User(user.clone()));
        }
    }

    /// The sessions of a new member are in the group from here on.
    pub(super) fn enter_group(&mut self, id: ConversationId, member: &UserId) {
        let Some(user) = self.users.get(member) else { return };
        let (open, parked) = (user.sessions.clone(), user.parked.clone());
        let serial = self.replay.event_seq();
        for connection in open {
            self.join_one(RoomKey::Group(id), connection);
            if let Some(session) = self.sessions.get_mut(&connection) {
                session.places.get_or_insert_default().note_absence(RoomKey::Group(id), 0, serial);
            }
        }
        for pid in parked {
            self.rooms.join_parked(RoomKey::Group(id));
            if let Some(parked) = self.sessions.detached_mut(&pid) {
                parked.places.get_or_insert_default().note_absence(RoomKey::Group(id), 0, serial);
            }
        }
    }

    /// The parked sessions of one who is no member any more are not in the group.
    pub(super) fn part_parked(&mut self, id: ConversationId, member: &UserId) {
        let parked = self.users.get(member).map(|user| user.parked.clone()).unwrap_or_default();
        for pid in parked {
            let Some(parked) = self.sessions.detached_mut(&pid) else { continue };
            let was_muted = parked.places.as_mut().is_some_and(|places| places.forget(id));
            if !was_muted {
                self.leave_parked(&RoomKey::Group(id));
            }
        }
    }
}
