//! All webhooks of a server.
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::{Actor as _, Addr};

use super::checks;
use super::deliverer::{Bounds, Deliverer, Finish, RetryNow, Show};
use super::status::{Status, WebhookFigures};
use crate::backend::Endpoint;
use crate::config::{Config, Webhook, WebhookEvent};
use crate::feed::Feed;
use crate::model::Timestamp;
use crate::store::{Store, Subscribers, Write};

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of events that wait for a webhook; the oldest beyond become dead letters.
const WAITING_MAX: usize = 1_000_000;
/// Maximum number of dead letters; the oldest are deleted.
const DEAD_LETTERS_MAX: i64 = 1_000_000;
/// Interval at which old dead letters are deleted.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

/// The webhooks of a server. Cheap to clone.
#[derive(Clone, Default)]
pub struct Webhooks(Arc<Vec<Entry>>);

struct Entry {
    status: Arc<Status>,
    deliverer: Addr<Deliverer>,
}

/// Webhooks that are configured, before anything is sent.
pub struct Configured {
    webhooks: Vec<Webhook>,
    endpoints: Vec<Endpoint>,
    bounds: Bounds,
    unreached_after: Duration,
}

impl Configured {
    /// Checks the settings and reads the file of webhooks.
    ///
    /// # Errors
    /// One line that names the setting or the place in the file.
    pub fn new(config: &Config) -> Result<Self, String> {
        let webhooks = config.webhooks()?;
        let mut endpoints = Vec::with_capacity(webhooks.len());
        for Webhook { url, secret, set_at: [url_at, secret_at], .. } in &webhooks {
            endpoints.extend(Endpoint::new([url_at, secret_at], url, Some(secret), TIMEOUT)?);
        }
        let bounds = Bounds { keep: config.webhook_keep, waiting_max: WAITING_MAX };
        Ok(Self { webhooks, endpoints, bounds, unreached_after: config.webhook_unreached_after })
    }

    /// Has fewer events wait for each webhook; for tests of that bound.
    #[doc(hidden)]
    pub fn with_waiting_max(mut self, waiting_max: usize) -> Self {
        self.bounds.waiting_max = waiting_max;
        self
    }

    /// Returns the number of webhooks.
    pub fn count(&self) -> usize {
        self.webhooks.len()
    }

    /// Returns the events that each wants, for the store.
    pub fn subscribers(&self) -> Subscribers {
        let wanted = self.webhooks.iter().map(|webhook| (webhook.name.clone(), webhook.events.clone()));
        Subscribers::new(wanted.collect(), self.unreached_after)
    }

    /// Starts delivering; to be called inside an actix system.
    pub fn start(self, store: &Store, show: Show, feed: &Feed, draining: &Arc<AtomicBool>) -> Webhooks {
        let Self { webhooks, endpoints, bounds, unreached_after } = self;
        let wants_unreached = webhooks.iter().any(|webhook| webhook.events.contains(&WebhookEvent::MessageUnreached));
        if wants_unreached {
            actix::spawn(checks::watch(store.clone(), unreached_after, draining.clone()));
        }
        actix::spawn(forget_letters(store.clone(), bounds.keep, !webhooks.is_empty()));
        let start = |(webhook, endpoint): (Webhook, Endpoint)| {
            let deliverer = Deliverer::new(webhook.name, endpoint, bounds, store.clone(), show, feed.clone());
            Entry { status: deliverer.status(), deliverer: deliverer.start() }
        };
        Webhooks(Arc::new(webhooks.into_iter().zip(endpoints).map(start).collect()))
    }
}

impl Webhooks {
    /// Returns the figures of each, in the order of the settings.
    pub fn figures(&self) -> Vec<WebhookFigures> {
        self.0.iter().map(|entry| entry.status.figures()).collect()
    }

    /// Returns whether a webhook of this name is configured.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|entry| entry.status.figures().name == name)
    }

    /// Ends all pauses: what waits is tried at once.
    pub fn retry_now(&self) {
        for entry in self.0.iter() {
            entry.deliverer.do_send(RetryNow);
        }
    }

    /// Sends nothing more, and stores what was delivered.
    pub async fn finish(&self) {
        for entry in self.0.iter() {
            // It is gone only when the process ends.
            let _ = entry.deliverer.send(Finish).await;
        }
    }
}

/// Deletes old dead letters: at the start, and every hour if there are webhooks.
async fn forget_letters(store: Store, keep: Duration, goes_on: bool) {
    loop {
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::now().plus_millis(-keep);
        // The next round will do.
        drop(store.write(Write::ForgetDeadLetters { before, most: DEAD_LETTERS_MAX }).await);
        if !goes_on {
            return;
        }
        tokio::time::sleep(FORGET_EVERY).await;
    }
}
