//! Requests whose connection ended before they were carried out.
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::sessions::{Session, Tokens};
use crate::chat::ports::{Command, OwnCopy};
use crate::engineio::ConnectionKey;
use crate::model::{PrivateId, SocketId, Timestamp, UserId};

/// At most so many of one user wait: what two sockets may leave behind with the default limits.
const MAX_PER_USER: usize = 2_100;

/// At most so many of all users wait.
pub const LEFTOVERS_MAX: usize = 200_000;

/// They wait no longer, whatever keeps them: ten minutes.
const WAIT_MS: i64 = 600_000;

/// While the store takes nothing it is asked this often whether it does.
const STORE_RETRY_MS: i64 = 1_000;

/// A connection that was taken over has said its last word by then: one minute.
pub const LAST_WORD_MS: i64 = 60_000;

/// The socket that asked.
#[derive(Debug)]
pub struct Origin {
    pub user: UserId,
    pub socket: SocketId,
    pub pid: PrivateId,
    pub tokens: Tokens,
}

impl Origin {
    pub fn of(session: &Session) -> Arc<Self> {
        let Session { user, socket, pid, tokens, .. } = session;
        Arc::new(Self { user: user.clone(), socket: *socket, pid: *pid, tokens: tokens.clone() })
    }
}

/// A request that waits.
#[derive(Debug)]
pub struct Leftover {
    pub origin: Arc<Origin>,
    pub due: Timestamp,
    pub left_at: Timestamp,
    pub command: Command,
    pub own_copy: OwnCopy,
}

/// A read that a request of a socket waits for, all others behind it.
#[derive(Debug)]
pub struct LeftoverRead {
    pub origin: Arc<Origin>,
    /// Tells whether the socket was put out meanwhile.
    pub is_dropped: bool,
}

/// Leftover requests of one user, in the order in which they are carried out.
#[derive(Debug, Default)]
pub struct LeftoverQueue {
    pub waiting: VecDeque<Leftover>,
    pub reads: SmallVec<[LeftoverRead; 1]>,
    /// Connections that were taken over and may still say what else they leave behind.
    pub taken_over: usize,
    /// Sockets that came since: what they ask for comes behind all this.
    pub behind: Vec<ConnectionKey>,
    /// When it is looked at next, where that is noted.
    pub due: Option<Timestamp>,
}

/// What a queue comes to now.
pub enum NextLeftover {
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
    pub queues: HashMap<UserId, LeftoverQueue>,
    pub due: BTreeSet<(Timestamp, UserId)>,
    count: usize,
    pub taken_over: HashMap<ConnectionKey, (Timestamp, Arc<Origin>)>,
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
    pub fn step_out(&mut self, user: &UserId, connection: ConnectionKey) -> bool {
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
    pub fn extend(&mut self, user: &UserId, leftovers: impl Iterator<Item = Leftover>) -> usize {
        let queue = self.queues.entry_ref(user).or_default();
        let mut refused = 0;
        for leftover in leftovers {
            if queue.waiting.len() >= MAX_PER_USER || self.count >= LEFTOVERS_MAX {
                refused += 1;
            } else {
                self.count += 1;
                queue.waiting.push_back(leftover);
            }
        }
        refused
    }

    /// The next one of a user; `is_hurried`: before its time, too.
    pub fn next(&mut self, user: &UserId, now: Timestamp, is_hurried: bool, is_store_away: bool) -> NextLeftover {
        let Some(queue) = self.queues.get_mut(user) else { return NextLeftover::Later };
        if let Some(due) = queue.due.take() {
            self.due.remove(&(due, user.clone()));
        }
        if !queue.reads.is_empty() || queue.taken_over > 0 {
            return NextLeftover::Later;
        }
        let Some(first) = queue.waiting.front() else {
            return NextLeftover::Over(self.queues.remove(user).map(|queue| queue.behind).unwrap_or_default());
        };
        let is_late = first.left_at.plus_millis(WAIT_MS) <= now;
        let must_wait = is_store_away && !is_late && !is_hurried;
        let due = if must_wait { first.due.max(now.plus_millis(STORE_RETRY_MS)) } else { first.due };
        if due > now && !is_hurried {
            queue.due = Some(due);
            self.due.insert((due, user.clone()));
            return NextLeftover::Later;
        }
        let Some(first) = queue.waiting.pop_front() else { return NextLeftover::Later };
        self.count -= 1;
        match first.origin.tokens.expires_at {
            Some(at) if at <= now => NextLeftover::Drop(first, "TOKEN_EXPIRED"),
            _ if is_late => NextLeftover::Drop(first, "it waited for too long"),
            _ => NextLeftover::Run(first),
        }
    }
}
