//! The server side of the Admin UI of Socket.IO, in the namespace `/admin` (source: `@socket.io/admin-ui` 0.5).
//!
//! [`Console`] is the actor that serves this namespace, as the broker serves `/`. It learns of events from the feed,
//! and acts through the broker as other administrators do.
mod actor;
mod admin_sessions;
mod credentials;
mod requests;
mod session_ids;
mod shapes;
mod totals;
mod watching;

pub use self::actor::{Console, ConsoleOptions, ConsoleReady};
