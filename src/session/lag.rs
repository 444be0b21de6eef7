//! Events that came to a socket after its bound was reached.
use std::collections::VecDeque;

use super::waiting::{Bound, Waiting};
use crate::chat::Event;
use crate::model::ChangesNotified;

/// Messages, edits and deletions are left to the catch-up. Of other events, the newest are kept, up to the bound. The
/// first to be dropped are those that a newer event supersedes, then receipts (the history has their `status`), then
/// the oldest.
#[derive(Debug)]
pub(super) struct Lag {
    /// Position after which messages are left out.
    pub after: i64,
    /// Changes after which edits and deletions are left out.
    pub changes: ChangesNotified,
    /// Number of events held that came before.
    pub before: usize,
    /// Set once the catch-up was asked to continue.
    pub is_asked: bool,
    /// Of the events that came after: their number,
    pub events: usize,
    /// their bytes,
    pub bytes: usize,
    /// and the number of the client's own messages, which are never dropped.
    pub own: usize,
}

impl Lag {
    /// Starts a lag behind these.
    pub(super) fn new(after: i64, changes: ChangesNotified, before: usize) -> Self {
        Self { after, changes, before, is_asked: false, events: 0, bytes: 0, own: 0 }
    }

    /// Keeps an event, unless the catch-up brings it.
    pub(super) fn keep(&mut self, event: Waiting, is_own: bool, waiting: &mut VecDeque<Waiting>, bound: Bound) {
        let Waiting::Event { event: new, bytes } = &event else { return };
        let is_brought = match new.event() {
            Event::Message { message, .. } => !is_own && message.position > self.after,
            Event::MessageUpdated { .. } | Event::MessageDeleted { .. } => true,
            _ => false,
        };
        if is_brought {
            return;
        }
        self.own += usize::from(is_own);
        // An event larger than the bound is kept if it is the only one: nothing else would bring it.
        while self.events >= bound.events || self.events > 0 && self.bytes + bytes > bound.bytes {
            let Some(index) = self.least_wanted(waiting, new.event()) else { break };
            let Some(Waiting::Event { bytes, .. }) = waiting.remove(index) else { break };
            self.events -= 1;
            self.bytes -= bytes;
        }
        self.events += 1;
        self.bytes += bytes;
        waiting.push_back(event);
    }

    /// Finds the event to drop in favour of a new one, among those that came after.
    fn least_wanted(&self, waiting: &VecDeque<Waiting>, new: &Event) -> Option<usize> {
        let (mut receipt, mut oldest) = (None, None);
        for (index, kept) in waiting.iter().enumerate().skip(self.before) {
            let Waiting::Event { event, .. } = kept else { continue };
            match event.event() {
                // It may be the client's own; their number is bounded by its own requests.
                Event::Message { .. } => {}
                kept if is_superseded(kept, new) => return Some(index),
                Event::Delivered { .. } | Event::Read { .. } => receipt = receipt.or(Some(index)),
                _ => oldest = oldest.or(Some(index)),
            }
        }
        receipt.or(oldest)
    }
}

/// Returns whether a newer event makes an older one pointless.
fn is_superseded(old: &Event, new: &Event) -> bool {
    match (old, new) {
        (Event::ConversationChanged(old), Event::ConversationChanged(new)) => old.id == new.id,
        (Event::ConversationChanged(old), Event::ConversationDeleted { conversation }) => old.id == *conversation,
        _ => false,
    }
}
