//! Lists of events for webhooks.
use std::fmt;
use std::str::FromStr;

use super::kind::{items, join};
use super::word::WebhookEvent;

/// Events that a webhook wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvents(Vec<WebhookEvent>);

impl WebhookEvents {
    /// Returns the events.
    pub fn as_slice(&self) -> &[WebhookEvent] {
        &self.0
    }
}

impl Default for WebhookEvents {
    fn default() -> Self {
        Self(vec![WebhookEvent::MessageCreated])
    }
}

impl FromStr for WebhookEvents {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        items(text).map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for WebhookEvents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&join(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_a_list_of_words() {
        let events: WebhookEvents = "message.created, user.connected".parse().unwrap();
        assert_eq!(events.as_slice(), [WebhookEvent::MessageCreated, WebhookEvent::UserConnected]);
        assert_eq!(events.to_string(), "message.created,user.connected");
        assert!("message".parse::<WebhookEvents>().unwrap_err().contains("known are message.created, message.edited"));
    }
}
