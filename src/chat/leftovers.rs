//! Leftover requests: a connection ended before their turn came. They are carried out all the same, in order and no sooner
//! than if it had gone on.
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;
use log::{debug, warn};
use smallvec::SmallVec;

use super::broker::Broker;
use super::ports::{LeftBehind, OwnCopy};
use super::tables::{Asker, Facts, Pending, Session, Tokens};
use super::{ChatError, Command};
use crate::engineio::ConnectionKey;
use crate::model::{PrivateId, SocketId, Timestamp, UserId};

/// At most so many of one user wait: what two sockets may leave behind with the default limits.
const MAX_PER_USER: usize = 2_100;
/// At most so many of all users wait.
const MAX: usize = 200_000;
/// They wait no longer, whatever keeps them: ten minutes.
const WAIT_MS: i64 = 600_000;
/// While the store takes nothing it is asked this often whether it does.
const STORE_RETRY_MS: i64 = 1_000;
/// A connection that was taken over has said its last word by then: one minute.
const LAST_WORD_MS: i64 = 60_000;

/// The socket that asked.
#[derive(Debug)]
pub struct Origin {
    user: UserId,
    pub socket: SocketId,
    pid: PrivateId,
    tokens: Tokens,
}

impl Origin {
    fn of(session: &Session) -> Arc<Self> {
        let Session { user, socket, pid, tokens, .. } = session;
        Arc::new(Self { user: user.clone(), socket: *socket, pid: *pid, tokens: tokens.clone() })
    }
}

/// A request that waits.
#[derive(Debug)]
struct Leftover {
    origin: Arc<Origin>,
    due: Timestamp,
    left_at: Timestamp,
    command: Command,
    own_copy: OwnCopy,
}

/// A read that a request of a socket waits for, all others behind it.
#[derive(Debug)]
struct Read {
    origin: Arc<Origin>,
    /// Tells whether the socket was put out meanwhile.
    is_dropped: bool,
}

/// Leftover requests of one user, in the order in which they are carried out.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Leftover>,
    reads: SmallVec<[Read; 1]>,
    /// Connections that were taken over and may still say what else they leave behind.
    taken_over: usize,
    /// Sockets that came since: what they ask for comes behind all this.
    behind: Vec<ConnectionKey>,
    /// When it is looked at next, where that is noted.
    due: Option<Timestamp>,
}

/// What a queue comes to now.
enum Next {
    /// Something else comes first.
    Later,
    Run(Leftover),
    /// The next one cannot be carried out any more.
    Drop(Leftover, &'static str),
    /// It is empty and gone; these waited behind it.
    Over(Vec<ConnectionKey>),
}

/// The queues of all users.
#[derive(Debug, Default)]
pub struct Leftovers {
    queues: HashMap<UserId, Queue>,
    due: BTreeSet<(Timestamp, UserId)>,
    count: usize,
    taken_over: HashMap<ConnectionKey, (Timestamp, Arc<Origin>)>,
}

impl Leftovers {
    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Those who have some.
    pub fn users(&self) -> impl Iterator<Item = &UserId> {
        self.queues.keys()
    }

    /// Has a socket that comes wait behind its user's leftovers. Whether there are any.
    pub fn put_behind(&mut self, user: &UserId, connection: ConnectionKey) -> bool {
        let Some(queue) = self.queues.get_mut(user) else { return false };
        queue.behind.push(connection);
        true
    }

    /// A socket goes. Whether it waited behind its user's leftovers.
    fn step_out(&mut self, user: &UserId, connection: ConnectionKey) -> bool {
        let Some(queue) = self.queues.get_mut(user) else { return false };
        let before = queue.behind.len();
        queue.behind.retain(|other| *other != connection);
        queue.behind.len() < before
    }

    /// Drops those of a user's sockets that were put out. Whether there were any.
    pub fn drop_of(&mut self, user: &UserId, is_put_out: impl Fn(&Origin) -> bool) -> bool {
        let Some(queue) = self.queues.get_mut(user) else { return false };
        let before = queue.waiting.len();
        queue.waiting.retain(|leftover| !is_put_out(&leftover.origin));
        let dropped = before - queue.waiting.len();
        self.count -= dropped;
        let mut has_any = dropped > 0;
        for read in queue.reads.iter_mut().filter(|read| is_put_out(&read.origin)) {
            read.is_dropped = true;
            has_any = true;
        }
        has_any
    }

    /// Puts requests behind the others. Answers how many there was no room for.
    fn extend(&mut self, user: &UserId, leftovers: impl Iterator<Item = Leftover>) -> usize {
        let queue = self.queues.entry_ref(user).or_default();
        let mut refused = 0;
        for leftover in leftovers {
            if queue.waiting.len() >= MAX_PER_USER || self.count >= MAX {
                refused += 1;
            } else {
                self.count += 1;
                queue.waiting.push_back(leftover);
            }
        }
        refused
    }

