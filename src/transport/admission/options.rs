//! Settings of the transport.
use std::sync::Arc;
use std::time::Duration;

use crate::engineio::HeartbeatTimes;
use crate::http::{Origins, TrustedProxies};
use crate::logging::NoteRefusal;
use crate::transport::listen::Tls;

/// Settings of listeners and connections.
#[derive(Clone)]
pub struct Options {
    /// Worker threads.
    pub workers: usize,
    /// Path of the Engine.IO endpoint, without a trailing slash.
    pub path: String,
    /// File names under that path that another route serves.
    pub other_files: &'static [&'static str],
    /// Origins that may use the server.
    pub origins: Arc<Origins>,
    /// Proxies whose `X-Forwarded-*` headers are believed.
    pub proxies: Arc<TrustedProxies>,
    /// TLS for all connections; `None`: plain HTTP.
    pub tls: Option<Tls>,
    /// Time that an HTTP connection may be idle, and that a client may take to fetch the end of an answer.
    pub keep_alive: Duration,
    /// Time from the handshake or the last pong to the next ping.
    pub ping_interval: Duration,
    /// Time from a ping to its pong.
    pub ping_timeout: Duration,
    /// Largest message, and largest polling body, in bytes.
    pub max_packet_bytes: usize,
    /// Maximum number of packets waiting for one client.
    pub outbox_packets: usize,
    /// Maximum number of bytes waiting for one client.
    pub outbox_bytes: usize,
    /// Time for which a write may make no progress.
    pub write_timeout: Duration,
    /// Set if messages over WebSocket are compressed for clients that offer it.
    pub permessage_deflate: bool,
    /// Time from the 101 of an upgrade to the client's `5`.
    pub upgrade_timeout: Duration,
    /// Maximum number of connections: a quarter for HTTP, the others for sessions.
    pub max_connections: usize,
    /// Maximum number of sessions of one client address; 0: no limit.
    pub max_sockets_per_address: u32,
    /// `HOOK_HEADERS`, in lower case: headers of the request that a session keeps.
    pub kept_headers: Arc<[Box<str>]>,
    /// Logs refusals.
    pub note_refusal: NoteRefusal,
}

impl Options {
    /// Returns the default settings.
    pub fn new(origins: Arc<Origins>) -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            path: "/socket.io".to_owned(),
            other_files: &[],
            origins,
            proxies: Arc::default(),
            tls: None,
            keep_alive: Duration::from_secs(75),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_packet_bytes: 1_000_000,
            outbox_packets: 1024,
            outbox_bytes: 1024 * 1024,
            write_timeout: Duration::from_secs(20),
            permessage_deflate: false,
            upgrade_timeout: Duration::from_secs(10),
            max_connections: 4_000_000,
            max_sockets_per_address: 1000,
            kept_headers: Arc::default(),
            note_refusal: Arc::new(|_| None),
        }
    }

    /// Returns the maximum number of HTTP connections of one worker, excluding WebSockets that were taken over.
    pub(in crate::transport) fn max_http_connections(&self) -> usize {
        (self.max_connections / 4 / self.workers.max(1)).max(1)
    }

    /// Returns the maximum number of HTTP connections of one address: half of all that it may have.
    pub(in crate::transport) fn http_connections_per_address(&self) -> u32 {
        u32::try_from(self.max_connections / 8).unwrap_or(u32::MAX)
    }

    pub(in crate::transport) fn max_sessions(&self) -> usize {
        self.max_connections.saturating_sub(self.max_connections / 4)
    }

    pub(in crate::transport) fn heartbeat(&self) -> HeartbeatTimes {
        HeartbeatTimes { interval: self.ping_interval, timeout: self.ping_timeout }
    }
}
