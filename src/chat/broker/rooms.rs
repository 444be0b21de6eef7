//! Rooms: which sockets and detached sessions are in them.
use super::Broker;
use crate::chat::ports::RoomKey;
use crate::chat::state::RingKey;
use crate::engineio::ConnectionKey;
use crate::model::{ConversationId, UserId};

impl Broker {
    /// A socket is in a room from here on. It must not be there yet.
    pub(super) fn join_one(&mut self, room: RoomKey, connection: ConnectionKey) {
        self.notify_joined(connection, &room);
        self.rooms.join(room, connection);
    }

    /// A connection is no longer in a room.
    pub(super) fn leave_one(&mut self, room: &RoomKey, connection: ConnectionKey) {
        if self.rooms.leave(room, connection) {
            self.notify_left(connection, room);
        }
        self.forget_ring_of_empty(room);
    }

    /// A detached session is no longer in a room.
    pub(super) fn leave_detached(&mut self, room: &RoomKey) {
        self.rooms.leave_detached(room);
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
        let (open, detached) = (user.sessions.clone(), user.detached.clone());
        let event_seq = self.replay.event_seq();
        for connection in open {
            self.join_one(RoomKey::Group(id), connection);
            if let Some(session) = self.sessions.get_mut(&connection) {
                session.subscriptions.get_or_insert_default().note_gap(RoomKey::Group(id), 0, event_seq);
            }
        }
        for pid in detached {
            self.rooms.join_detached(RoomKey::Group(id));
            if let Some(detached) = self.sessions.detached_mut(&pid) {
                detached.subscriptions.get_or_insert_default().note_gap(RoomKey::Group(id), 0, event_seq);
            }
        }
    }

    /// The detached sessions of one who is no member any more are not in the group.
    pub(super) fn part_detached(&mut self, id: ConversationId, member: &UserId) {
        let detached = self.users.get(member).map(|user| user.detached.clone()).unwrap_or_default();
        for pid in detached {
            let Some(detached) = self.sessions.detached_mut(&pid) else { continue };
            let was_muted = detached.subscriptions.as_mut().is_some_and(|subscriptions| subscriptions.forget(id));
            if !was_muted {
                self.leave_detached(&RoomKey::Group(id));
            }
        }
    }
}
