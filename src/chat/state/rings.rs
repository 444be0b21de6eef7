//! Events of late, for sessions that come back: a bounded ring for each room, user and socket.
use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::offsets::ReplayCursor;
use crate::chat::ports::{Broadcast, RingLimits, RoomKey};
use crate::hash::HashMap;
use crate::model::{MessageId, Part, PrivateId, SocketId, Timestamp, UserId};

/// Owner of a ring.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RingKey {
    /// Events of a room.
    Room(RoomKey),
    /// Events of a user's sockets.
    User(UserId),
    /// Events of one socket, by its session: copies of what it sends.
    Socket(PrivateId),
    /// Events of all.
    Everyone,
}

/// Sockets and users of a room, or of a user, that are not notified of an event.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReplayExclude {
    /// These sockets.
    pub sockets: SmallVec<[SocketId; 1]>,
    /// All sockets of these users.
    pub users: Vec<UserId>,
}

impl ReplayExclude {
    fn has(&self, socket: &SocketId, user: &UserId) -> bool {
        self.sockets.contains(socket) || self.users.contains(user)
    }
}

#[derive(Debug)]
struct Entry {
    event_seq: u64,
    event: Arc<Broadcast>,
    except: ReplayExclude,
    bytes: usize,
    at: Timestamp,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The highest number that is not there any more.
    evicted: u64,
}

impl Ring {
    /// Lets the oldest go. Returns its bytes.
    fn evict(&mut self) -> usize {
        let Some(Entry { event_seq, bytes, .. }) = self.entries.pop_front() else { return 0 };
        self.evicted = event_seq;
        self.bytes -= bytes;
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
        bytes
    }
}

/// All rings. One is made at its first entry.
#[derive(Debug)]
pub(crate) struct EventRings {
    rings: HashMap<RingKey, Ring>,
    limits: RingLimits,
    bytes: usize,
}

/// An event that a socket has missed.
#[derive(Debug)]
pub(crate) struct MissedEvent {
    pub event_seq: u64,
    pub event: Arc<Broadcast>,
    /// The packets up to this one had arrived.
    pub had: Option<Part>,
}

impl EventRings {
    /// Without anything in them.
    pub(crate) fn new(limits: RingLimits) -> Self {
        Self { rings: HashMap::default(), limits, bytes: 0 }
    }

    /// Keeps an event that comes at this place in the order.
    pub(crate) fn push(&mut self, key: RingKey, event_seq: u64, event: &Arc<Broadcast>, except: ReplayExclude, now: Timestamp) {
        if self.limits.ttl_ms == 0 {
            return;
        }
        let Self { rings, limits, bytes: bytes_of_all } = self;
        let bytes = event.weight();
        let ring = rings.entry(key).or_default();
        ring.entries.push_back(Entry { event_seq, event: event.clone(), except, bytes, at: now });
        ring.bytes += bytes;
        *bytes_of_all += bytes;
        let oldest = now.plus_millis(-limits.ttl_ms);
        while ring.entries.len() > limits.events
            || ring.bytes > limits.bytes
            || *bytes_of_all > limits.bytes_of_all
            || ring.entries.front().is_some_and(|first| first.at < oldest)
        {
            let freed = ring.evict();
            *bytes_of_all -= freed;
            if freed == 0 {
                break;
            }
        }
    }

