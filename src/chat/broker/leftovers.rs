//! Leftover requests: a connection ended before their turn came. They are carried out all the same, in order and no sooner
//! than if it had gone on.
use std::collections::VecDeque;
use std::sync::Arc;

use log::{debug, warn};

use super::Broker;
use crate::chat::ports::{ChatError, Command, LeftBehind, OwnCopy};
use crate::chat::state::{Asker, Facts, Leftover, NextLeftover, Origin, Pending, Session};
use crate::engineio::ConnectionKey;
use crate::model::{SocketId, Timestamp, UserId};

impl Broker {
    /// A connection has no session any more: what that asked for and what was not begun is kept, unless it was put out.
    pub(super) fn keep_leftovers(&mut self, connection: ConnectionKey, session: &mut Session, left: LeftBehind) {
        let queue = session.queue.take();
        let was_behind = self.leftovers.step_out(&session.user, connection);
        let is_reading = session.is_blocked && !was_behind;
        let is_put_out = session.is_put_out || matches!(left, LeftBehind::Dropped);
        if is_put_out {
            let socket = session.socket;
            self.leftovers.drop_of(&session.user, |origin| origin.socket == socket);
        }
        let (queue, left) = match left {
            LeftBehind::Requests(left) if !is_put_out => (queue.map(|queue| *queue).unwrap_or_default(), left),
            LeftBehind::Requests(_) | LeftBehind::Dropped => (VecDeque::new(), Vec::new()),
        };
        if !is_reading && queue.is_empty() && left.is_empty() {
            return;
        }
        let origin = Origin::of(session);
        if is_reading {
            self.leftovers.begin_read(origin.clone(), is_put_out);
        }
        // They have paid for their turn.
        let queue = queue.into_iter().map(|pending| (0, pending.asker.own_copy(), pending.command));
        let left = left.into_iter().map(|late| (millis(late.after), late.own_copy, late.command));
        self.put_leftovers(&origin, queue.chain(left));
    }

    fn put_leftovers(&mut self, origin: &Arc<Origin>, requests: impl Iterator<Item = (i64, OwnCopy, Command)>) {
        let now = self.now();
        let lasting = requests.filter(|(_, _, command)| command.outlives_its_connection());
        let leftovers = lasting.map(|(after, own_copy, command)| Leftover {
            origin: origin.clone(),
            due: now.plus_millis(after),
            left_at: now,
            command,
            own_copy,
        });
        let refused = self.leftovers.extend(&origin.user, leftovers);
        if refused > 0 {
            let (sid, user) = (&origin.socket, &origin.user);
            warn!(sid:%, user:%, requests = refused; "dropped what a connection left behind: too much waits");
        }
    }

    /// A session is given to another connection before the old one has ended: what that still brings belongs to it, and comes
    /// before what the new one brings.
    pub(super) fn await_last_word(&mut self, connection: ConnectionKey) {
        let Some(origin) = self.sessions.open.get(&connection).map(|session| Origin::of(session)) else { return };
        let now = self.now();
        self.leftovers.await_last_word(connection, origin, now);
    }

    /// A connection that was taken over asks for something. Whether it is one.
    pub(super) fn ask_late(&mut self, connection: ConnectionKey, command: Command, own_copy: OwnCopy) -> bool {
        let Some(origin) = self.leftovers.origin_of(connection) else { return false };
        self.put_leftovers(&origin, std::iter::once((0, own_copy, command)));
        true
    }

    /// A connection that was taken over has ended. Answers whose it was, if it is one.
    pub(super) fn hear_last_word(&mut self, connection: ConnectionKey, left: LeftBehind) -> Option<UserId> {
        let origin = self.leftovers.end_taken_over(connection)?;
        match left {
            LeftBehind::Requests(left) => {
                let left = left.into_iter().map(|late| (millis(late.after), late.own_copy, late.command));
                self.put_leftovers(&origin, left);
            }
            LeftBehind::Dropped => drop(self.leftovers.drop_of(&origin.user, |other| other.socket == origin.socket)),
        }
        Some(origin.user.clone())
    }

