//! A sender's own names for messages, by which a repeat is known.
use std::collections::VecDeque;

use crate::hash::HashMap;
use crate::model::{MessageId, MessageStatus, Timestamp};
use crate::store::ClientIdRow;

/// Maximum number of a sender's own ids that are remembered.
pub(crate) const SENT_IDS_MAX: usize = 10_000;

/// A sender's `clientMessageId`s of the last 24 h, the latest.
#[derive(Debug)]
pub(crate) struct SentIds {
    by_client_id: HashMap<String, SentId>,
    /// Their names, oldest first.
    order: VecDeque<String>,
    pub used_at: Timestamp,
}

/// Message that a `clientMessageId` stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentId {
    pub message: MessageId,
    /// SHA-256 of the first request.
    pub request_hash: Option<[u8; 32]>,
    /// Status of which its sender was notified last.
    pub status: MessageStatus,
}

impl SentIds {
    /// Builds them from the rows that were read, newest first.
    pub(crate) fn of_rows(rows: Vec<ClientIdRow>, used_at: Timestamp) -> Self {
        let mut sent = Self {
            by_client_id: HashMap::with_capacity_and_hasher(rows.len(), Default::default()),
            order: VecDeque::new(),
            used_at,
        };
        for ClientIdRow { client_message_id, message, request_hash } in rows.into_iter().rev() {
            sent.insert(&client_message_id, SentId { message, request_hash, status: MessageStatus::Sent });
        }
        sent
    }

    /// Returns what a `clientMessageId` stands for.
    pub(crate) fn find(&self, client_id: &str) -> Option<&SentId> {
        self.by_client_id.get(client_id)
    }

    /// Remembers the newest, or changes what one stands for. Where there are too many, the oldest is forgotten: the
    /// database's index knows that one.
    pub(crate) fn insert(&mut self, client_id: &str, sent: SentId) {
        if self.by_client_id.insert(client_id.to_owned(), sent).is_some() {
            return;
        }
        self.order.push_back(client_id.to_owned());
        if self.order.len() > SENT_IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_client_id.remove(&oldest);
        }
    }

    /// Its sender was notified how far it got.
    pub(crate) fn note_status(&mut self, client_id: &str, status: MessageStatus) {
        if let Some(sent) = self.by_client_id.get_mut(client_id) {
            sent.status = status;
        }
    }

    /// Frees the name of a message that was given up.
    pub(crate) fn remove(&mut self, client_id: &str) {
        // It is one of the newest.
        if self.by_client_id.remove(client_id).is_some()
            && let Some(place) = self.order.iter().rposition(|name| name == client_id)
        {
            self.order.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserId;

    fn row(name: &str) -> ClientIdRow {
        let user = UserId::parse("ann").unwrap();
        let message = MessageId::of_client_id(&user, name);
        ClientIdRow { client_message_id: name.to_owned(), message, request_hash: None }
    }

    fn sent(name: &str) -> SentId {
        SentId { message: row(name).message, request_hash: None, status: MessageStatus::Sent }
    }

    #[test]
    fn where_there_are_too_many_the_oldest_goes() {
        let newest_first = (1..=SENT_IDS_MAX).rev().map(|number| row(&number.to_string())).collect();
        let mut ids = SentIds::of_rows(newest_first, Timestamp::default());
        ids.insert("next", sent("next"));
        let known = |name: &str| ids.find(name).is_some();
        assert_eq!(["1", "2", &SENT_IDS_MAX.to_string(), "next"].map(known), [false, true, true, true]);
    }

    #[test]
    fn what_was_given_up_and_sent_again_is_the_newest() {
        let mut ids = SentIds::of_rows(vec![row("old")], Timestamp::default());
        ids.insert("given up", sent("given up"));
        ids.remove("given up");
        assert!(ids.find("given up").is_none());
        for number in 0..SENT_IDS_MAX {
            ids.insert("changed", sent("changed"));
            ids.insert(&number.to_string(), sent("any"));
        }
        assert_eq!((ids.find("old").is_some(), ids.by_client_id.len(), ids.order.len()), (false, SENT_IDS_MAX, SENT_IDS_MAX));
    }
}
