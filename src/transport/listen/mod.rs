//! Sockets: listening ones, and those of clients, with or without TLS.
mod listeners;
mod probe;
mod socket;
mod succession;
mod tls;

pub(super) use self::listeners::Keeper;
pub use self::listeners::{BACKLOG, Listeners, addresses_of};
pub use self::probe::{Stream, over_any_tls};
pub(super) use self::socket::{Socket, Travelling};
pub(super) use self::succession::prefer_successor;
pub use self::tls::Tls;
