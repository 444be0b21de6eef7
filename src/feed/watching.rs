//! Telling watchers.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{Receiver, Sender};

use super::Happening;

/// So much is kept for the slowest watcher.
const KEPT: usize = 4_096;
/// So many may watch at once.
const WATCHERS_MAX: usize = 64;

/// Where what happens is told. All clones are one feed.
#[derive(Debug, Clone, Default)]
pub struct Feed(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    watchers: AtomicUsize,
    /// Made for the first watcher.
    sender: OnceLock<Sender<Arc<Happening>>>,
}

impl Feed {
    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        // A watcher who has just come may miss what happens at that very moment, as if it had come a little later.
        self.0.watchers.load(Ordering::Relaxed) > 0
    }

    /// Tells who watches; `happening` is made only for them.
    pub fn tell(&self, happening: impl FnOnce() -> Happening) {
        if self.is_watched() {
            self.send(happening());
        }
    }

    #[cold]
    fn send(&self, happening: Happening) {
        if let Some(sender) = self.0.sender.get() {
            // The last watcher may have gone meanwhile.
            let _ = sender.send(Arc::new(happening));
        }
    }

    /// Watches what happens from now on; `None`: too many do.
    pub fn watch(&self) -> Option<Watcher> {
        let taken = self
            .0
            .watchers
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |watchers| (watchers < WATCHERS_MAX).then_some(watchers + 1));
        taken.ok()?;
        let receiver = self.0.sender.get_or_init(|| Sender::new(KEPT)).subscribe();
        Some(Watcher { receiver, feed: self.clone() })
    }
}

/// One who watches.
#[derive(Debug)]
pub struct Watcher {
    receiver: Receiver<Arc<Happening>>,
    feed: Feed,
}

/// What a watcher sees next.
#[derive(Debug, Clone)]
pub enum Seen {
    /// Something that happened.
    Happening(Arc<Happening>),
    /// So much happened that it was too slow to see.
    Lost(u64),
}

impl Watcher {
    /// What is next; waits for it. Nothing is lost where the waiting is given up.
    pub async fn next(&mut self) -> Seen {
        match self.receiver.recv().await {
            Ok(happening) => Seen::Happening(happening),
            Err(RecvError::Lagged(lost)) => Seen::Lost(lost),
            // The feed lives as long as its watchers.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// What is next, if it is there.
    pub fn try_next(&mut self) -> Option<Seen> {
        match self.receiver.try_recv() {
            Ok(happening) => Some(Seen::Happening(happening)),
            Err(TryRecvError::Lagged(lost)) => Some(Seen::Lost(lost)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.feed.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;
    use crate::model::{SocketId, Timestamp, UserId};

    fn happening(at: usize) -> Happening {
        let (socket, user) = (SocketId::parse("abcdefghijklmnopqrst").unwrap(), UserId::parse("ann").unwrap());
        Happening { at: Timestamp::from_millis(at as i64), socket, user, what: What::Upgraded }
    }

    fn at(seen: Option<Seen>) -> Option<i64> {
        match seen? {
            Seen::Happening(happening) => Some(happening.at.as_millis()),
            Seen::Lost(_) => None,
        }
    }

    #[test]
    fn nothing_is_made_for_nobody() {
        let feed = Feed::default();
        feed.tell(|| unreachable!("nobody watches"));
        let mut watcher = feed.watch().unwrap();
        feed.clone().tell(|| happening(1));
        assert_eq!(at(watcher.try_next()), Some(1));
        assert!(watcher.try_next().is_none());
        drop(watcher);
        feed.tell(|| unreachable!("the last one has gone"));
        assert!(!feed.is_watched());
    }

    #[test]
    fn who_is_slow_loses_the_oldest_and_is_told_how_many() {
        let feed = Feed::default();
        let (mut slow, mut quick) = (feed.watch().unwrap(), feed.watch().unwrap());
        for number in 0..KEPT + 10 {
            feed.tell(|| happening(number));
            assert_eq!(at(quick.try_next()), Some(number as i64));
        }
        assert!(matches!(slow.try_next(), Some(Seen::Lost(10))));
        assert_eq!(at(slow.try_next()), Some(10));
    }

    #[test]
    fn no_more_watch_than_may() {
        let feed = Feed::default();
        let watchers: Vec<_> = (0..WATCHERS_MAX).map(|_| feed.watch().unwrap()).collect();
        assert!(feed.watch().is_none());
        drop(watchers);
        assert!(feed.watch().is_some());
    }
}
