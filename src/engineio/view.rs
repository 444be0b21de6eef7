//! A connection as administrators see it.

/// What waits on one connection at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionView {
    /// Packets that wait to leave.
    pub queued_packets: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Whether the client takes nothing at the moment.
    pub is_blocked: bool,
}
