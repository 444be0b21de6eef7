//! The clients in the administrators' namespace.
use hashbrown::HashMap;

use crate::engineio::{ConnectionKey, Peer};
use crate::feed::Watcher;
use crate::model::{SocketId, Timestamp};

/// The client of one connection.
#[derive(Debug)]
pub struct Guest {
    /// Number of its last CONNECT: answers to earlier ones of the same connection are ignored.
    pub attempt: u64,
    pub peer: Peer,
    /// Its admission, once it has joined.
    pub seat: Option<Seat>,
}

/// State of an admitted guest.
#[derive(Debug)]
pub struct Seat {
    pub socket: SocketId,
    pub since: Timestamp,
    pub watching: Watching,
}

/// Progress of a guest in the event stream. The next events are sent only once the last ones have left the outbox, so a
/// slow guest misses some.
#[derive(Debug, Default)]
pub enum Watching {
    /// It gets figures only.
    #[default]
    No,
    /// The list of all sockets is being prepared.
    Asking,
    /// Packets for it have not left the outbox yet.
    Telling(Watcher),
    /// The next event is awaited.
    Waiting,
}

/// All guests.
#[derive(Debug, Default)]
pub struct Guests {
    all: HashMap<ConnectionKey, Guest>,
    attempts: u64,
}

impl Guests {
    /// Records a CONNECT; returns the number of the attempt.
    pub fn begin(&mut self, connection: ConnectionKey, peer: Peer) -> u64 {
        self.attempts += 1;
        self.all.insert(connection, Guest { attempt: self.attempts, peer, seat: None });
        self.attempts
    }

    /// Returns the guest, unless it has made another attempt since.
    pub fn of_attempt(&mut self, connection: ConnectionKey, attempt: u64) -> Option<&mut Guest> {
        self.all.get_mut(&connection).filter(|guest| guest.attempt == attempt)
    }

    pub fn find(&mut self, connection: ConnectionKey) -> Option<&mut Guest> {
        self.all.get_mut(&connection)
    }

    /// Returns the state of an admitted guest.
    pub fn seat(&mut self, connection: ConnectionKey) -> Option<&mut Seat> {
        self.all.get_mut(&connection)?.seat.as_mut()
    }

    pub fn remove(&mut self, connection: ConnectionKey) -> Option<Guest> {
        self.all.remove(&connection)
    }

    /// Returns all admitted guests.
    pub fn seated(&self) -> impl Iterator<Item = (ConnectionKey, &Guest, &Seat)> {
        self.all.iter().filter_map(|(connection, guest)| Some((*connection, guest, guest.seat.as_ref()?)))
    }
}
