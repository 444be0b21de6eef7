//! Sockets: listening ones, and those of clients, with or without TLS.
mod listeners;
mod probe;
mod reuse_port;
mod socket;
mod tls;

pub(super) use self::listeners::Keeper;
pub use self::listeners::{BACKLOG, Listeners, addresses_of};
pub use self::probe::{Stream, over_any_tls};
pub(super) use self::reuse_port::prefer_successor;
pub(super) use self::socket::{Socket, Travelling};
pub use self::tls::Tls;
