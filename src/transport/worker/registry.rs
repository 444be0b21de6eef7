//! Registry of the sessions of all threads, by id.
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix::Addr;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

use super::connection::Connection;
use crate::engineio::{Service, Sid};
use crate::transport::connection::Directory;

/// Number of locks that share the sessions, so that threads seldom contend.
const SHARDS: usize = 16;

/// Result of a look-up.
pub(in crate::transport) enum Found<R> {
    /// A session on polling, with the result of using its address.
    Polling(R),
    /// A session on a WebSocket.
    Websocket,
    /// No such session (any more).
    Unknown,
}

/// All sessions of the node. Of one on a WebSocket, only the id is kept.
pub(in crate::transport) struct Registry<S: Service> {
    shards: [Mutex<Shard<S>>; SHARDS],
    hasher: DefaultHashBuilder,
}

struct Shard<S: Service> {
    polling: HashMap<Sid, Addr<Connection<S>>>,
    websocket: HashSet<Sid>,
}

impl<S: Service> Default for Registry<S> {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| Mutex::new(Shard { polling: HashMap::new(), websocket: HashSet::new() }));
        Self { shards, hasher: DefaultHashBuilder::default() }
    }
}

impl<S: Service> Directory for Registry<S> {
    fn insert_websocket(&self, sid: Sid) {
        let polling = self.with_shard(&sid, |shard| {
            shard.websocket.insert(sid);
            shard.polling.remove(&sid)
        });
        drop(polling);
    }

    fn remove(&self, sid: &Sid) {
        let polling = self.with_shard(sid, |shard| {
            shard.websocket.remove(sid);
            shard.polling.remove(sid)
        });
        drop(polling);
    }
}

impl<S: Service> Registry<S> {
    pub(in crate::transport) fn insert_polling(&self, sid: Sid, address: Addr<Connection<S>>) {
        self.with_shard(&sid, |shard| shard.polling.insert(sid, address));
    }

    /// Finds a session by the text that a client sent; `use_address` may only send messages.
    pub(in crate::transport) fn find<R>(&self, sid: &str, use_address: impl FnOnce(&Addr<Connection<S>>) -> R) -> Found<R> {
        let Some(sid) = Sid::parse(sid) else { return Found::Unknown };
        self.with_shard(&sid, |shard| match shard.polling.get(&sid) {
            Some(address) => Found::Polling(use_address(address)),
            None if shard.websocket.contains(&sid) => Found::Websocket,
            None => Found::Unknown,
        })
    }

    fn with_shard<R>(&self, sid: &Sid, use_shard: impl FnOnce(&mut Shard<S>) -> R) -> R {
        let place = self.hasher.hash_one(sid) as usize % SHARDS;
        // there is a shard for every remainder, so the fallback is never used
        let shard = self.shards.get(place).unwrap_or(&self.shards[0]);
        let mut guard: MutexGuard<'_, Shard<S>> = shard.lock().unwrap_or_else(PoisonError::into_inner);
        use_shard(&mut guard)
    }
}
