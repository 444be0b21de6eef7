//! Confirmation of what has reached the client.
//!
//! Engine.IO clients answer pings in order: the pong to a ping sent after an event proves that the client read the
//! event.
use std::time::{Duration, Instant};

use crate::chat::{Broadcast, ConfirmationWanted, Watermark};
use crate::model::UserId;

/// A [`Watermark`] in eight bytes: every connection has three of them.
#[derive(Debug, Clone, Copy, Default)]
struct PackedWatermark(u64);

impl From<Watermark> for PackedWatermark {
    fn from(watermark: Watermark) -> Self {
        match watermark {
            Watermark::Nothing => Self(0),
            Watermark::Page(number) => Self(u64::from(number) << 1),
            Watermark::Event(event_seq) => Self(event_seq << 1 | 1),
        }
    }
}

impl From<PackedWatermark> for Watermark {
    fn from(PackedWatermark(packed): PackedWatermark) -> Self {
        match packed >> 1 {
            event_seq if packed & 1 == 1 => Self::Event(event_seq),
            0 => Self::Nothing,
            number => Self::Page(u32::try_from(number).unwrap_or(u32::MAX)),
        }
    }
}

/// Three watermarks of a client: sent, sent before the last ping, and confirmed.
#[derive(Debug, Default)]
pub(super) struct Confirmation {
    /// Everything sent, in the outbox or beyond,
    sent: PackedWatermark,
    /// everything sent when the last ping was queued,
    pinged: PackedWatermark,
    /// and everything confirmed by the last pong.
    confirmed: PackedWatermark,
    /// Time by which a ping is wanted for events sent since the last one.
    wanted: Option<Instant>,
    /// Set while somebody waits for the answer to the last ping.
    is_awaited: bool,
}

impl Confirmation {
    /// Records that an event was sent to `viewer` as `packets` packets.
    #[inline]
    pub(super) fn note_event(&mut self, event: &Broadcast, viewer: &UserId, packets: usize, now: Instant, interval: Duration) {
        if let Some(event_seq) = event.event_seq() {
            self.note_sent(Watermark::Event(event_seq));
        }
        if packets > 0 {
            self.want(event.confirmation_wanted_of(viewer), now, interval);
        }
    }

    /// Records that something was sent.
    pub(super) fn note_sent(&mut self, watermark: Watermark) {
        self.sent = watermark.into();
    }

    /// Records that a page of the catch-up was sent.
    pub(super) fn note_page(&mut self) {
        let number = if let Watermark::Page(number) = self.sent.into() { number } else { 0 };
        self.note_sent(Watermark::Page(number.saturating_add(1)));
    }

    /// Requests a confirmation of what was sent last.
    pub(super) fn want(&mut self, wanted: ConfirmationWanted, now: Instant, interval: Duration) {
        let by = match wanted {
            ConfirmationWanted::No => return,
            ConfirmationWanted::Soon => now.checked_add(interval),
            ConfirmationWanted::AtOnce => Some(now),
        };
        self.wanted = [self.wanted, by].into_iter().flatten().min();
    }

    /// Returns the time by which a ping is wanted.
    pub(super) fn wanted(&self) -> Option<Instant> {
        self.wanted
    }

    /// Records that a ping was queued behind everything sent so far.
    pub(super) fn on_ping(&mut self) {
        self.pinged = self.sent;
        self.is_awaited = self.wanted.take().is_some();
    }

    /// Records the answer to the last ping. Returns what it confirms, if somebody waits for that.
    pub(super) fn on_pong(&mut self) -> Option<Watermark> {
        self.confirmed = self.pinged;
        std::mem::take(&mut self.is_awaited).then(|| self.confirmed())
    }

    /// Returns the watermark up to which everything has reached the client.
    pub(super) fn confirmed(&self) -> Watermark {
        self.confirmed.into()
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
        let mut confirmation = Confirmation::default();
        confirmation.note_sent(Watermark::Event(7));
        confirmation.want(ConfirmationWanted::No, now, INTERVAL);
        assert_eq!(confirmation.wanted(), None);
        confirmation.want(ConfirmationWanted::Soon, now, INTERVAL);
        confirmation.want(ConfirmationWanted::Soon, later, INTERVAL);
        assert_eq!(confirmation.wanted(), Some(now + INTERVAL), "the first one's");
        confirmation.want(ConfirmationWanted::AtOnce, later, INTERVAL);
        assert_eq!(confirmation.wanted(), Some(later));
        confirmation.on_ping();
        assert_eq!(confirmation.wanted(), None);
        confirmation.note_sent(Watermark::Event(8));
        assert_eq!(confirmation.on_pong(), Some(Watermark::Event(7)), "what was sent later is not proven");
        confirmation.on_ping();
        assert_eq!(confirmation.on_pong(), None, "nobody waits");
        assert_eq!(confirmation.confirmed(), Watermark::Event(8));
    }

    #[test]
    fn marks_are_packed_without_loss() {
        for watermark in [
            Watermark::Nothing,
            Watermark::Page(1),
            Watermark::Page(u32::MAX),
            Watermark::Event(0),
            Watermark::Event(u64::MAX >> 1),
        ] {
            assert_eq!(Watermark::from(PackedWatermark::from(watermark)), watermark);
        }
        assert!(size_of::<Confirmation>() <= 48);
    }

    #[test]
    fn pages_are_counted_up_to_the_first_event() {
        let mut confirmation = Confirmation::default();
        confirmation.note_page();
        confirmation.note_page();
        confirmation.on_ping();
        confirmation.on_pong();
        assert_eq!(confirmation.confirmed(), Watermark::Page(2));
        confirmation.note_sent(Watermark::Event(1));
        confirmation.on_ping();
        confirmation.on_pong();
        assert!(confirmation.confirmed() > Watermark::Page(2));
    }
}
