//! The clients in the administrators' namespace.
use hashbrown::HashMap;

use crate::engineio::{ConnectionKey, Peer};
use crate::feed::Watcher;
use crate::model::{SocketId, Timestamp};

/// The client of one connection.
#[derive(Debug)]
pub(super) struct AdminSession {
    /// Number of its last CONNECT: answers to earlier ones of the same connection are ignored.
    pub attempt: u64,
    pub peer: Peer,
    /// Its admission, once it has joined.
    pub admitted: Option<Admitted>,
}

/// State of an admitted guest.
#[derive(Debug)]
pub(super) struct Admitted {
    pub socket: SocketId,
    pub since: Timestamp,
    pub watching: Watching,
}

/// Progress of an administrator in the event stream. The next events are sent only once the last ones have left the outbox, so a
/// slow guest misses some.
#[derive(Debug, Default)]
pub(super) enum Watching {
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

/// All administrators.
#[derive(Debug, Default)]
pub(super) struct AdminSessions {
    all: HashMap<ConnectionKey, AdminSession>,
    attempts: u64,
}

impl AdminSessions {
    /// Records a CONNECT; returns the number of the attempt.
    pub(super) fn begin(&mut self, connection: ConnectionKey, peer: Peer) -> u64 {
        self.attempts += 1;
        self.all.insert(connection, AdminSession { attempt: self.attempts, peer, admitted: None });
        self.attempts
    }

    /// Returns the administrator, unless it has made another attempt since.
    pub(super) fn of_attempt(&mut self, connection: ConnectionKey, attempt: u64) -> Option<&mut AdminSession> {
        self.all.get_mut(&connection).filter(|admin_session| admin_session.attempt == attempt)
    }

    pub(super) fn find(&mut self, connection: ConnectionKey) -> Option<&mut AdminSession> {
        self.all.get_mut(&connection)
    }

    /// Returns the state of an admitted guest.
    pub(super) fn admitted(&mut self, connection: ConnectionKey) -> Option<&mut Admitted> {
        self.all.get_mut(&connection)?.admitted.as_mut()
    }

    pub(super) fn remove(&mut self, connection: ConnectionKey) -> Option<AdminSession> {
        self.all.remove(&connection)
    }

    /// Returns all admitted administrators.
    pub(super) fn all_admitted(&self) -> impl Iterator<Item = (ConnectionKey, &AdminSession, &Admitted)> {
        self.all
            .iter()
            .filter_map(|(connection, admin_session)| Some((*connection, admin_session, admin_session.admitted.as_ref()?)))
    }
}
