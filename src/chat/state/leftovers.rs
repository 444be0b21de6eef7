//! Requests whose connection ended before they were carried out.
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;

use super::sessions::Session;
use super::tokens::Tokens;
use crate::chat::ports::{Command, OwnCopy};
use crate::engineio::ConnectionKey;
use crate::hash::HashMap;
use crate::model::{PrivateId, SocketId, Timestamp, UserId};

/// Maximum number that wait of one user: as many as two sockets may leave behind with the default limits.
const MAX_PER_USER: usize = 2_100;

/// Maximum number that wait of all users.
const LEFTOVERS_MAX: usize = 200_000;

/// Maximum time that one waits, whatever keeps it: ten minutes.
const WAIT_MS: i64 = 600_000;

/// Interval of looking whether the store takes something again, while it takes nothing: one second.
const STORE_RETRY_MS: i64 = 1_000;

/// Time by which a connection that was taken over has said its last word: one minute.
const LAST_WORD_MS: i64 = 60_000;

/// The socket that asked.
#[derive(Debug)]
pub(crate) struct Origin {
    pub user: UserId,
    pub socket: SocketId,
    pub pid: PrivateId,
    pub tokens: Tokens,
}

impl Origin {
    pub(crate) fn of(session: &Session) -> Arc<Self> {
        let Session { user, socket, pid, tokens, .. } = session;
        Arc::new(Self { user: user.clone(), socket: *socket, pid: *pid, tokens: tokens.clone() })
    }
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub origin: Arc<Origin>,
    pub due: Timestamp,
    pub left_at: Timestamp,
    pub command: Command,
    pub own_copy: OwnCopy,
}

/// A read that a request of a socket waits for, all others behind it.
#[derive(Debug)]
struct LeftoverRead {
    origin: Arc<Origin>,
    /// Tells whether the socket was kicked meanwhile.
    is_dropped: bool,
}

/// Leftover requests of one user, in the order in which they are carried out.
#[derive(Debug, Default)]
struct LeftoverQueue {
    waiting: VecDeque<Leftover>,
    reads: SmallVec<[LeftoverRead; 1]>,
    /// Connections that were taken over and may still say what else they leave behind.
    taken_over: usize,
    /// Sockets that came since: what they ask for comes behind all this.
    behind: Vec<ConnectionKey>,
    /// Time at which it is looked at next, if that is noted.
    due: Option<Timestamp>,
}

/// Next step of a queue.
pub(crate) enum NextLeftover {
    /// Something else comes first.
    Later,
    Run(Leftover),
    /// The next one cannot be carried out any more.
    Drop(Leftover, &'static str),
    /// The queue is empty and gone; these waited behind it.
    Over(Vec<ConnectionKey>),
}

/// The queues of all users.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    queues: HashMap<UserId, LeftoverQueue>,
    due: BTreeSet<(Timestamp, UserId)>,
    count: usize,
    taken_over: HashMap<ConnectionKey, (Timestamp, Arc<Origin>)>,
}

impl Leftovers {
    /// Returns whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Returns the time at which the next one is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Returns the users who have some.
    pub(crate) fn users(&self) -> impl Iterator<Item = &UserId> {
        self.queues.keys()
    }

    /// Notes that a request of a socket that is gone waits for a read, and all others of its user behind it; `is_dropped`: the
    /// socket was kicked.
    pub(crate) fn begin_read(&mut self, origin: Arc<Origin>, is_dropped: bool) {
        self.queues.entry_ref(&origin.user).or_default().reads.push(LeftoverRead { origin: origin.clone(), is_dropped });
    }

    /// Such a read is over. Tells whether there was one.
    pub(crate) fn end_read(&mut self, user: &UserId, socket: SocketId) -> bool {
        let Some(queue) = self.queues.get_mut(user) else { return false };
        let Some(place) = queue.reads.iter().position(|read| read.origin.socket == socket) else { return false };
        queue.reads.remove(place);
        true
    }

    /// Returns whether a socket that waits for such a read was kicked meanwhile.
    pub(crate) fn is_dropped(&self, user: &UserId, socket: SocketId) -> bool {
        let queue = self.queues.get(user);
        queue.is_some_and(|queue| queue.reads.iter().any(|read| read.origin.socket == socket && read.is_dropped))
    }

