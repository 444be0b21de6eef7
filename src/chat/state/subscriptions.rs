//! Places of a socket beyond its user's conversations.
use smallvec::SmallVec;

use super::offsets::ReplayCursor;
use crate::chat::ports::RoomKey;
use crate::hash::{HashMap, HashSet};
use crate::model::{ConversationId, RoomId};

/// Maximum number of gaps of one socket that are remembered.
const GAPS_MAX: usize = 1_024;

/// Places of a socket beyond its user's conversations.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    pub rooms: HashSet<RoomId>,
    /// Since the event with this number.
    pub muted: HashMap<ConversationId, u64>,
    pub opened: HashSet<ConversationId>,
    /// Times without a room among those in which it is.
    pub gaps: Vec<Gap>,
    /// Gaps that ended by then are forgotten.
    pub forgotten_gaps: u64,
}

/// A socket was not in a room while events were dispatched: those after `from`, up to `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub room: RoomKey,
    pub from: u64,
    pub to: u64,
}

impl Subscriptions {
    pub(crate) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.muted.is_empty() && self.opened.is_empty() && self.gaps.is_empty()
    }

    /// A socket is in a room since the event `to`, and was not since `from`; 0: it never was.
    pub(crate) fn note_gap(&mut self, room: RoomKey, from: u64, to: u64) {
        if self.gaps.len() >= GAPS_MAX {
            self.forgotten_gaps = self.gaps.remove(0).to;
        }
        self.gaps.push(Gap { room, from, to });
    }

    /// Returns whether the socket was not in a room when an event was dispatched.
    pub(crate) fn was_absent(&self, room: &RoomKey, event_seq: u64) -> bool {
        self.gaps.iter().any(|gap| gap.room == *room && gap.covers(event_seq))
    }

    /// Of a room's events those after this one are needed, for one who has come so far.
    pub(crate) fn needed_since(&self, room: &RoomKey, reached: ReplayCursor) -> ReplayCursor {
        let mut gaps: SmallVec<[_; 4]> = self.gaps.iter().filter(|gap| gap.room == *room).collect();
        gaps.sort_by_key(|gap| gap.from);
        gaps.iter().fold(
            reached,
            |needed, gap| {
                if gap.from <= needed.event_seq { needed.max(ReplayCursor::all_of(gap.to)) } else { needed }
            },
        )
    }

    /// Its user is no member of a conversation any more. Tells whether it was muted.
    pub(crate) fn forget(&mut self, conversation: ConversationId) -> bool {
        self.opened.remove(&conversation);
        self.gaps.retain(|gap| gap.room != RoomKey::Group(conversation));
        self.muted.remove(&conversation).is_some()
    }
}

impl Gap {
    fn covers(&self, event_seq: u64) -> bool {
        self.from < event_seq && event_seq <= self.to
    }
}

/// Returns whether a session was sent an event of a room, or has it coming: it was sent all after `receives_after` where it was.
pub(crate) fn was_notified(receives_after: u64, subscriptions: Option<&Subscriptions>, room: &RoomKey, event_seq: u64) -> bool {
    receives_after < event_seq && !subscriptions.is_some_and(|subscriptions| subscriptions.was_absent(room, event_seq))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::conversation_id;
    use super::*;

    #[test]
    fn of_a_room_it_was_not_in_a_session_was_sent_nothing() {
        let mut subscriptions = Subscriptions::default();
        let (one, other) = (RoomKey::Group(conversation_id(1)), RoomKey::Group(conversation_id(2)));
        subscriptions.note_gap(one.clone(), 3, 5);
        let notified = |event_seq| was_notified(2, Some(&subscriptions), &one, event_seq);
        assert_eq!([2, 3, 4, 5, 6].map(notified), [false, true, false, false, true]);
        assert!(was_notified(2, Some(&subscriptions), &other, 4) && was_notified(2, None, &one, 4));
        assert_eq!(subscriptions.needed_since(&one, ReplayCursor::all_of(3)), ReplayCursor::all_of(5), "none of the absence");
        assert_eq!(
            subscriptions.needed_since(&one, ReplayCursor::all_of(2)),
            ReplayCursor::all_of(2),
            "3 was missed in the room"
        );
        assert_eq!(subscriptions.needed_since(&other, ReplayCursor::all_of(4)), ReplayCursor::all_of(4));
    }

    #[test]
    fn so_many_absences_are_remembered_and_those_of_a_left_group_are_not() {
        let mut subscriptions = Subscriptions::default();
        let key = RoomKey::Group(conversation_id(1));
        for number in 1..=1_025 {
            subscriptions.note_gap(key.clone(), number, number);
        }
        assert_eq!((subscriptions.gaps.len(), subscriptions.forgotten_gaps), (GAPS_MAX, 1));
        subscriptions.muted.insert(conversation_id(1), 7);
        assert!(subscriptions.forget(conversation_id(1)) && subscriptions.is_empty());
        assert!(!subscriptions.forget(conversation_id(1)));
    }
}
