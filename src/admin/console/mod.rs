//! The server's half of the Admin UI of Socket.IO, in the namespace `/admin` (source: `@socket.io/admin-ui` 0.5).
//!
//! [`Console`] is the actor that speaks for that namespace, as the chat's broker does for `/`. It is told of what happens by
//! the feed and acts through the broker as other administrators do.
mod actor;
mod credentials;
mod guests;
mod requests;
mod session_ids;
mod shapes;
mod totals;
mod watching;

pub use self::actor::{Console, ConsoleOptions, ConsoleReady};
