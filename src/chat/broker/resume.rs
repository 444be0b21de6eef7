//! Coming back: a client whose connection was lost goes on with its session, and is shown what it has missed.
use std::sync::Arc;

use log::{debug, info};

use super::Broker;
use crate::chat::ports::{
    Admission, Back, Broadcast, Coming, Connect, Event, LeftBehind, NotRecovered, Notice, Replay, ReplayKind,
};
use crate::chat::state::{AfterCommit, MissedEvent, Parked, Reached, RingKey, Session, Tokens};
use crate::engineio::{CloseReason, ConnectionKey};
use crate::model::{ChosenStatus, Message, NotificationId, Offset, PrivateId, SocketId, UserId};
use crate::store::Write;

/// The session that a client wants to come back to.
enum Found {
    Open(ConnectionKey),
    Parked,
}

impl Broker {
    /// Lets a client go on with its session, where that is there and nothing that it has missed is lost. Else the request is
    /// answered: its client has to come anew, and the session that it named is gone.
    pub(super) fn come_back(&mut self, connect: Connect) -> Option<(Connect, Coming)> {
        let Some(pid) = connect.back_to else { return Some((connect, Coming::New)) };
        let Some(found) = self.find_session(&connect, pid) else { return Some(self.comes_anew(connect, NotRecovered::Unknown)) };
        if let Found::Open(connection) = found {
            self.take_over(connection);
        }
        self.forget_old_parked();
        let (reached, missed) = match self.missed(&connect, pid) {
            Ok(missed) => missed,
            Err(reason) => {
                self.forget_parked(pid);
                return Some(self.comes_anew(connect, reason));
            }
        };
        if self.is_full(&connect) {
            return None;
        }
        let Some(parked) = self.unpark(pid) else { return Some(self.comes_anew(connect, NotRecovered::Unknown)) };
        self.readmit(connect, pid, parked, reached, missed);
        None
    }

    fn comes_anew(&mut self, connect: Connect, reason: NotRecovered) -> (Connect, Coming) {
        debug!(user:% = connect.claims.user, cause = reason.as_str(); "not recovered");
        self.observers.counters.note_not_recovered(reason);
        (connect, Coming::NotRecovered(reason))
    }

    /// The session with this private id, if it is this user's. A token past its time serves where the session's own is not.
    fn find_session(&mut self, connect: &Connect, pid: PrivateId) -> Option<Found> {
        let now = self.now();
        let user = self.users.get(&connect.claims.user)?;
        let is_sought = |connection: &&ConnectionKey| self.sessions.get(connection).is_some_and(|session| session.pid == pid);
        let open = user.sessions.iter().find(is_sought).copied();
        let tokens = match open {
            Some(connection) => self.sessions.get(&connection).map(|session| &session.tokens),
            None => self.sessions.detached(&pid).filter(|parked| parked.user == connect.claims.user).map(|parked| &parked.tokens),
        };
        let is_late = connect.claims.is_expired(now);
        tokens.filter(|tokens| !is_late || tokens.expires_at.is_none_or(|at| at > now))?;
        Some(open.map_or(Found::Parked, Found::Open))
    }

    /// A client is back before its old connection was noticed as lost: that one is.
    fn take_over(&mut self, connection: ConnectionKey) {
        self.await_last_word(connection);
        self.lose(connection, CloseReason::TransportClose, true, LeftBehind::Requests(Vec::new()));
        self.tell(connection, Notice::Close(CloseReason::ForcedClose));
    }

    /// How far the client of a parked session had come and what it has missed since; or why that cannot be shown.
    fn missed(&self, connect: &Connect, pid: PrivateId) -> Result<(Reached, Vec<Replay>), NotRecovered> {
        let parked = self.sessions.detached(&pid).ok_or(NotRecovered::Unknown)?;
        if parked.manner.asked != connect.manner.asked {
            return Err(NotRecovered::AskedOtherwise);
        }
        let told = connect.offset.and_then(|offset| self.replay.reached(offset, parked.manner.last_encoding));
        let reached = parked.reached.max(told).ok_or(NotRecovered::OffsetUnknown)?;
        let forgotten = parked.places.as_ref().map_or(0, |places| places.forgotten_absences);
        if forgotten > reached.serial {
            return Err(NotRecovered::Forgotten);
        }
        let mut missed: Vec<MissedEvent> = Vec::new();
        let last_encoding = parked.manner.last_encoding;
        let own = [RingKey::Everyone, RingKey::User(parked.user.clone()), RingKey::Socket(pid)];
        for key in own {
            if !self.replay.events().is_whole_since(&key, reached, last_encoding) {
                return Err(NotRecovered::Forgotten);
            }
            missed.extend(self.replay.events().missed(&key, reached, &parked.socket, &parked.user));
        }
        for room in self.users.rooms_of(&parked.user, parked.places.as_deref(), parked.is_in_common_chat) {
            let places = parked.places.as_deref();
            let key = RingKey::Room(room.clone());
            let needed = places.map_or(reached, |places| places.needed_since(&room, reached));
            if !self.replay.events().is_whole_since(&key, needed, last_encoding) {
                return Err(NotRecovered::Forgotten);
            }
            let of_room = self.replay.events().missed(&key, reached, &parked.socket, &parked.user);
            missed.extend(of_room.filter(|event| places.is_none_or(|places| !places.was_absent(&room, event.serial))));
        }
        missed.sort_by_key(|event| event.serial);
        missed.dedup_by_key(|event| event.serial);
        let bytes: usize = missed.iter().map(|event| event.event.weight()).sum();
        if missed.len() > self.options.replay_events || bytes > self.options.replay_bytes {
            return Err(NotRecovered::TooMuch);
        }
        let own_copies: Vec<u64> = self
            .replay
            .events()
            .missed(&RingKey::Socket(pid), reached, &parked.socket, &parked.user)
            .map(|event| event.serial)
            .collect();
        let replays = missed.into_iter().map(|MissedEvent { serial, event, had }| {
            let kind = match event.message().filter(|_| own_copies.contains(&serial)) {
                None => ReplayKind::Shared,
                Some(message) if self.is_being_stored(message, parked) => ReplayKind::Held,
                Some(_) => ReplayKind::Own,
            };
            Replay { event, had, kind }
        });
        Ok((reached, replays.collect()))
    }

