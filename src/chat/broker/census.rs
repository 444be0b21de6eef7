//! Counting sessions by how they speak.
use super::Broker;
use crate::chat::ports::Manner;
use crate::chat::state::Session;
use crate::engineio::ConnectionKey;

impl Broker {
    /// A session is open on a connection from here on.
    pub(super) fn seat_session(&mut self, connection: ConnectionKey, session: Session) {
        self.sessions.census.add(session.manner);
        self.sessions.open.insert(connection, Box::new(session));
    }

    /// A connection has no session any more.
    pub(super) fn unseat_session(&mut self, connection: ConnectionKey) -> Option<Session> {
        let session = self.sessions.open.remove(&connection)?;
        self.sessions.census.remove(session.manner);
        Some(*session)
    }

    /// A session speaks in another way from here on.
    pub(super) fn change_manner(&mut self, connection: ConnectionKey, manner: Manner) {
        if let Some(session) = self.sessions.open.get_mut(&connection) {
            self.sessions.census.remove(std::mem::replace(&mut session.manner, manner));
            self.sessions.census.add(manner);
        }
    }
}
