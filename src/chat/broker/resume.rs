//! Coming back: a client whose connection was lost goes on with its session, and is shown what it has missed.
use std::sync::Arc;

use log::{debug, info};

use super::Broker;
use crate::chat::ports::{
    Admission, Broadcast, Connect, ConnectKind, Event, GuestPass, LeftBehind, NotRecovered, Notice, Replay, ReplayKind,
    ResumeData,
};
use crate::chat::state::{AfterCommit, DetachedSession, EventProgress, MissedEvent, ReplayCursor, RingKey, Session, Tokens};
use crate::engineio::{CloseReason, ConnectionKey};
use crate::model::{ChosenStatus, Message, NotificationId, Offset, PrivateId, SocketId, UserId};
use crate::store::Write;

/// The session that a client wants to come back to.
enum Found {
    Open(ConnectionKey),
    Detached,
}

impl Broker {
    /// Lets a client go on with its session, where that is there and nothing that it has missed is lost. Else the request is
    /// answered: its client has to come anew, and the session that it named is gone.
    pub(super) fn resume_session(&mut self, connect: Connect) -> Option<(Connect, ConnectKind)> {
        let Some(pid) = connect.back_to else { return Some((connect, ConnectKind::New)) };
        let Some(found) = self.find_session(&connect, pid) else {
            return Some(self.resume_failed(connect, NotRecovered::Unknown));
        };
        if let Found::Open(connection) = found {
            self.take_over(connection);
        }
        self.forget_old_detached();
        let (reached, missed) = match self.missed(&connect, pid) {
            Ok(missed) => missed,
            Err(reason) => {
                self.forget_detached(pid);
                return Some(self.resume_failed(connect, reason));
            }
        };
        if self.is_full(&connect) {
            return None;
        }
        let Some(detached) = self.reattach(pid) else { return Some(self.resume_failed(connect, NotRecovered::Unknown)) };
        self.readmit(connect, pid, detached, reached, missed);
        None
    }

    fn resume_failed(&mut self, connect: Connect, reason: NotRecovered) -> (Connect, ConnectKind) {
        debug!(user:% = connect.claims.user, cause = reason.as_str(); "not recovered");
        self.observers.counters.note_not_recovered(reason);
        (connect, ConnectKind::ResumeFailed(reason))
    }

    /// The session with this private id, if it is this user's. A token past its time serves where the session's own is not.
    fn find_session(&mut self, connect: &Connect, pid: PrivateId) -> Option<Found> {
        let now = self.now();
        let user = self.users.get(&connect.claims.user)?;
        let is_sought = |connection: &&ConnectionKey| self.sessions.get(connection).is_some_and(|session| session.pid == pid);
        let open = user.sessions.iter().find(is_sought).copied();
        let tokens = match open {
            Some(connection) => self.sessions.get(&connection).map(|session| &session.tokens),
            None => self
                .sessions
                .detached(&pid)
                .filter(|detached| detached.user == connect.claims.user)
                .map(|detached| &detached.tokens),
        };
        let is_late = connect.claims.is_expired(now);
        tokens.filter(|tokens| !is_late || tokens.expires_at.is_none_or(|at| at > now))?;
        Some(open.map_or(Found::Detached, Found::Open))
    }

    /// A client is back before its old connection was noticed as lost: that one is.
    fn take_over(&mut self, connection: ConnectionKey) {
        self.await_last_word(connection);
        self.drop_connection(connection, CloseReason::TransportClose, true, LeftBehind::Requests(Vec::new()));
        self.notify(connection, Notice::Close(CloseReason::ForcedClose));
    }

