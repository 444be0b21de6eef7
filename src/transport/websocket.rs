//! A connection whose transport is a WebSocket.
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::deflate::Deflate;
use super::frame::{FrameDecoder, Message};
use super::link::{CLOSE_LINGER, Link, Phase, Transport};
use super::outbox::Queued;
use super::socket::Socket;
use super::worker::Worker;
use crate::engineio::{CloseReason, Packet, Service};

/// Reads, and writes with the service's refills, of one turn: more would keep the thread's other connections waiting.
const ROUNDS_PER_TURN: usize = 4;
/// Reads of a socket that takes no more: what a kernel keeps of it, a few megabytes.
const READS_AT_THE_END: usize = 128;

/// A socket that was taken over and the frames that come in on it.
pub(super) struct Wire {
    pub(super) socket: Socket,
    pub(super) frames: FrameDecoder,
    /// How messages may be compressed, if they may.
    pub(super) deflate: Option<Deflate>,
}

impl Wire {
    pub(super) fn new(socket: Socket, deflate: Option<Deflate>) -> Self {
        let frames = if deflate.is_some() { FrameDecoder::inflating() } else { FrameDecoder::new() };
        Self { socket, frames, deflate }
    }
}

/// A control frame; `data` has at most 125 bytes.
pub(super) fn control_frame(opcode: u8, data: &[u8]) -> Queued {
    let mut frame = BytesMut::with_capacity(2 + data.len());
    frame.put_u8(0x80 | opcode);
    frame.put_u8(data.len() as u8);
    frame.put_slice(data);
    Queued::Raw(frame.freeze())
}

/// A close frame, with a status code or, as Engine.IO servers close, without.
pub(super) fn close_frame(code: Option<u16>) -> Queued {
    match code {
        None => Queued::Raw(Bytes::from_static(&[0x88, 0])),
        Some(code) => control_frame(0x8, &code.to_be_bytes()),
    }
}

/// The frame that answers a ping.
pub(super) fn pong_frame(data: &[u8]) -> Queued {
    control_frame(0xa, data)
}

