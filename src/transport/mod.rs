//! Sockets and HTTP under Engine.IO.
//!
//! A worker thread has one `WorkerActor`, which delivers events to its connections and keeps their deadlines, and one
//! `Connection` actor for each client, which owns the client's socket. The state of a connection is a `ConnectionState`: the actor
//! writes to it directly, so that a broadcast need not run the tasks of its receivers. A session stays on one thread
//! for life.
//!
//! Each folder imports only from those before it:
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
