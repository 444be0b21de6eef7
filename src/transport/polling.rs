//! A connection whose transport is long polling: what its requests do to it.
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::link::{Link, Phase, Transport};
use super::upgrade::Probe;
use super::websocket::Wire;
use super::worker::Worker;
use crate::engineio::{CloseReason, Exchange, Packet, Refusal, Service, Ticket, decode_payload};

/// What the HTTP side answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// The body of a GET.
    Payload(Bytes),
    /// A POST was taken in.
    Done,
    /// 400 without a body: requests overlap.
    Overlap,
    /// An Engine.IO error.
    Refused(Refusal),
}

/// Where an answer goes. Dropped without one, the session is not known any more.
pub(super) type Answering = oneshot::Sender<Answer>;

const CLOSE: Bytes = Bytes::from_static(b"1");
const NOOP: Bytes = Bytes::from_static(b"6");
const NOOP_AND_CLOSE: Bytes = Bytes::from_static(b"6\x1e1");

/// What a session has only while it is on polling.
#[derive(Default)]
pub(super) struct Polling {
    pub(super) exchange: Exchange,
    pub(super) probe: Option<Box<Probe>>,
    /// Answers the GET that waits.
    get: Option<Answering>,
    /// Answers the POST whose body is still being received, should the session end before.
    post: Option<Answering>,
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

impl<S: Service> Link<S> {
    /// A GET came.
    pub(super) fn on_get(&mut self, worker: &Worker<S>, ticket: Ticket, answering: Answering, now: Instant) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        match self.phase {
            Phase::Open => {}
            Phase::Closing(_) if self.outbox.is_empty() => {
                let _ = answering.send(Answer::Payload(NOOP_AND_CLOSE));
                return self.finish(worker);
            }
            Phase::Closing(_) => {
                let _ = answering.send(Answer::Payload(self.outbox.take_payload()));
                return;
            }
            Phase::Finished => return,
        }
        match polling.exchange.begin_get(ticket, now) {
            Ok(()) => polling.get = Some(answering),
            Err(_) => {
                let _ = answering.send(Answer::Overlap);
                self.close(worker, CloseReason::TransportError, now);
            }
        }
    }

    /// A POST came whose body takes time.
    pub(super) fn on_post_begun(&mut self, worker: &Worker<S>, ticket: Ticket, answering: Answering, now: Instant) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        match polling.exchange.begin_post(ticket) {
            Ok(()) => polling.post = Some(answering),
            Err(_) => {
                let _ = answering.send(Answer::Overlap);
                self.close(worker, CloseReason::TransportError, now);
            }
        }
    }

    /// The body of a POST is there.
    pub(super) fn on_post(&mut self, worker: &Worker<S>, ticket: Ticket, body: &[u8], answering: Answering, now: Instant) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        if polling.exchange.begin_post(ticket).is_err() {
            let _ = answering.send(Answer::Overlap);
            return self.close(worker, CloseReason::TransportError, now);
        }
        polling.exchange.end_post(ticket);
        polling.post = None;
        worker.stats.bytes_in.add(body.len() as u64);
        let answer = match self.take_in_payload(worker, body, now) {
            Ok(()) => Answer::Done,
            Err(refusal) => Answer::Refused(refusal),
        };
        let _ = answering.send(answer);
    }

    /// A POST was too large: it is forgotten, the session goes on.
    pub(super) fn on_post_refused(&mut self, ticket: Ticket) {
        if let Transport::Polling(polling) = &mut self.transport
            && polling.exchange.end_post(ticket)
        {
            polling.post = None;
        }
    }

    /// The client of a request went away in the middle of it, or sent what ends a session.
    pub(super) fn on_request_failed(&mut self, worker: &Worker<S>, now: Instant) {
        if let Transport::Polling(_) = self.transport {
            self.close(worker, CloseReason::TransportError, now);
        }
    }

    /// Hands what waits to the GET that waits.
    pub(super) fn flush_polling(&mut self, worker: &Worker<S>, context: &mut std::task::Context<'_>, now: Instant) {
        self.write_probe(context);
        let Transport::Polling(polling) = &mut self.transport else { return };
        if !polling.exchange.has_get() {
            return;
        }
        if self.outbox.is_empty() {
            if polling.exchange.take_noop(now) {
                polling.answer_get(NOOP);
            }
            return;
        }
        polling.answer_get(self.outbox.take_payload());
        self.call(worker, now, |service, out| service.on_drained(now, out));
    }

    /// A moment of the polling transport may have come.
    pub(super) fn on_polling_deadline(&mut self, _worker: &Worker<S>, now: Instant) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        if polling.exchange.take_noop(now) {
            polling.answer_get(NOOP);
        }
        if polling.probe.as_ref().is_some_and(|probe| now >= probe.until) {
            self.cancel_upgrade();
        }
    }

    /// Tells the client by the request that waits. Where none does, a graceful close lingers for the next ones.
    pub(super) fn close_polling(&mut self, worker: &Worker<S>, reason: CloseReason) {
        self.cancel_upgrade();
        let Transport::Polling(polling) = &mut self.transport else { return };
        polling.post = None;
        let has_get = polling.exchange.has_get();
        match reason {
            CloseReason::TransportClose => polling.answer_get(NOOP),
            CloseReason::TransportError | CloseReason::PingTimeout | CloseReason::ParseError | CloseReason::SlowConsumer => {
                polling.answer_get(CLOSE);
            }
            _ if has_get && self.outbox.is_empty() => polling.answer_get(CLOSE),
            _ => {
                if has_get {
                    polling.answer_get(self.outbox.take_payload());
                }
                return;
            }
        }
        self.finish(worker);
    }

    fn take_in_payload(&mut self, worker: &Worker<S>, body: &[u8], now: Instant) -> Result<(), Refusal> {
        let malformed = |link: &mut Self| {
            link.close(worker, CloseReason::ParseError, now);
            Err(Refusal::BadRequest)
        };
        let Ok(packets) = decode_payload(body) else { return malformed(self) };
        for packet in packets {
            match packet {
                Err(_) => return malformed(self),
                Ok(packet) if self.phase == Phase::Open => {
                    let is_heartbeat = matches!(packet, Packet::Ping(_));
                    self.on_packet(worker, packet, now);
                    if is_heartbeat {
                        return Err(Refusal::BadRequest);
                    }
                }
                // the rest after the end is dropped
                Ok(_) => break,
            }
        }
        Ok(())
    }
}
