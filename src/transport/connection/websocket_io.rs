//! A WebSocket as bytes: the socket, the frames received, and the control frames sent.
use bytes::{BufMut as _, Bytes, BytesMut};

use super::outbox::Queued;
use crate::transport::codec::{Deflate, FrameDecoder};
use crate::transport::listen::Socket;

/// A socket that was taken over, and the decoder of its frames.
pub(in crate::transport) struct WebSocketIo {
    pub(super) socket: Socket,
    pub(super) frames: FrameDecoder,
}

impl WebSocketIo {
    /// Wraps a socket; `deflate` is the compression of messages, if negotiated.
    pub(in crate::transport) fn new(socket: Socket, deflate: Option<Deflate>) -> Self {
        let frames = if deflate.is_some() { FrameDecoder::inflating() } else { FrameDecoder::new() };
        Self { socket, frames }
    }
}

/// Returns a control frame; `data` has at most 125 bytes.
fn control_frame(opcode: u8, data: &[u8]) -> Queued {
    let mut frame = BytesMut::with_capacity(2 + data.len());
    frame.put_u8(0x80 | opcode);
    frame.put_u8(data.len() as u8);
    frame.put_slice(data);
    Queued::Raw(frame.freeze())
}

/// Returns a close frame, with a status code or, as Engine.IO servers close, without.
pub(super) fn close_frame(code: Option<u16>) -> Queued {
    match code {
        None => Queued::Raw(Bytes::from_static(&[0x88, 0])),
        Some(code) => control_frame(0x8, &code.to_be_bytes()),
    }
}

/// Returns the frame that answers a ping.
pub(super) fn pong_frame(data: &[u8]) -> Queued {
    control_frame(0xa, data)
}
