//! Progress of sockets' catch-ups, and the reads for them.
use std::collections::VecDeque;
use std::sync::Arc;

use super::offsets::CatchUpFrom;
use crate::engineio::ConnectionKey;
use crate::model::{ChangesNotified, Message, Notification, Offset, OffsetKind, Part, SocketId};
use crate::store::Received;

/// Rows of the first page; later ones grow as long as they stay small.
const FIRST_ROWS: usize = 16;

/// Connections that wait for a page, first come first served.
#[derive(Debug, Default)]
pub(crate) struct PageReads {
    under_way: usize,
    waiting: VecDeque<ConnectionKey>,
}

impl PageReads {
    /// Begins a read for a connection, or has it wait while as many as `max` are under way. Tells whether it begins.
    pub(crate) fn begin(&mut self, connection: ConnectionKey, max: usize) -> bool {
        let begins = self.under_way < max;
        if begins {
            self.under_way += 1;
        } else {
            self.waiting.push_back(connection);
        }
        begins
    }

    /// A read has ended.
    pub(crate) fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Returns whether somebody waits.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the next one that may read now, which is to begin its read.
    pub(crate) fn next(&mut self, max: usize) -> Option<ConnectionKey> {
        self.waiting.pop_front_if(|_| self.under_way < max)
    }
}

/// Sockets whose catch-up begins once all that was admitted before is stored. One commit is waited for at a time, for all
/// who came before that.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    waiting: Vec<(ConnectionKey, SocketId)>,
    next: Vec<(ConnectionKey, SocketId)>,
}

impl Settling {
    /// Adds a socket. Tells whether a commit is to be waited for.
    pub(crate) fn add(&mut self, connection: ConnectionKey, socket: SocketId) -> bool {
        let begins = self.waiting.is_empty();
        if begins { &mut self.waiting } else { &mut self.next }.push((connection, socket));
        begins
    }

    /// Takes those for whom the commit was waited. Tells whether others came meanwhile, for whom the next one is waited for.
    pub(crate) fn take(&mut self) -> (Vec<(ConnectionKey, SocketId)>, bool) {
        let next = std::mem::take(&mut self.next);
        let more_wait = !next.is_empty();
        (std::mem::replace(&mut self.waiting, next), more_wait)
    }
}

/// Progress of a socket's catch-up.
#[derive(Debug)]
pub(crate) struct CatchUp {
    /// Last position of the messages that belong to the catch-up; those after it are live.
    pub up_to: i64,
    /// Last position of the edits and deletions that belong to it.
    pub changes_up_to: i64,
    /// Point from which on its client lacks messages; `None`: it does not know, and gets what its user had not received.
    pub since: Option<CatchUpFrom>,
    /// The client's earlier session: it knows what it sent itself.
    pub sent_by: Option<[u8; 32]>,
    /// Part of it that was given out; `None`: nothing was read yet.
    pub progress: Option<CatchUpProgress>,
    /// The user's receipts when it began, where they matter.
    pub received: Option<Arc<Received>>,
    /// Number of rows that the next page asks for.
    pub rows: usize,
    /// Set once all is stored that was admitted before it began.
    pub is_settled: bool,
    /// Set while it is being settled, a page is being read, or the next one waits for the socket.
    pub is_reading: bool,
    /// Set if it stands for live events that were left out because too much waited.
    pub goes_on: bool,
}

impl CatchUp {
    /// A catch-up on all messages up to a position, and on all changes up to another.
    pub(crate) fn new(up_to: i64, changes_up_to: i64, since: Option<CatchUpFrom>, sent_by: Option<[u8; 32]>) -> Self {
        Self {
            up_to,
            changes_up_to,
            since,
            sent_by,
            progress: None,
            received: None,
            rows: FIRST_ROWS,
            is_settled: false,
            is_reading: false,
            goes_on: false,
        }
    }

    /// A catch-up that goes on behind all that its client was sent: on all messages and changes after these, up to those.
    pub(crate) fn going_on(after: (i64, ChangesNotified), up_to: (i64, ChangesNotified), sent_by: [u8; 32]) -> Self {
        let ((position, changes), (up_to, changes_up_to)) = (after, up_to);
        let since = CatchUpFrom { position, part: Part::ALL, unreceived_up_to: None, changes };
        let progress = Some(CatchUpProgress { changes: changes.up_to, messages: position });
        Self { progress, goes_on: true, ..Self::new(up_to, changes_up_to.up_to, Some(since), Some(sent_by)) }
    }

    /// Returns whether it will bring a message, if that is stored.
    pub(crate) fn brings(&self, position: i64) -> bool {
        position <= self.up_to && !(self.goes_on && self.progress.is_some_and(|progress| position <= progress.messages))
    }

    /// Up to this position it brings what the user had not received on any device, after it all.
    pub(crate) fn unreceived_up_to(&self) -> i64 {
        self.since.map_or(self.up_to, |since| since.unreceived_up_to.unwrap_or(-1).min(self.up_to))
    }

