//! Engine.IO v4, server side, without I/O (source: engine.io-protocol, revision 4).
mod delivery;
mod encoded;
mod error;
mod service;

pub use self::delivery::{ConnectionKey, Delivery, Seat};
pub use self::encoded::Encoded;
pub use self::error::CloseReason;
pub use self::service::{Opening, Output, Service};