impl<S: Service> Link<S> {
    /// Reads what is there, and leaves word to be woken when there is more.
    pub(super) fn read(&mut self, worker: &Worker<S>, context: &mut Context<'_>, now: Instant) {
        for _ in 0..ROUNDS_PER_TURN {
            let mut scratch = worker.scratch();
            let mut buffer = ReadBuf::new(&mut scratch);
            let Some(wire) = self.wire_mut() else { return };
            match Pin::new(&mut wire.socket).poll_read(context, &mut buffer) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return self.on_end(worker, CloseReason::TransportClose, now);
                }
                Poll::Ready(Ok(())) => self.take_in(worker, buffer.filled_mut(), now),
                Poll::Ready(Err(_)) => return self.on_end(worker, CloseReason::TransportError, now),
            }
        }
        context.waker().wake_by_ref();
    }

    /// Takes in bytes of the WebSocket, be it the transport or one that wants to become it.
    pub(super) fn take_in(&mut self, worker: &Worker<S>, bytes: &mut [u8], now: Instant) {
        worker.stats.bytes_in.add(bytes.len() as u64);
        self.heartbeat.on_bytes();
        let max_bytes = self.max_message_bytes(worker);
        let Some(wire) = self.wire_mut() else { return };
        // out of its place meanwhile, because a message can replace the transport
        let mut frames = std::mem::take(&mut wire.frames);
        let outcome = frames.decode(bytes, max_bytes, |message| {
            match self.transport {
                Transport::Polling(_) => self.on_probe_message(worker, message, now),
                Transport::Websocket(_) => self.on_message(worker, message, now),
                Transport::Gone => {}
            }
            ControlFlow::Continue(())
        });
        if let Some(wire) = self.wire_mut() {
            wire.frames = frames;
        }
        match (outcome, &self.transport) {
            (Ok(()), _) | (_, Transport::Gone) => {}
            (Err(_), Transport::Polling(_)) => self.cancel_upgrade(),
            (Err(error), Transport::Websocket(_)) => {
                self.queue_close(Some(error.close_code()));
                self.close(worker, CloseReason::TransportError, now);
            }
        }
    }

    /// Writes what waits, and lets the service fill up what has left.
    pub(super) fn flush_websocket(&mut self, worker: &Worker<S>, context: &mut Context<'_>, now: Instant) {
        self.fill_websocket(worker, context, now);
        self.end_if_failed(worker, context, now);
    }

    fn fill_websocket(&mut self, worker: &Worker<S>, context: &mut Context<'_>, now: Instant) {
        for _ in 0..ROUNDS_PER_TURN {
            if !self.write_websocket(worker, context, now) || !self.tell_drained(worker, now) {
                break;
            }
        }
        if self.blocked_until.is_some() || self.has_failed {
            return;
        }
        if !self.outbox.is_empty() {
            context.waker().wake_by_ref();
            return;
        }
        if let (Phase::Closing(_), Transport::Websocket(wire)) = (self.phase, &mut self.transport)
            && !self.is_shut
        {
            self.is_shut = true;
            self.phase = Phase::Closing(now + CLOSE_LINGER);
            if let Poll::Ready(Err(_)) = Pin::new(&mut wire.socket).poll_shutdown(context) {
                self.finish(worker);
            }
        }
    }

    /// Writes what waits, without the service. Returns whether all has left.
    pub(super) fn write_websocket(&mut self, worker: &Worker<S>, context: &mut Context<'_>, now: Instant) -> bool {
        let Transport::Websocket(wire) = &mut self.transport else { return false };
        if self.has_failed {
            return false;
        }
        let waiting = self.outbox.bytes();
        // What has left the outbox may still wait under TLS.
        if waiting == 0 && self.blocked_until.is_none() {
            return true;
        }
        match self.outbox.poll_write_to(&mut wire.socket, context) {
            Poll::Ready(Ok(())) => {
                self.blocked_until = None;
                self.owes_drained = true;
                true
            }
            Poll::Pending => {
                if self.blocked_until.is_none() || self.outbox.bytes() < waiting {
                    self.blocked_until = Some(now + worker.options().write_timeout);
                }
                false
            }
            Poll::Ready(Err(_)) => {
                // Nobody reads on: what waits to leave would only fill the outbox, while what came before is still to be heard.
                self.outbox.clear();
                self.blocked_until = None;
                self.has_failed = true;
                self.wake();
                false
            }
        }
    }

    /// Ends a connection whose socket took no more, once all that had come in on it is taken in.
    fn end_if_failed(&mut self, worker: &Worker<S>, context: &mut Context<'_>, now: Instant) {
        if !self.has_failed {
            return;
        }
        for _ in 0..READS_AT_THE_END {
            let mut scratch = worker.scratch();
            let mut buffer = ReadBuf::new(&mut scratch);
            let Transport::Websocket(wire) = &mut self.transport else { return };
            match Pin::new(&mut wire.socket).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.take_in(worker, buffer.filled_mut(), now),
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        self.on_end(worker, CloseReason::TransportError, now);
    }

    /// Says goodbye on the WebSocket. A client that is too slow is cut off instead.
    pub(super) fn close_websocket(&mut self, worker: &Worker<S>, reason: CloseReason) {
        if reason == CloseReason::SlowConsumer {
            return self.finish(worker);
        }
        self.queue_close(None);
        self.wake();
    }

    /// The socket that is read: the transport, or one that wants to become it.
    fn wire_mut(&mut self) -> Option<&mut Wire> {
        match &mut self.transport {
            Transport::Websocket(wire) => Some(wire),
            Transport::Polling(polling) => polling.probe_wire_mut(),
            Transport::Gone => None,
        }
    }

    /// Queues a close frame, unless one is queued.
    fn queue_close(&mut self, code: Option<u16>) {
        if !std::mem::replace(&mut self.has_close_frame, true) {
            self.outbox.push(Rc::new(close_frame(code)));
        }
    }

    fn on_message(&mut self, worker: &Worker<S>, message: Message<'_>, now: Instant) {
        if self.phase != Phase::Open {
            return;
        }
        match message {
            Message::Text(text) => {
                if self.on_text(worker, text, now).is_err() {
                    self.close(worker, CloseReason::ParseError, now);
                }
            }
            Message::Binary(data) => self.on_packet(worker, Packet::Binary(Bytes::copy_from_slice(data)), now),
            Message::Ping(data) => {
                self.make_room(worker, now);
                if self.outbox.packets() >= worker.limits().packets {
                    return self.close(worker, CloseReason::SlowConsumer, now);
                }
                self.outbox.push(Rc::new(pong_frame(data)));
                self.tell_control(worker, now);
            }
            Message::Pong(_) => self.tell_control(worker, now),
            Message::Close(code) => {
                self.queue_close(code);
                self.close(worker, CloseReason::TransportClose, now);
            }
        }
    }

    /// The peer's side has ended, or the socket failed.
    fn on_end(&mut self, worker: &Worker<S>, reason: CloseReason, now: Instant) {
        if let Transport::Polling(_) = self.transport {
            return self.cancel_upgrade();
        }
        self.has_close_frame = true;
        self.close(worker, reason, now);
        self.finish(worker);
    }
}
