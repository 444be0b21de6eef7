//! Requests to a connection on long polling.
use std::time::Instant;

use super::polling::{Answer, Answering, NOOP, NOOP_AND_CLOSE};
use super::state::{ConnectionState, Phase, Transport};
use super::worker_state::WorkerState;
use crate::engineio::{CloseReason, HandshakeError, Packet, Service, Ticket, decode_payload};

impl<S: Service> ConnectionState<S> {
    /// Handles a GET.
    pub(in crate::transport) fn on_get(&mut self, worker: &WorkerState<S>, ticket: Ticket, answering: Answering, now: Instant) {
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

    /// Handles the start of a POST whose body takes time.
    pub(in crate::transport) fn on_post_begun(
        &mut self,
        worker: &WorkerState<S>,
        ticket: Ticket,
        answering: Answering,
        now: Instant,
    ) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        match polling.exchange.begin_post(ticket) {
            Ok(()) => polling.post = Some(answering),
            Err(_) => {
                let _ = answering.send(Answer::Overlap);
                self.close(worker, CloseReason::TransportError, now);
            }
        }
    }

    /// Handles the body of a POST.
    pub(in crate::transport) fn on_post(
        &mut self,
        worker: &WorkerState<S>,
        ticket: Ticket,
        body: &[u8],
        answering: Answering,
        now: Instant,
    ) {
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

    /// Handles a POST that was too large: it is dropped, the session continues.
    pub(in crate::transport) fn on_post_refused(&mut self, ticket: Ticket) {
        if let Transport::Polling(polling) = &mut self.transport
            && polling.exchange.end_post(ticket)
        {
            polling.post = None;
        }
    }

    /// Handles a request that was aborted, or that ends the session.
    pub(in crate::transport) fn on_request_failed(&mut self, worker: &WorkerState<S>, now: Instant) {
        if let Transport::Polling(_) = self.transport {
            self.close(worker, CloseReason::TransportError, now);
        }
    }

    /// Answers the waiting GET with the queued packets.
    pub(super) fn flush_polling(&mut self, worker: &WorkerState<S>, context: &mut std::task::Context<'_>, now: Instant) {
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

    /// Handles the deadlines of the polling transport.
    pub(super) fn on_polling_deadline(&mut self, _worker: &WorkerState<S>, now: Instant) {
        let Transport::Polling(polling) = &mut self.transport else { return };
        if polling.exchange.take_noop(now) {
            polling.answer_get(NOOP);
        }
        if polling.probe.as_ref().is_some_and(|probe| now >= probe.until) {
            self.cancel_upgrade();
        }
    }

    fn take_in_payload(&mut self, worker: &WorkerState<S>, body: &[u8], now: Instant) -> Result<(), HandshakeError> {
        let malformed = |state: &mut Self| {
            state.close(worker, CloseReason::ParseError, now);
            Err(HandshakeError::BadRequest)
        };
        let Ok(packets) = decode_payload(body) else { return malformed(self) };
        for packet in packets {
            match packet {
                Err(_) => return malformed(self),
                Ok(packet) if self.phase == Phase::Open => {
                    let is_heartbeat = matches!(packet, Packet::Ping(_));
                    self.on_packet(worker, packet, now);
                    if is_heartbeat {
                        return Err(HandshakeError::BadRequest);
                    }
                }
                // packets after the end are dropped
                Ok(_) => break,
            }
        }
        Ok(())
    }
}
