//! Places of a socket beyond its user's conversations.
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

use super::offsets::Reached;
use crate::chat::ports::RoomKey;
use crate::model::{ConversationId, RoomId};

/// Maximum number of absences of one socket that are remembered.
const ABSENCES_MAX: usize = 1_024;

/// Places of a socket beyond its user's conversations.
#[derive(Debug, Default)]
pub struct Places {
    pub rooms: HashSet<RoomId>,
    /// Since the event with this number.
    pub muted: HashMap<ConversationId, u64>,
    pub opened: HashSet<ConversationId>,
    /// When it was not in the rooms in which it is.
    pub absences: Vec<Absence>,
    /// Absences that ended by then are forgotten.
    pub forgotten_absences: u64,
}

/// A socket was not in a room while events were handed out: those after `from`, up to `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    pub room: RoomKey,
    pub from: u64,
    pub to: u64,
}

impl Places {
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.muted.is_empty() && self.opened.is_empty() && self.absences.is_empty()
    }

    /// A socket is in a room since the event `to`, and was not since `from`; 0: it never was.
    pub fn note_absence(&mut self, room: RoomKey, from: u64, to: u64) {
        if self.absences.len() >= ABSENCES_MAX {
            self.forgotten_absences = self.absences.remove(0).to;
        }
        self.absences.push(Absence { room, from, to });
    }

    /// Tells whether the socket was not in a room when an event was handed out.
    pub fn was_absent(&self, room: &RoomKey, serial: u64) -> bool {
        self.absences.iter().any(|absence| absence.room == *room && absence.covers(serial))
    }

    /// Of a room's events those after this one are needed, for one who has come so far.
    pub fn needed_since(&self, room: &RoomKey, reached: Reached) -> Reached {
        let mut absences: SmallVec<[_; 4]> = self.absences.iter().filter(|absence| absence.room == *room).collect();
        absences.sort_by_key(|absence| absence.from);
        absences.iter().fold(reached, |needed, absence| {
            if absence.from <= needed.serial { needed.max(Reached::all_of(absence.to)) } else { needed }
        })
    }

    /// Its user is no member of a conversation any more. Tells whether it was muted.
    pub fn forget(&mut self, conversation: ConversationId) -> bool {
        self.opened.remove(&conversation);
        self.absences.retain(|absence| absence.room != RoomKey::Group(conversation));
        self.muted.remove(&conversation).is_some()
    }
}

impl Absence {
    fn covers(&self, serial: u64) -> bool {
        self.from < serial && serial <= self.to
    }
}

/// Tells whether a session was told an event of a room, or has it coming: it was told all after `told_after` where it was.
pub fn was_told(told_after: u64, places: Option<&Places>, room: &RoomKey, serial: u64) -> bool {
    told_after < serial && !places.is_some_and(|places| places.was_absent(room, serial))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::conversation_id;
    use super::*;

    #[test]
    fn of_a_room_it_was_not_in_a_session_was_told_nothing() {
        let mut places = Places::default();
        let (one, other) = (RoomKey::Group(conversation_id(1)), RoomKey::Group(conversation_id(2)));
        places.note_absence(one.clone(), 3, 5);
        let told = |serial| was_told(2, Some(&places), &one, serial);
        assert_eq!([2, 3, 4, 5, 6].map(told), [false, true, false, false, true]);
        assert!(was_told(2, Some(&places), &other, 4) && was_told(2, None, &one, 4));
        assert_eq!(places.needed_since(&one, Reached::all_of(3)), Reached::all_of(5), "none of the absence");
        assert_eq!(places.needed_since(&one, Reached::all_of(2)), Reached::all_of(2), "3 was missed in the room");
        assert_eq!(places.needed_since(&other, Reached::all_of(4)), Reached::all_of(4));
    }

    #[test]
    fn so_many_absences_are_remembered_and_those_of_a_left_group_are_not() {
        let mut places = Places::default();
        let key = RoomKey::Group(conversation_id(1));
        for number in 1..=1_025 {
            places.note_absence(key.clone(), number, number);
        }
        assert_eq!((places.absences.len(), places.forgotten_absences), (ABSENCES_MAX, 1));
        places.muted.insert(conversation_id(1), 7);
        assert!(places.forget(conversation_id(1)) && places.is_empty());
        assert!(!places.forget(conversation_id(1)));
    }
}
