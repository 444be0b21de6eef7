//! The stream of events, and its watchers.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{Receiver, Sender};

use super::FeedEvent;

/// Number of events kept for the slowest watcher.
const KEPT: usize = 4_096;
/// Maximum number of watchers.
const WATCHERS_MAX: usize = 64;

/// The sending end. All clones share one stream.
#[derive(Debug, Clone, Default)]
pub struct Feed(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    watchers: AtomicUsize,
    /// Created for the first watcher.
    sender: OnceLock<Sender<Arc<FeedEvent>>>,
}

impl Feed {
    /// Returns whether anybody is watching.
    pub fn is_watched(&self) -> bool {
        // A watcher that is just arriving may miss the present event, as if it had come a moment later.
        self.0.watchers.load(Ordering::Relaxed) > 0
    }

    /// Sends an event to all watchers; `feed_event` runs only if there are any.
    pub fn publish(&self, feed_event: impl FnOnce() -> FeedEvent) {
        if self.is_watched() {
            self.send(feed_event());
        }
    }

    #[cold]
    fn send(&self, feed_event: FeedEvent) {
        if let Some(sender) = self.0.sender.get() {
            // The last watcher may have left meanwhile.
            let _ = sender.send(Arc::new(feed_event));
        }
    }

    /// Starts watching from now on; `None` if there are too many watchers.
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

/// One watcher.
#[derive(Debug)]
pub struct Watcher {
    receiver: Receiver<Arc<FeedEvent>>,
    feed: Feed,
}

/// Next item of a watcher.
#[derive(Debug, Clone)]
pub enum Seen {
    /// An event.
    FeedEvent(Arc<FeedEvent>),
    /// Number of events that the watcher was too slow to receive.
    Lost(u64),
}

impl Watcher {
    /// Waits for the next item. Cancelling the wait loses nothing.
    pub async fn next(&mut self) -> Seen {
        match self.receiver.recv().await {
            Ok(feed_event) => Seen::FeedEvent(feed_event),
            Err(RecvError::Lagged(lost)) => Seen::Lost(lost),
            // The stream lives as long as its watchers.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// Returns the next item, if there is one now.
    pub fn try_next(&mut self) -> Option<Seen> {
        match self.receiver.try_recv() {
            Ok(feed_event) => Some(Seen::FeedEvent(feed_event)),
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
    use super::super::FeedEventKind;
    use super::*;
    use crate::model::{SocketId, Timestamp, UserId};

    fn feed_event(at: usize) -> FeedEvent {
        let (socket, user) = (SocketId::parse("abcdefghijklmnopqrst").unwrap(), UserId::parse("ann").unwrap());
        FeedEvent { at: Timestamp::from_millis(at as i64), socket: Some(socket), user: Some(user), kind: FeedEventKind::Upgraded }
    }

    fn at(seen: Option<Seen>) -> Option<i64> {
        match seen? {
            Seen::FeedEvent(feed_event) => Some(feed_event.at.as_millis()),
            Seen::Lost(_) => None,
        }
    }

    #[test]
    fn nothing_is_made_for_nobody() {
        let feed = Feed::default();
        feed.publish(|| unreachable!("nobody watches"));
        let mut watcher = feed.watch().unwrap();
        feed.clone().publish(|| feed_event(1));
        assert_eq!(at(watcher.try_next()), Some(1));
        assert!(watcher.try_next().is_none());
        drop(watcher);
        feed.publish(|| unreachable!("the last one has gone"));
        assert!(!feed.is_watched());
    }

    #[test]
    fn who_is_slow_loses_the_oldest_and_learns_how_many() {
        let feed = Feed::default();
        let (mut slow, mut quick) = (feed.watch().unwrap(), feed.watch().unwrap());
        for number in 0..KEPT + 10 {
            feed.publish(|| feed_event(number));
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