    /// The offset of a client to which nothing of it was sent.
    pub(crate) fn start(&self, present: Offset) -> Offset {
        let changes = ChangesNotified::all(self.changes_up_to);
        let since = self.since.unwrap_or(CatchUpFrom { position: 0, part: Part::ALL, unreceived_up_to: None, changes });
        let CatchUpFrom { position, part, changes, unreceived_up_to: _ } = since;
        Offset { position, part, kind: self.kind_at(position), changes, ..present }
    }

    /// The place of a message of it, and the packets that its client had of that before.
    pub(crate) fn place_of(&self, message: &Message, present: Offset) -> (Offset, Option<Part>) {
        let position = message.position;
        let had = self.since.filter(|since| since.position == position && since.part != Part::ALL).map(|since| since.part);
        // One that goes on stands for live events, which say of changes no more than was sent before them.
        let changes_notified_to = if self.goes_on { self.changes_up_to.min(position) } else { self.changes_up_to };
        let changes = ChangesNotified::all(changes_notified_to);
        (Offset { position, part: Part::FIRST, kind: self.kind_at(position), changes, ..present }, had)
    }

    /// The place of a change, and the packets that its client had of that before.
    pub(crate) fn place_of_change(&self, position: i64, present: Offset) -> (Offset, Option<Part>) {
        let notified = self.since.map(|since| since.changes);
        let had =
            notified.filter(|notified| notified.up_to == position && notified.part != Part::ALL).map(|notified| notified.part);
        (Offset { changes: ChangesNotified::notifying(position), ..self.start(present) }, had)
    }

    fn kind_at(&self, position: i64) -> OffsetKind {
        match self.unreceived_up_to() {
            up_to if position < up_to => OffsetKind::Unreceived { up_to },
            _ => OffsetKind::CaughtUp,
        }
    }
}

/// Part of a catch-up that was given out. Changes of messages that its client had come first, then the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CatchUpProgress {
    /// Changes up to this position,
    pub changes: i64,
    /// and messages up to this one.
    pub messages: i64,
}

/// The notifications that a socket is shown when it comes.
#[derive(Debug)]
pub(crate) enum Unseen {
    /// They will be read behind the catch-up, or are being read. With the offset of a client that has caught up.
    Due(Offset),
    /// These wait until the socket has taken those before, oldest first.
    Waiting(VecDeque<Arc<Notification>>, Offset),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engineio::Slot;

    #[test]
    fn no_more_pages_are_read_at_once_than_may_and_the_first_come_is_the_next() {
        let connection = |slot| ConnectionKey { worker: 0, slot: Slot { index: slot, generation: 1 } };
        let mut reads = PageReads::default();
        assert!(reads.begin(connection(1), 2) && reads.begin(connection(2), 2));
        assert!(!reads.begin(connection(3), 2) && !reads.begin(connection(4), 2) && reads.has_waiting());
        assert_eq!(reads.next(2), None);
        reads.end();
        assert_eq!(reads.next(2), Some(connection(3)));
        assert!(reads.begin(connection(3), 2));
        assert_eq!(reads.next(2), None);
        reads.end();
        reads.end();
        assert_eq!((reads.next(2), reads.next(2)), (Some(connection(4)), None));
    }

    #[test]
    fn who_comes_while_a_commit_is_waited_for_waits_for_the_next() {
        fn add(settling: &mut Settling, slot: u32) -> bool {
            let connection = ConnectionKey { worker: 0, slot: Slot { index: slot, generation: 1 } };
            settling.add(connection, SocketId::parse(&"s".repeat(20)).unwrap())
        }
        fn take(settling: &mut Settling) -> (Vec<u32>, bool) {
            let (sockets, more_wait) = settling.take();
            (sockets.iter().map(|(connection, _)| connection.slot.index).collect(), more_wait)
        }
        let mut settling = Settling::default();
        assert!(add(&mut settling, 1) && !add(&mut settling, 2) && !add(&mut settling, 3));
        assert_eq!(take(&mut settling), (vec![1], true), "the others came after the commit began");
        assert!(!add(&mut settling, 4));
        assert_eq!(take(&mut settling), (vec![2, 3], true));
        assert_eq!(take(&mut settling), (vec![4], false));
        assert!(add(&mut settling, 5), "nobody waits any more");
    }

    #[test]
    fn it_brings_what_was_dispatched_when_it_began_and_nothing_else() {
        let catch_up = CatchUp::new(7, 7, None, None);
        assert!(catch_up.brings(7) && !catch_up.brings(8), "what comes later reaches the socket live");
        let going_on = CatchUp::going_on((5, ChangesNotified::all(5)), (7, ChangesNotified::all(7)), [0; 32]);
        assert!(!going_on.brings(5) && going_on.brings(6) && going_on.brings(7), "its client has those up to 5");
    }
}
