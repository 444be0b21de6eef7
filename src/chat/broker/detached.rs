//! Sessions without a connection, and rooms with and without them.
use log::debug;

use super::Broker;
use crate::chat::ports::RoomKey;
use crate::chat::state::{
    DetachedSession, EventProgress, ReplayCursor, ReplyTo, Requester, RingKey, Session, Subscriptions, was_notified,
};
use crate::engineio::ConnectionKey;
use crate::model::{Place, PrivateId, SocketId, Timestamp, UserId};

impl Broker {
    /// Keeps a session whose connection is gone; its rooms stay, without it in them.
    pub(super) fn detach(&mut self, connection: ConnectionKey, session: Session) {
        let receives_after = session.surely_receives_after();
        let Session {
            user,
            socket,
            pid,
            capabilities,
            client_dialects,
            tokens,
            subscriptions,
            is_in_common_chat,
            progress: EventProgress { reached, confirmed, .. },
            ..
        } = session;
        let detached = DetachedSession {
            user,
            socket,
            capabilities,
            client_dialects,
            tokens,
            subscriptions,
            is_in_common_chat,
            reached: reached.max((confirmed > 0).then(|| ReplayCursor::all_of(confirmed))),
            receives_after,
            at: self.now(),
        };
        for room in self.users.rooms_of(&detached.user, detached.subscriptions.as_deref(), detached.is_in_common_chat) {
            self.rooms.detach(room, connection);
        }
        let Some(user) = self.users.get_mut(&detached.user) else { return };
        user.detached.push(pid);
        let surplus = match self.options.max_sockets_per_user {
            0 => None,
            most => (user.detached.len() > most).then(|| user.detached.first().copied()).flatten(),
        };
        self.sessions.detach(pid, detached);
        if let Some(oldest) = surplus {
            self.forget_detached(oldest);
        }
        self.forget_old_detached();
    }

    /// Sessions that were detached for too long, and those beyond the bound.
    pub(super) fn forget_old_detached(&mut self) {
        let ttl = i64::try_from(self.options.recovery_ttl.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.now().as_millis().saturating_sub(ttl));
        while let Some(oldest) = self.sessions.oldest_detached(before, self.options.parked_max) {
            self.forget_detached(oldest);
        }
    }

    /// A detached session can no longer be come back to.
    pub(super) fn forget_detached(&mut self, pid: PrivateId) {
        let Some(detached) = self.reattach(pid) else { return };
        debug!(sid:% = detached.socket, user:% = detached.user; "detached session forgotten");
        for room in self.users.rooms_of(&detached.user, detached.subscriptions.as_deref(), detached.is_in_common_chat) {
            self.leave_detached(&room);
        }
        self.replay.forget(&RingKey::Socket(pid));
        self.forget_ring_of(&detached.user);
    }

    /// Takes a session out of the detached ones. Its rooms still count it.
    pub(super) fn reattach(&mut self, pid: PrivateId) -> Option<DetachedSession> {
        let detached = self.sessions.reattach(&pid)?;
        if let Some(user) = self.users.get_mut(&detached.user) {
            user.detached.retain(|other| *other != pid);
        }
        Some(detached)
    }

    /// Detached sessions of a user that came in by revoked tokens are gone.
    pub(super) fn kick_detached(&mut self, user: &UserId, is_revoked: impl Fn(&str) -> bool) {
        let detached = self.users.get(user).map(|user| user.detached.clone()).unwrap_or_default();
        for pid in detached {
            if self.sessions.detached(&pid).is_some_and(|detached| detached.tokens.keys.iter().any(|key| is_revoked(key))) {
                self.forget_detached(pid);
            }
        }
    }

    /// A user's sessions that are this one's client's.
    pub(super) fn sessions_of_client(
        &self,
        user: &UserId,
        pid: PrivateId,
    ) -> impl Iterator<Item = (Option<ConnectionKey>, SocketId)> {
        self.sessions_where(user, move |other, _, _| other.client() == pid.client())
    }

    /// A user's sessions that were sent an event of a place, or have it coming.
    pub(super) fn sessions_notified(
        &self,
        user: &UserId,
        place: &Place,
        event_seq: u64,
    ) -> impl Iterator<Item = (Option<ConnectionKey>, SocketId)> {
        let room = RoomKey::of(place);
        self.sessions_where(user, move |_, receives_after, subscriptions| {
            was_notified(receives_after, subscriptions, &room, event_seq)
        })
    }

    /// A user's sessions, open (with their connections) and detached, by what they have in common: private id, the event after
    /// which they were sent all, where they were.
    fn sessions_where(
        &self,
        user: &UserId,
        is_one: impl Fn(&PrivateId, u64, Option<&Subscriptions>) -> bool + Clone,
    ) -> impl Iterator<Item = (Option<ConnectionKey>, SocketId)> {
        let user = self.users.get(user);
        let (open, detached) = user.map_or((&[][..], &[][..]), |user| (&user.sessions[..], &user.detached[..]));
        let is_open_one = is_one.clone();
        let open = open.iter().filter_map(move |connection| {
            let session = self.sessions.get(connection)?;
            is_open_one(&session.pid, session.surely_receives_after(), session.subscriptions.as_deref())
                .then_some((Some(*connection), session.socket))
        });
        let detached = detached.iter().filter_map(move |pid| {
            let detached = self.sessions.detached(pid)?;
            is_one(pid, detached.receives_after, detached.subscriptions.as_deref()).then_some((None, detached.socket))
        });
        open.chain(detached)
    }

    /// Returns the present place of the socket that asked: it may have come back on another connection, or be detached.
    pub(super) fn requester_of(&self, user: &UserId, reply_to: &ReplyTo) -> Option<Requester> {
        let (connection, socket) = (reply_to.connection(), &reply_to.socket()?);
        let found = |connection: &ConnectionKey| {
            let session = self.sessions.get(connection).filter(|session| session.socket == *socket)?;
            Some(Requester { connection: Some(*connection), socket: *socket, pid: session.pid })
        };
        let user = self.users.get(user)?;
        connection.as_ref().and_then(found).or_else(|| user.sessions.iter().find_map(found)).or_else(|| {
            let pid = user
                .detached
                .iter()
                .find(|pid| self.sessions.detached(pid).is_some_and(|detached| detached.socket == *socket))?;
            Some(Requester { connection: None, socket: *socket, pid: *pid })
        })
    }
}
