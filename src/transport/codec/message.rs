//! Messages of a client, and errors in its frames (source: RFC 6455 §5 and §7).
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
    /// The client closes, with or without a code. Nothing follows.
    Close(Option<u16>),
}

/// Violation in a client's frames. The connection is closed with [`FrameError::close_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A reserved bit is set without an extension that defines it.
    #[error("reserved bit set")]
    ReservedBit,
    /// The opcode is not one of the six defined.
    #[error("unknown opcode")]
    UnknownOpcode,
    /// The payload is not masked.
    #[error("unmasked frame")]
    Unmasked,
    /// A control frame is fragmented or has more than 125 bytes.
    #[error("fragmented or long control frame")]
    BadControl,
    /// A continuation without a message to continue, or a new message inside a fragmented one.
    #[error("fragment out of order")]
    BadFragment,
    /// The payload of a close frame is one byte, or its code must not be sent.
    #[error("invalid close code")]
    BadClose,
    /// A text, or the reason in a close frame, is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A compressed message cannot be inflated.
    #[error("invalid compressed data")]
    BadDeflate,
    /// A message exceeds the limit, as announced or after inflation.
    #[error("message too large")]
    TooLarge,
}

impl FrameError {
    /// Returns the status code for the close frame (RFC 6455 §7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Self::TooLarge => 1009,
            Self::NotUtf8 | Self::BadDeflate => 1007,
            _ => 1002,
        }
    }
}
