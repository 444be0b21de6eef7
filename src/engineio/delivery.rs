//! Addresses of connections, and messages to the connections of one worker thread.
use std::sync::Arc;

use actix::Message;
use smallvec::SmallVec;

/// A slot in its worker's table. Slots are reused; generations are not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot {
    /// Index in the table.
    pub index: u32,
    /// Number of earlier uses of the slot.
    pub generation: u32,
}

/// Address of a connection on this node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionKey {
    /// The worker thread that holds it.
    pub worker: u16,
    /// Its slot there.
    pub slot: Slot,
}

/// A message to connections of one worker: `E` is shared by many, `N` is for one.
///
/// A worker carries out deliveries in the order in which they were sent.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub enum Delivery<E, N> {
    /// One event for all in `to` but those in `except`. The list is shared: a room passes on the one it keeps.
    ToMany {
        /// The event.
        event: Arc<E>,
        /// The receivers.
        to: Arc<Vec<Slot>>,
        /// Connections excluded from `to`.
        except: SmallVec<[Slot; 2]>,
    },
    /// One event for a few.
    ToFew {
        /// The event.
        event: Arc<E>,
        /// The receivers.
        to: SmallVec<[Slot; 4]>,
    },
    /// A notice for one connection.
    ToOne {
        /// The receiver.
        to: Slot,
        /// The notice.
        notice: N,
    },
}
