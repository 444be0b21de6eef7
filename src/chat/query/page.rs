//! A page of what a client has missed.
use std::cmp::Reverse;
use std::sync::Arc;

use crate::chat::state::{CatchUpFrom, CatchUpProgress};
use crate::model::{ConversationId, Message, Profile, UserId};
use crate::store::{self, Had, Lacking, Received, Span};

/// Bytes of a message's packet beside its content, about.
const ENVELOPE_BYTES: usize = 700;

/// Page as it is read from the store.
#[derive(Debug)]
pub(crate) struct Page {
    /// Progress at which it begins.
    pub from: CatchUpProgress,
    /// The user's receipts when the catch-up began, where they matter.
    pub received: Option<Arc<Received>>,
    /// Edited and deleted messages, with the positions of those changes.
    pub changes: Vec<(i64, Message)>,
    /// Once all changes are in.
    pub messages: Vec<Message>,
    /// Recipients of the user's own messages in it.
    pub recipients: Vec<Arc<Profile>>,
}

/// Bounds of a page, as the store is asked for it.
#[derive(Debug)]
pub(crate) struct PageQuery {
    pub user: UserId,
    pub since: Option<CatchUpFrom>,
    pub sent_by: Option<[u8; 32]>,
    /// Part that was given out before; `None`: nothing was.
    pub progress: Option<CatchUpProgress>,
    /// As of its beginning.
    pub received: Option<Arc<Received>>,
    pub unreceived_up_to: i64,
    pub up_to: i64,
    pub changes_up_to: i64,
    pub rows: usize,
    /// Maximum number of messages and changes that are caught up, the newest.
    pub newest: usize,
    /// Other users of the user's direct conversations.
    pub others: Vec<(ConversationId, UserId)>,
}

impl PageQuery {
    pub(crate) fn read(&self, conn: &mut store::AnyConnection) -> store::QueryResult<Page> {
        let (from, received) = match self.progress {
            Some(progress) => (progress, self.received.clone()),
            None => {
                // A client that was cut in its catch-up hears no changes of what it had not received, and gets that as it is now.
                // Other devices receive some of it meanwhile: the state before the first page of changes counts.
                let is_cut = self.since.is_some_and(|since| since.position < self.unreceived_up_to);
                let received = is_cut.then(|| store::load_received(conn, &self.user)).transpose()?.map(Arc::new);
                (self.start(conn, received.as_deref())?, received)
            }
        };
        let user = (&self.user, received.as_deref());
        let (mut changes, mut messages) = (Vec::new(), Vec::new());
        for (lacking, span) in self.lacking_after(from) {
            let left = self.rows.saturating_sub(changes.len() + messages.len());
            let rows = store::list_lacking(conn, user, lacking, span, left)?;
            match lacking {
                Lacking::Changes(_) => changes = rows,
                Lacking::Unreceived | Lacking::Messages { .. } => messages.extend(rows.into_iter().map(|(_, message)| message)),
            }
        }
        let all = changes.iter().map(|(_, message)| message).chain(&messages);
        let own: Vec<ConversationId> =
            all.filter(|message| message.sender.id == self.user).filter_map(|message| message.place.conversation()).collect();
        let others = self.others.iter().filter(|(id, _)| own.contains(id)).map(|(_, other)| other.clone()).collect::<Vec<_>>();
        let recipients = if others.is_empty() { Vec::new() } else { store::find_profiles(conn, &others)? };
        Ok(Page { from, received, changes, messages, recipients })
    }

    /// Lists what the client lacks behind that, in the order in which it is given out.
    pub(crate) fn lacking_after(&self, from: CatchUpProgress) -> impl Iterator<Item = (Lacking, Span)> {
        let Self { sent_by, unreceived_up_to, up_to, changes_up_to, .. } = *self;
        // Who has not said what it had hears of no changes.
        let changes = self.since.map(|since| {
            let had = Had { up_to: since.position, received_up_to: unreceived_up_to, sent_by };
            (Lacking::Changes(had), Span { after: from.changes, up_to: changes_up_to })
        });
        let messages = [
            (Lacking::Unreceived, Span { after: from.messages, up_to: unreceived_up_to }),
            (Lacking::Messages { sent_by }, Span { after: from.messages.max(unreceived_up_to), up_to }),
        ];
        changes.into_iter().chain(messages)
    }

    /// Returns the progress at which the first page begins.
    pub(crate) fn start(
        &self,
        conn: &mut store::AnyConnection,
        received: Option<&Received>,
    ) -> store::QueryResult<CatchUpProgress> {
        let user = (&self.user, received);
        let mut first = CatchUpProgress {
            changes: self.since.map_or(self.changes_up_to, |since| since.changes_after()),
            messages: self.since.map_or(0, |since| since.after()),
        };
        let mut positions = Vec::new();
        for (lacking, span) in self.lacking_after(first) {
            let found = store::list_lacking_positions(conn, user, lacking, span, self.newest.saturating_add(1))?;
            // Where there are no changes the page need not look for them once more.
            if matches!(lacking, Lacking::Changes(_)) && found.is_empty() {
                first.changes = self.changes_up_to;
            }
            positions.extend(found);
        }
        positions.sort_unstable_by_key(|position| Reverse(*position));
        let skipped = positions.get(self.newest).copied().unwrap_or_default();
        Ok(CatchUpProgress { changes: first.changes.max(skipped), messages: first.messages.max(skipped) })
    }
}

impl Page {
    pub(crate) fn len(&self) -> usize {
        self.changes.len() + self.messages.len()
    }

    /// Keeps the first ones that fit into `budget` bytes as encoded, at least one. Returns their bytes.
    pub(crate) fn cut(&mut self, budget: usize) -> usize {
        let (mut bytes, mut count) = (0, 0);
        for message in self.changes.iter().map(|(_, message)| message).chain(&self.messages) {
            let size = message.content.len() + ENVELOPE_BYTES;
            if count > 0 && bytes + size > budget {
                break;
            }
            bytes += size;
            count += 1;
        }
        self.changes.truncate(count);
        self.messages.truncate(count.saturating_sub(self.changes.len()));
        bytes
    }

    /// Returns the part of the catch-up that is given out with it.
    pub(crate) fn progress(&self, changes_up_to: i64) -> CatchUpProgress {
        let CatchUpProgress { changes, messages } = self.from;
        match (self.messages.last(), self.changes.last()) {
            (Some(last), _) => CatchUpProgress { changes: changes_up_to, messages: last.position },
            (None, Some((last, _))) => CatchUpProgress { changes: *last, messages },
            (None, None) => CatchUpProgress { changes, messages },
        }
    }
}