    /// Carries out what is due of a user's leftovers. Once there are none, who waited behind them goes on.
    pub(super) fn carry_on(&mut self, user: &UserId) {
        loop {
            let (now, is_store_away) = (self.now(), !self.outside.has_room());
            match self.leftovers.next(user, now, self.work.is_draining, is_store_away) {
                NextLeftover::Later => return,
                NextLeftover::Over(behind) => return behind.into_iter().for_each(|connection| self.unblock(connection)),
                NextLeftover::Drop(Leftover { origin, command, .. }, cause) => {
                    let is_send = command.draft().is_some();
                    warn!(sid:% = origin.socket, user:%, is_send, cause; "dropped what a connection left behind");
                }
                NextLeftover::Run(Leftover { origin, command, own_copy, due: _, left_at: _ }) => {
                    let asker = Asker::Left { socket: origin.socket, pid: origin.pid, own_copy };
                    let facts = Facts { holds_queue: true, ..Facts::default() };
                    let pending = Pending { user: user.clone(), asker, command, facts };
                    if self.run(pending) {
                        return self.leftovers.begin_read(origin, false);
                    }
                }
            }
        }
    }

    /// Carries out what is due by now.
    pub(super) fn carry_on_with_what_is_due(&mut self, now: Timestamp) {
        while let Some(user) = self.leftovers.user_due(now) {
            self.carry_on(&user);
        }
    }

    /// The server stops: nothing waits for its time any more.
    pub(super) fn carry_on_with_all(&mut self) {
        let users: Vec<UserId> = self.leftovers.users().cloned().collect();
        for user in users {
            self.carry_on(&user);
        }
    }

    /// Tells whether a command whose read is there may go on: not where its socket was put out meanwhile.
    pub(super) fn may_go_on(&self, pending: &Pending) -> bool {
        let Some(socket) = pending.asker.socket() else { return true };
        let of_session = pending.asker.connection().and_then(|connection| self.sessions.open.get(&connection));
        if let Some(session) = of_session.filter(|session| session.socket == socket) {
            return !session.is_put_out;
        }
        !self.leftovers.is_dropped(&pending.user, socket)
    }

    /// A read of a socket that is gone is over, and what waited for it goes on.
    pub(super) fn end_late_read(&mut self, user: &UserId, socket: SocketId) {
        if self.leftovers.end_read(user, socket) {
            self.carry_on(user);
        }
    }

    /// A socket that is put out loses what waits. Whether that is anything.
    pub(super) fn drop_leftovers_of(&mut self, socket: SocketId) -> bool {
        let users: Vec<UserId> = self.leftovers.users().cloned().collect();
        let mut had_any = false;
        for user in &users {
            had_any |= self.leftovers.drop_of(user, |origin| origin.socket == socket);
        }
        had_any
    }

    /// A user's sockets that came in by revoked tokens lose what waits.
    pub(super) fn drop_revoked_leftovers(&mut self, user: &UserId, is_revoked: impl Fn(&str) -> bool) {
        self.leftovers.drop_of(user, |origin| origin.tokens.keys.iter().any(|key| is_revoked(key)));
    }

    /// Goes on where a connection that was taken over never said its last word: its thread is gone.
    pub(super) fn forget_unheard(&mut self, now: Timestamp) {
        for connection in self.leftovers.unheard(now) {
            if let Some(user) = self.hear_last_word(connection, LeftBehind::Requests(Vec::new())) {
                self.carry_on(&user);
            }
        }
    }

    /// Tells the log that what a connection left behind was refused: its client cannot be told.
    pub(super) fn note_left_refused(&self, socket: SocketId, error: &ChatError) {
        debug!(sid:% = socket, code = error.code(); "refused what a connection left behind");
    }
}

fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
