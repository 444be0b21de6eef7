//! Sessions whose connection was lost: kept for a while, for clients that come back.
use std::collections::VecDeque;

use super::offsets::ReplayCursor;
use super::subscriptions::Subscriptions;
use super::tokens::Tokens;
use crate::chat::ports::{Capabilities, ClientDialects};
use crate::hash::HashMap;
use crate::model::{PrivateId, SocketId, Timestamp, UserId};

/// A session without a connection. What happens to its user meanwhile happens to it.
#[derive(Debug)]
pub(crate) struct DetachedSession {
    pub user: UserId,
    pub socket: SocketId,
    pub capabilities: Capabilities,
    pub client_dialects: ClientDialects,
    pub tokens: Tokens,
    pub subscriptions: Option<Box<Subscriptions>>,
    pub is_in_common_chat: bool,
    /// Position of its client in the events, as far as that is known; `None`: only the client knows.
    pub reached: Option<ReplayCursor>,
    pub receives_after: u64,
    pub at: Timestamp,
}

/// All detached sessions.
#[derive(Debug, Default)]
pub(super) struct DetachedSessions {
    by_pid: HashMap<PrivateId, DetachedSession>,
    /// Oldest first; of those that came back meanwhile, too.
    order: VecDeque<(Timestamp, PrivateId)>,
}

impl DetachedSessions {
    pub(super) fn len(&self) -> usize {
        self.by_pid.len()
    }

    pub(super) fn find(&self, pid: &PrivateId) -> Option<&DetachedSession> {
        self.by_pid.get(pid)
    }

    pub(super) fn find_mut(&mut self, pid: &PrivateId) -> Option<&mut DetachedSession> {
        self.by_pid.get_mut(pid)
    }

    /// The private id of the session with this public one.
    pub(super) fn find_socket(&self, socket: &SocketId) -> Option<PrivateId> {
        self.by_pid.iter().find(|(_, detached)| detached.socket == *socket).map(|(pid, _)| *pid)
    }

    /// All of them: their sockets, and whose they are.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (SocketId, &UserId)> {
        self.by_pid.values().map(|detached| (detached.socket, &detached.user))
    }

    pub(super) fn insert(&mut self, pid: PrivateId, detached: DetachedSession) {
        self.order.push_back((detached.at, pid));
        self.by_pid.insert(pid, detached);
    }

    pub(super) fn remove(&mut self, pid: &PrivateId) -> Option<DetachedSession> {
        let detached = self.by_pid.remove(pid);
        if self.order.len() > 64 && self.order.len() > 2 * self.by_pid.len() {
            let by_pid = &self.by_pid;
            self.order.retain(|(at, pid)| by_pid.get(pid).is_some_and(|detached| detached.at == *at));
        }
        detached
    }

    /// The oldest, where it was detached before then, or where there are more than `max`.
    pub(super) fn oldest(&mut self, before: Timestamp, max: usize) -> Option<PrivateId> {
        while let Some((at, pid)) = self.order.front().copied() {
            if self.by_pid.get(&pid).is_some_and(|detached| detached.at == at) {
                return (at <= before || self.by_pid.len() > max).then_some(pid);
            }
            self.order.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{detached, pid};
    use super::*;

    /// Forgets as the broker does; the names that are left.
    fn forget(sessions: &mut DetachedSessions, before: i64, max: usize) -> Vec<String> {
        while let Some(oldest) = sessions.oldest(Timestamp::from_millis(before), max) {
            sessions.remove(&oldest);
        }
        let mut names: Vec<_> = sessions.sockets().map(|(_, user)| user.to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_go_first_and_so_many_stay() {
        let mut sessions = DetachedSessions::default();
        for (at, name) in (0..).zip(["a", "b", "c", "d"]) {
            sessions.insert(pid(at), detached(name, i64::from(at)));
        }
        assert_eq!(forget(&mut sessions, -1, 3), ["b", "c", "d"], "one too many");
        assert_eq!(forget(&mut sessions, 2, 3), ["d"], "too old");
    }

    #[test]
    fn who_came_back_and_went_again_is_as_old_as_that() {
        let mut sessions = DetachedSessions::default();
        let ann = pid(1);
        sessions.insert(ann, detached("ann", 1));
        sessions.remove(&ann);
        sessions.insert(pid(2), detached("bob", 2));
        sessions.insert(ann, detached("ann", 3));
        assert_eq!(forget(&mut sessions, 2, 10), ["ann"]);
        for at in 10..1_000 {
            sessions.remove(&ann);
            sessions.insert(ann, detached("ann", at));
        }
        assert!(sessions.order.len() <= 65, "those that came back leave nothing: {}", sessions.order.len());
    }
}
