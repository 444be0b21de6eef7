//! Requests to the Engine.IO path: opening sessions, polling, upgrading to a WebSocket.
mod http;
mod http_stream;
mod takeover;
mod websocket;

pub(super) use self::http::handle;
pub(super) use self::http_stream::{HttpLimits, HttpStream};
pub(super) use self::takeover::take_over;
