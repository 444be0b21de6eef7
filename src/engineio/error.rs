//! Why connections end.

/// Why a connection ended; [`CloseReason::as_str`] is what logs and metrics show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer closed, or sent a close packet.
    TransportClose,
    /// An I/O error, an overlap of polls, an aborted poll, a heartbeat in the wrong direction, a message too big.
    TransportError,
    /// No pong in time.
    PingTimeout,
    /// An Engine.IO packet that cannot be decoded.
    ParseError,
    /// A bad Socket.IO packet or a violation of that protocol.
    ForcedClose,
    /// No namespace was joined in time.
    ConnectTimeout,
    /// The client left its last namespace, or was disconnected from it, and the connection was closed with it.
    Disconnected,
    /// The reader was too slow: its outbox was full, or a write was blocked for too long.
    SlowConsumer,
    /// Too many sockets of one user, or the store is away: the client may come back.
    Unavailable,
    /// The server stops.
    Shutdown,
    /// A panic in the handling of this connection.
    Internal,
}

impl CloseReason {
    /// The reason in the protocol's words where it has any.
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
