//! Reasons for the end of a connection.

/// Reason for the end of a connection; logs and metrics show [`CloseReason::as_str`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer closed, or sent a close packet.
    TransportClose,
    /// An I/O error, an overlap of polls, an aborted poll, a heartbeat in the wrong direction, a message too big.
    TransportError,
    /// No pong came in time.
    PingTimeout,
    /// An Engine.IO packet that cannot be decoded.
    ParseError,
    /// A bad Socket.IO packet or a violation of that protocol.
    ForcedClose,
    /// No namespace was joined in time.
    ConnectTimeout,
    /// The client left its last namespace, or was disconnected from it, so the connection was closed.
    Disconnected,
    /// The client read too slowly: its outbox was full, or a write was blocked for too long.
    SlowConsumer,
    /// The user has too many sockets, or the store is unavailable: the client may try again.
    Unavailable,
    /// The server is stopping.
    Shutdown,
    /// Handling this connection panicked.
    Internal,
}

impl CloseReason {
    /// Returns the protocol's word for the reason, or one of our own if it has none.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::ConnectTimeout => "connect timeout",
            Self::Disconnected => "disconnected",
            Self::SlowConsumer => "slow consumer",
            Self::Unavailable => "unavailable",
            Self::Shutdown => "server shutting down",
            Self::Internal => "internal error",
        }
    }
}
