//! The move of a polling session to a WebSocket (source: engine.io-protocol v4, "Upgrade").
//!
//! Until the client's `5`, only the answer to its probe is written to the WebSocket, and the session continues over
//! polling. With the `5`, the socket becomes the transport of the same connection, so no state moves and nothing can be
//! lost.
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;

use super::outbox::{Outbox, Queued};
use super::polling::Probe;
use super::state::{ConnectionState, Phase, Transport};
use super::websocket_io::{WebSocketIo, pong_frame};
use super::worker_state::WorkerState;
use crate::engineio::{Encoded, Packet, Service, decode_packet};
use crate::transport::codec::{Deflate, Message};
use crate::transport::listen::Socket;

/// Maximum number of control frames waiting for a probing socket.
const MAX_WAITING: usize = 64;

impl<S: Service> ConnectionState<S> {
    /// Starts an upgrade with a WebSocket opened for this session; `head` is the 101. Returns the socket if it cannot
    /// be used.
    pub(in crate::transport) fn begin_upgrade(
        &mut self,
        worker: &WorkerState<S>,
        socket: Socket,
        head: Bytes,
        deflate: Option<Deflate>,
        now: Instant,
    ) -> Option<Socket> {
        let Transport::Polling(polling) = &mut self.transport else { return Some(socket) };
        if self.phase != Phase::Open || !polling.exchange.begin_upgrade() {
            return Some(socket);
        }
        let mut outbox = Outbox::default();
        outbox.push(Rc::new(Queued::Raw(head)));
        let until = now + worker.options().upgrade_timeout;
        self.form.deflate = deflate;
        polling.probe = Some(Box::new(Probe { ws_io: WebSocketIo::new(socket, deflate), outbox, until }));
        None
    }

    /// Handles a message on a WebSocket that is not the transport yet.
    pub(super) fn on_probe_message(&mut self, worker: &WorkerState<S>, message: Message<'_>, now: Instant) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        let Some(probe) = &mut polling.probe else { return };
        if probe.outbox.packets() > MAX_WAITING {
            return self.cancel_upgrade();
        }
        match message {
            Message::Text(text) => match decode_packet(text) {
                Ok(Packet::Ping("probe")) => {
                    probe.outbox.push(Rc::new(Queued::Packets(Encoded::text("3probe"))));
                    polling.exchange.on_probe(now);
                }
                Ok(Packet::Upgrade) => self.complete_upgrade(worker),
                _ => self.cancel_upgrade(),
            },
            Message::Ping(data) => probe.outbox.push(Rc::new(pong_frame(data))),
            Message::Pong(_) => {}
            Message::Binary(_) | Message::Close(_) => self.cancel_upgrade(),
        }
    }

    /// Writes the queue of the probing socket.
    pub(super) fn write_probe(&mut self, context: &mut Context<'_>) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        let Some(probe) = &mut polling.probe else { return };
        if let Poll::Ready(Err(_)) = probe.outbox.poll_write_to(&mut probe.ws_io.socket, context) {
            self.cancel_upgrade();
        }
    }

    /// Completes the move: queued packets are sent as frames, after everything queued for the probing socket.
    fn complete_upgrade(&mut self, worker: &WorkerState<S>) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        let Some(probe) = polling.probe.take() else { return };
        let Probe { ws_io, outbox: mut probed, until: _ } = *probe;
        polling.answer_get(Bytes::from_static(b"6"));
        self.transport = Transport::Websocket(ws_io);
        probed.append(std::mem::take(&mut self.outbox));
        self.outbox = probed;
        worker.directory.insert_websocket(*self.sid());
        worker.stats.polling_sessions.subtract(1);
        worker.stats.websocket_sessions.add(1);
        worker.stats.upgraded.add(1);
        self.notify_upgraded();
    }
}
