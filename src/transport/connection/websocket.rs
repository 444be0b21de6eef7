//! A connection on a WebSocket.
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::closing::CLOSE_LINGER;
use super::state::{ConnectionState, Phase, Transport};
use super::websocket_io::{WebSocketIo, pong_frame};
use super::worker_state::WorkerState;
use crate::engineio::{CloseReason, Packet, Service};
use crate::transport::codec::Message;

/// Maximum number of reads, and of writes with the service's refills, in one step, so that the thread's other
/// connections need not wait.
const ROUNDS_PER_STEP: usize = 4;
/// Maximum number of reads from a socket that accepts no more writes: enough for the few megabytes that a kernel may
/// hold.
const READS_AT_THE_END: usize = 128;

impl<S: Service> ConnectionState<S> {
    /// Reads available bytes, and registers to be woken when there are more.
    pub(in crate::transport) fn read(&mut self, worker: &WorkerState<S>, context: &mut Context<'_>, now: Instant) {
        for _ in 0..ROUNDS_PER_STEP {
            let mut scratch = worker.scratch();
            let mut buffer = ReadBuf::new(&mut scratch);
            let Some(ws_io) = self.ws_io_mut() else { return };
            match Pin::new(&mut ws_io.socket).poll_read(context, &mut buffer) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return self.on_end(worker, CloseReason::TransportClose, now);
                }
                Poll::Ready(Ok(())) => self.take_in(worker, buffer.filled_mut(), now),
                Poll::Ready(Err(_)) => return self.on_end(worker, CloseReason::TransportError, now),
            }
        }
        // The rounds are used up, not the socket, which therefore would not wake the task.
        context.waker().wake_by_ref();
    }

    /// Handles bytes of the WebSocket, be it the transport or one that is to become it.
    pub(in crate::transport) fn take_in(&mut self, worker: &WorkerState<S>, bytes: &mut [u8], now: Instant) {
        worker.stats.bytes_in.add(bytes.len() as u64);
        self.heartbeat.on_bytes();
        let max_bytes = self.max_message_bytes(worker);
        let Some(ws_io) = self.ws_io_mut() else { return };
        // taken out meanwhile, because a message can replace the transport
        let mut frames = std::mem::take(&mut ws_io.frames);
        let outcome = frames.decode(bytes, max_bytes, |message| {
            match self.transport {
                Transport::Polling(_) => self.on_probe_message(worker, message, now),
                Transport::Websocket(_) => self.on_message(worker, message, now),
                Transport::Gone => {}
            }
            ControlFlow::Continue(())
        });
        if let Some(ws_io) = self.ws_io_mut() {
            ws_io.frames = frames;
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

    /// Writes queued packets, and lets the service refill the outbox.
    pub(super) fn flush_websocket(&mut self, worker: &WorkerState<S>, context: &mut Context<'_>, now: Instant) {
        self.fill_websocket(worker, context, now);
        self.end_if_failed(worker, context, now);
    }

    fn fill_websocket(&mut self, worker: &WorkerState<S>, context: &mut Context<'_>, now: Instant) {
        for _ in 0..ROUNDS_PER_STEP {
            if !self.write_websocket(worker, context, now) || !self.notify_drained(worker, now) {
                break;
            }
        }
        // A blocked socket wakes the task by itself.
        if self.blocked_until.is_some() || self.ending.has_failed {
            return;
        }
        if !self.outbox.is_empty() {
            // The rounds are used up, not the socket, which therefore would not wake the task.
            context.waker().wake_by_ref();
            return;
        }
        // Everything has been written, the close frame last: our side may end, and the peer gets time to end its own.
        if let (Phase::Closing(_), Transport::Websocket(ws_io)) = (self.phase, &mut self.transport)
            && !self.ending.is_shut
        {
            self.ending.is_shut = true;
            self.phase = Phase::Closing(now + CLOSE_LINGER);
            if let Poll::Ready(Err(_)) = Pin::new(&mut ws_io.socket).poll_shutdown(context) {
                self.finish(worker);
            }
        }
    }

    /// Ends a connection whose socket accepts no more writes, once everything received has been handled.
    fn end_if_failed(&mut self, worker: &WorkerState<S>, context: &mut Context<'_>, now: Instant) {
        if !self.ending.has_failed {
            return;
        }
        // Writing fails once the peer has closed, although the last packets it sent are still unread.
        for _ in 0..READS_AT_THE_END {
            let mut scratch = worker.scratch();
            let mut buffer = ReadBuf::new(&mut scratch);
            let Transport::Websocket(ws_io) = &mut self.transport else { return };
            match Pin::new(&mut ws_io.socket).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.take_in(worker, buffer.filled_mut(), now),
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        self.on_end(worker, CloseReason::TransportError, now);
    }

    /// Returns the socket to read from: the transport, or one that is to become it.
    fn ws_io_mut(&mut self) -> Option<&mut WebSocketIo> {
        match &mut self.transport {
            Transport::Websocket(ws_io) => Some(ws_io),
            Transport::Polling(polling) => polling.probe_ws_io_mut(),
            Transport::Gone => None,
        }
    }

    fn on_message(&mut self, worker: &WorkerState<S>, message: Message<'_>, now: Instant) {
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
                self.notify_control(worker, now);
            }
            Message::Pong(_) => self.notify_control(worker, now),
            Message::Close(code) => {
                self.queue_close(code);
                self.close(worker, CloseReason::TransportClose, now);
            }
        }
    }

    /// Handles the end of the peer's side, or a failure of the socket.
    fn on_end(&mut self, worker: &WorkerState<S>, reason: CloseReason, now: Instant) {
        if let Transport::Polling(_) = self.transport {
            return self.cancel_upgrade();
        }
        self.ending.has_close_frame = true;
        self.close(worker, reason, now);
        self.finish(worker);
    }
}
