//! Options of the broker at its start: settings, and its sources of time and ids.
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::config::{Delivery, HookEvents, PresenceScope};
use crate::model::Timestamp;

/// Users that a sender has made in an hour.
const MADE_USERS_MAX: usize = 100;

/// Settings of the broker.
#[derive(Debug, Clone)]
pub struct Options {
    /// `DELIVERY`
    pub delivery: Delivery,
    /// `PRESENCE_SCOPE`
    pub presence_scope: PresenceScope,
    /// `PRESENCE_EVERYONE_MAX`: above so many users online `Everyone` acts as `Contacts`.
    pub presence_everyone_max: usize,
    /// `PRESENCE_GRACE`
    pub presence_grace: Duration,
    /// `TYPING_TTL`
    pub typing_ttl: Duration,
    /// `CATCH_UP`
    pub catch_up: bool,
    /// `CATCH_UP_MAX`, messages.
    pub catch_up_max: usize,
    /// Maximum bytes of a page of catch-up, as encoded.
    pub catch_up_page_bytes: usize,
    /// Maximum number of catch-up pages read at once: more would take the processors from those who are here.
    pub catch_up_reads: usize,
    /// `RECOVERY_TTL`; zero: no session is recovered.
    pub recovery_ttl: Duration,
    /// A client that has not confirmed by then what it was sent has no connection any more.
    pub confirmation_limit: Duration,
    /// `RECOVERY_BYTES`: what was said lately takes no more.
    pub recovery_bytes: usize,
    /// `PARKED_MAX`
    pub parked_max: usize,
    /// A session that has missed more events than this is caught up instead; no ring holds more.
    pub replay_events: usize,
    /// The same in bytes.
    pub replay_bytes: usize,
    /// `MAX_SOCKETS_PER_USER`; 0: no limit.
    pub max_sockets_per_user: usize,
    /// `MAX_ROOMS_PER_SOCKET`; 0: no limit.
    pub max_rooms_per_socket: usize,
    /// `MAX_GROUP_MEMBERS`; 0: no limit.
    pub max_group_members: usize,
    /// `MAX_MESSAGE_LENGTH`, Unicode scalar values; 0: no limit of its own.
    pub max_message_length: usize,
    /// `HOOK_EVENTS`, if there is a hook.
    pub hooks: HookEvents,
    /// `AUTO_PROVISION_USERS`
    pub auto_provision_users: bool,
    /// Maximum number of users that a sender has made in an hour, by writing to some who never came; 0: no limit.
    pub made_users_max: usize,
    /// `AI_CONCURRENCY`: maximum number of questions that are asked at once.
    pub ai_concurrency: usize,
    /// `AI_PER_USER`: maximum number of one user's; 0: no limit.
    pub ai_per_user: usize,
    /// `AI_ERROR_TEXT`
    pub ai_error_text: Arc<str>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            delivery: Delivery::Live,
            presence_scope: PresenceScope::Everyone,
            presence_everyone_max: 1_000,
            presence_grace: Duration::from_secs(5),
            typing_ttl: Duration::from_secs(30),
            catch_up: true,
            catch_up_max: 5_000,
            catch_up_page_bytes: 256 * 1024,
            catch_up_reads: std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(4)),
            recovery_ttl: Duration::from_secs(120),
            confirmation_limit: Duration::from_secs(50),
            recovery_bytes: 64 * 1024 * 1024,
            parked_max: 100_000,
            replay_events: 1_024,
            replay_bytes: 1024 * 1024,
            max_sockets_per_user: 50,
            max_rooms_per_socket: 1_000,
            max_group_members: 1_000,
            max_message_length: 0,
            auto_provision_users: false,
            hooks: HookEvents::NONE,
            made_users_max: MADE_USERS_MAX,
            ai_concurrency: 8,
            ai_per_user: 2,
            ai_error_text: "Sorry, I cannot answer right now. Please try again.".into(),
        }
    }
}

impl Options {
    /// Returns the bounds of the event rings.
    pub fn ring_limits(&self) -> RingLimits {
        RingLimits {
            events: self.replay_events,
            bytes: self.replay_bytes,
            bytes_of_all: self.recovery_bytes,
            ttl_ms: i64::try_from(self.recovery_ttl.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// For so long somebody may still prove what was dispatched: in its connection, or having come back.
    pub fn confirmation_memory_ms(&self) -> i64 {
        let longest = self.recovery_ttl.saturating_add(self.confirmation_limit.saturating_mul(2));
        i64::try_from(longest.as_millis()).unwrap_or(i64::MAX / 2)
    }

    /// Of presence and typing less is kept: the latest counts.
    pub fn state_limits(&self) -> RingLimits {
        let limits = self.ring_limits();
        RingLimits { events: limits.events.min(STATES_MAX), bytes_of_all: limits.bytes_of_all / 4, ..limits }
    }
}

/// Maximum number of changes of presence, or of typing, that are kept in one place.
const STATES_MAX: usize = 256;

/// Sources of time and ids; tests give their own, so that they are exact.
pub struct Sources {
    /// The wall clock.
    pub clock: Box<dyn FnMut() -> Timestamp + Send>,
    /// New, unguessable UUIDs that sort by the time of their making.
    pub ids: Box<dyn FnMut() -> Uuid + Send>,
}

impl Sources {
    /// The machine's clock and random UUIDv7.
    pub fn system() -> Self {
        Self { clock: Box::new(Timestamp::now), ids: Box::new(Uuid::now_v7) }
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sources")
    }
}

/// Limits of the events that are kept.
#[derive(Debug, Clone, Copy)]
pub struct RingLimits {
    /// Events of one ring.
    pub events: usize,
    /// Bytes of one ring.
    pub bytes: usize,
    /// Bytes of all rings together.
    pub bytes_of_all: usize,
    /// Nothing is kept for longer; 0: nothing is kept.
    pub ttl_ms: i64,
}