    /// A connection was taken over and has not ended yet: what it still brings comes before all others' of its user.
    pub(crate) fn await_last_word(&mut self, connection: ConnectionKey, origin: Arc<Origin>, now: Timestamp) {
        self.queues.entry_ref(&origin.user).or_default().taken_over += 1;
        self.taken_over.insert(connection, (now, origin));
    }

    /// Returns the origin of a connection that was taken over.
    pub(crate) fn origin_of(&self, connection: ConnectionKey) -> Option<Arc<Origin>> {
        self.taken_over.get(&connection).map(|(_, origin)| origin.clone())
    }

    /// A connection that was taken over has ended. Returns whose it was, if it is one.
    pub(crate) fn end_taken_over(&mut self, connection: ConnectionKey) -> Option<Arc<Origin>> {
        let (_, origin) = self.taken_over.remove(&connection)?;
        if let Some(queue) = self.queues.get_mut(&origin.user) {
            queue.taken_over = queue.taken_over.saturating_sub(1);
        }
        Some(origin)
    }

    /// Lists the connections that were taken over and never said their last word: their thread is gone.
    pub(crate) fn unheard(&self, now: Timestamp) -> Vec<ConnectionKey> {
        let is_late = |at: Timestamp| at.plus_millis(LAST_WORD_MS) <= now;
        self.taken_over.iter().filter(|(_, (at, _))| is_late(*at)).map(|(connection, _)| *connection).collect()
    }

