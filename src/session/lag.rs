//! The part of what waits at a socket that came when more waited than may.
use std::collections::VecDeque;

use super::waiting::{Bound, Waiting};
use crate::chat::Event;
use crate::model::ChangesTold;

/// Messages that come, their edits and their deletions are left to the catch-up. Of all else so much is kept as may wait, the
/// newest: first goes what a newer event supersedes, then word of who has received or read a message (its `status` is in the
/// history), then the oldest.
#[derive(Debug)]
pub(super) struct Lag {
    /// Messages after this position are left out.
    pub after: i64,
    /// Edits and deletions after these, too.
    pub changes: ChangesTold,
    /// Number of those that wait which came before.
    pub before: usize,
    /// Set once the catch-up was asked to go on.
    pub is_asked: bool,
    /// Of those that came after: events,
    pub events: usize,
    /// bytes,
    pub bytes: usize,
    /// and copies of the client's own messages: none of them gives way.
    pub own: usize,
}

impl Lag {
    /// Begins behind these.
    pub fn new(after: i64, changes: ChangesTold, before: usize) -> Self {
        Self { after, changes, before, is_asked: false, events: 0, bytes: 0, own: 0 }
    }

    /// Keeps an event behind those that wait, unless the catch-up brings it.
    pub fn keep(&mut self, event: Waiting, is_own: bool, waiting: &mut VecDeque<Waiting>, bound: Bound) {
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

    /// Finds the one among those that came after which gives way to a new one.
    fn least_wanted(&self, waiting: &VecDeque<Waiting>, new: &Event) -> Option<usize> {
        let (mut receipt, mut oldest) = (None, None);
        for (index, kept) in waiting.iter().enumerate().skip(self.before) {
            let Waiting::Event { event, .. } = kept else { continue };
            match event.event() {
                // It may be the client's own, and is no more than its own requests allow.
                Event::Message { .. } => {}
                kept if is_superseded(kept, new) => return Some(index),
                Event::Delivered { .. } | Event::Read { .. } => receipt = receipt.or(Some(index)),
                _ => oldest = oldest.or(Some(index)),
            }
        }
        receipt.or(oldest)
    }
}

/// Tells whether a newer event says all that an older one said.
fn is_superseded(old: &Event, new: &Event) -> bool {
    match (old, new) {
        (Event::ConversationChanged(old), Event::ConversationChanged(new)) => old.id == new.id,
        (Event::ConversationChanged(old), Event::ConversationDeleted { conversation }) => old.id == *conversation,
        _ => false,
    }
}
