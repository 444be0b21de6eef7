//! Rooms: which connections hear what is said where.
use std::sync::Arc;

use smallvec::SmallVec;

use crate::chat::ports::RoomKey;
use crate::engineio::{ConnectionKey, Slot};
use crate::hash::HashMap;
use crate::model::Timestamp;

/// One room's connections, a list for each worker. A list is shared with the deliveries that are under way and
/// copied only when it changes meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Room {
    by_worker: SmallVec<[Arc<Vec<Slot>>; 2]>,
    members: usize,
    /// Sessions without a connection that are in it.
    detached: usize,
    said: Said,
}

impl Room {
    /// The lists with the workers that they belong to.
    pub(crate) fn lists(&self) -> impl Iterator<Item = (u16, &Arc<Vec<Slot>>)> {
        (0u16..).zip(&self.by_worker).filter(|(_, list)| !list.is_empty())
    }

    /// All connections.
    pub(crate) fn connections(&self) -> impl Iterator<Item = ConnectionKey> + '_ {
        self.lists().flat_map(|(worker, list)| list.iter().map(move |slot| ConnectionKey { worker, slot: *slot }))
    }

    /// Returns the number of connections in it.
    pub(crate) fn members(&self) -> usize {
        self.members
    }

    /// Returns the number of sessions without a connection in it.
    pub(crate) fn detached(&self) -> usize {
        self.detached
    }

    /// Messages in the last whole minute, or in this one where those are more.
    pub(crate) fn messages_per_minute(&self, now: Timestamp) -> u32 {
        self.said.per_minute(minute_of(now))
    }

    fn list(&mut self, worker: u16) -> Option<&mut Vec<Slot>> {
        let worker = usize::from(worker);
        if self.by_worker.len() <= worker {
            self.by_worker.resize_with(worker + 1, Arc::default);
        }
        self.by_worker.get_mut(worker).map(Arc::make_mut)
    }
}

/// Number of messages in a room, by the minute.
#[derive(Debug, Default, Clone, Copy)]
struct Said {
    minute: i64,
    in_this: u32,
    in_last: u32,
}

impl Said {
    fn count(&mut self, minute: i64) {
        if minute != self.minute {
            self.in_last = if minute == self.minute + 1 { self.in_this } else { 0 };
            *self = Self { minute, in_this: 0, in_last: self.in_last };
        }
        self.in_this = self.in_this.saturating_add(1);
    }

    fn per_minute(self, minute: i64) -> u32 {
        match minute - self.minute {
            0 => self.in_this.max(self.in_last),
            1 => self.in_this,
            _ => 0,
        }
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_millis() / 60_000
}

/// All rooms that have somebody in them, be it a detached session.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: HashMap<RoomKey, Room>,
    /// Number of rooms with a connection in them.
    open: usize,
}

impl Rooms {
    /// Puts a connection in a room. It must not be there yet.
    pub(crate) fn join(&mut self, key: RoomKey, connection: ConnectionKey) {
        let room = self.rooms.entry(key).or_default();
        if let Some(list) = room.list(connection.worker) {
            list.push(connection.slot);
            self.open += usize::from(room.members == 0);
            room.members += 1;
        }
    }

    /// Takes a connection out of a room; whether it was there.
    pub(crate) fn leave(&mut self, key: &RoomKey, connection: ConnectionKey) -> bool {
        let Some(room) = self.rooms.get_mut(key) else { return false };
        let Some(list) = room.list(connection.worker) else { return false };
        let place = list.iter().rposition(|slot| *slot == connection.slot);
        if let Some(place) = place {
            list.swap_remove(place);
            room.members -= 1;
            self.open -= usize::from(room.members == 0);
        }
        self.remove_if_empty(key);
        place.is_some()
    }

    /// A connection's session is detached: it stays in a room without hearing it.
    pub(crate) fn detach(&mut self, key: RoomKey, connection: ConnectionKey) {
        self.join_detached(key.clone());
        self.leave(&key, connection);
    }

    /// A detached session comes into a room.
    pub(crate) fn join_detached(&mut self, key: RoomKey) {
        self.rooms.entry(key).or_default().detached += 1;
    }

    /// A detached session has come back on this connection.
    pub(crate) fn join_from_detached(&mut self, key: RoomKey, connection: ConnectionKey) {
        self.join(key.clone(), connection);
        self.leave_detached(&key);
    }

    /// A detached session is out of a room.
    pub(crate) fn leave_detached(&mut self, key: &RoomKey) {
        if let Some(room) = self.rooms.get_mut(key) {
            room.detached = room.detached.saturating_sub(1);
        }
        self.remove_if_empty(key);
    }

    fn remove_if_empty(&mut self, key: &RoomKey) {
        if self.rooms.get(key).is_some_and(|room| room.members == 0 && room.detached == 0) {
            self.rooms.remove(key);
        }
    }

    /// The room, if somebody is in it.
    pub(crate) fn find(&self, key: &RoomKey) -> Option<&Room> {
        self.rooms.get(key)
    }

    /// A message was said in a room.
    pub(crate) fn note_said(&mut self, key: &RoomKey, now: Timestamp) {
        if let Some(room) = self.rooms.get_mut(key) {
            room.said.count(minute_of(now));
        }
    }

    /// All rooms.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RoomKey, &Room)> {
        self.rooms.iter()
    }

    /// Returns the number of rooms with a connection in them.
    pub(crate) fn count(&self) -> usize {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(worker: u16, slot: u32) -> ConnectionKey {
        ConnectionKey { worker, slot: Slot { index: slot, generation: 1 } }
    }

    #[test]
    fn a_delivery_under_way_keeps_the_list_that_it_was_given() {
        let mut rooms = Rooms::default();
        rooms.join(RoomKey::CommonChat, connection(0, 1));
        rooms.join(RoomKey::CommonChat, connection(1, 7));
        let given = rooms.find(&RoomKey::CommonChat).unwrap().lists().next().unwrap().1.clone();
        rooms.join(RoomKey::CommonChat, connection(0, 2));
        rooms.leave(&RoomKey::CommonChat, connection(0, 1));
        assert_eq!(given.iter().map(|slot| slot.index).collect::<Vec<_>>(), [1]);
        let now: Vec<_> = rooms.find(&RoomKey::CommonChat).unwrap().connections().collect();
        assert_eq!(now, [connection(0, 2), connection(1, 7)]);
    }

    #[test]
    fn a_room_stays_for_a_detached_session() {
        let mut rooms = Rooms::default();
        let (key, one) = (RoomKey::CommonChat, connection(0, 1));
        rooms.join(key.clone(), one);
        rooms.detach(key.clone(), one);
        assert_eq!(rooms.find(&key).unwrap().connections().count(), 0);
        assert_eq!(rooms.count(), 0);
        rooms.join_from_detached(key.clone(), connection(1, 2));
        rooms.leave(&key, connection(1, 2));
        assert!(rooms.find(&key).is_none());
        rooms.join_detached(key.clone());
        rooms.leave_detached(&key);
        assert!(rooms.find(&key).is_none());
    }

    #[test]
    fn what_is_said_counts_for_the_minute_after() {
        let mut said = Said::default();
        (0..5).for_each(|_| said.count(100));
        assert_eq!((said.per_minute(100), said.per_minute(101), said.per_minute(102)), (5, 5, 0));
        said.count(101);
        assert_eq!((said.per_minute(101), said.per_minute(102)), (5, 1));
        said.count(200);
        assert_eq!(said.per_minute(200), 1);
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
