//! Confirmation of what has reached the client.
//!
//! Engine.IO clients answer pings in order: the pong to a ping sent after an event proves that the client read the
//! event.
use std::time::{Duration, Instant};

use crate::chat::{Broadcast, Mark, ProofWanted};
use crate::model::UserId;

/// A [`Mark`] in eight bytes: every connection has three of them.
#[derive(Debug, Clone, Copy, Default)]
struct PackedMark(u64);

impl From<Mark> for PackedMark {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Nothing => Self(0),
            Mark::Page(number) => Self(u64::from(number) << 1),
            Mark::Event(serial) => Self(serial << 1 | 1),
        }
    }
}

impl From<PackedMark> for Mark {
    fn from(PackedMark(packed): PackedMark) -> Self {
        match packed >> 1 {
            serial if packed & 1 == 1 => Self::Event(serial),
            0 => Self::Nothing,
            number => Self::Page(u32::try_from(number).unwrap_or(u32::MAX)),
        }
    }
}

/// Three watermarks of a client: sent, sent before the last ping, and confirmed.
#[derive(Debug, Default)]
pub struct Proof {
    /// Everything sent, in the outbox or beyond,
    told: PackedMark,
    /// everything sent when the last ping was queued,
    pinged: PackedMark,
    /// and everything confirmed by the last pong.
    proven: PackedMark,
    /// Time by which a ping is wanted for events sent since the last one.
    wanted: Option<Instant>,
    /// Set while somebody waits for the answer to the last ping.
    is_awaited: bool,
}

impl Proof {
    /// Records that an event was sent to `viewer` as `packets` packets.
    #[inline]
    pub fn tell_event(&mut self, event: &Broadcast, viewer: &UserId, packets: usize, now: Instant, interval: Duration) {
        if let Some(serial) = event.serial() {
            self.tell(Mark::Event(serial));
        }
        if packets > 0 {
            self.want(event.proof_wanted_of(viewer), now, interval);
        }
    }

    /// Records that something was sent.
    pub fn tell(&mut self, mark: Mark) {
        self.told = mark.into();
    }

    /// Records that a page of the catch-up was sent.
    pub fn tell_page(&mut self) {
        let number = if let Mark::Page(number) = self.told.into() { number } else { 0 };
        self.tell(Mark::Page(number.saturating_add(1)));
    }

    /// Requests a confirmation of what was sent last.
    pub fn want(&mut self, wanted: ProofWanted, now: Instant, interval: Duration) {
        let by = match wanted {
            ProofWanted::No => return,
            ProofWanted::Soon => now.checked_add(interval),
            ProofWanted::AtOnce => Some(now),
        };
        self.wanted = [self.wanted, by].into_iter().flatten().min();
    }

    /// Returns the time by which a ping is wanted.
    pub fn wanted(&self) -> Option<Instant> {
        self.wanted
    }

    /// Records that a ping was queued behind everything sent so far.
    pub fn on_ping(&mut self) {
        self.pinged = self.told;
        self.is_awaited = self.wanted.take().is_some();
    }

    /// Records the answer to the last ping. Returns what it confirms, if somebody waits for that.
    pub fn on_pong(&mut self) -> Option<Mark> {
        self.proven = self.pinged;
        std::mem::take(&mut self.is_awaited).then(|| self.proven())
    }

    /// Returns the watermark up to which everything has reached the client.
    pub fn proven(&self) -> Mark {
        self.proven.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    #[test]
    fn a_ping_is_wanted_for_what_somebody_waits_for_and_once() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut proof = Proof::default();
        proof.tell(Mark::Event(7));
        proof.want(ProofWanted::No, now, INTERVAL);
        assert_eq!(proof.wanted(), None);
        proof.want(ProofWanted::Soon, now, INTERVAL);
        proof.want(ProofWanted::Soon, later, INTERVAL);
        assert_eq!(proof.wanted(), Some(now + INTERVAL), "the first one's");
        proof.want(ProofWanted::AtOnce, later, INTERVAL);
        assert_eq!(proof.wanted(), Some(later));
        proof.on_ping();
        assert_eq!(proof.wanted(), None);
        proof.tell(Mark::Event(8));
        assert_eq!(proof.on_pong(), Some(Mark::Event(7)), "what was told later is not proven");
        proof.on_ping();
        assert_eq!(proof.on_pong(), None, "nobody waits");
        assert_eq!(proof.proven(), Mark::Event(8));
    }

    #[test]
    fn marks_are_packed_without_loss() {
        for mark in [Mark::Nothing, Mark::Page(1), Mark::Page(u32::MAX), Mark::Event(0), Mark::Event(u64::MAX >> 1)] {
            assert_eq!(Mark::from(PackedMark::from(mark)), mark);
        }
        assert!(size_of::<Proof>() <= 48);
    }

    #[test]
    fn pages_are_counted_up_to_the_first_event() {
        let mut proof = Proof::default();
        proof.tell_page();
        proof.tell_page();
        proof.on_ping();
        proof.on_pong();
        assert_eq!(proof.proven(), Mark::Page(2));
        proof.tell(Mark::Event(1));
        proof.on_ping();
        proof.on_pong();
        assert!(proof.proven() > Mark::Page(2));
    }
}
