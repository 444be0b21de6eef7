//! A connection as administrators see it.

/// Amounts now waiting on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionView {
    /// Packets waiting to be sent.
    pub queued_packets: usize,
    /// Their size in bytes.
    pub queued_bytes: usize,
    /// The client is not reading at the moment.
    pub is_blocked: bool,
}
