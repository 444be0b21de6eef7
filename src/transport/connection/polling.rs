//! State of a session on long polling: its requests, and a WebSocket that is to replace them.
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::outbox::Outbox;
use super::websocket_io::WebSocketIo;
use crate::engineio::{Exchange, HandshakeError};

/// An answer for the HTTP side.
#[derive(Debug)]
pub(in crate::transport) enum Answer {
    /// The body of a GET.
    Payload(Bytes),
    /// A POST was handled.
    Done,
    /// 400 without a body: requests overlap.
    Overlap,
    /// An Engine.IO error.
    Refused(HandshakeError),
}

/// Sends an answer. Dropped without one, the session is reported as unknown.
pub(in crate::transport) type Answering = oneshot::Sender<Answer>;

pub(super) const CLOSE: Bytes = Bytes::from_static(b"1");
pub(super) const NOOP: Bytes = Bytes::from_static(b"6");
pub(super) const NOOP_AND_CLOSE: Bytes = Bytes::from_static(b"6\x1e1");

/// State of a session while it is on polling.
#[derive(Default)]
pub(in crate::transport) struct Polling {
    pub(super) exchange: Exchange,
    pub(super) probe: Option<Box<Probe>>,
    /// Answers the waiting GET.
    pub(super) get: Option<Answering>,
    /// Answers the POST still being received, should the session end before it is complete.
    pub(super) post: Option<Answering>,
}

impl Polling {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let probe = self.probe.as_ref().map(|probe| probe.until);
        [self.exchange.noop_at(), probe].into_iter().flatten().min()
    }

    pub(super) fn probe_ws_io_mut(&mut self) -> Option<&mut WebSocketIo> {
        self.probe.as_mut().map(|probe| &mut probe.ws_io)
    }

    /// Answers the waiting GET, if there is one.
    pub(super) fn answer_get(&mut self, body: Bytes) {
        self.exchange.end_get();
        if let Some(get) = self.get.take() {
            // if the client has gone, the HTTP side reports it
            let _ = get.send(Answer::Payload(body));
        }
    }
}

/// A WebSocket that is to become the transport.
pub(super) struct Probe {
    pub(super) ws_io: WebSocketIo,
    /// The 101, answers to probes, control frames.
    pub(super) outbox: Outbox,
    /// Time at which it is given up.
    pub(super) until: Instant,
}
