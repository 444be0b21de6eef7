//! Registry of the sessions of all threads, by their ids.
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix::Addr;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

use super::connection::Connection;
use crate::engineio::{Service, Sid};
use crate::transport::connection::Directory;

/// Locks that share the sessions, so that threads seldom meet at one.
const SHARDS: usize = 16;

/// Answer to a look for an id.
pub(in crate::transport) enum Found<R> {
    /// A session on polling, and what was done with its address.
    Polling(R),
    /// A session that is on a WebSocket.
    Websocket,
    /// Nothing (any more).
    Unknown,
}

/// Every session of the node. One on a WebSocket is nothing but its id here.
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

    /// Looks a session up by the text that a client sent; `use_address` must only send.
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
        // there is a shard for every remainder, so the first one never stands in
        let shard = self.shards.get(place).unwrap_or(&self.shards[0]);
        let mut guard: MutexGuard<'_, Shard<S>> = shard.lock().unwrap_or_else(PoisonError::into_inner);
        use_shard(&mut guard)
    }
}
