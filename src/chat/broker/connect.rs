//! Sockets come and go, and others see it.

use log::{Level, log};
use smallvec::SmallVec;

use super::Broker;
use crate::auth::{Claims, Refusal, description};
use crate::chat::ports::{Admission, Coming, Connect, Disconnect, Leaving, LeftBehind, Notice, RefusedConnect, RoomKey};
use crate::chat::query::{Load, LoadFor};
use crate::chat::state::{CatchUp, Reached, RingKey, Session, Since, Tokens, Unseen, sent_by};
use crate::engineio::{CloseReason, ConnectionKey};
use crate::model::{ChosenStatus, ConversationKind, Description, MODEL_USER, Offset, OffsetKind, Timestamp, UserId};
use crate::store::{NewUser, StoreError};

/// Who has gone within this time, and comes or goes again, is in the log at `debug`.
const RESTLESS_MS: i64 = 2_000;

impl Broker {
    // ---- coming ----

    /// The account of a client that wants in is at hand. `may_describe`: its token may say something new of it.
    pub(super) fn on_account_loaded(&mut self, connection: ConnectionKey, outcome: Result<(), StoreError>, may_describe: bool) {
        let Some(connect) = self.sessions.connecting.remove(&connection) else { return };
        if outcome.is_err() {
            return self.turn_away(&connect, "STORAGE_UNAVAILABLE", "the storage is away", CloseReason::Unavailable);
        }
        let claims = connect.claims.clone();
        if !self.users.at_hand.contains_key(&claims.user) && claims.is_expired(self.now()) {
            return self.tell(connection, Notice::Refused(RefusedConnect::TokenExpired));
        }
        if !self.users.at_hand.contains_key(&claims.user)
            && self.options.auto_provision_users
            && claims.user.as_str() != MODEL_USER
        {
            let user = Box::new(provisioned_user(&claims, self.now()));
            self.sessions.connecting.insert(connection, connect);
            return self.start_load(Load::Provision(user), LoadFor::Connect(connection));
        }
        if may_describe && let Some(description) = self.description_of(&claims) {
            self.sessions.connecting.insert(connection, connect);
            let load = Load::Described(claims.user.clone(), Box::new(description));
            return self.start_load(load, LoadFor::Connect(connection));
        }
        // A token past its time may serve for a session that comes back, if it is right in all else.
        let is_late = claims.is_expired(self.now());
        let checked = Claims { expires_at: claims.expires_at.filter(|_| !is_late), ..(*claims).clone() };
        let user = claims.user.clone();
        match self.check(&checked).map(|()| self.come_back(connect)) {
            Ok(None) => {}
            Ok(Some(_)) if is_late => self.refuse_socket(connection, &user, RefusedConnect::TokenExpired),
            Ok(Some((connect, coming))) => self.admit_socket(connect, coming),
            Err(refusal) => self.refuse_socket(connection, &user, refusal),
        }
    }

    fn refuse_socket(&mut self, connection: ConnectionKey, user: &UserId, refusal: RefusedConnect) {
        let now = self.now();
        self.observers.traces.note(user, |trace| trace.incidents_mut().refused = Some((now, refusal)));
        self.tell(connection, Notice::Refused(refusal));
    }

    /// What a token made elsewhere says of its user that is not known, where such tokens make users. Not of one that proves
    /// nobody.
    pub(in crate::chat) fn description_of(&mut self, claims: &Claims) -> Option<Description> {
        if !self.options.auto_provision_users || claims.login.is_some() {
            return None;
        }
        let account = &self.users.at_hand.get(&claims.user)?.account;
        let description = Some(description(claims)).filter(|description| !description.is_known(account))?;
        self.check(claims).is_ok().then_some(description)
    }

    /// Whether a verified token proves a user of ours, now.
    pub(super) fn check(&mut self, claims: &Claims) -> Result<(), RefusedConnect> {
        let now = self.now();
        let user = self.users.at_hand.get_mut(&claims.user).ok_or(RefusedConnect::UserNotFound)?;
        user.used_at = now;
        if claims.user.as_str() == MODEL_USER {
            return Err(RefusedConnect::UserNotFound);
        }
        crate::auth::check(claims, &user.account, &self.users.revocations, now).map_err(|refusal| match refusal {
            Refusal::AccountDisabled => RefusedConnect::AccountDisabled,
            Refusal::UserNotFound => RefusedConnect::UserNotFound,
            Refusal::TokenExpired => RefusedConnect::TokenExpired,
            Refusal::NoToken | Refusal::InvalidToken => RefusedConnect::InvalidToken,
        })
    }

