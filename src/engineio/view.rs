//! A connection as administrators see it.

/// The amounts that wait on one connection at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionView {
    /// Packets that wait to leave.
    pub queued_packets: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// The client takes nothing at the moment.
    pub is_blocked: bool,
}