    /// The next one of a user; `is_hurried`: before its time, too.
    fn next(&mut self, user: &UserId, now: Timestamp, is_hurried: bool, is_store_away: bool) -> Next {
        let Some(queue) = self.queues.get_mut(user) else { return Next::Later };
        if let Some(due) = queue.due.take() {
            self.due.remove(&(due, user.clone()));
        }
        if !queue.reads.is_empty() || queue.taken_over > 0 {
            return Next::Later;
        }
        let Some(first) = queue.waiting.front() else {
            return Next::Over(self.queues.remove(user).map(|queue| queue.behind).unwrap_or_default());
        };
        let is_late = first.left_at.plus_millis(WAIT_MS) <= now;
        let must_wait = is_store_away && !is_late && !is_hurried;
        let due = if must_wait { first.due.max(now.plus_millis(STORE_RETRY_MS)) } else { first.due };
        if due > now && !is_hurried {
            queue.due = Some(due);
            self.due.insert((due, user.clone()));
            return Next::Later;
        }
        let Some(first) = queue.waiting.pop_front() else { return Next::Later };
        self.count -= 1;
        match first.origin.tokens.expires_at {
            Some(at) if at <= now => Next::Drop(first, "TOKEN_EXPIRED"),
            _ if is_late => Next::Drop(first, "it waited for too long"),
            _ => Next::Run(first),
        }
    }
}

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
            let read = Read { origin: origin.clone(), is_dropped: is_put_out };
            self.leftovers.queues.entry_ref(&origin.user).or_default().reads.push(read);
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
        let Some(origin) = self.sessions.get(&connection).map(|session| Origin::of(session)) else { return };
        self.leftovers.queues.entry_ref(&origin.user).or_default().taken_over += 1;
        let now = self.now();
        self.leftovers.taken_over.insert(connection, (now, origin));
    }

    /// A connection that was taken over asks for something. Whether it is one.
    pub(super) fn ask_late(&mut self, connection: ConnectionKey, command: Command, own_copy: OwnCopy) -> bool {
        let Some((_, origin)) = self.leftovers.taken_over.get(&connection) else { return false };
        let origin = origin.clone();
        self.put_leftovers(&origin, std::iter::once((0, own_copy, command)));
        true
    }

    /// A connection that was taken over has ended. Answers whose it was, if it is one.
    pub(super) fn hear_last_word(&mut self, connection: ConnectionKey, left: LeftBehind) -> Option<UserId> {
        let (_, origin) = self.leftovers.taken_over.remove(&connection)?;
        if let Some(queue) = self.leftovers.queues.get_mut(&origin.user) {
            queue.taken_over = queue.taken_over.saturating_sub(1);
        }
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
            match self.leftovers.next(user, now, self.is_draining, is_store_away) {
                Next::Later => return,
                Next::Over(behind) => return behind.into_iter().for_each(|connection| self.unblock(connection)),
                Next::Drop(Leftover { origin, command, .. }, cause) => {
                    let is_send = command.draft().is_some();
                    warn!(sid:% = origin.socket, user:%, is_send, cause; "dropped what a connection left behind");
                }
                Next::Run(Leftover { origin, command, own_copy, due: _, left_at: _ }) => {
                    let asker = Asker::Left { socket: origin.socket, pid: origin.pid, own_copy };
                    let facts = Facts { holds_queue: true, ..Facts::default() };
                    let pending = Pending { user: user.clone(), asker, command, facts };
                    if self.run(pending) {
                        let read = Read { origin, is_dropped: false };
                        return self.leftovers.queues.entry_ref(user).or_default().reads.push(read);
                    }
                }
            }
        }
    }

    /// Carries out what is due by now.
    pub(super) fn carry_on_with_what_is_due(&mut self, now: Timestamp) {
        while let Some((_, user)) = self.leftovers.due.first().filter(|(at, _)| *at <= now).cloned() {
            self.carry_on(&user);
        }
    }

    /// The server stops: nothing waits for its time any more.
    pub(super) fn carry_on_with_all(&mut self) {
        let users: Vec<UserId> = self.leftovers.queues.keys().cloned().collect();
        for user in users {
            self.carry_on(&user);
        }
    }

    /// Tells whether a command whose read is there may go on: not where its socket was put out meanwhile.
    pub(super) fn may_go_on(&self, pending: &Pending) -> bool {
        let Some(socket) = pending.asker.socket() else { return true };
        let of_session = pending.asker.connection().and_then(|connection| self.sessions.get(&connection));
        if let Some(session) = of_session.filter(|session| session.socket == socket) {
            return !session.is_put_out;
        }
        let queue = self.leftovers.queues.get(&pending.user);
        !queue.is_some_and(|queue| queue.reads.iter().any(|read| read.origin.socket == socket && read.is_dropped))
    }

    /// A read of a socket that is gone is over, and what waited for it goes on.
    pub(super) fn end_late_read(&mut self, user: &UserId, socket: SocketId) {
        if let Some(queue) = self.leftovers.queues.get_mut(user)
            && let Some(place) = queue.reads.iter().position(|read| read.origin.socket == socket)
        {
            queue.reads.remove(place);
            self.carry_on(user);
        }
    }

    /// A socket that is put out loses what waits. Whether that is anything.
    pub(super) fn drop_leftovers_of(&mut self, socket: SocketId) -> bool {
        let users: Vec<UserId> = self.leftovers.queues.keys().cloned().collect();
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
        let is_late = |at: Timestamp| at.plus_millis(LAST_WORD_MS) <= now;
        let taken_over = self.leftovers.taken_over.iter();
        let late: Vec<_> = taken_over.filter(|(_, (at, _))| is_late(*at)).map(|(connection, _)| *connection).collect();
        for connection in late {
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
