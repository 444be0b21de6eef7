//! Reports the events sent to clients to watchers.
use super::state::Session;
use crate::engineio::{CloseReason, Encoded, Output, RECORD_SEPARATOR};
use crate::feed::{Feed, FeedEvent, FeedEventKind, Packet};
use crate::model::{SocketId, Timestamp, UserId};

/// The start of an event's packet in the default namespace.
const EVENT: &[u8] = b"42[";

/// An output that records the events sent through it.
pub(super) struct Publisher<'a> {
    out: &'a mut dyn Output,
    sent: Vec<Encoded>,
}

impl<'a> Publisher<'a> {
    /// Records everything sent to `out` from now on.
    pub(super) fn new(out: &'a mut dyn Output) -> Self {
        Self { out, sent: Vec::new() }
    }

    /// Reports the recorded events: under the client's identity before the call, or else the one it has since.
    pub(super) fn publish(self, feed: &Feed, before: Option<(SocketId, UserId)>, session: &Session) {
        let Some((socket, user)) = before.or_else(|| session.who()) else { return };
        let dialects = session.receives_in().bits();
        for packet in self.sent.iter().flat_map(events) {
            let kind = FeedEventKind::Sent { packet, dialects };
            feed.publish(|| FeedEvent { at: Timestamp::now(), socket: Some(socket), user: Some(user.clone()), kind });
        }
    }
}

/// Returns the packets that are events.
fn events(encoded: &Encoded) -> impl Iterator<Item = Packet> {
    let payload = encoded.payload();
    payload.split(|byte| *byte == RECORD_SEPARATOR).filter(|packet| packet.starts_with(EVENT)).map(|packet| {
        // A packet among several is copied, so that keeping it does not keep the others in memory.
        if packet.len() == payload.len() { Packet::new(payload.clone()) } else { Packet::new(packet.to_vec().into()) }
    })
}

impl Output for Publisher<'_> {
    fn send(&mut self, packets: &Encoded) {
        self.out.send(packets);
        self.sent.push(packets.clone());
    }

    fn send_volatile(&mut self, packets: &Encoded) -> bool {
        let is_queued = self.out.send_volatile(packets);
        if is_queued {
            self.sent.push(packets.clone());
        }
        is_queued
    }

    fn close(&mut self, reason: CloseReason) {
        self.out.close(reason);
    }

    fn queued_bytes(&self) -> usize {
        self.out.queued_bytes()
    }
}
