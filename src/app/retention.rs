//! Deletes expired data: at the start, then every hour.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::Addr;
use log::{info, warn};

use crate::chat::{ChatServer, MessagesPruned};
use crate::config::Config;
use crate::model::Timestamp;
use crate::store::{self, Store, StoreError};

/// Interval of the rounds.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Retention times; `None`: for ever.
struct Retention {
    messages: Option<Duration>,
    notifications: Option<Duration>,
    orphans: Option<Duration>,
}

/// Starts the rounds, unless everything is kept for ever. They end when the server stops.
pub(super) fn begin(config: &Config, store: Store, chat: Addr<ChatServer>, draining: Arc<AtomicBool>) {
    let some = |length: Duration| (!length.is_zero()).then_some(length);
    let retention = Retention {
        messages: some(config.retain_messages),
        notifications: some(config.retain_notifications),
        orphans: some(config.retain_orphans),
    };
    if retention.messages.or(retention.notifications).or(retention.orphans).is_none() {
        return;
    }
    actix::spawn(async move {
        while !draining.load(Ordering::Relaxed) {
            if let Err(error) = retention.round(&store, &chat).await {
                warn!(cause:% = error; "could not delete everything that has expired, continuing in an hour");
            }
            tokio::time::sleep(EVERY).await;
        }
    });
}

impl Retention {
    async fn round(&self, store: &Store, chat: &Addr<ChatServer>) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let before = |length: Duration| now.plus_millis(-i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
        if let Some(length) = self.messages {
            let before = before(length);
            let outcome = store::prune_messages(store, before).await;
            // Sent even after a round that was cut short.
            chat.do_send(MessagesPruned { before });
            note("messages", outcome?);
        }
        if let Some(length) = self.notifications {
            note("notifications", store::prune_notifications(store, before(length)).await?);
        }
        // Their files are removed like those of deleted messages.
        if let Some(length) = self.orphans {
            note("uploads", store::release_orphans(store, before(length)).await?);
        }
        Ok(())
    }
}

fn note(what: &str, count: usize) {
    if count > 0 {
        info!(what, count; "deleted expired rows");
    }
}
