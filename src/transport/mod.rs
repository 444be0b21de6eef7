//! Sockets and HTTP under Engine.IO.
//!
//! A worker thread has one `Hub`, which tells its connections what comes from inside and keeps their time, and one
//! `Connection` actor for each client, which owns the client's socket. A connection's state is a `Link`: the hub writes to
//! it directly, so that a broadcast costs its receivers' tasks no turn. A session lives on one thread for life.
mod addresses;
mod admission;
mod compress;
mod connection;
mod deadlines;
mod deflate;
mod frame;
mod handshake;
mod http;
mod http_stream;
mod hub;
mod link;
mod listening;
mod options;
mod outbox;
mod polling;
mod probe;
mod registry;
mod requests;
mod seats;
mod serve;
mod socket;
mod stats;
mod succession;
mod takeover;
mod tls;
mod upgrade;
mod websocket;
mod worker;

#[cfg(feature = "internals")]
pub use self::deflate::{Compressor, Deflate, inflate};
pub use self::frame::{FrameDecoder, FrameError, Message};
pub use self::listening::{BACKLOG, Listeners, addresses_of};
pub use self::options::Options;
pub use self::probe::{Stream, over_any_tls};
#[cfg(feature = "internals")]
pub use self::requests::Requests;
pub use self::serve::{Running, Stopper, serve};
pub use self::stats::WorkerStats;
pub use self::tls::Tls;
