//! Batches of events for an administrator.
use std::time::Duration;

use super::shapes::happened;
use crate::feed::{Seen, Watcher};

/// Time for which events are gathered into one batch.
const GATHERED_FOR: Duration = Duration::from_millis(25);
/// Maximum number of packets, and of bytes, in a batch.
const PACKETS_MAX: usize = 200;
const BYTES_MAX: usize = 128 * 1024;

/// The next events to send.
#[derive(Debug)]
pub(super) struct Batch {
    /// Packets; at least one, unless events were lost.
    pub packets: Vec<String>,
    /// Number of events lost: the administrator's list of sockets may be wrong.
    pub lost: u64,
}

/// Waits for an event, then gathers those that follow closely.
pub(super) async fn gather(mut watcher: Watcher, path: String) -> (Watcher, Batch) {
    let mut batch = Batch { packets: Vec::new(), lost: 0 };
    let mut bytes = 0;
    while batch.packets.is_empty() && batch.lost == 0 {
        let first = watcher.next().await;
        bytes += batch.add(&first, &path);
    }
    tokio::time::sleep(GATHERED_FOR).await;
    while batch.lost == 0
        && batch.packets.len() < PACKETS_MAX
        && bytes < BYTES_MAX
        && let Some(next) = watcher.try_next()
    {
        bytes += batch.add(&next, &path);
    }
    (watcher, batch)
}

impl Batch {
    fn add(&mut self, seen: &Seen, path: &str) -> usize {
        match seen {
            Seen::FeedEvent(feed_event) => {
                let packets = happened(feed_event, path);
                let bytes = packets.iter().map(String::len).sum();
                self.packets.extend(packets);
                bytes
            }
            Seen::Lost(lost) => {
                self.lost = *lost;
                0
            }
        }
    }
}
