//! Events sent at the pace of the reader: pages of its catch-up, and events held back.
use std::sync::Arc;
use std::time::Instant;

use super::call_context::CallContext;
use super::hold_queue::{Ended, Overflow, Released, ReleasedKind};
use super::showing::{encodings, show, show_initial_offset, show_own};
use super::state::{Session, Stage};
use super::waiting::Bound;
use crate::chat::{Broadcast, CatchUpDrained, ConfirmationWanted, FellBehind, Watermark};
use crate::engineio::CloseReason;

impl Session {
    /// Holds an event back behind the others.
    pub(super) fn wait_behind(&mut self, event: &Arc<Broadcast>, cx: &mut CallContext<'_>) {
        let view = self.view();
        let (Stage::In { socket, account }, Some(active)) = (&self.stage, &mut self.active) else { return };
        let bytes = encodings(view, &account.profile.id, event).map(|encoded| encoded.frames().len()).sum();
        let bound = Bound { events: cx.rules.outbox_packets, bytes: cx.rules.outbox_bytes };
        if active.hold_queue.push(event, bytes, event.is_live_copy_of(*socket), bound) == Err(Overflow) {
            cx.output.close(CloseReason::SlowConsumer);
        }
    }

    /// Shows a page of the catch-up; asks for the next one at once if the page had nothing to show.
    pub(super) fn show_page(&mut self, page: &[Arc<Broadcast>], now: Instant, cx: &mut CallContext<'_>) {
        let view = self.view();
        let Stage::In { socket, account } = &self.stage else { return };
        if let Some(active) = &mut self.active {
            active.hold_queue.update_behind(page, *socket);
            if active.hold_queue.goes_on() {
                active.hold_queue.push_page(page);
                return self.feed(now, cx);
            }
        }
        for event in page {
            show(view, &account.profile.id, event, None, cx.output);
        }
        self.confirmation.note_page();
        self.confirmation.want(ConfirmationWanted::AtOnce, now, cx.rules.proof_interval);
        if cx.output.queued_bytes() == 0 {
            cx.broker.catch_up_drained(CatchUpDrained { connection: self.key });
        } else {
            self.active().hold_queue.send_page();
        }
    }

    /// Sends held events that may leave, but no more at a time than a slow reader's outbox takes.
    pub(super) fn feed(&mut self, now: Instant, cx: &mut CallContext<'_>) {
        let (view, mut packets) = (self.view(), 0);
        loop {
            let (Stage::In { account, .. }, Some(active)) = (&self.stage, &mut self.active) else { return };
            if let Some(Ended { event_seq, went_on }) = active.hold_queue.take_ended() {
                self.confirmation.note_sent(Watermark::Event(event_seq));
                if went_on {
                    self.confirmation.want(ConfirmationWanted::AtOnce, now, cx.rules.proof_interval);
                }
            }
            let has_room = cx.output.queued_bytes() < cx.rules.outbox_bytes / 4 && packets < cx.rules.outbox_packets.div_ceil(4);
            let Some(Released { event, had, kind }) = has_room.then(|| active.hold_queue.pop()).flatten() else { break };
            let viewer = &account.profile.id;
            let shown = match kind {
                ReleasedKind::Shared => show(view, viewer, &event, had, cx.output),
                ReleasedKind::Own => show_own(view, viewer, &event, had, cx.output),
                ReleasedKind::InitialOffset => show_initial_offset(view, viewer, &event, cx.output),
            };
            packets += shown;
            self.confirmation.note_event(&event, viewer, shown, now, cx.rules.proof_interval);
        }
        self.ask_for_more(cx);
    }

    /// Asks the broker for whatever follows the events that have left.
    fn ask_for_more(&mut self, cx: &mut CallContext<'_>) {
        let Some(active) = &mut self.active else { return };
        let connection = self.key;
        if cx.output.queued_bytes() == 0 && active.hold_queue.page_left() {
            cx.broker.catch_up_drained(CatchUpDrained { connection });
        }
        if let Some((after, changes)) = active.hold_queue.take_fell_behind() {
            cx.broker.fell_behind(FellBehind { connection, after, changes });
        }
    }
}
