//! Engine.IO v4 on the server side, without I/O (source: engine.io-protocol, revision 4).
mod delivery;
mod encoded;
mod error;
mod exchange;
mod handshake;
mod heartbeat;
mod packet;
mod payload;
mod service;
mod sid;
mod view;

pub use self::delivery::{ConnectionKey, Delivery, Slot};
pub use self::encoded::{Encoded, RECORD_SEPARATOR};
pub use self::error::CloseReason;
pub use self::exchange::{Exchange, Overlap, Ticket};
pub use self::handshake::{HandshakeError, Query, TransportKind, open_packet};
pub use self::heartbeat::{Beat, Heartbeat, HeartbeatTimes};
pub use self::packet::{Packet, PacketError, decode_packet};
pub use self::payload::{decode_payload, join_payloads};
pub use self::service::{Headers, Opening, Output, Peer, Service};
pub use self::sid::Sid;
pub use self::view::ConnectionView;