    /// What was told of presence and typing since a session's client was here.
    fn states_since(&self, parked: &Parked, reached: Reached) -> Vec<Arc<Broadcast>> {
        let places = parked.places.as_deref();
        let rooms = self.users.rooms_of(&parked.user, places, parked.is_in_common_chat).into_iter().map(RingKey::Room);
        let keys = [RingKey::Everyone, RingKey::User(parked.user.clone())].into_iter().chain(rooms);
        let mut states: Vec<MissedEvent> = keys
            .flat_map(|key| self.replay.states().missed(&key, reached, &parked.socket, &parked.user).collect::<Vec<_>>())
            .collect();
        states.sort_by_key(|state| state.serial);
        states.into_iter().map(|state| state.event).collect()
    }

    /// Whether a parked session's copy of a message waits for the commit.
    fn is_being_stored(&self, message: &Message, parked: &Parked) -> bool {
        let requester = self.sends.get(&message.id).and_then(|in_flight| self.requester_of(&parked.user, &in_flight.reply_to));
        requester.is_some_and(|requester| requester.socket == parked.socket)
    }

    fn readmit(&mut self, connect: Connect, pid: PrivateId, parked: Parked, reached: Reached, missed: Vec<Replay>) {
        let Connect { connection, claims, peer, .. } = connect;
        let states = self.states_since(&parked, reached);
        let Parked { user: id, socket, words, manner, tokens, places, is_in_common_chat, reached: _, told_after, at: _ } = parked;
        let now = self.now();
        for room in self.users.rooms_of(&id, places.as_deref(), is_in_common_chat) {
            self.rooms.join_from_parked(room, connection);
        }
        let Some(user) = self.users.get_mut(&id) else { return };
        let (was_absent, was_announced, account) = (user.sessions.is_empty(), user.is_announced, user.account.clone());
        user.sessions.push(connection);
        user.offline_at = None;
        user.used_at = now;
        if was_absent && account.status != ChosenStatus::Offline {
            self.presence.unstored.came(&id);
        }
        if was_absent {
            self.forget_absent(&id);
            self.save_notifications_of(&id);
        }
        let tokens = tokens.and(Tokens::of(&claims), now);
        let admission = Admission {
            account,
            expires_at: tokens.expires_at,
            catch_up: false,
            socket,
            pid,
            seed: self.seed(&id, socket, self.replay.present()),
            serial: self.replay.event_seq(),
            back: Some(Back { manner, missed: missed.clone(), states }),
        };
        let session = Session {
            user: id.clone(),
            socket,
            pid,
            words,
            manner,
            tokens,
            reached: Some(reached),
            proven: reached.whole_serial(),
            told_after,
            left_out_up_to: 0,
            unproven: None,
            is_in_common_chat,
            queue: None,
            is_blocked: self.leftovers.put_behind(&id, connection),
            is_put_out: false,
            places,
            catch_up: None,
            unseen: None,
            peer,
            connected_at: now,
        };
        self.sessions.open(connection, session);
        self.tell_connected(connection);
        // Its offset is proof.
        self.note_progress_of(&id);
        self.observers.counters.recovered += 1;
        self.observers.traces.note(&id, |trace| trace.came = Some((now, socket, Coming::Recovered { missed: missed.len() })));
        self.tell(connection, Notice::Admitted(Box::new(admission)));
        info!(sid:% = socket, user:% = id, missed = missed.len(); "recovered");
        self.note_replayed(connection, &missed);
        if !was_announced {
            self.announce(&id, connection);
        }
        self.tell_presence(now);
    }

    /// What was missed is on its way to a socket now: it is among those that messages under way were handed to, and its user's
    /// notifications count as seen.
    fn note_replayed(&mut self, connection: ConnectionKey, missed: &[Replay]) {
        let Some((user, words)) = self.sessions.get(&connection).map(|session| (session.user.clone(), session.words)) else {
            return;
        };
        for message in missed.iter().filter_map(|replay| replay.event.message()).filter(|message| message.sender.id != user) {
            if let Some(in_flight) = self.sends.get_mut(&message.id) {
                in_flight.handed_sockets.push(connection);
            }
        }
        let seen: Vec<NotificationId> = missed
            .iter()
            .filter_map(
                |replay| if let Event::Notification(notification) = replay.event.event() { Some(notification.id) } else { None },
            )
            .collect();
        if !seen.is_empty() && words.notification && !words.unproven {
            let seen_at = self.now();
            // Refused only while the store is away: then they come once more.
            let _ = self.store(Write::NotificationsSeen { user, ids: Some(seen), seen_at }, AfterCommit::Nothing);
        }
    }

    /// The event that brings a client its first offset.
    pub(super) fn seed(&self, user: &UserId, socket: SocketId, offset: Offset) -> Arc<Broadcast> {
        Arc::new(Broadcast::new(Event::Connected { user: user.clone(), socket }).seeding(offset))
    }
}
