//! Typing: users and the conversations in which they type.
use std::time::Duration;

use hashbrown::hash_map::Entry;
use smallvec::SmallVec;

use crate::engineio::ConnectionKey;
use crate::hash::HashMap;
use crate::model::{ConversationId, Timestamp, UserId};

/// A change that others are notified of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypingChange {
    /// Conversation in which the user types.
    pub conversation: ConversationId,
    /// User who began or stopped.
    pub user: UserId,
    /// Set if the user began.
    pub active: bool,
}

/// A user's sockets that type somewhere, and when each lapses.
type Typists = SmallVec<[(ConnectionKey, Timestamp); 1]>;

/// Typing states; a user types in a conversation while at least one of their sockets does.
#[derive(Debug, Default)]
pub(crate) struct Typing {
    typists: HashMap<(ConversationId, UserId), Typists>,
    /// Conversations in which each socket types.
    places: HashMap<ConnectionKey, SmallVec<[ConversationId; 1]>>,
    /// Nothing lapses before.
    earliest: Option<Timestamp>,
}

impl Typing {
    /// A socket typed. Silent (`None`) while its user is typing there already.
    pub(crate) fn start(
        &mut self,
        conversation: ConversationId,
        user: &UserId,
        connection: ConnectionKey,
        now: Timestamp,
        ttl: Duration,
    ) -> Option<TypingChange> {
        let until = now.plus_millis(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        let sockets = self.typists.entry((conversation, user.clone())).or_default();
        let silent = !sockets.is_empty();
        match sockets.iter_mut().find(|(socket, _)| *socket == connection) {
            Some((_, lapses)) => *lapses = until,
            None => {
                sockets.push((connection, until));
                self.places.entry(connection).or_default().push(conversation);
            }
        }
        self.earliest = Some(self.earliest.map_or(until, |earliest| earliest.min(until)));
        (!silent).then(|| TypingChange { conversation, user: user.clone(), active: true })
    }

    /// A socket stopped, sent or left. Silent where it was not typing or another socket of its user still is.
    pub(crate) fn stop(
        &mut self,
        conversation: ConversationId,
        user: &UserId,
        connection: ConnectionKey,
    ) -> Option<TypingChange> {
        let key = (conversation, user.clone());
        let sockets = self.typists.get_mut(&key)?;
        sockets.retain(|(socket, _)| *socket != connection);
        forget_place(&mut self.places, connection, conversation);
        if !sockets.is_empty() {
            return None;
        }
        self.typists.remove(&key);
        Some(TypingChange { conversation, user: user.clone(), active: false })
    }

    /// A socket is gone: it types nowhere any more.
    pub(crate) fn forget(&mut self, user: &UserId, connection: ConnectionKey) -> Vec<TypingChange> {
        let places = self.places.remove(&connection).unwrap_or_default();
        places.into_iter().filter_map(|place| self.stop(place, user, connection)).collect()
    }

    /// Ends and returns what lapsed by `now`.
    pub(crate) fn lapse(&mut self, now: Timestamp) -> Vec<TypingChange> {
        let mut changes = Vec::new();
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return changes;
        }
        let places = &mut self.places;
        self.typists.retain(|(conversation, user), sockets| {
            sockets.retain(|(socket, until)| {
                let goes_on = *until > now;
                if !goes_on {
                    forget_place(places, *socket, *conversation);
                }
                goes_on
            });
            if sockets.is_empty() {
                changes.push(TypingChange { conversation: *conversation, user: user.clone(), active: false });
            }
            !sockets.is_empty()
        });
        self.earliest = self.typists.values().flatten().map(|(_, until)| *until).min();
        changes
    }

    /// Returns the earliest time at which something may lapse.
    pub(crate) fn next_lapse(&self) -> Option<Timestamp> {
        self.earliest
    }
}

fn forget_place(
    places: &mut HashMap<ConnectionKey, SmallVec<[ConversationId; 1]>>,
    connection: ConnectionKey,
    conversation: ConversationId,
) {
    if let Entry::Occupied(mut entry) = places.entry(connection) {
        entry.get_mut().retain(|place| *place != conversation);
        if entry.get().is_empty() {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engineio::Slot;

    #[test]
    fn repeats_are_silent_and_it_lapses_after_the_last_start() {
        let (mut typing, ttl) = (Typing::default(), Duration::from_secs(30));
        let (user, place) = (UserId::parse("ann").unwrap(), ConversationId::from_uuid(uuid::Uuid::nil()));
        let socket = |slot| ConnectionKey { worker: 0, slot: Slot { index: slot, generation: 0 } };
        let at = Timestamp::from_millis;
        assert!(typing.start(place, &user, socket(1), at(0), ttl).is_some_and(|change| change.active));
        assert_eq!(typing.start(place, &user, socket(1), at(10_000), ttl), None);
        assert_eq!(typing.start(place, &user, socket(2), at(10_000), ttl), None, "another device of a typist");
        assert_eq!(typing.stop(place, &user, socket(2)), None, "the first one still types");
        assert_eq!(typing.lapse(at(39_999)), []);
        assert_eq!(typing.next_lapse(), Some(at(40_000)));
        assert!(matches!(&typing.lapse(at(40_000))[..], [change] if !change.active));
        assert_eq!(typing.next_lapse(), None);
        assert!(typing.places.is_empty());
        assert_eq!(typing.stop(place, &user, socket(1)), None, "a stop without a start is silent");
    }
}
