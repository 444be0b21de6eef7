//! How many sessions speak how.
use hashbrown::HashMap;

use super::Manner;
use super::broker::Broker;
use super::tables::Session;
use crate::engineio::ConnectionKey;

/// Open sessions by the way they speak: few ways, whatever the number of sessions.
#[derive(Debug, Default)]
pub struct Census(HashMap<Manner, usize>);

impl Census {
    fn add(&mut self, manner: Manner) {
        *self.0.entry(manner).or_default() += 1;
    }

    fn remove(&mut self, manner: Manner) {
        if let Some(count) = self.0.get_mut(&manner) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&manner);
            }
        }
    }

    /// Each way with how many sessions speak so.
    pub fn manners(&self) -> Vec<(Manner, usize)> {
        self.0.iter().map(|(manner, count)| (*manner, *count)).collect()
    }
}

impl Broker {
    /// A session is open on a connection from here on.
    pub(super) fn seat_session(&mut self, connection: ConnectionKey, session: Session) {
        self.census.add(session.manner);
        self.sessions.insert(connection, Box::new(session));
    }

    /// A connection has no session any more.
    pub(super) fn unseat_session(&mut self, connection: ConnectionKey) -> Option<Session> {
        let session = self.sessions.remove(&connection)?;
        self.census.remove(session.manner);
        Some(*session)
    }

    /// A session speaks in another way from here on.
    pub(super) fn change_manner(&mut self, connection: ConnectionKey, manner: Manner) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            self.census.remove(std::mem::replace(&mut session.manner, manner));
            self.census.add(manner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_left_is_not_counted() {
        let (one, other) = (Manner { asked: 1, ..Manner::default() }, Manner::default());
        let mut census = Census::default();
        [one, one, other].into_iter().for_each(|manner| census.add(manner));
        census.remove(one);
        census.remove(other);
        assert_eq!(census.manners(), [(one, 1)]);
    }
}
