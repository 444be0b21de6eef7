//! Sockets and HTTP under Engine.IO.
mod frame;

pub use self::frame::{FrameDecoder, FrameError, Message};
