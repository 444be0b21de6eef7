//! Sockets come and go, and others see it.
use log::log;
use smallvec::SmallVec;

use super::Broker;
use super::admission::provisioned_user;
use crate::auth::Claims;
use crate::chat::ports::{Admission, Connect, ConnectKind, Notice, RefusedConnect, RoomKey};
use crate::chat::query::{Lookup, LookupFor};
use crate::chat::state::{CatchUp, CatchUpFrom, EventProgress, ReplayCursor, Session, Tokens, Unseen, sent_by};
use crate::engineio::{CloseReason, ConnectionKey};
use crate::model::{ChosenStatus, ConversationKind, MODEL_USER, Offset, OffsetKind, UserId};
use crate::store::StoreError;

impl Broker {
    /// The account of a client that wants in is at hand. `may_describe`: its token may say something new of it.
    pub(super) fn on_account_looked_up(
        &mut self,
        connection: ConnectionKey,
        outcome: Result<(), StoreError>,
        may_describe: bool,
    ) {
        let Some(connect) = self.sessions.end_connect(&connection) else { return };
        if outcome.is_err() {
            return self.turn_away(&connect, "STORAGE_UNAVAILABLE", "the storage is away", CloseReason::Unavailable);
        }
        let claims = connect.claims.clone();
        if !self.users.contains(&claims.user) && claims.is_expired(self.now()) {
            return self.notify(connection, Notice::Refused(RefusedConnect::TokenExpired));
        }
        if !self.users.contains(&claims.user) && self.is_to_be_made(&connect) {
            let user = Box::new(provisioned_user(&claims, self.now()));
            self.sessions.begin_connect(connection, connect);
            return self.start_lookup(Lookup::Provision(user), LookupFor::Connect(connection));
        }
        if may_describe && let Some(description) = self.description_of(&claims) {
            self.sessions.begin_connect(connection, connect);
            let lookup = Lookup::Described(claims.user.clone(), Box::new(description));
            return self.start_lookup(lookup, LookupFor::Connect(connection));
        }
        // A token past its time may serve for a session that comes back, if it is right in all else.
        let is_late = claims.is_expired(self.now());
        let checked = Claims { expires_at: claims.expires_at.filter(|_| !is_late), ..(*claims).clone() };
        let user = claims.user.clone();
        match self.check(&checked).map(|()| self.resume_session(connect)) {
            Ok(None) => {}
            Ok(Some(_)) if is_late => self.refuse_socket(connection, &user, RefusedConnect::TokenExpired),
            Ok(Some((connect, connect_kind))) => self.admit_socket(connect, connect_kind),
            Err(refusal) => self.refuse_socket(connection, &user, refusal),
        }
    }

    /// Returns whether the unknown user of a verified token is made.
    fn is_to_be_made(&self, connect: &Connect) -> bool {
        let user = &connect.claims.user;
        match &connect.guest {
            Some(guest) => guest.is_new,
            None => self.options.auto_provision_users && user.as_str() != MODEL_USER,
        }
    }

    fn admit_socket(&mut self, connect: Connect, connect_kind: ConnectKind) {
        if self.is_full(&connect) {
            return;
        }
        let Connect { connection, socket, pid, claims, capabilities, client_dialects, back_to, offset, guest, peer } = connect;
        let now = self.now();
        // What the user's other sockets have received is no longer missed.
        self.note_progress_of(&claims.user);
        let Some(user) = self.users.get_mut(&claims.user) else { return };
        let was_absent = user.sessions.is_empty();
        user.sessions.push(connection);
        user.offline_at = None;
        user.used_at = now;
        let account = user.account.clone();
        // One text for all that is kept of the user: the token's goes.
        let id = &account.profile.id;
        if was_absent && account.status != ChosenStatus::Offline {
            self.presence.unstored.came(id);
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
            self.forget_absent(id);
            self.save_notifications_of(id);
        }
        let since = offset.and_then(|offset| self.replay.since(offset, self.sends.position(), client_dialects.last_encoding));
        let had = offset.and_then(|offset| self.replay.reached(offset, client_dialects.last_encoding));
        let up_to = self.dispatched_position();
        let changes = self.replay.changes.notified_by(up_to);
        let catch_up = (self.options.catch_up && self.is_behind(id, since, up_to, changes.up_to)).then(|| {
            let sent_by = back_to.filter(|_| since.is_some()).map(|pid| sent_by(&pid));
            Box::new(CatchUp::new(up_to, changes.up_to, since, sent_by))
        });
        let present = self.replay.present();
        let caught_up = Offset { position: up_to, kind: OffsetKind::CaughtUp, changes, ..present };
        let unseen = self.is_owed_notifications(id, capabilities).then(|| Box::new(Unseen::Due(caught_up)));
        let session = Session {
            user: id.clone(),
            socket,
            pid,
            capabilities,
            client_dialects,
            tokens: Tokens::of(&claims),
            progress: EventProgress {
                reached: catch_up.is_none().then(|| ReplayCursor::all_of(self.replay.event_seq())),
                receives_after: self.replay.event_seq(),
                ..EventProgress::default()
            },
            is_in_common_chat: false,
            request_queue: None,
            is_blocked: self.leftovers.put_behind(id, connection),
            is_kicked: false,
            subscriptions: None,
            catch_up,
            unseen,
            peer,
            connected_at: now,
        };
        let must_catch_up = session.catch_up.is_some();
        let waits = must_catch_up || session.unseen.is_some();
        let offset = session.catch_up.as_ref().map_or(present, |catch_up| catch_up.start(present));
        self.sessions.open(connection, session);
        self.notify_connected(connection);
        let level = self.log_level_of(id, now);
        self.observers.traces.note(id, |trace| trace.came = Some((now, socket, connect_kind)));
        if let Some(had) = had {
            self.note_had(id, capabilities, had.whole_event_seq());
        }
        let admission = Admission {
            account: account.clone(),
            expires_at: claims.expires_at,
            catch_up: waits,
            socket,
            pid,
            initial_offset: self.initial_offset(id, socket, offset, guest),
            event_seq: self.replay.event_seq(),
            resume_data: None,
        };
        self.notify(connection, Notice::Admitted(Box::new(admission)));
        let connections = self.sockets_of(id).len();
        let role = account.profile.role.as_str();
        log!(level, sid:% = socket, user:% = id, role, connections; "connected");
        self.announce(id, connection);
        self.fan_out_presence(now);
        if must_catch_up {
            // The read stands behind this, and so begins where the user is.
            self.save_progress();
            self.read_catch_up_page(connection);
        } else if waits {
            self.show_unseen(connection);
        }
    }

    /// Returns whether a client may have missed something: messages or changes since it was here or, if that is not known,
    /// newer or in-flight messages in one of its user's conversations.
    fn is_behind(&self, id: &UserId, since: Option<CatchUpFrom>, up_to: i64, changes_up_to: i64) -> bool {
        if let Some(since) = since {
            return since.after() < up_to || since.changes_after() < changes_up_to;
        }
        self.users.get(id).into_iter().flat_map(|user| &user.memberships).any(|membership| {
            let cached = self.conversations.get(&membership.conversation);
            let last_seq = cached.map_or(0, |cached| cached.conversation.last_seq).max(membership.last_seq);
            last_seq > membership.delivered_seq || cached.is_some_and(|cached| cached.in_flight > 0)
        })
    }
}
