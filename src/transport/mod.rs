//! Sockets and HTTP under Engine.IO.
//!
//! A worker thread has one `Hub`, which tells its connections what comes from inside and keeps their time, and one
//! `Connection` actor for each client, which owns the client's socket. A connection's state is a `Link`: the hub writes to
//! it directly, so that a broadcast costs its receivers' tasks no turn. A session lives on one thread for life.
//!
//! Each folder imports from those before it only:
//!
//! ```text
//! codec · listen → admission → connection → worker → handshake → serve
//! ```
mod admission;
mod codec;
mod connection;
mod handshake;
mod listen;
mod serve;
mod worker;

pub use self::admission::Options;
#[cfg(feature = "internals")]
pub use self::codec::{Compressor, Deflate, Requests, inflate};
pub use self::codec::{FrameDecoder, FrameError, Message};
pub use self::connection::WorkerStats;
pub use self::listen::{BACKLOG, Listeners, Stream, Tls, addresses_of, over_any_tls};
pub use self::serve::{Running, Stopper, serve};
