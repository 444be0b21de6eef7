//! The state of a session on long polling: its requests, and the WebSocket that wants to take their place.
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::outbox::Outbox;
use super::wire::Wire;
use crate::engineio::{Exchange, Refusal};

/// The answer of the HTTP side.
#[derive(Debug)]
pub(in crate::transport) enum Answer {
    /// The body of a GET.
    Payload(Bytes),
    /// A POST was taken in.
    Done,
    /// 400 without a body: requests overlap.
    Overlap,
    /// An Engine.IO error.
    Refused(Refusal),
}

/// The way that an answer goes. Dropped without one, the session is not known any more.
pub(in crate::transport) type Answering = oneshot::Sender<Answer>;

pub(super) const CLOSE: Bytes = Bytes::from_static(b"1");
pub(super) const NOOP: Bytes = Bytes::from_static(b"6");
pub(super) const NOOP_AND_CLOSE: Bytes = Bytes::from_static(b"6\x1e1");

/// State that a session has only while it is on polling.
#[derive(Default)]
pub(in crate::transport) struct Polling {
    pub(super) exchange: Exchange,
    pub(super) probe: Option<Box<Probe>>,
    /// Answers the GET that waits.
    pub(super) get: Option<Answering>,
    /// Answers the POST whose body is still being received, should the session end before.
    pub(super) post: Option<Answering>,
}

impl Polling {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let probe = self.probe.as_ref().map(|probe| probe.until);
        [self.exchange.noop_at(), probe].into_iter().flatten().min()
    }

    pub(super) fn probe_wire_mut(&mut self) -> Option<&mut Wire> {
        self.probe.as_mut().map(|probe| &mut probe.wire)
    }

    /// Answers the GET that waits, if there is one.
    pub(super) fn answer_get(&mut self, body: Bytes) {
        self.exchange.end_get();
        if let Some(get) = self.get.take() {
            // one whose client has gone is reported by the HTTP side
            let _ = get.send(Answer::Payload(body));
        }
    }
}

/// A WebSocket that wants to become the transport.
pub(super) struct Probe {
    pub(super) wire: Wire,
    /// The 101, answers to probes, control frames.
    pub(super) outbox: Outbox,
    /// The moment at which its time is up.
    pub(super) until: Instant,
}