    /// Returns how far the client of a detached session had come and the events that it missed since, or the reason why they
    /// cannot be shown.
    fn missed(&self, connect: &Connect, pid: PrivateId) -> Result<(ReplayCursor, Vec<Replay>), NotRecovered> {
        let detached = self.sessions.detached(&pid).ok_or(NotRecovered::Unknown)?;
        if detached.client_dialects.asked != connect.client_dialects.asked {
            return Err(NotRecovered::AskedOtherwise);
        }
        // Answers to heartbeats prove how far the client came, and so does its offset; the later one holds, else something is
        // shown twice.
        let notified = connect.offset.and_then(|offset| self.replay.reached(offset, detached.client_dialects.last_encoding));
        let reached = detached.reached.max(notified).ok_or(NotRecovered::OffsetUnknown)?;
        // Without its gaps nobody knows which events of a room came while the socket was not in it.
        let forgotten = detached.subscriptions.as_ref().map_or(0, |subscriptions| subscriptions.forgotten_gaps);
        if forgotten > reached.event_seq {
            return Err(NotRecovered::Forgotten);
        }
        let mut missed: Vec<MissedEvent> = Vec::new();
        let last_encoding = detached.client_dialects.last_encoding;
        let own = [RingKey::Everyone, RingKey::User(detached.user.clone()), RingKey::Socket(pid)];
        // A ring that has let go of a later event has a hole that the client could not see: it comes anew instead.
        for key in own {
            if !self.replay.events().is_whole_since(&key, reached, last_encoding) {
                return Err(NotRecovered::Forgotten);
            }
            missed.extend(self.replay.events().missed(&key, reached, &detached.socket, &detached.user));
        }
        for room in self.users.rooms_of(&detached.user, detached.subscriptions.as_deref(), detached.is_in_common_chat) {
            let subscriptions = detached.subscriptions.as_deref();
            let key = RingKey::Room(room.clone());
            // Events from before it was in the room are not missed, so their loss does no harm.
            let needed = subscriptions.map_or(reached, |subscriptions| subscriptions.needed_since(&room, reached));
            if !self.replay.events().is_whole_since(&key, needed, last_encoding) {
                return Err(NotRecovered::Forgotten);
            }
            let of_room = self.replay.events().missed(&key, reached, &detached.socket, &detached.user);
            missed.extend(
                of_room
                    .filter(|event| subscriptions.is_none_or(|subscriptions| !subscriptions.was_absent(&room, event.event_seq))),
            );
        }
        // Several rings may hold the same event, and the client needs the order in which all were dispatched.
        missed.sort_by_key(|event| event.event_seq);
        missed.dedup_by_key(|event| event.event_seq);
        // All of this leaves at once; a catch-up leaves in pages, each as the socket has taken the last one.
        let bytes: usize = missed.iter().map(|event| event.event.weight()).sum();
        if missed.len() > self.options.replay_events || bytes > self.options.replay_bytes {
            return Err(NotRecovered::TooMuch);
        }
        // Copies in the socket's own ring are what its front end takes for an ack: they are shown no sooner than the commit.
        let own_copies: Vec<u64> = self
            .replay
            .events()
            .missed(&RingKey::Socket(pid), reached, &detached.socket, &detached.user)
            .map(|event| event.event_seq)
            .collect();
        let replays = missed.into_iter().map(|MissedEvent { event_seq, event, had }| {
            let kind = match event.message().filter(|_| own_copies.contains(&event_seq)) {
                None => ReplayKind::Shared,
                Some(message) if self.is_being_stored(message, detached) => ReplayKind::Held,
                Some(_) => ReplayKind::Own,
            };
            Replay { event, had, kind }
        });
        Ok((reached, replays.collect()))
    }

    /// Returns the presence and typing that were sent since a session's client was here.
    fn states_since(&self, detached: &DetachedSession, reached: ReplayCursor) -> Vec<Arc<Broadcast>> {
        let subscriptions = detached.subscriptions.as_deref();
        let rooms = self.users.rooms_of(&detached.user, subscriptions, detached.is_in_common_chat).into_iter().map(RingKey::Room);
        let keys = [RingKey::Everyone, RingKey::User(detached.user.clone())].into_iter().chain(rooms);
        let mut states: Vec<MissedEvent> = keys
            .flat_map(|key| self.replay.states().missed(&key, reached, &detached.socket, &detached.user).collect::<Vec<_>>())
            .collect();
        states.sort_by_key(|state| state.event_seq);
        states.into_iter().map(|state| state.event).collect()
    }

