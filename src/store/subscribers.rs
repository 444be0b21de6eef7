//! Webhooks, as far as the writer knows them: their names, and the events that each wants.
use std::time::Duration;

use crate::config::WebhookEvent;

/// Names of the webhooks that want each event.
#[derive(Debug, Clone, Default)]
pub struct Subscribers {
    webhooks: Vec<(String, Vec<WebhookEvent>)>,
    unreached_after: Duration,
}

impl Subscribers {
    /// Makes the list of names and wanted events; a message that has not reached everybody after `unreached_after` is
    /// unreached.
    pub fn new(webhooks: Vec<(String, Vec<WebhookEvent>)>, unreached_after: Duration) -> Self {
        Self { webhooks, unreached_after }
    }

    /// Returns the names of those that want an event.
    pub fn of(&self, event: WebhookEvent) -> impl Iterator<Item = &str> {
        self.webhooks.iter().filter(move |(_, events)| events.contains(&event)).map(|(name, _)| name.as_str())
    }

    /// Returns whether anybody wants an event.
    pub fn want(&self, event: WebhookEvent) -> bool {
        self.of(event).next().is_some()
    }

    /// Returns all names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.webhooks.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the time that a message has to reach everybody.
    pub fn unreached_after(&self) -> Duration {
        self.unreached_after
    }
}
