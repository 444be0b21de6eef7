//! Leftover requests: a connection ended before their turn came. They are carried out all the same, in order and no sooner
//! than if it had gone on.
use std::collections::VecDeque;
use std::sync::Arc;

use log::warn;

use super::Broker;
use crate::chat::ports::{Command, LeftBehind, OwnCopy};
use crate::chat::state::{Leftover, Origin, Session};
use crate::engineio::ConnectionKey;
use crate::model::{SocketId, UserId};

impl Broker {
    /// A connection has no session any more: what that asked for and what was not begun is kept, unless it was kicked.
    pub(super) fn keep_leftovers(&mut self, connection: ConnectionKey, session: &mut Session, left: LeftBehind) {
        let queue = session.request_queue.take();
        let was_behind = self.leftovers.step_out(&session.user, connection);
        let is_reading = session.is_blocked && !was_behind;
        let is_kicked = session.is_kicked || matches!(left, LeftBehind::Dropped);
        if is_kicked {
            let socket = session.socket;
            self.leftovers.drop_of(&session.user, |origin| origin.socket == socket);
        }
        let (queue, left) = match left {
            LeftBehind::Requests(left) if !is_kicked => (queue.map(|queue| *queue).unwrap_or_default(), left),
            LeftBehind::Requests(_) | LeftBehind::Dropped => (VecDeque::new(), Vec::new()),
        };
        if !is_reading && queue.is_empty() && left.is_empty() {
            return;
        }
        let origin = Origin::of(session);
        if is_reading {
            self.leftovers.begin_read(origin.clone(), is_kicked);
        }
        // They have paid for their turn.
        let queue = queue.into_iter().map(|running| (0, running.reply_to.own_copy(), running.command));
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
        let Some(origin) = self.sessions.get(&connection).map(Origin::of) else { return };
        let now = self.now();
        self.leftovers.await_last_word(connection, origin, now);
    }

    /// Takes a request of a connection that was taken over. Returns whether it is one.
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

    /// Drops all that waits of a socket that is kicked. Returns whether there was anything.
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
}

fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
