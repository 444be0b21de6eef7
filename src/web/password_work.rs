//! Hashes and checks passwords on threads that may block, a few at a time, serving addresses in turn.
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::block;
use hashbrown::HashMap;
use tokio::sync::oneshot;

use super::http_error::HttpError;
use crate::auth::{hash_password, verify_password};
use crate::http::counted_address;

/// Maximum number of waiting requests: at some 50 ms each on two cores, that is a few seconds.
const WAITING_MAX: usize = 256;

/// Limits the number of passwords processed at a time: each takes 19 MiB and a core for a while.
pub struct PasswordWork(Arc<Permits>);

impl PasswordWork {
    /// Allows as many at a time as the machine has cores.
    #[expect(clippy::new_without_default, reason = "one is shared by all")]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self(Arc::new(Permits(Mutex::new(Queue { free: cores, ..Queue::default() }))))
    }

    /// Hashes a new password, on behalf of this address.
    ///
    /// # Errors
    /// 429 if too many wait, 500 if hashing fails.
    pub async fn hash(&self, address: Option<IpAddr>, password: String) -> Result<String, HttpError> {
        self.run(address, move || hash_password(&password)).await?.map_err(HttpError::internal)
    }

    /// Returns whether the password matches the hash; without one it takes the same time.
    ///
    /// # Errors
    /// 429 if too many wait.
    pub async fn verify(&self, address: Option<IpAddr>, password: String, hash: Option<String>) -> Result<bool, HttpError> {
        self.run(address, move || verify_password(&password, hash.as_deref())).await
    }

    /// Runs other slow work that anybody can ask for.
    ///
    /// # Errors
    /// 429 if too many wait.
    pub async fn run<T: Send + 'static>(
        &self,
        address: Option<IpAddr>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HttpError> {
        let place = self.place(address).await.ok_or_else(|| HttpError::rate_limited(Duration::from_secs(2)))?;
        // The thread keeps its permit even if the client has gone meanwhile.
        let worked = block(move || {
            let done = work();
            drop(place);
            done
        });
        worked.await.map_err(HttpError::internal)
    }

    /// Waits for a permit; `None` if too many wait.
    async fn place(&self, address: Option<IpAddr>) -> Option<Place> {
        let waiting = match self.0.queue().enter(address.map(counted_address)) {
            Entered::Free => return Some(Place(self.0.clone())),
            Entered::Waits(waiting) => waiting,
            Entered::Full => return None,
        };
        // Fails if this request was dropped from the queue in favour of another address.
        waiting.await.ok()?;
        Some(Place(self.0.clone()))
    }
}

/// A permit to work, released when dropped.
struct Place(Arc<Permits>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.queue().leave();
    }
}

struct Permits(Mutex<Queue>);

impl Permits {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waiting requests, by address.
#[derive(Default)]
struct Queue {
    free: usize,
    waiting: usize,
    /// Addresses with waiting requests, in the order in which they will be served.
    turns: VecDeque<Option<IpAddr>>,
    of_addresses: HashMap<Option<IpAddr>, VecDeque<oneshot::Sender<()>>>,
}

enum Entered {
    Free,
    Waits(oneshot::Receiver<()>),
    Full,
}

impl Queue {
    /// Takes a permit, or waits for one. If too many wait, the newest request of the address with the most is dropped.
    fn enter(&mut self, address: Option<IpAddr>) -> Entered {
        if self.free > 0 {
            self.free -= 1;
            return Entered::Free;
        }
        if self.waiting >= WAITING_MAX {
            self.forget_gone();
        }
        if self.waiting >= WAITING_MAX {
            let own = self.of_addresses.get(&address).map_or(0, VecDeque::len);
            let Some((_, longest)) = self.of_addresses.iter_mut().max_by_key(|(_, waiting)| waiting.len()) else {
                return Entered::Full;
            };
            if longest.len() <= own + 1 {
                return Entered::Full;
            }
            longest.pop_back();
            self.waiting -= 1;
        }
        let (permit, waiting) = oneshot::channel();
        let queue = self.of_addresses.entry(address).or_default();
        if queue.is_empty() {
            self.turns.push_back(address);
        }
        queue.push_back(permit);
        self.waiting += 1;
        Entered::Waits(waiting)
    }

    /// Passes a released permit to the first request of the next address that still waits.
    fn leave(&mut self) {
        while let Some(address) = self.turns.pop_front() {
            let Some(queue) = self.of_addresses.get_mut(&address) else { continue };
            let next = queue.pop_front();
            if queue.is_empty() {
                self.of_addresses.remove(&address);
            } else {
                self.turns.push_back(address);
            }
            if let Some(permit) = next {
                self.waiting -= 1;
                if permit.send(()).is_ok() {
                    return;
                }
            }
        }
        self.free += 1;
    }

    /// Forgets requests whose clients have gone.
    fn forget_gone(&mut self) {
        for queue in self.of_addresses.values_mut() {
            queue.retain(|permit| !permit.is_closed());
        }
        self.of_addresses.retain(|_, queue| !queue.is_empty());
        self.turns.retain(|address| self.of_addresses.contains_key(address));
        self.waiting = self.of_addresses.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn wait(queue: &mut Queue, last: u8) -> Option<oneshot::Receiver<()>> {
        match queue.enter(address(last)) {
            Entered::Waits(waiting) => Some(waiting),
            Entered::Full => None,
            Entered::Free => panic!("no place is free"),
        }
    }

    #[test]
    fn addresses_have_turns() {
        let mut queue = Queue::default();
        let mut flood: Vec<_> = (0..10).map(|_| wait(&mut queue, 1).unwrap()).collect();
        let mut other = wait(&mut queue, 2).unwrap();
        queue.leave();
        assert!(flood[0].try_recv().is_ok() && other.try_recv().is_err());
        queue.leave();
        assert!(other.try_recv().is_ok(), "not behind all of the flood");
        drop(flood.remove(1));
        queue.leave();
        assert!(flood[1].try_recv().is_ok(), "who has gone has no permit");
        (0..20).for_each(|_| queue.leave());
        assert_eq!((queue.waiting, queue.turns.len(), queue.of_addresses.len()), (0, 0, 0));
        assert!(matches!(queue.enter(address(1)), Entered::Free));
    }

    #[test]
    fn a_full_queue_has_room_for_another_address() {
        let mut queue = Queue::default();
        let mut flood: Vec<_> = (0..WAITING_MAX).map(|_| wait(&mut queue, 1).unwrap()).collect();
        assert!(wait(&mut queue, 1).is_none());
        let mut other = wait(&mut queue, 2).unwrap();
        assert!(flood.pop().unwrap().try_recv().is_err());
        assert_eq!(queue.waiting, WAITING_MAX);
        queue.leave();
        queue.leave();
        assert!(other.try_recv().is_ok());
        flood.clear();
        assert!(wait(&mut queue, 1).is_some(), "those who have gone make room");
    }
}
