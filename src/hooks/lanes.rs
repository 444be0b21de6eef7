//! Events that wait for the operator's server: those of a socket one after another, so many of all at a time.
use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::model::SocketId;

/// Maximum number of events under way at a time.
const CONCURRENCY: usize = 64;
/// Maximum number of events of one socket that wait.
const WAITING_OF_ONE_MAX: usize = 100;
/// Maximum number of bytes of events that wait.
const WAITING_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// Maximum number of bytes of one socket's events that wait.
const WAITING_BYTES_OF_ONE_MAX: usize = 4 * 1_024 * 1_024;

/// The events of a socket, in order; one is under way.
#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<(T, usize)>,
    bytes: usize,
    is_under_way: bool,
}

/// The lanes of all sockets that have events.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    lanes: HashMap<SocketId, Lane<T>>,
    /// Sockets whose next event may go as soon as there is a place.
    ready: VecDeque<SocketId>,
    under_way: usize,
    waiting: usize,
    bytes: usize,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { lanes: HashMap::new(), ready: VecDeque::new(), under_way: 0, waiting: 0, bytes: 0 }
    }
}

impl<T> Lanes<T> {
    /// Returns the number of events that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts an event of `bytes` bytes behind the others of its socket.
    ///
    /// # Errors
    /// The event, if too much waits.
    pub(super) fn add(&mut self, socket: SocketId, event: T, bytes: usize) -> Result<(), T> {
        let lane = self.lanes.get(&socket);
        let (of_one, bytes_of_one) = lane.map_or((0, 0), |lane| (lane.waiting.len(), lane.bytes));
        // The first of a socket has a place, however large it is: a packet is bounded.
        let is_too_much = of_one >= WAITING_OF_ONE_MAX || (of_one > 0 && bytes_of_one + bytes > WAITING_BYTES_OF_ONE_MAX);
        if is_too_much || self.bytes + bytes > WAITING_BYTES_MAX {
            return Err(event);
        }
        let new = || Lane { waiting: VecDeque::new(), bytes: 0, is_under_way: false };
        let lane = self.lanes.entry(socket).or_insert_with(new);
        if lane.waiting.is_empty() && !lane.is_under_way {
            self.ready.push_back(socket);
        }
        lane.waiting.push_back((event, bytes));
        lane.bytes += bytes;
        self.waiting += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// Takes the next event that may go.
    pub(super) fn next(&mut self) -> Option<(SocketId, T)> {
        if self.under_way >= CONCURRENCY {
            return None;
        }
        let socket = self.ready.pop_front()?;
        let lane = self.lanes.get_mut(&socket)?;
        let (event, bytes) = lane.waiting.pop_front()?;
        lane.bytes -= bytes;
        lane.is_under_way = true;
        self.waiting -= 1;
        self.bytes -= bytes;
        self.under_way += 1;
        Some((socket, event))
    }

    /// The event of a socket is done: its next one may go.
    pub(super) fn done(&mut self, socket: SocketId) {
        let Some(lane) = self.lanes.get_mut(&socket).filter(|lane| lane.is_under_way) else { return };
        self.under_way = self.under_way.saturating_sub(1);
        lane.is_under_way = false;
        if lane.waiting.is_empty() {
            self.lanes.remove(&socket);
        } else {
            self.ready.push_back(socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(number: usize) -> SocketId {
        SocketId::parse(&format!("{number:020}")).unwrap()
    }

    #[test]
    fn the_events_of_a_socket_go_one_after_another() {
        let (mut lanes, one, other) = (Lanes::default(), socket(1), socket(2));
        for (socket, event) in [(one, 1), (one, 2), (other, 3), (one, 4)] {
            assert!(lanes.add(socket, event, 10).is_ok());
        }
        assert_eq!((lanes.next(), lanes.next(), lanes.next()), (Some((one, 1)), Some((other, 3)), None));
        lanes.done(one);
        lanes.done(other);
        assert_eq!((lanes.next(), lanes.next()), (Some((one, 2)), None));
        assert_eq!(lanes.waiting(), 1);
        lanes.done(one);
        assert_eq!(lanes.next(), Some((one, 4)));
        lanes.done(one);
        lanes.done(one);
        assert!(lanes.lanes.is_empty() && lanes.bytes == 0 && lanes.under_way == 0);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut lanes = Lanes::default();
        for number in 0..CONCURRENCY + 1 {
            assert!(lanes.add(socket(number), number, 0).is_ok());
        }
        let taken: Vec<_> = std::iter::from_fn(|| lanes.next()).collect();
        assert_eq!((taken.len(), lanes.waiting()), (CONCURRENCY, 1));
        let busy = socket(0);
        (0..WAITING_OF_ONE_MAX).for_each(|number| assert!(lanes.add(busy, number, 1).is_ok()));
        assert_eq!(lanes.add(busy, 7, 1), Err(7), "of one socket");
        assert!(lanes.add(socket(1), 8, WAITING_BYTES_OF_ONE_MAX + 1).is_ok(), "the first");
        assert_eq!(lanes.add(socket(1), 9, 1), Err(9), "bytes of one socket");
        for number in 2..16 {
            assert!(lanes.add(socket(number), number, WAITING_BYTES_OF_ONE_MAX).is_ok());
        }
        assert_eq!(lanes.add(socket(16), 10, WAITING_BYTES_OF_ONE_MAX), Err(10), "bytes of all");
    }
}
