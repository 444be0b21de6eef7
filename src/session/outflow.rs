//! Events sent at the pace of the reader: pages of its catch-up, and events held back.
use std::sync::Arc;
use std::time::Instant;

use super::gate::{Ended, Leaving, LeavingKind, Overflow};
use super::showing::{encodings, show, show_own, show_seed};
use super::state::{Session, Stage};
use super::surroundings::Surroundings;
use super::waiting::Bound;
use crate::chat::{Broadcast, CatchUpDrained, FellBehind, Mark, ProofWanted};
use crate::engineio::CloseReason;

impl Session {
    /// Holds an event back behind the others.
    pub(super) fn wait_behind(&mut self, event: &Arc<Broadcast>, around: &mut Surroundings<'_>) {
        let (Stage::In { socket, account }, Some(active)) = (&self.stage, &mut self.active) else { return };
        let bytes = encodings(self.voice, &account.profile.id, event).map(|encoded| encoded.frames().len()).sum();
        let bound = Bound { events: around.rules.outbox_packets, bytes: around.rules.outbox_bytes };
        if active.gate.push(event, bytes, event.is_live_copy_of(*socket), bound) == Err(Overflow) {
            around.wire.close(CloseReason::SlowConsumer);
        }
    }

    /// Shows a page of the catch-up; asks for the next one at once if the page had nothing to show.
    pub(super) fn show_page(&mut self, page: &[Arc<Broadcast>], now: Instant, around: &mut Surroundings<'_>) {
        let Stage::In { socket, account } = &self.stage else { return };
        if let Some(active) = &mut self.active {
            active.gate.update_behind(page, *socket);
            if active.gate.goes_on() {
                active.gate.push_page(page);
                return self.feed(now, around);
            }
        }
        for event in page {
            show(self.voice, &account.profile.id, event, None, around.wire);
        }
        self.proof.tell_page();
        self.proof.want(ProofWanted::AtOnce, now, around.rules.proof_interval);
        if around.wire.queued_bytes() == 0 {
            around.broker.catch_up_drained(CatchUpDrained { connection: self.key });
        } else {
            self.active().gate.send_page();
        }
    }

    /// Sends held events that may leave, but no more at a time than a slow reader's outbox takes.
    pub(super) fn feed(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        let mut packets = 0;
        loop {
            let (Stage::In { account, .. }, Some(active)) = (&self.stage, &mut self.active) else { return };
            if let Some(Ended { serial, went_on }) = active.gate.take_ended() {
                self.proof.tell(Mark::Event(serial));
                if went_on {
                    self.proof.want(ProofWanted::AtOnce, now, around.rules.proof_interval);
                }
            }
            let has_room =
                around.wire.queued_bytes() < around.rules.outbox_bytes / 4 && packets < around.rules.outbox_packets.div_ceil(4);
            let Some(Leaving { event, had, kind }) = has_room.then(|| active.gate.pop()).flatten() else { break };
            let viewer = &account.profile.id;
            let shown = match kind {
                LeavingKind::Shared => show(self.voice, viewer, &event, had, around.wire),
                LeavingKind::Own => show_own(self.voice, viewer, &event, had, around.wire),
                LeavingKind::Seed => show_seed(self.voice, viewer, &event, around.wire),
            };
            packets += shown;
            self.proof.tell_event(&event, viewer, shown, now, around.rules.proof_interval);
        }
        self.ask_for_more(around);
    }

    /// Asks the broker for whatever follows the events that have left.
    fn ask_for_more(&mut self, around: &mut Surroundings<'_>) {
        let Some(active) = &mut self.active else { return };
        let connection = self.key;
        if around.wire.queued_bytes() == 0 && active.gate.page_left() {
            around.broker.catch_up_drained(CatchUpDrained { connection });
        }
        if let Some((after, changes)) = active.gate.take_fell_behind() {
            around.broker.fell_behind(FellBehind { connection, after, changes });
        }
    }
}