    /// Returns a user of whose leftovers one is due.
    pub(crate) fn user_due(&self, now: Timestamp) -> Option<UserId> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, user)| user.clone())
    }

    /// Has a socket that comes wait behind its user's leftovers. Returns whether there are any.
    pub(crate) fn put_behind(&mut self, user: &UserId, connection: ConnectionKey) -> bool {
        let Some(queue) = self.queues.get_mut(user) else { return false };
        queue.behind.push(connection);
        true
    }

    /// Takes a socket that goes out of the queue. Returns whether it waited behind its user's leftovers.
    pub(crate) fn step_out(&mut self, user: &UserId, connection: ConnectionKey) -> bool {
        let Some(queue) = self.queues.get_mut(user) else { return false };
        let before = queue.behind.len();
        queue.behind.retain(|other| *other != connection);
        queue.behind.len() < before
    }

    /// Drops the leftovers of a user's sockets that were kicked. Returns whether there were any.
    pub(crate) fn drop_of(&mut self, user: &UserId, is_kicked: impl Fn(&Origin) -> bool) -> bool {
        let Some(queue) = self.queues.get_mut(user) else { return false };
        let before = queue.waiting.len();
        queue.waiting.retain(|leftover| !is_kicked(&leftover.origin));
        let dropped = before - queue.waiting.len();
        self.count -= dropped;
        let mut has_any = dropped > 0;
        for read in queue.reads.iter_mut().filter(|read| is_kicked(&read.origin)) {
            read.is_dropped = true;
            has_any = true;
        }
        has_any
    }

    /// Puts requests behind the others. Returns the number for which there was no room.
    pub(crate) fn extend(&mut self, user: &UserId, leftovers: impl Iterator<Item = Leftover>) -> usize {
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

    /// Takes a user's next leftover, if its turn has come; `is_hurried`: before its time, too.
    pub(crate) fn next(&mut self, user: &UserId, now: Timestamp, is_hurried: bool, is_store_away: bool) -> NextLeftover {
        let Some(queue) = self.queues.get_mut(user) else { return NextLeftover::Later };
        // The note is of the request that was first before; if one still waits, it is made anew below.
        if let Some(due) = queue.due.take() {
            self.due.remove(&(due, user.clone()));
        }
        // Order comes first: a read decides about the request before this one, and a connection that was taken over may still
        // bring earlier ones.
        if !queue.reads.is_empty() || queue.taken_over > 0 {
            return NextLeftover::Later;
        }
        let Some(first) = queue.waiting.front() else {
            return NextLeftover::Over(self.queues.remove(user).map(|queue| queue.behind).unwrap_or_default());
        };
        let is_late = first.left_at.plus_millis(WAIT_MS) <= now;
        // Carried out now it would be refused, with nobody there to repeat it.
        let must_wait = is_store_away && !is_late && !is_hurried;
        let due = if must_wait { first.due.max(now.plus_millis(STORE_RETRY_MS)) } else { first.due };
        if due > now && !is_hurried {
            queue.due = Some(due);
            self.due.insert((due, user.clone()));
            return NextLeftover::Later;
        }
        let Some(first) = queue.waiting.pop_front() else { return NextLeftover::Later };
        self.count -= 1;
        // The token allows what is done while it is valid, whenever that was asked for.
        match first.origin.tokens.expires_at {
            Some(at) if at <= now => NextLeftover::Drop(first, "TOKEN_EXPIRED"),
            _ if is_late => NextLeftover::Drop(first, "it waited for too long"),
            _ => NextLeftover::Run(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engineio::Slot;

    fn origin() -> Arc<Origin> {
        let tokens = Tokens { keys: SmallVec::new(), expires_at: None };
        let (user, socket) = (UserId::parse("ann").unwrap(), SocketId::parse(&"s".repeat(20)).unwrap());
        Arc::new(Origin { user, socket, pid: PrivateId::parse(&"p".repeat(20)).unwrap(), tokens })
    }

    fn leftover(origin: &Arc<Origin>, due: i64) -> Leftover {
        let (due, left_at) = (Timestamp::from_millis(due), Timestamp::default());
        Leftover { origin: origin.clone(), due, left_at, command: Command::JoinCommonChat, own_copy: OwnCopy::None }
    }

    fn runs(leftovers: &mut Leftovers, at: i64) -> bool {
        let user = origin().user.clone();
        matches!(leftovers.next(&user, Timestamp::from_millis(at), false, false), NextLeftover::Run(_))
    }

    #[test]
    fn they_are_carried_out_at_their_times_and_one_read_after_another() {
        let (mut leftovers, origin) = (Leftovers::default(), origin());
        assert_eq!(leftovers.extend(&origin.user, [leftover(&origin, 0), leftover(&origin, 50)].into_iter()), 0);
        assert!(runs(&mut leftovers, 0));
        leftovers.begin_read(origin.clone(), false);
        assert!(!runs(&mut leftovers, 60), "behind the read");
        assert!(leftovers.end_read(&origin.user, origin.socket) && !leftovers.end_read(&origin.user, origin.socket));
        assert!(!runs(&mut leftovers, 49));
        assert_eq!(
            (leftovers.user_due(Timestamp::from_millis(49)), leftovers.next_due()),
            (None, Some(Timestamp::from_millis(50)))
        );
        assert!(runs(&mut leftovers, 50));
        assert!(matches!(leftovers.next(&origin.user, Timestamp::from_millis(50), false, false), NextLeftover::Over(_)));
        assert!(leftovers.is_empty());
    }

    #[test]
    fn what_a_connection_still_brings_that_was_taken_over_comes_first() {
        let (mut leftovers, origin) = (Leftovers::default(), origin());
        let connection = ConnectionKey { worker: 0, slot: Slot { index: 1, generation: 1 } };
        leftovers.await_last_word(connection, origin.clone(), Timestamp::default());
        leftovers.extend(&origin.user, std::iter::once(leftover(&origin, 0)));
        assert!(!runs(&mut leftovers, 0));
        let at = Timestamp::from_millis;
        assert_eq!((leftovers.unheard(at(LAST_WORD_MS - 1)), leftovers.unheard(at(LAST_WORD_MS))), (vec![], vec![connection]));
        assert!(leftovers.end_taken_over(connection).is_some() && leftovers.end_taken_over(connection).is_none());
        assert!(runs(&mut leftovers, 0));
    }

    #[test]
    fn who_is_kicked_loses_what_waits() {
        let (mut leftovers, origin) = (Leftovers::default(), origin());
        leftovers.extend(&origin.user, (0..3).map(|due| leftover(&origin, due)));
        leftovers.begin_read(origin.clone(), false);
        assert!(leftovers.drop_of(&origin.user, |_| true) && leftovers.is_dropped(&origin.user, origin.socket));
        leftovers.end_read(&origin.user, origin.socket);
        assert!(!runs(&mut leftovers, 10));
        assert_eq!(leftovers.count, 0);
    }
}
