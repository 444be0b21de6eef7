//! Errors in Socket.IO packets.

/// A malformed packet, or one that is not allowed now. There is no reply: the Engine.IO connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The packet is empty or does not start with a type digit, `0` to `6`.
    #[error("unknown packet type")]
    UnknownType,
    /// The number of attachments is missing, zero or not a number.
    #[error("illegal number of attachments")]
    IllegalAttachments,
    /// More attachments are announced than [`MAX_ATTACHMENTS`](super::MAX_ATTACHMENTS).
    #[error("too many attachments")]
    TooManyAttachments,
    /// The ack id does not fit in 64 bits.
    #[error("ack id out of range")]
    AckIdOutOfRange,
    /// The payload is missing, is not JSON, or does not fit the type of the packet.
    #[error("invalid payload")]
    InvalidPayload,
    /// The payload nests deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("payload nests too deep")]
    TooDeep,
    /// An event has one of the six names that the libraries reserve.
    #[error("reserved event name")]
    ReservedName,
    /// A placeholder refers to an attachment that was not announced.
    #[error("placeholder without attachment")]
    IllegalPlaceholder,
    /// A text came while attachments were outstanding.
    #[error("text while attachments are outstanding")]
    UnexpectedText,
    /// A binary message came while none was outstanding.
    #[error("binary message without packet; a client with another parser (socket.io-msgpack-parser, …) is not understood")]
    UnexpectedBinary,
    /// The attachments of a packet are together larger than a packet may be.
    #[error("attachments too large")]
    AttachmentsTooLarge,
    /// The attachments of a packet did not come in time.
    #[error("attachments outstanding for too long")]
    AttachmentsLate,
    /// A CONNECT for a namespace that is already joined or being joined.
    #[error("namespace is connected already")]
    AlreadyConnected,
    /// Another packet for a namespace that is not joined.
    #[error("namespace is not connected")]
    NotConnected,
    /// A CONNECT_ERROR; only servers send those.
    #[error("connect error from a client")]
    UnexpectedConnectError,
}
