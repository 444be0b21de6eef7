//! State shared by all threads of the server, independent of the protocol.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use tokio::sync::Notify;

use super::addresses::Addresses;
use super::options::Options;

/// The settings of a server, and the counts that they limit.
pub(in crate::transport) struct Node {
    pub(in crate::transport) options: Options,
    pub(in crate::transport) addresses: Arc<Addresses>,
    /// Set once new sessions are refused.
    pub(in crate::transport) is_draining: AtomicBool,
    /// Sessions whose resources are not released yet.
    pub(in crate::transport) open: AtomicUsize,
    /// Notified when the last session is gone.
    pub(in crate::transport) emptied: Notify,
}

impl Node {
    /// Returns a server without connections.
    pub(in crate::transport) fn new(options: Options) -> Self {
        Self {
            addresses: Arc::new(Addresses::new(options.max_sockets_per_address, options.http_connections_per_address())),
            options,
            is_draining: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            emptied: Notify::new(),
        }
    }
}
