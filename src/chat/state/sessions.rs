//! Sockets that are in.
use std::collections::VecDeque;

use super::catch_up::{CatchUp, Unseen};
use super::census::Census;
use super::delivery::UnconfirmedPages;
use super::detached::{DetachedSession, DetachedSessions};
use super::offsets::ReplayCursor;
use super::requests::Running;
use super::subscriptions::Subscriptions;
use super::tokens::Tokens;
use crate::chat::ports::{Capabilities, ClientDialects, Connect};
use crate::engineio::{ConnectionKey, Peer};
use crate::hash::HashMap;
use crate::model::{ConversationId, PrivateId, SocketId, Timestamp, UserId, digest};

/// Identifies a session's client as it is stored with what it sends.
pub(crate) fn sent_by(pid: &PrivateId) -> [u8; 32] {
    digest([pid.client()])
}

/// Sockets that are in, that want in, and that were lost a short while ago. A session is open or detached, never both.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: HashMap<ConnectionKey, Box<Session>>,
    connecting: HashMap<ConnectionKey, Connect>,
    detached: DetachedSessions,
    /// Counts the open ones by how they speak.
    census: Census,
}

impl Sessions {
    // ---- those that want in ----

    /// A client waits to be admitted.
    pub(crate) fn begin_connect(&mut self, connection: ConnectionKey, connect: Connect) {
        self.connecting.insert(connection, connect);
    }

    /// Takes out a client that waited to be admitted.
    pub(crate) fn end_connect(&mut self, connection: &ConnectionKey) -> Option<Connect> {
        self.connecting.remove(connection)
    }

    /// Returns how a client is connected that is in, or wants in.
    pub(crate) fn peer_mut(&mut self, connection: &ConnectionKey) -> Option<&mut Peer> {
        let open = self.open.get_mut(connection).map(|session| &mut session.peer);
        open.or_else(|| self.connecting.get_mut(connection).map(|connect| &mut connect.peer))
    }

    // ---- open ones ----

    /// A session is open on a connection from here on; it must not be detached.
    pub(crate) fn open(&mut self, connection: ConnectionKey, session: Session) {
        debug_assert!(self.detached.find(&session.pid).is_none(), "a session is open or detached, never both");
        self.census.add(session.client_dialects);
        if let Some(before) = self.open.insert(connection, Box::new(session)) {
            self.census.remove(before.client_dialects);
        }
    }

    /// A connection has no session any more.
    pub(crate) fn close(&mut self, connection: &ConnectionKey) -> Option<Session> {
        let session = self.open.remove(connection)?;
        self.census.remove(session.client_dialects);
        Some(*session)
    }

    /// Returns the session of a connection.
    pub(crate) fn get(&self, connection: &ConnectionKey) -> Option<&Session> {
        self.open.get(connection).map(|session| &**session)
    }

    /// [`Sessions::get`], to change it; but for the way in which it speaks.
    pub(crate) fn get_mut(&mut self, connection: &ConnectionKey) -> Option<&mut Session> {
        self.open.get_mut(connection).map(|session| &mut **session)
    }

    /// Returns whether a connection has a session.
    pub(crate) fn contains(&self, connection: &ConnectionKey) -> bool {
        self.open.contains_key(connection)
    }

    /// Returns all open sessions, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ConnectionKey, &Session)> {
        self.open.iter().map(|(connection, session)| (connection, &**session))
    }

    /// Number of open sessions.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// A session speaks in another way from here on.
    pub(crate) fn change_client_dialects(&mut self, connection: &ConnectionKey, client_dialects: ClientDialects) {
        if let Some(session) = self.open.get_mut(connection) {
            self.census.remove(std::mem::replace(&mut session.client_dialects, client_dialects));
            self.census.add(client_dialects);
        }
    }

    /// Returns each way of speaking with how many open sessions speak so.
    pub(crate) fn client_dialect_counts(&self) -> Vec<(ClientDialects, usize)> {
        self.census.client_dialect_counts()
    }

    // ---- detached ones ----

    /// Keeps a session that has lost its connection, which is closed.
    pub(crate) fn detach(&mut self, pid: PrivateId, session: DetachedSession) {
        self.detached.insert(pid, session);
    }

    /// Takes out a detached session: its client has come back, or it is forgotten.
    pub(crate) fn reattach(&mut self, pid: &PrivateId) -> Option<DetachedSession> {
        self.detached.remove(pid)
    }

    /// Returns a detached session.
    pub(crate) fn detached(&self, pid: &PrivateId) -> Option<&DetachedSession> {
        self.detached.find(pid)
    }

    /// [`Sessions::detached`], to change it.
    pub(crate) fn detached_mut(&mut self, pid: &PrivateId) -> Option<&mut DetachedSession> {
        self.detached.find_mut(pid)
    }

    /// Returns the private id of the detached session with this public one.
    pub(crate) fn detached_socket(&self, socket: &SocketId) -> Option<PrivateId> {
        self.detached.find_socket(socket)
    }

    /// Returns the sockets of all detached sessions, and whose they are.
    pub(crate) fn detached_sockets(&self) -> impl Iterator<Item = (SocketId, &UserId)> {
        self.detached.sockets()
    }

    /// Number of detached sessions.
    pub(crate) fn detached_len(&self) -> usize {
        self.detached.len()
    }

    /// Returns the session that was detached first, where that was before then, or where there are more than `max`.
    pub(crate) fn oldest_detached(&mut self, before: Timestamp, max: usize) -> Option<PrivateId> {
        self.detached.oldest(before, max)
    }
}

