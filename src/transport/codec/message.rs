//! A message of a client, or the reason why its frames are none (source: RFC 6455 §5 and §7).
/// A whole message, or a control frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// Wants a pong with the same data.
    Ping(&'a [u8]),
    /// Answers a ping.
    Pong(&'a [u8]),
    /// The client closes, with a code or without. Nothing follows.
    Close(Option<u16>),
}

/// Why a client's frames are refused. The connection is closed with [`FrameError::close_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A reserved bit is set, and no extension is negotiated that gives it a meaning there.
    #[error("reserved bit set")]
    ReservedBit,
    /// The opcode is none of the six.
    #[error("unknown opcode")]
    UnknownOpcode,
    /// The payload is not masked.
    #[error("unmasked frame")]
    Unmasked,
    /// A control frame is fragmented or has more than 125 bytes.
    #[error("fragmented or long control frame")]
    BadControl,
    /// A continuation without a message to continue, or a message within a message.
    #[error("fragment out of order")]
    BadFragment,
    /// The payload of a close frame is one byte, or its code is not for use on the wire.
    #[error("invalid close code")]
    BadClose,
    /// A text, or the reason in a close frame, is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A compressed message is none.
    #[error("invalid compressed data")]
    BadDeflate,
    /// A message is announced, or inflated, that would be longer than the limit.
    #[error("message too large")]
    TooLarge,
}

impl FrameError {
    /// The status code of the close frame that says so (RFC 6455 §7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Self::TooLarge => 1009,
            Self::NotUtf8 | Self::BadDeflate => 1007,
            _ => 1002,
        }
    }
}
