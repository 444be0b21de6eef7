//! Sessions that lose their connection, and rooms with and without them.
use log::debug;
use smallvec::SmallVec;

use super::Broker;
use crate::chat::ports::RoomKey;
use crate::chat::state::{Asker, AskingSocket, Parked, Places, Reached, RingKey, Session, was_told};
use crate::engineio::ConnectionKey;
use crate::model::{ConversationId, ConversationKind, Place, PrivateId, SocketId, Timestamp, UserId};

impl Broker {
    // ---- parking ----

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
        for room in self.rooms_of(&parked.user, parked.places.as_deref(), parked.is_in_common_chat) {
            self.rooms.park(room, connection);
        }
        let Some(user) = self.users.at_hand.get_mut(&parked.user) else { return };
        user.parked.push(pid);
        let surplus = match self.options.max_sockets_per_user {
            0 => None,
            most => (user.parked.len() > most).then(|| user.parked.first().copied()).flatten(),
        };
        self.sessions.detached.insert(pid, parked);
        if let Some(oldest) = surplus {
            self.forget_parked(oldest);
        }
        self.forget_old_parked();
    }

    /// Sessions that were parked for too long, and those beyond the bound.
    pub(super) fn forget_old_parked(&mut self) {
        let ttl = i64::try_from(self.options.recovery_ttl.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.now().as_millis().saturating_sub(ttl));
        while let Some(oldest) = self.sessions.detached.oldest(before, self.options.parked_max) {
            self.forget_parked(oldest);
        }
    }

    /// A parked session can no longer be come back to.
    pub(super) fn forget_parked(&mut self, pid: PrivateId) {
        let Some(parked) = self.unpark(pid) else { return };
        debug!(sid:% = parked.socket, user:% = parked.user; "parked session forgotten");
        for room in self.rooms_of(&parked.user, parked.places.as_deref(), parked.is_in_common_chat) {
            self.leave_parked(&room);
        }
        self.replay.forget(&RingKey::Socket(pid));
        self.forget_ring_of(&parked.user);
    }

    /// Takes a session out of the parked ones. Its rooms still count it.
    pub(super) fn unpark(&mut self, pid: PrivateId) -> Option<Parked> {
        let parked = self.sessions.detached.remove(&pid)?;
        if let Some(user) = self.users.at_hand.get_mut(&parked.user) {
            user.parked.retain(|other| *other != pid);
        }
        Some(parked)
    }

    /// The rooms in which a session with these places is.
    pub(super) fn rooms_of(&self, user: &UserId, places: Option<&Places>, is_in_common_chat: bool) -> SmallVec<[RoomKey; 8]> {
        let memberships = self.users.at_hand.get(user).map_or(&[][..], |user| &user.memberships);
        let is_muted = |id: &ConversationId| places.is_some_and(|places| places.muted.contains_key(id));
        let groups = memberships
            .iter()
            .filter(|membership| membership.kind == ConversationKind::Group && !is_muted(&membership.conversation))
            .map(|membership| RoomKey::Group(membership.conversation));
        let public = places.into_iter().flat_map(|places| &places.rooms).map(|room| RoomKey::Public(room.clone()));
        groups.chain(public).chain(is_in_common_chat.then_some(RoomKey::CommonChat)).collect()
    }

    // ---- leaving rooms ----

    /// A socket is in a room from here on. It must not be there yet.
    pub(super) fn join_one(&mut self, room: RoomKey, connection: ConnectionKey) {
        self.tell_joined(connection, &room);
        self.rooms.join(room, connection);
    }

    /// A connection is no longer in a room.
    pub(super) fn leave_one(&mut self, room: &RoomKey, connection: ConnectionKey) {
        if self.rooms.leave(room, connection) {
            self.tell_left(connection, room);
        }
        self.forget_ring_of_empty(room);
    }

    /// A parked session is no longer in a room.
    pub(super) fn leave_parked(&mut self, room: &RoomKey) {
        self.rooms.leave_parked(room);
        self.forget_ring_of_empty(room);
    }

    fn forget_ring_of_empty(&mut self, room: &RoomKey) {
        if self.rooms.find(room).is_none() {
            self.replay.forget(&RingKey::Room(room.clone()));
        }
    }

    /// Drops a user's ring where nobody can want it.
    pub(super) fn forget_ring_of(&mut self, user: &UserId) {
        if self.users.at_hand.get(user).is_none_or(|user| !user.has_sessions()) {
            self.replay.forget(&RingKey::User(user.clone()));
        }
    }

    // ---- membership, of open and parked sessions alike ----

    /// The sessions of a new member are in the group from here on.
    pub(super) fn enter_group(&mut self, id: ConversationId, member: &UserId) {
        let Some(user) = self.users.at_hand.get(member) else { return };
        let (open, parked) = (user.sessions.clone(), user.parked.clone());
        let serial = self.replay.event_seq();
        for connection in open {
            self.join_one(RoomKey::Group(id), connection);
            if let Some(session) = self.sessions.open.get_mut(&connection) {
                session.places.get_or_insert_default().note_absence(RoomKey::Group(id), 0, serial);
            }
        }
        for pid in parked {
            self.rooms.join_parked(RoomKey::Group(id));
            if let Some(parked) = self.sessions.detached.find_mut(&pid) {
                parked.places.get_or_insert_default().note_absence(RoomKey::Group(id), 0, serial);
            }
        }
    }

    /// The parked sessions of one who is no member any more are not in the group.
    pub(super) fn part_parked(&mut self, id: ConversationId, member: &UserId) {
        let parked = self.users.at_hand.get(member).map(|user| user.parked.clone()).unwrap_or_default();
        for pid in parked {
            let Some(parked) = self.sessions.detached.find_mut(&pid) else { continue };
            let was_muted = parked.places.as_mut().is_some_and(|places| places.forget(id));
            if !was_muted {
                self.leave_parked(&RoomKey::Group(id));
            }
        }
    }

    /// Parked sessions of a user that came in by revoked tokens are gone.
    pub(super) fn put_out_parked(&mut self, user: &UserId, is_revoked: impl Fn(&str) -> bool) {
        let parked = self.users.at_hand.get(user).map(|user| user.parked.clone()).unwrap_or_default();
        for pid in parked {
            if self.sessions.detached.find(&pid).is_some_and(|parked| parked.tokens.keys.iter().any(|key| is_revoked(key))) {
                self.forget_parked(pid);
            }
        }
    }

    // ---- who asked ----

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
        let user = self.users.at_hand.get(user);
        let (open, parked) = user.map_or((&[][..], &[][..]), |user| (&user.sessions[..], &user.parked[..]));
        let is_open_one = is_one.clone();
        let open = open.iter().filter_map(move |connection| {
            let session = self.sessions.open.get(connection)?;
            is_open_one(&session.pid, session.surely_told_after(), session.places.as_deref())
                .then_some((Some(*connection), session.socket))
        });
        let parked = parked.iter().filter_map(move |pid| {
            let parked = self.sessions.detached.find(pid)?;
            is_one(pid, parked.told_after, parked.places.as_deref()).then_some((None, parked.socket))
        });
        open.chain(parked)
    }

    /// Where the socket is now that asked: it may have come back on another connection, or be parked.
    pub(super) fn asking_socket(&self, user: &UserId, asker: &Asker) -> Option<AskingSocket> {
        let (connection, socket) = (asker.connection(), &asker.socket()?);
        let found = |connection: &ConnectionKey| {
            let session = self.sessions.open.get(connection).filter(|session| session.socket == *socket)?;
            Some(AskingSocket { connection: Some(*connection), socket: *socket, pid: session.pid })
        };
        let user = self.users.at_hand.get(user)?;
        connection.as_ref().and_then(found).or_else(|| user.sessions.iter().find_map(found)).or_else(|| {
            let pid =
                user.parked.iter().find(|pid| self.sessions.detached.find(pid).is_some_and(|parked| parked.socket == *socket))?;
            Some(AskingSocket { connection: None, socket: *socket, pid: *pid })
        })
    }
}