/// An admitted socket.
#[derive(Debug)]
pub(crate) struct Session {
    pub user: UserId,
    pub socket: SocketId,
    pub pid: PrivateId,
    pub capabilities: Capabilities,
    pub client_dialects: ClientDialects,
    pub tokens: Tokens,
    pub progress: EventProgress,
    pub is_in_common_chat: bool,
    /// Requests that wait for the first of them, in order.
    #[expect(clippy::box_collection, reason = "most sockets have none, and there are many sockets")]
    pub request_queue: Option<Box<VecDeque<Running>>>,
    /// Set while the first request of the queue's owner waits for the store, or for what the user's sockets left behind.
    pub is_blocked: bool,
    /// Set once its client is being kicked: nothing more of it is carried out.
    pub is_kicked: bool,
    pub catch_up: Option<Box<CatchUp>>,
    /// Notifications that are to be shown behind the catch-up.
    pub unseen: Option<Box<Unseen>>,
    pub subscriptions: Option<Box<Subscriptions>>,
    pub peer: Peer,
    pub connected_at: Timestamp,
}

/// Events that a socket was sent, and those that have arrived.
#[derive(Debug, Default)]
pub(crate) struct EventProgress {
    /// Position of its client in the events, as far as that is known; `None`, while a catch-up began it: only the client
    /// knows.
    pub reached: Option<ReplayCursor>,
    /// Number of the last event up to which all that it was sent is known to have arrived.
    pub confirmed: u64,
    /// Events after this one it was sent live, or replayed.
    pub receives_after: u64,
    /// Of the events up to this one messages may have been left out, which the catch-up brings once they are stored; 0: of none.
    pub left_out_up_to: u64,
    /// Pages of the catch-up that may not have arrived yet.
    pub unconfirmed: Option<Box<UnconfirmedPages>>,
}

impl Session {
    /// Events after this one it was sent, whether they are stored in the end or not.
    pub(crate) fn surely_receives_after(&self) -> u64 {
        self.progress.receives_after.max(self.progress.left_out_up_to)
    }

    /// Since which event it hears nothing of a conversation, if it has muted that.
    pub(crate) fn muted_since(&self, conversation: ConversationId) -> Option<u64> {
        self.subscriptions.as_ref()?.muted.get(&conversation).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{connection, detached, pid, session};
    use super::*;

    #[test]
    fn a_session_fills_an_allocation_and_no_more() {
        // The allocator's next size is 320 bytes.
        assert!(size_of::<Session>() <= 256, "{}", size_of::<Session>());
    }

    #[test]
    fn a_session_is_open_or_detached_never_both() {
        let mut sessions = Sessions::default();
        let (ann, one) = (pid(1), connection(1));
        sessions.open(one, session("ann", ann));
        sessions.detach(ann, detached("ann", 0));
        sessions.close(&one);
        assert!(sessions.reattach(&ann).is_some() && sessions.detached(&ann).is_none() && !sessions.contains(&one));
        sessions.open(connection(2), session("ann", ann));
        assert_eq!((sessions.len(), sessions.detached_len()), (1, 0));
    }

    #[test]
    #[should_panic(expected = "open or detached")]
    fn what_is_detached_is_not_opened() {
        let mut sessions = Sessions::default();
        let ann = pid(1);
        sessions.detach(ann, detached("ann", 0));
        sessions.open(connection(1), session("ann", ann));
    }

    #[test]
    fn ways_of_speaking_are_those_of_the_open_ones() {
        let mut sessions = Sessions::default();
        let other = ClientDialects { asked: 1, ..ClientDialects::default() };
        for number in 1..=3 {
            sessions.open(connection(number), session("ann", pid(number)));
        }
        sessions.change_client_dialects(&connection(1), other);
        sessions.close(&connection(2));
        sessions.open(connection(3), session("bob", pid(9)));
        let mut client_dialect_counts = sessions.client_dialect_counts();
        client_dialect_counts.sort_by_key(|(client_dialects, _)| client_dialects.asked);
        assert_eq!(client_dialect_counts, [(ClientDialects::default(), 1), (other, 1)]);
    }
}
