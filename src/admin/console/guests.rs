//! Who is in the administrators' namespace.
use hashbrown::HashMap;

use crate::engineio::{ConnectionKey, Peer};
use crate::feed::Watcher;
use crate::model::{SocketId, Timestamp};

/// One connection's client.
#[derive(Debug)]
pub struct Guest {
    /// Which CONNECT this is: an answer to an earlier one of the same connection is no answer to this.
    pub attempt: u64,
    pub peer: Peer,
    /// Once it is in.
    pub seat: Option<Seat>,
}

/// Place of a guest who is in.
#[derive(Debug)]
pub struct Seat {
    pub socket: SocketId,
    pub since: Timestamp,
    pub watching: Watching,
}

/// How far a guest is with what happens. It is told the next only when the last has left: who is slow misses some.
#[derive(Debug, Default)]
pub enum Watching {
    /// It is shown figures only.
    #[default]
    No,
    /// All sockets are being asked for.
    Asking,
    /// It was told something that has not left yet.
    Telling(Watcher),
    /// Tells whether the next event is being waited for.
    Waiting,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Guests {
    all: HashMap<ConnectionKey, Guest>,
    attempts: u64,
}

impl Guests {
    /// One asks to be let in; the number of its attempt.
    pub fn begin(&mut self, connection: ConnectionKey, peer: Peer) -> u64 {
        self.attempts += 1;
        self.all.insert(connection, Guest { attempt: self.attempts, peer, seat: None });
        self.attempts
    }

    /// The guest, as long as this is its last attempt.
    pub fn of_attempt(&mut self, connection: ConnectionKey, attempt: u64) -> Option<&mut Guest> {
        self.all.get_mut(&connection).filter(|guest| guest.attempt == attempt)
    }

    pub fn find(&mut self, connection: ConnectionKey) -> Option<&mut Guest> {
        self.all.get_mut(&connection)
    }

    /// Place of a guest who is in.
    pub fn seat(&mut self, connection: ConnectionKey) -> Option<&mut Seat> {
        self.all.get_mut(&connection)?.seat.as_mut()
    }

    pub fn remove(&mut self, connection: ConnectionKey) -> Option<Guest> {
        self.all.remove(&connection)
    }

    /// Guests who are in.
    pub fn seated(&self) -> impl Iterator<Item = (ConnectionKey, &Guest, &Seat)> {
        self.all.iter().filter_map(|(connection, guest)| Some((*connection, guest, guest.seat.as_ref()?)))
    }
}
