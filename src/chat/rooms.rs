//! Rooms: which connections hear what is said where.
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::engineio::{ConnectionKey, Seat};
use crate::model::{ConversationId, RoomId};

/// What a room stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RoomKey {
    /// The unmuted sockets of a group's members.
    Group(ConversationId),
    /// A public room.
    Public(RoomId),
    /// The common chat.
    CommonChat,
}

/// One room's connections, a list for each worker. A list is shared with the deliveries that are under way and
/// copied only when it changes meanwhile.
#[derive(Debug, Default)]
pub struct Room {
    by_worker: SmallVec<[Arc<Vec<Seat>>; 2]>,
    members: usize,
}

impl Room {
    /// The lists with the workers that they belong to.
    pub fn lists(&self) -> impl Iterator<Item = (u16, &Arc<Vec<Seat>>)> {
        (0u16..).zip(&self.by_worker).filter(|(_, list)| !list.is_empty())
    }

    /// All connections.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionKey> + '_ {
        self.lists().flat_map(|(worker, list)| list.iter().map(move |seat| ConnectionKey { worker, seat: *seat }))
    }

    fn list(&mut self, worker: u16) -> Option<&mut Vec<Seat>> {
        let worker = usize::from(worker);
        if self.by_worker.len() <= worker {
            self.by_worker.resize_with(worker + 1, Arc::default);
        }
        self.by_worker.get_mut(worker).map(Arc::make_mut)
    }
}

/// All rooms that have somebody in them.
#[derive(Debug, Default)]
pub struct Rooms {
    rooms: HashMap<RoomKey, Room>,
}

impl Rooms {
    /// Puts a connection in a room. It must not be there yet.
    pub fn join(&mut self, key: RoomKey, connection: ConnectionKey) {
        let room = self.rooms.entry(key).or_default();
        if let Some(list) = room.list(connection.worker) {
            list.push(connection.seat);
            room.members += 1;
        }
    }

    /// Takes a connection out of a room, if it is there.
    pub fn leave(&mut self, key: &RoomKey, connection: ConnectionKey) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        let Some(list) = room.list(connection.worker) else { return };
        if let Some(place) = list.iter().rposition(|seat| *seat == connection.seat) {
            list.swap_remove(place);
            room.members -= 1;
        }
        if room.members == 0 {
            self.rooms.remove(key);
        }
    }

    /// The room, if somebody is in it.
    pub fn find(&self, key: &RoomKey) -> Option<&Room> {
        self.rooms.get(key)
    }

    /// How many rooms have somebody in them.
    pub fn count(&self) -> usize {
        self.rooms.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(worker: u16, slot: u32) -> ConnectionKey {
        ConnectionKey { worker, seat: Seat { slot, generation: 1 } }
    }

    #[test]
    fn a_delivery_under_way_keeps_the_list_that_it_was_given() {
        let mut rooms = Rooms::default();
        rooms.join(RoomKey::CommonChat, connection(0, 1));
        rooms.join(RoomKey::CommonChat, connection(1, 7));
        let given = rooms.find(&RoomKey::CommonChat).unwrap().lists().next().unwrap().1.clone();
        rooms.join(RoomKey::CommonChat, connection(0, 2));
        rooms.leave(&RoomKey::CommonChat, connection(0, 1));
        assert_eq!(given.iter().map(|seat| seat.slot).collect::<Vec<_>>(), [1]);
        let now: Vec<_> = rooms.find(&RoomKey::CommonChat).unwrap().connections().collect();
        assert_eq!(now, [connection(0, 2), connection(1, 7)]);
    }

    #[test]
    fn an_empty_room_is_gone() {
        let mut rooms = Rooms::default();
        rooms.join(RoomKey::CommonChat, connection(0, 1));
        assert_eq!(rooms.count(), 1);
        rooms.leave(&RoomKey::CommonChat, connection(0, 1));
        rooms.leave(&RoomKey::CommonChat, connection(0, 1));
        assert!(rooms.find(&RoomKey::CommonChat).is_none());
        assert_eq!(rooms.count(), 0);
    }
}
