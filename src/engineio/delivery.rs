//! Addressing of connections: what is said to those that one worker thread holds.
use std::sync::Arc;

use actix::Message;
use smallvec::SmallVec;

/// Where a connection sits in its worker's table. A seat is used again, its generation is not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Seat {
    /// Place in the table.
    pub slot: u32,
    /// Number of times that the place was given out before.
    pub generation: u32,
}

/// One connection of this node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionKey {
    /// The worker thread that holds it.
    pub worker: u16,
    /// Its seat there.
    pub seat: Seat,
}

/// A message to one worker's connections: `E` is shared by many, `N` is for one.
///
/// Deliveries to a worker are carried out in the order in which they were sent.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub enum Delivery<E, N> {
    /// One event for all `to`, less `except`. The list is shared: a room hands out the one it keeps.
    ToMany {
        /// The event.
        event: Arc<E>,
        /// Its receivers.
        to: Arc<Vec<Seat>>,
        /// Not these.
        except: SmallVec<[Seat; 2]>,
    },
    /// One event for a few.
    ToFew {
        /// The event.
        event: Arc<E>,
        /// Its receivers.
        to: SmallVec<[Seat; 4]>,
    },
    /// A word for one connection.
    ToOne {
        /// The receiver.
        to: Seat,
        /// The notice.
        notice: N,
    },
}
