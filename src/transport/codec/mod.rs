//! Codecs: WebSocket frames, compression of messages and polling bodies, ends of HTTP requests.
#![cfg_attr(not(feature = "internals"), expect(unreachable_pub, reason = "public for benches and fuzzers"))]
mod coding;
mod deflate;
mod frame;
mod message;
mod requests;

pub(super) use self::coding::Coding;
#[cfg(feature = "internals")]
pub use self::deflate::inflate;
pub use self::deflate::{Compressor, Deflate};
pub use self::frame::FrameDecoder;
pub use self::message::{FrameError, Message};
pub use self::requests::Requests;
