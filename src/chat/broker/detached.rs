//! Sessions that lose their connection, and rooms with and without them.
use log::debug;

use super::Broker;
use crate::chat::ports::RoomKey;
use crate::chat::state::{Parked, Places, Reached, ReplyTo, Requester, RingKey, Session, was_told};
use crate::engineio::ConnectionKey;
use crate::model::{Place, PrivateId, SocketId, Timestamp, UserId};

impl Broker {
    /// Keeps a session whose connection is gone; its rooms stay, without it in them.
    pub(super) fn park(&mut self, connection: ConnectionKey, session: Session) {
        let told_after = session.surely_told_after();
        let Session { user, socket, pid, words, manner, tokens, places, is_in_common_chat, reached, proven, .. } = session;
        let parked = Parked {
            user,
            socket,
            words,
            manner,
            tokens,
            places,
            is_in_common_chat,
            reached: reached.max((proven > 0).then(|| Reached::all_of(proven))),
            told_after,
            at: self.now(),
        };
        for room in self.users.rooms_of(&parked.user, parked.places.as_deref(), parked.is_in_common_chat) {
            self.rooms.park(room, connection);
        }
        let Some(user) = self.users.get_mut(&parked.user) else { return };
        user.parked.push(pid);
        let surplus = match self.options.max_sockets_per_user {
            0 => None,
            most => (user.parked.len() > most).then(|| user.parked.first().copied()).flatten(),
        };
        self.sessions.detach(pid, parked);
        if let Some(oldest) = surplus {
            self.forget_parked(oldest);
        }
        self.forget_old_parked();
    }

    /// Sessions that were parked for too long, and those beyond the bound.
    pub(super) fn forget_old_parked(&mut self) {
        let ttl = i64::try_from(self.options.recovery_ttl.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.now().as_millis().saturating_sub(ttl));
        while let Some(oldest) = self.sessions.oldest_detached(before, self.options.parked_max) {
            self.forget_parked(oldest);
        }
    }

    /// A parked session can no longer be come back to.
    pub(super) fn forget_parked(&mut self, pid: PrivateId) {
        let Some(parked) = self.unpark(pid) else { return };
        debug!(sid:% = parked.socket, user:% = parked.user; "parked session forgotten");
        for room in self.users.rooms_of(&parked.user, parked.places.as_deref(), parked.is_in_common_chat) {
            self.leave_parked(&room);
        }
        self.replay.forget(&RingKey::Socket(pid));
        self.forget_ring_of(&parked.user);
    }

    /// Takes a session out of the parked ones. Its rooms still count it.
    pub(super) fn unpark(&mut self, pid: PrivateId) -> Option<Parked> {
        let parked = self.sessions.reattach(&pid)?;
        if let Some(user) = self.users.get_mut(&parked.user) {
            user.parked.retain(|other| *other != pid);
        }
        Some(parked)
    }

    /// Parked sessions of a user that came in by revoked tokens are gone.
    pub(super) fn put_out_parked(&mut self, user: &UserId, is_revoked: impl Fn(&str) -> bool) {
        let parked = self.users.get(user).map(|user| user.parked.clone()).unwrap_or_default();
        for pid in parked {
            if self.sessions.detached(&pid).is_some_and(|parked| parked.tokens.keys.iter().any(|key| is_revoked(key))) {
                self.forget_parked(pid);
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

    /// A user's sessions that were told an event of a place, or have it coming.
    pub(super) fn sessions_told(
        &self,
        user: &UserId,
        place: &Place,
        serial: u64,
    ) -> impl Iterator<Item = (Option<ConnectionKey>, SocketId)> {
        let room = RoomKey::of(place);
        self.sessions_where(user, move |_, told_after, places| was_told(told_after, places, &room, serial))
    }

    /// A user's sessions, open (with their connections) and parked, by what they have in common: private id, the event after
    /// which they were told all, where they were.
    fn sessions_where(
        &self,
        user: &UserId,
        is_one: impl Fn(&PrivateId, u64, Option<&Places>) -> bool + Clone,
    ) -> impl Iterator<Item = (Option<ConnectionKey>, SocketId)> {
        let user = self.users.get(user);
        let (open, parked) = user.map_or((&[][..], &[][..]), |user| (&user.sessions[..], &user.parked[..]));
        let is_open_one = is_one.clone();
        let open = open.iter().filter_map(move |connection| {
            let session = self.sessions.get(connection)?;
            is_open_one(&session.pid, session.surely_told_after(), session.places.as_deref())
                .then_some((Some(*connection), session.socket))
        });
        let parked = parked.iter().filter_map(move |pid| {
            let parked = self.sessions.detached(pid)?;
            is_one(pid, parked.told_after, parked.places.as_deref()).then_some((None, parked.socket))
        });
        open.chain(parked)
    }

    /// Where the socket is now that asked: it may have come back on another connection, or be parked.
    pub(super) fn requester_of(&self, user: &UserId, reply_to: &ReplyTo) -> Option<Requester> {
        let (connection, socket) = (reply_to.connection(), &reply_to.socket()?);
        let found = |connection: &ConnectionKey| {
            let session = self.sessions.get(connection).filter(|session| session.socket == *socket)?;
            Some(Requester { connection: Some(*connection), socket: *socket, pid: session.pid })
        };
        let user = self.users.get(user)?;
        connection.as_ref().and_then(found).or_else(|| user.sessions.iter().find_map(found)).or_else(|| {
            let pid =
                user.parked.iter().find(|pid| self.sessions.detached(pid).is_some_and(|parked| parked.socket == *socket))?;
            Some(Requester { connection: None, socket: *socket, pid: *pid })
        })
    }
}
