//! Rules of all sessions of a server.
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::guests::Guests;
use super::limits::{Limits, RECEIPT_BURST_SECONDS};
use crate::auth::{Claims, TokenError};
use crate::config::{Config, HookEvent, Namespaces};
use crate::dialect::DialectSet;
use crate::feed::Feed;
use crate::logging::{ErrorId, NoteRefusal, RefusalNote};
use crate::model::Timestamp;

/// Verifies a token.
pub type Verify = Box<dyn Fn(&str, Timestamp) -> Result<Claims, TokenError> + Send + Sync>;

/// Settings, and the functions that a session needs from outside.
pub struct Rules {
    /// `DIALECTS`
    pub dialects: DialectSet,
    /// `STRICT_EVENTS`
    pub strict_events: bool,
    /// `OFFSETS`
    pub offsets: bool,
    /// `ALLOW_QUERY_TOKEN`
    pub allow_query_token: bool,
    /// `CONNECT_TIMEOUT`
    pub connect_timeout: Duration,
    /// `PING_TIMEOUT`: also the time that a packet's attachments may take.
    pub ping_timeout: Duration,
    /// `PROOF_INTERVAL`: maximum time that something sent remains unconfirmed.
    pub proof_interval: Duration,
    /// `OUTBOX_PACKETS`: maximum number of events held behind a catch-up or an own copy.
    pub outbox_packets: usize,
    /// `OUTBOX_BYTES`: maximum number of bytes held there.
    pub outbox_bytes: usize,
    /// `AI_ERROR_TEXT`
    pub ai_error_text: Box<str>,
    /// Rate limits.
    pub limits: Limits,
    /// Verifies tokens except for their expiry.
    pub verify: Verify,
    /// Set if the operator's hook is asked about CONNECTs.
    pub asks_connect: bool,
    /// Maximum number of bytes of an event's attachments; 0: events that no dialect knows are not handed on.
    pub forwarded_bytes: usize,
    /// `NAMESPACES`
    pub namespaces: Namespaces,
    /// `ANONYMOUS_USERS`
    pub guests: Option<Guests>,
    /// Set if the administrators' namespace exists.
    pub has_console: bool,
    /// Stream of events sent and received by clients, for watchers.
    pub feed: Feed,
    /// Makes unguessable ids of 20 characters of URL-safe base64.
    pub random_ids: Box<dyn Fn() -> String + Send + Sync>,
    /// Logs refusals.
    pub note_refusal: NoteRefusal,
}

impl Rules {
    /// Derives the rules from the configuration.
    pub fn of(config: &Config, dialects: DialectSet, verify: Verify) -> Self {
        let defaults = Self::new(verify);
        Self {
            dialects,
            strict_events: config.strict_events,
            offsets: config.offsets,
            namespaces: config.namespaces.clone(),
            allow_query_token: config.allow_query_token,
            connect_timeout: config.connect_timeout,
            ping_timeout: config.ping_timeout,
            proof_interval: config.proof_interval,
            outbox_packets: config.outbox_packets,
            outbox_bytes: config.outbox_bytes,
            ai_error_text: config.ai_error_text.as_str().into(),
            asks_connect: config.hook_url.as_url().is_some() && config.hook_events.has(HookEvent::Connect),
            forwarded_bytes: config.forward_url.as_url().map_or(0, |_| config.max_packet_size),
            limits: Limits {
                events_per_second: config.rate_limit_events,
                event_burst: config.rate_limit_burst,
                receipts_per_second: config.rate_limit_receipts,
                receipt_burst: config.rate_limit_receipts.saturating_mul(RECEIPT_BURST_SECONDS),
                ..defaults.limits
            },
            ..defaults
        }
    }

    /// Returns default rules with this verification of tokens.
    pub fn new(verify: Verify) -> Self {
        Self {
            dialects: DialectSet::all(),
            strict_events: false,
            offsets: true,
            allow_query_token: false,
            connect_timeout: Duration::from_secs(45),
            ping_timeout: Duration::from_secs(20),
            proof_interval: Duration::from_secs(5),
            outbox_packets: 1_024,
            outbox_bytes: 1_024 * 1_024,
            ai_error_text: "Sorry, I cannot answer right now. Please try again.".into(),
            limits: Limits::default(),
            verify,
            asks_connect: false,
            forwarded_bytes: 0,
            namespaces: Namespaces::default(),
            guests: None,
            has_console: false,
            feed: Feed::default(),
            random_ids: Box::new(random_id),
            note_refusal: Arc::new(|_| None),
        }
    }

    /// Returns the dialects that guests may speak unless they pin one: those of files, if there are any, because the five
    /// need accounts.
    pub(super) fn dialects_of_guests(&self) -> DialectSet {
        let (enabled, further) = (self.dialects.current(), self.dialects.current().further());
        if further.is_empty() { enabled } else { further }
    }

    /// Logs a refusal; returns its id in the log.
    pub fn note(&self, note: RefusalNote<'_>) -> Option<ErrorId> {
        (self.note_refusal)(&note)
    }
}

/// Returns 15 random bytes.
fn random_id() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>())
}

impl fmt::Debug for Rules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rules").field("dialects", &self.dialects).field("limits", &self.limits).finish_non_exhaustive()
    }
}
