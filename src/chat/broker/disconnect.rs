//! Disconnects: a connection is lost, or its client says good-bye.
use log::{Level, log};

use super::Broker;
use crate::chat::ports::{Disconnect, LastDisconnect, LeftBehind};
use crate::chat::state::{RingKey, Unseen};
use crate::engineio::{CloseReason, ConnectionKey};
use crate::model::{ChosenStatus, Timestamp, UserId};

/// Time within which a user who comes and goes again is logged at `debug` only.
const RESTLESS_MS: i64 = 2_000;

impl Broker {
    pub(in crate::chat) fn disconnect(&mut self, message: Disconnect) {
        let Disconnect { connection, on_purpose, may_return, reason, confirmed, left } = message;
        self.sessions.end_connect(&connection);
        self.on_confirmed(connection, confirmed);
        if !self.sessions.contains(&connection) {
            if let Some(id) = self.hear_last_word(connection, left) {
                self.carry_on(&id);
            }
            return;
        }
        let may_resume = may_return && !on_purpose && !self.work.is_draining && reason != CloseReason::ParseError;
        let Some(id) = self.drop_connection(connection, reason, may_resume, left) else { return };
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
        let Some(user) = self.users.get_mut(id) else { return };
        if user.account.status != ChosenStatus::Offline {
            self.due.progress.saw_last(id, now);
            self.presence.unstored.went(id);
        }
        if on_purpose || self.work.is_draining {
            self.announce_if_gone(id, now);
            self.fan_out_presence(now);
        } else {
            let grace = i64::try_from(self.options.presence_grace.as_millis()).unwrap_or(i64::MAX);
            let offline_at = now.plus_millis(grace);
            user.offline_at = Some(offline_at);
            self.presence.begin_grace(id, offline_at);
        }
    }

    /// A connection is no more. Its session is detached, unless it cannot come back or is still catching up. Answers whose it
    /// was.
    pub(super) fn drop_connection(
        &mut self,
        connection: ConnectionKey,
        reason: CloseReason,
        may_resume: bool,
        left: LeftBehind,
    ) -> Option<UserId> {
        let id = self.sessions.get(&connection)?.user.clone();
        self.note_progress_of(&id);
        let mut session = self.sessions.close(&connection)?;
        self.keep_leftovers(connection, &mut session, left);
        let now = self.now();
        let level = self.log_level_of(&id, now);
        log!(level, sid:% = session.socket, user:% = id, reason = reason.as_str(); "disconnected");
        self.notify_disconnected(&session, reason);
        for change in self.typing.forget(&id, connection) {
            self.fan_out_typing(&change, None);
        }
        self.sends.note_departed(connection, &id);
        let now = self.now();
        if let Some(user) = self.users.get_mut(&id) {
            user.sessions.retain(|socket| *socket != connection);
            user.used_at = now;
        }
        // Notifications that were not read yet stay unseen.
        let is_caught_up = session.catch_up.is_none() && !matches!(session.unseen.as_deref(), Some(Unseen::Waiting(..)));
        let is_detached = may_resume && is_caught_up && !self.options.recovery_ttl.is_zero();
        let last_disconnect = LastDisconnect { at: now, socket: session.socket, reason, is_detached };
        self.observers.traces.note(&id, |trace| trace.incidents_mut().left = Some(last_disconnect));
        if is_detached {
            self.detach(connection, session);
        } else {
            for room in self.users.rooms_of(&id, session.subscriptions.as_deref(), session.is_in_common_chat) {
                self.leave_one(&room, connection);
            }
            self.replay.forget(&RingKey::Socket(session.pid));
            self.forget_ring_of(&id);
        }
        Some(id)
    }

    /// Returns the log level for a user who comes or goes: one who does so all the time is not worth a line each time.
    pub(super) fn log_level_of(&self, user: &UserId, now: Timestamp) -> Level {
        let went = self.observers.traces.find(user).and_then(|trace| trace.incidents().left);
        let is_restless = went.is_some_and(|went| went.at.plus_millis(RESTLESS_MS) > now);
        if is_restless { Level::Debug } else { Level::Info }
    }
}
