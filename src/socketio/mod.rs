//! Socket.IO v5 on the server side, without I/O (source: socket.io-protocol, revision 5).
//!
//! A packet is one Engine.IO text message, and one binary message per attachment:
//!
//! ```text
//! <type>[<attachments>-][<namespace>,][<ack id>][<JSON>]
//! 2["message",{"text":"hi"}]      51-/chat,7["file",{"_placeholder":true,"num":0}]
//! ```
mod args;
mod attachments;
mod client;
mod encode;
mod error;
mod json;
mod packet;

pub use self::args::Args;
pub use self::client::{Client, Incoming, IncomingEvent};
pub use self::encode::{encode_ack, encode_connect, encode_connect_error, encode_disconnect, encode_event, push_text_argument};
pub use self::error::ProtocolError;
pub use self::packet::{MAX_ATTACHMENTS, MAX_DEPTH, is_reserved};
