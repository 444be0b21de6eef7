//! The events that clients are sent, as watchers see them.
use super::state::Session;
use crate::engineio::{CloseReason, Encoded, Output, RECORD_SEPARATOR};
use crate::feed::{Feed, Happening, Packet, What};
use crate::model::{SocketId, Timestamp, UserId};

/// The start of an event's packet in the default namespace.
const EVENT: &[u8] = b"42[";

/// A connection of which it is noted what it is sent.
pub struct Tap<'a> {
    out: &'a mut dyn Output,
    sent: Vec<Encoded>,
}

impl<'a> Tap<'a> {
    /// Notes what is sent on `out` from now on.
    pub fn new(out: &'a mut dyn Output) -> Self {
        Self { out, sent: Vec::new() }
    }

    /// Tells watchers which events the client was sent: as who it was then, or as who it has become by that.
    pub fn tell(self, feed: &Feed, before: Option<(SocketId, UserId)>, session: &Session) {
        let Some((socket, user)) = before.or_else(|| session.who()) else { return };
        let dialects = session.heard().bits();
        for packet in self.sent.iter().flat_map(events) {
            let what = What::Sent { packet, dialects };
            feed.tell(|| Happening { at: Timestamp::now(), socket, user: user.clone(), what });
        }
    }
}

/// The packets that are events.
fn events(encoded: &Encoded) -> impl Iterator<Item = Packet> {
    let payload = encoded.payload();
    payload.split(|byte| *byte == RECORD_SEPARATOR).filter(|packet| packet.starts_with(EVENT)).map(|packet| {
        // One of several is copied: the others are not to be kept for its sake.
        if packet.len() == payload.len() { Packet::new(payload.clone()) } else { Packet::new(packet.to_vec().into()) }
    })
}

impl Output for Tap<'_> {
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
