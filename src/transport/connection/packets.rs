//! Packets received on a connection, independent of its transport.
use std::time::Instant;

use super::state::{ConnectionState, Phase};
use super::worker_state::WorkerState;
use crate::engineio::{CloseReason, Packet, PacketError, Service, decode_packet};

impl<S: Service> ConnectionState<S> {
    /// Handles a text frame or an entry of a payload.
    pub(super) fn on_text(&mut self, worker: &WorkerState<S>, text: &str, now: Instant) -> Result<(), PacketError> {
        let packet = decode_packet(text)?;
        self.on_packet(worker, packet, now);
        Ok(())
    }

    /// Handles a packet. Packets after the end are dropped.
    pub(super) fn on_packet(&mut self, worker: &WorkerState<S>, packet: Packet<'_>, now: Instant) {
        if self.phase != Phase::Open {
            return;
        }
        match packet {
            Packet::Message(text) => {
                worker.stats.messages_in.add(1);
                self.call(worker, now, |service, out| service.on_text(text, now, out));
            }
            Packet::Binary(data) => {
                worker.stats.messages_in.add(1);
                self.call(worker, now, |service, out| service.on_binary(data, now, out));
            }
            Packet::Pong(_) => {
                if !self.heartbeat.on_pong(now, &worker.options().heartbeat()) {
                    return self.notify_control(worker, now);
                }
                if let Some(service) = &mut self.service {
                    service.on_pong();
                }
            }
            Packet::Close => self.close(worker, CloseReason::TransportClose, now),
            // in this direction only the server pings
            Packet::Ping(_) => self.close(worker, CloseReason::TransportError, now),
            Packet::Open | Packet::Upgrade | Packet::Noop => self.notify_control(worker, now),
        }
    }
}