    /// Whether the user has as many sockets as one may; then it is turned away.
    pub(super) fn is_full(&self, connect: &Connect) -> bool {
        let (limit, sockets) = (self.options.max_sockets_per_user, self.sockets_of(&connect.claims.user).len());
        let is_full = limit > 0 && sockets >= limit;
        if is_full {
            let cause = format!("the user has {sockets} sockets (MAX_SOCKETS_PER_USER)");
            self.turn_away(connect, "TOO_MANY_SOCKETS", &cause, CloseReason::Unavailable);
        }
        is_full
    }

    fn admit_socket(&mut self, connect: Connect, coming: Coming) {
        if self.is_full(&connect) {
            return;
        }
        let Connect { connection, socket, pid, claims, words, manner, back_to, offset, peer } = connect;
        let now = self.now();
        // What the user's other sockets have received is no longer missed.
        self.note_progress_of(&claims.user);
        let Some(user) = self.users.at_hand.get_mut(&claims.user) else { return };
        let was_absent = user.sessions.is_empty();
        user.sessions.push(connection);
        user.offline_at = None;
        user.used_at = now;
        let account = user.account.clone();
        if was_absent && account.status != ChosenStatus::Offline {
            self.presence.unstored.came(&claims.user);
        }
        let groups: SmallVec<[_; 8]> = user
            .memberships
            .iter()
            .filter(|membership| membership.kind == ConversationKind::Group)
            .map(|membership| membership.conversation)
            .collect();
        for conversation in groups {
            self.rooms.join(RoomKey::Group(conversation), connection);
        }
        if was_absent {
            self.forget_absent(&claims.user);
            self.save_notifications_of(&claims.user);
        }
        let since = offset.and_then(|offset| self.replay.since(offset, self.sends.position, manner.last_encoding));
        let had = offset.and_then(|offset| self.replay.reached(offset, manner.last_encoding));
        let up_to = self.handed_position();
        let changes = self.replay.changes.told_by(up_to);
        let catch_up = (self.options.catch_up && self.is_behind(&claims.user, since, up_to, changes.up_to)).then(|| {
            let sent_by = back_to.filter(|_| since.is_some()).map(|pid| sent_by(&pid));
            Box::new(CatchUp::new(up_to, changes.up_to, since, sent_by))
        });
        let present = self.replay.present();
        let caught_up = Offset { position: up_to, kind: OffsetKind::CaughtUp, changes, ..present };
        let unseen = self.is_owed_notifications(&claims.user, words).then(|| Box::new(Unseen::Due(caught_up)));
        let session = Session {
            user: claims.user.clone(),
            socket,
            pid,
            words,
            manner,
            tokens: Tokens::of(&claims),
            reached: catch_up.is_none().then(|| Reached::all_of(self.replay.event_seq())),
            proven: 0,
            told_after: self.replay.event_seq(),
            left_out_up_to: 0,
            unproven: None,
            is_in_common_chat: false,
            queue: None,
            is_blocked: self.leftovers.put_behind(&claims.user, connection),
            is_put_out: false,
            places: None,
            catch_up,
            unseen,
            peer,
            connected_at: now,
        };
        let must_catch_up = session.catch_up.is_some();
        let waits = must_catch_up || session.unseen.is_some();
        let offset = session.catch_up.as_ref().map_or(present, |catch_up| catch_up.start(present));
        self.seat_session(connection, session);
        self.tell_connected(connection);
        let level = self.log_level_of(&claims.user, now);
        self.observers.traces.note(&claims.user, |trace| trace.came = Some((now, socket, coming)));
        if let Some(had) = had {
            self.note_had(&claims.user, had.whole_serial());
        }
        let admission = Admission {
            account: account.clone(),
            expires_at: claims.expires_at,
            catch_up: waits,
            socket,
            pid,
            seed: self.seed(&claims.user, socket, offset),
            serial: self.replay.event_seq(),
            back: None,
        };
        self.tell(connection, Notice::Admitted(Box::new(admission)));
        let connections = self.sockets_of(&claims.user).len();
        let role = account.profile.role.as_str();
        log!(level, sid:% = socket, user:% = claims.user, role, connections; "connected");
        self.announce(&claims.user, connection);
        self.tell_presence(now);
        if must_catch_up {
            // The read stands behind this, and so begins where the user is.
            self.save_progress();
            self.read_catch_up_page(connection);
        } else if waits {
            self.show_unseen(connection);
        }
    }

    /// Whether a client may have missed something: since it was here there were messages or changes of some, or, where that is
    /// not known, one of its user's conversations has newer messages, or some that are being stored.
    fn is_behind(&self, id: &UserId, since: Option<Since>, up_to: i64, changes_up_to: i64) -> bool {
        if let Some(since) = since {
            return since.after() < up_to || since.changes_after() < changes_up_to;
        }
        self.users.at_hand.get(id).into_iter().flat_map(|user| &user.memberships).any(|membership| {
            let cached = self.conversations.at_hand.get(&membership.conversation);
            let last_seq = cached.map_or(0, |cached| cached.conversation.last_seq).max(membership.last_seq);
            last_seq > membership.delivered_seq || cached.is_some_and(|cached| cached.in_flight > 0)
        })
    }