    /// Lets go what is too old.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let oldest = now.plus_millis(-self.limits.ttl_ms);
        for ring in self.rings.values_mut() {
            while ring.entries.front().is_some_and(|first| first.at < oldest) {
                self.bytes -= ring.evict();
            }
        }
    }

    /// Nobody is left who could miss what is in a ring.
    pub(crate) fn forget(&mut self, key: &RingKey) {
        if let Some(ring) = self.rings.remove(key) {
            self.bytes -= ring.bytes;
        }
    }

    /// A message was given up: its sender's copy is dropped.
    pub(crate) fn drop_message(&mut self, key: &RingKey, message: MessageId) {
        let Some(ring) = self.rings.get_mut(key) else { return };
        let before = ring.bytes;
        ring.entries.retain(|entry| entry.event.message().is_none_or(|kept| kept.id != message));
        ring.bytes = ring.entries.iter().map(|entry| entry.bytes).sum();
        self.bytes -= before - ring.bytes;
    }

    /// Returns whether nothing is lost that came after what a client has; beyond `last_encoding` no packet is for it.
    pub(crate) fn is_whole_since(&self, key: &RingKey, reached: ReplayCursor, last_encoding: u8) -> bool {
        self.rings.get(key).is_none_or(|ring| {
            ring.evicted < reached.event_seq || (ring.evicted == reached.event_seq && reached.part.encoding >= last_encoding)
        })
    }

    /// Returns the events that a socket of a user has missed since then.
    pub(crate) fn missed<'a>(
        &'a self,
        key: &RingKey,
        reached: ReplayCursor,
        socket: &'a SocketId,
        user: &'a UserId,
    ) -> impl Iterator<Item = MissedEvent> + use<'a> {
        let entries = self.rings.get(key).map(|ring| {
            let start = ring.entries.partition_point(|entry| entry.event_seq < reached.event_seq);
            ring.entries.range(start..)
        });
        entries.into_iter().flatten().filter(|entry| !entry.except.has(socket, user)).filter_map(move |entry| {
            let had = (entry.event_seq == reached.event_seq).then_some(reached.part);
            let is_missed = had != Some(Part::ALL);
            is_missed.then(|| MissedEvent { event_seq: entry.event_seq, event: entry.event.clone(), had })
        })
    }

    /// Returns the number of bytes that all of them hold, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Emitted, Event};

    const LIMITS: RingLimits = RingLimits { events: 3, bytes: 1_000_000, bytes_of_all: 1_000_000, ttl_ms: 1_000 };

    fn event(bytes: usize) -> Arc<Broadcast> {
        Arc::new(Broadcast::new(Event::Emitted(Emitted { name: "x".into(), data: Some("x".repeat(bytes).into()) })))
    }

    fn push(rings: &mut EventRings, event_seq: u64, at: i64) {
        rings.push(RingKey::Everyone, event_seq, &event(0), ReplayExclude::default(), Timestamp::from_millis(at));
    }

    fn missed(rings: &EventRings, key: &RingKey, event_seq: u64, part: Part) -> Option<Vec<u64>> {
        let (socket, user) = (SocketId::parse(&"s".repeat(20)).unwrap(), UserId::parse("ann").unwrap());
        let reached = ReplayCursor { event_seq, part };
        let found = rings.missed(key, reached, &socket, &user).map(|missed| missed.event_seq).collect();
        rings.is_whole_since(key, reached, 4).then_some(found)
    }

    #[test]
    fn what_came_after_is_missed_as_long_as_nothing_of_it_was_evicted() {
        let mut rings = EventRings::new(LIMITS);
        for event_seq in [2, 4, 6] {
            push(&mut rings, event_seq, 0);
        }
        let all = &RingKey::Everyone;
        assert_eq!(missed(&rings, all, 0, Part::ALL), Some(vec![2, 4, 6]));
        push(&mut rings, 8, 0);
        assert_eq!(missed(&rings, all, 0, Part::ALL), None, "2 is gone");
        assert_eq!(missed(&rings, all, 2, Part::ALL), Some(vec![4, 6, 8]));
        assert_eq!(missed(&rings, all, 2, Part { encoding: 4, packet: 0 }), Some(vec![4, 6, 8]));
        assert_eq!(missed(&rings, all, 2, Part { encoding: 3, packet: 0 }), None, "a part of 2 may be lacking");
        assert_eq!(missed(&rings, all, 4, Part::FIRST), Some(vec![4, 6, 8]), "a part of 4 may be lacking");
        assert_eq!(missed(&rings, all, 5, Part::ALL), Some(vec![6, 8]));
        assert_eq!(missed(&rings, all, 8, Part::ALL), Some(vec![]));
        assert_eq!(missed(&rings, &RingKey::Room(RoomKey::CommonChat), 0, Part::ALL), Some(vec![]));
    }

    #[test]
    fn rings_are_bounded_in_time_and_bytes() {
        let mut rings = EventRings::new(LIMITS);
        push(&mut rings, 1, 0);
        push(&mut rings, 2, 1_001);
        assert_eq!(missed(&rings, &RingKey::Everyone, 0, Part::ALL), None);
        rings.expire(Timestamp::from_millis(2_002));
        assert_eq!((rings.bytes(), missed(&rings, &RingKey::Everyone, 1, Part::ALL)), (0, None));
        assert_eq!(missed(&rings, &RingKey::Everyone, 2, Part::ALL), Some(vec![]));

        let weight = event(1_000).weight();
        for limits in [RingLimits { bytes: 2 * weight, ..LIMITS }, RingLimits { bytes_of_all: 2 * weight, ..LIMITS }] {
            let mut rings = EventRings::new(limits);
            for event_seq in 1..=3 {
                rings.push(RingKey::Everyone, event_seq, &event(1_000), ReplayExclude::default(), Timestamp::default());
            }
            assert_eq!(rings.bytes(), 2 * weight);
            rings.push(RingKey::Everyone, 4, &event(5_000), ReplayExclude::default(), Timestamp::default());
            assert_eq!((rings.bytes(), missed(&rings, &RingKey::Everyone, 4, Part::ALL)), (0, Some(vec![])));
            rings.forget(&RingKey::Everyone);
        }
        let mut off = EventRings::new(RingLimits { ttl_ms: 0, ..LIMITS });
        push(&mut off, 1, 0);
        assert_eq!(off.bytes(), 0);
    }
}
