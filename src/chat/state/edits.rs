//! Edits and deletions that are being stored: what offsets say of changes stays behind them.
use std::collections::VecDeque;
use std::sync::Arc;

use super::sends::Audience;
use crate::model::{ChangesNotified, Message, MessageId};

/// The changes that are being stored, and those of which nobody knows whether they are.
#[derive(Debug, Default)]
pub(crate) struct UnsentChanges {
    /// Their positions, in order. The store's queue bounds them.
    positions: VecDeque<i64>,
    /// The database was given these, and did not say what became of them: of each time that it is away no more than one batch.
    doubted: Vec<Doubted>,
    /// Changes in doubt that are being looked up.
    looked_up: Vec<Doubted>,
}

/// A change that is perhaps stored.
#[derive(Debug)]
pub(crate) struct Doubted {
    /// As it would be then.
    pub message: Arc<Message>,
    pub position: i64,
    pub audience: Audience,
}

impl Doubted {
    /// Returns whether the message is as this change leaves it.
    pub(crate) fn is_stored(&self, found: &Message) -> bool {
        let Message { content, deleted_at, .. } = &*self.message;
        found.deleted_at == *deleted_at && (deleted_at.is_some() || found.content == *content)
    }
}

impl UnsentChanges {
    /// The changes that one knows who was sent all that was dispatched up to a position.
    pub(crate) fn notified_by(&self, position: i64) -> ChangesNotified {
        ChangesNotified::all(self.positions.front().map_or(position, |first| position.min(first - 1)))
    }

    /// Returns the changes that a client knows while it is sent the change at a position, which is no longer being stored.
    pub(crate) fn while_notifying(&self, position: i64) -> ChangesNotified {
        match self.positions.front() {
            Some(first) if *first < position => ChangesNotified::all(first - 1),
            _ => ChangesNotified::notifying(position),
        }
    }

    /// A change was given to the store; it has the highest position by now.
    pub(crate) fn note(&mut self, position: i64) {
        self.positions.push_back(position);
    }

    /// Nobody knows whether a change is stored.
    pub(crate) fn doubt(&mut self, doubted: Doubted) {
        self.doubted.push(doubted);
    }

    /// Lists the messages of the changes in doubt, which are looked up now; empty also while some are being looked up.
    pub(crate) fn look_up(&mut self) -> Vec<MessageId> {
        if self.looked_up.is_empty() {
            self.looked_up = std::mem::take(&mut self.doubted);
            self.looked_up.iter().map(|doubted| doubted.message.id).collect()
        } else {
            Vec::new()
        }
    }

    /// Returns the changes that were looked up, in their order; `failed`: they stay in doubt.
    pub(crate) fn take_looked_up(&mut self, failed: bool) -> Vec<Doubted> {
        let looked_up = std::mem::take(&mut self.looked_up);
        if failed {
            self.doubted.extend(looked_up);
            return Vec::new();
        }
        looked_up
    }

    /// A change is sent, or was not stored.
    pub(crate) fn remove(&mut self, position: i64) {
        self.positions.retain(|unsent| *unsent != position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_offsets_say_of_changes_stays_behind_those_that_are_being_stored() {
        let mut unsent = UnsentChanges::default();
        assert_eq!(unsent.notified_by(9), ChangesNotified::all(9));
        unsent.positions.extend([5, 8]);
        assert_eq!((unsent.notified_by(9), unsent.notified_by(3)), (ChangesNotified::all(4), ChangesNotified::all(3)));
        unsent.remove(5);
        assert_eq!((unsent.while_notifying(5), unsent.notified_by(9)), (ChangesNotified::notifying(5), ChangesNotified::all(7)));
        assert_eq!(unsent.while_notifying(9), ChangesNotified::all(7), "an earlier one is still to come");
    }
}