    /// Position of the last message that was handed out: later ones reach a socket that joins now by themselves.
    pub(super) fn handed_position(&self) -> i64 {
        let first_unhanded = self.sends.unhanded.front().and_then(|id| self.sends.in_flight.get(id));
        first_unhanded.map_or(self.sends.position, |in_flight| in_flight.message.position - 1)
    }

    /// How loud the log is about a user who comes or goes: of one who does so all the time not each one is a line.
    fn log_level_of(&self, user: &UserId, now: Timestamp) -> Level {
        let went = self.observers.traces.find(user).and_then(|trace| trace.incidents().left);
        let is_restless = went.is_some_and(|went| went.at.plus_millis(RESTLESS_MS) > now);
        if is_restless { Level::Debug } else { Level::Info }
    }

    // ---- going ----

    pub(in crate::chat) fn disconnect(&mut self, message: Disconnect) {
        let Disconnect { connection, on_purpose, reason, proven, left } = message;
        self.sessions.connecting.remove(&connection);
        self.on_proven(connection, proven);
        if !self.sessions.open.contains_key(&connection) {
            if let Some(id) = self.hear_last_word(connection, left) {
                self.carry_on(&id);
            }
            return;
        }
        let may_come_back = !on_purpose && !self.work.is_draining && reason != CloseReason::ParseError;
        let Some(id) = self.lose(connection, reason, may_come_back, left) else { return };
        self.note_absent(&id, on_purpose);
        self.carry_on(&id);
    }

    /// A user's socket is gone; it may have been the last.
    fn note_absent(&mut self, id: &UserId, on_purpose: bool) {
        let now = self.now();
        if !self.sockets_of(id).is_empty() {
            return;
        }
        self.forget_absent(id);
        let Some(user) = self.users.at_hand.get_mut(id) else { return };
        if user.account.status != ChosenStatus::Offline {
            self.due.progress.saw_last(id, now);
            self.presence.unstored.went(id);
        }
        if on_purpose || self.work.is_draining {
            self.announce_if_gone(id, now);
            self.tell_presence(now);
        } else {
            let grace = i64::try_from(self.options.presence_grace.as_millis()).unwrap_or(i64::MAX);
            let offline_at = now.plus_millis(grace);
            user.offline_at = Some(offline_at);
            self.presence.begin_grace(id, offline_at);
        }
    }

    /// A connection is no more. Its session is parked, unless it cannot come back or is still catching up. Answers whose it
    /// was.
    pub(super) fn lose(
        &mut self,
        connection: ConnectionKey,
        reason: CloseReason,
        may_come_back: bool,
        left: LeftBehind,
    ) -> Option<UserId> {
        let id = self.sessions.open.get(&connection)?.user.clone();
        self.note_progress_of(&id);
        let mut session = self.unseat_session(connection)?;
        self.keep_leftovers(connection, &mut session, left);
        let now = self.now();
        let level = self.log_level_of(&id, now);
        log!(level, sid:% = session.socket, user:% = id, reason = reason.as_str(); "disconnected");
        self.tell_disconnected(&session, reason);
        for change in self.typing.forget(&id, connection) {
            self.tell_typing(&change, None);
        }
        if !self.sends.in_flight.is_empty() {
            self.sends.departed.push_back((self.sends.position, connection, id.clone()));
        }
        let now = self.now();
        if let Some(user) = self.users.at_hand.get_mut(&id) {
            user.sessions.retain(|socket| *socket != connection);
            user.used_at = now;
        }
        // Notifications that were not read yet stay unseen.
        let is_caught_up = session.catch_up.is_none() && !matches!(session.unseen.as_deref(), Some(Unseen::Waiting(..)));
        let is_parked = may_come_back && is_caught_up && !self.options.recovery_ttl.is_zero();
        let leaving = Leaving { at: now, socket: session.socket, reason, is_parked };
        self.observers.traces.note(&id, |trace| trace.incidents_mut().left = Some(leaving));
        if is_parked {
            self.park(connection, session);
        } else {
            for room in self.rooms_of(&id, session.places.as_deref(), session.is_in_common_chat) {
                self.leave_one(&room, connection);
            }
            self.replay.forget(&RingKey::Socket(session.pid));
            self.forget_ring_of(&id);
        }
        Some(id)
    }
}

/// The user that a token describes.
pub(super) fn provisioned_user(claims: &Claims, now: Timestamp) -> NewUser {
    let Description { username, email, full_name, role, said_at } = description(claims);
    NewUser {
        id: claims.user.clone(),
        username: username.unwrap_or_else(|| claims.user.as_str().to_owned()),
        suffix_if_taken: true,
        email,
        full_name,
        password_hash: None,
        role: role.unwrap_or_default(),
        described_at: said_at,
        created_at: now,
    }
}
