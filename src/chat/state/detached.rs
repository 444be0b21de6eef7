//! Sessions whose connection was lost: kept for a while, for clients that come back.
use std::collections::VecDeque;

use hashbrown::HashMap;

use super::offsets::Reached;
use super::sessions::Tokens;
use super::subscriptions::Places;
use crate::chat::ports::{Manner, Words};
use crate::model::{PrivateId, SocketId, Timestamp, UserId};

/// A session without a connection. What happens to its user meanwhile happens to it.
#[derive(Debug)]
pub struct Parked {
    pub user: UserId,
    pub socket: SocketId,
    pub words: Words,
    pub manner: Manner,
    pub tokens: Tokens,
    pub places: Option<Box<Places>>,
    pub is_in_common_chat: bool,
    /// How far its client is known to have come; `None`: only the client knows.
    pub reached: Option<Reached>,
    pub told_after: u64,
    pub at: Timestamp,
}

/// All parked sessions.
#[derive(Debug, Default)]
pub struct ParkedSessions {
    by_pid: HashMap<PrivateId, Parked>,
    /// Oldest first; of those that came back meanwhile, too.
    order: VecDeque<(Timestamp, PrivateId)>,
}

impl ParkedSessions {
    pub fn len(&self) -> usize {
        self.by_pid.len()
    }

    pub fn find(&self, pid: &PrivateId) -> Option<&Parked> {
        self.by_pid.get(pid)
    }

    pub fn find_mut(&mut self, pid: &PrivateId) -> Option<&mut Parked> {
        self.by_pid.get_mut(pid)
    }

    /// The private id of the session with this public one.
    pub fn find_socket(&self, socket: &SocketId) -> Option<PrivateId> {
        self.by_pid.iter().find(|(_, parked)| parked.socket == *socket).map(|(pid, _)| *pid)
    }

    /// All of them: their sockets, and whose they are.
    pub fn sockets(&self) -> impl Iterator<Item = (SocketId, &UserId)> {
        self.by_pid.values().map(|parked| (parked.socket, &parked.user))
    }

    pub fn insert(&mut self, pid: PrivateId, parked: Parked) {
        self.order.push_back((parked.at, pid));
        self.by_pid.insert(pid, parked);
    }

    pub fn remove(&mut self, pid: &PrivateId) -> Option<Parked> {
        let parked = self.by_pid.remove(pid);
        if self.order.len() > 64 && self.order.len() > 2 * self.by_pid.len() {
            let by_pid = &self.by_pid;
            self.order.retain(|(at, pid)| by_pid.get(pid).is_some_and(|parked| parked.at == *at));
        }
        parked
    }

    /// The oldest, where it was parked before then, or where there are more than `max`.
    pub fn oldest(&mut self, before: Timestamp, max: usize) -> Option<PrivateId> {
        while let Some((at, pid)) = self.order.front().copied() {
            if self.by_pid.get(&pid).is_some_and(|parked| parked.at == at) {
                return (at <= before || self.by_pid.len() > max).then_some(pid);
            }
            self.order.pop_front();
        }
        None
    }
}