    /// Returns whether a detached session's copy of a message waits for the commit.
    fn is_being_stored(&self, message: &Message, detached: &DetachedSession) -> bool {
        let requester = self.sends.get(&message.id).and_then(|in_flight| self.requester_of(&detached.user, &in_flight.reply_to));
        requester.is_some_and(|requester| requester.socket == detached.socket)
    }

    fn readmit(
        &mut self,
        connect: Connect,
        pid: PrivateId,
        detached: DetachedSession,
        reached: ReplayCursor,
        missed: Vec<Replay>,
    ) {
        let Connect { connection, claims, guest, peer, .. } = connect;
        let states = self.states_since(&detached, reached);
        let DetachedSession {
            user: id,
            socket,
            capabilities,
            client_dialects,
            tokens,
            subscriptions,
            is_in_common_chat,
            reached: _,
            receives_after,
            at: _,
        } = detached;
        let now = self.now();
        for room in self.users.rooms_of(&id, subscriptions.as_deref(), is_in_common_chat) {
            self.rooms.join_from_detached(room, connection);
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
            initial_offset: self.initial_offset(&id, socket, self.replay.present(), guest),
            event_seq: self.replay.event_seq(),
            resume_data: Some(ResumeData { client_dialects, missed: missed.clone(), states }),
        };
        let session = Session {
            user: id.clone(),
            socket,
            pid,
            capabilities,
            client_dialects,
            tokens,
            progress: EventProgress {
                reached: Some(reached),
                confirmed: reached.whole_event_seq(),
                receives_after,
                ..EventProgress::default()
            },
            is_in_common_chat,
            request_queue: None,
            is_blocked: self.leftovers.put_behind(&id, connection),
            is_kicked: false,
            subscriptions,
            catch_up: None,
            unseen: None,
            peer,
            connected_at: now,
        };
        self.sessions.open(connection, session);
        self.notify_connected(connection);
        // Its offset confirms that.
        self.note_progress_of(&id);
        self.observers.counters.recovered += 1;
        self.observers.traces.note(&id, |trace| trace.came = Some((now, socket, ConnectKind::Resumed { missed: missed.len() })));
        self.notify(connection, Notice::Admitted(Box::new(admission)));
        info!(sid:% = socket, user:% = id, missed = missed.len(); "recovered");
        self.note_replayed(connection, &missed);
        if !was_announced {
            self.announce(&id, connection);
        }
        self.fan_out_presence(now);
    }

    /// Notes that the missed events are on their way to a socket: messages in flight count as dispatched to it, and its
    /// user's notifications as seen.
    fn note_replayed(&mut self, connection: ConnectionKey, missed: &[Replay]) {
        let Some((user, capabilities)) =
            self.sessions.get(&connection).map(|session| (session.user.clone(), session.capabilities))
        else {
            return;
        };
        for message in missed.iter().filter_map(|replay| replay.event.message()).filter(|message| message.sender.id != user) {
            if let Some(in_flight) = self.sends.get_mut(&message.id) {
                in_flight.dispatched_sockets.push(connection);
            }
        }
        let seen: Vec<NotificationId> = missed
            .iter()
            .filter_map(
                |replay| if let Event::Notification(notification) = replay.event.event() { Some(notification.id) } else { None },
            )
            .collect();
        if !seen.is_empty() && capabilities.notification && !capabilities.unconfirmed {
            let seen_at = self.now();
            // Refused only while the store is away: then they come once more.
            let _ = self.store(Write::NotificationsSeen { user, ids: Some(seen), seen_at }, AfterCommit::Nothing);
        }
    }

    /// The event that brings a client its first offset.
    pub(super) fn initial_offset(
        &self,
        user: &UserId,
        socket: SocketId,
        offset: Offset,
        guest: Option<Box<GuestPass>>,
    ) -> Arc<Broadcast> {
        let token = guest.map(|guest| guest.token);
        Arc::new(Broadcast::new(Event::Connected { user: user.clone(), socket, token }).with_initial_offset(offset))
    }
}
