//! Conversations that are at hand.
use std::sync::Arc;

use super::dispatched::DispatchedMessages;
use super::requests::Running;
use super::titles::Titles;
use crate::hash::HashMap;
use crate::model::{Conversation, ConversationId, ConversationKind, Timestamp, UserId};
use crate::store::direct_key;

/// Conversations that are at hand, each direct one under its two users, too. Of a group one change is stored at a time: each is
/// computed from the last.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    at_hand: HashMap<ConversationId, CachedConversation>,
    directs: HashMap<String, ConversationId>,
    /// Groups of which a change is being stored, and the changes that wait for that.
    changing: HashMap<ConversationId, Vec<Running>>,
    /// Titles of the listings that messages are about.
    pub titles: Titles,
}

impl Conversations {
    /// Returns a conversation that is at hand.
    pub(crate) fn get(&self, id: &ConversationId) -> Option<&CachedConversation> {
        self.at_hand.get(id)
    }

    /// [`Conversations::get`], to change it.
    pub(crate) fn get_mut(&mut self, id: &ConversationId) -> Option<&mut CachedConversation> {
        self.at_hand.get_mut(id)
    }

    /// Returns all that are at hand, in no order, to change them.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut CachedConversation> {
        self.at_hand.values_mut()
    }

    /// Number of conversations at hand.
    pub(crate) fn len(&self) -> usize {
        self.at_hand.len()
    }

    /// Returns the direct conversation of two users, where it is at hand.
    pub(crate) fn direct_between(&self, one: &UserId, other: &UserId) -> Option<ConversationId> {
        self.directs.get(&direct_key(one, other)).copied()
    }

    /// Keeps a conversation as it was read or made, unless it is at hand. `changed_at`: when a message of it last changed, where
    /// that is not when it changed itself. Later changes come after both.
    pub(crate) fn keep(&mut self, conversation: Conversation, changed_at: Option<Timestamp>, now: Timestamp) {
        if let Some(key) = pair_key(&conversation) {
            self.directs.insert(key, conversation.id);
        }
        self.at_hand.entry(conversation.id).or_insert_with(|| CachedConversation {
            updated_at: changed_at.unwrap_or_default().max(conversation.updated_at),
            dispatched: DispatchedMessages::default(),
            in_flight: 0,
            is_progress_due: false,
            absent: None,
            used_at: now,
            conversation: Arc::new(conversation),
        });
    }

    /// Takes a conversation out.
    pub(crate) fn remove(&mut self, id: &ConversationId) -> Option<CachedConversation> {
        let cached = self.at_hand.remove(id)?;
        if let Some(key) = pair_key(&cached.conversation) {
            self.directs.remove(&key);
        }
        Some(cached)
    }

    /// Forgets those that `is_used` does not hold.
    pub(crate) fn forget_unused(&mut self, mut is_used: impl FnMut(ConversationId, &CachedConversation) -> bool) {
        let directs = &mut self.directs;
        self.at_hand.retain(|id, cached| {
            let stays = is_used(*id, cached);
            if !stays && let Some(key) = pair_key(&cached.conversation) {
                directs.remove(&key);
            }
            stays
        });
    }

    // ---- one change of a group at a time ----

    /// Returns whether a change of a group is being stored.
    pub(crate) fn is_changing(&self, group: ConversationId) -> bool {
        self.changing.contains_key(&group)
    }

    /// Returns whether a change of any group is being stored.
    pub(crate) fn is_any_changing(&self) -> bool {
        !self.changing.is_empty()
    }

    /// A change of a group is being stored from here on.
    pub(crate) fn begin_change(&mut self, group: ConversationId) {
        self.changing.entry(group).or_default();
    }

    /// Has another change wait for the one that is being stored.
    pub(crate) fn wait_for_change(&mut self, group: ConversationId, running: Running) {
        self.changing.entry(group).or_default().push(running);
    }

    /// The change is stored, or is not. Returns those that waited for that, in their order.
    pub(crate) fn end_change(&mut self, group: ConversationId) -> Vec<Running> {
        self.changing.remove(&group).unwrap_or_default()
    }
}

/// A direct conversation that has no message yet.
pub(crate) fn new_direct(id: ConversationId, one: &UserId, other: &UserId, now: Timestamp) -> Conversation {
    new_pair(id, ConversationKind::Direct, None, [one, other], now)
}

/// A conversation of two, or of one with itself, that has no message yet.
pub(crate) fn new_pair(
    id: ConversationId,
    kind: ConversationKind,
    name: Option<String>,
    [one, other]: [&UserId; 2],
    now: Timestamp,
) -> Conversation {
    let mut participants = vec![one.clone()];
    if one != other {
        participants.push(other.clone());
    }
    Conversation {
        id,
        kind,
        name,
        avatar: None,
        admin: None,
        participants,
        last_message: None,
        last_seq: 0,
        created_at: now,
        updated_at: now,
    }
}

/// The key by which a direct conversation is found; `None` for other kinds.
pub(super) fn pair_key(conversation: &Conversation) -> Option<String> {
    let members = &conversation.participants;
    let pair = members.first().zip(members.last()).filter(|_| conversation.kind == ConversationKind::Direct);
    pair.map(|(one, other)| direct_key(one, other))
}

/// A conversation that is at hand.
#[derive(Debug)]
pub(crate) struct CachedConversation {
    pub conversation: Arc<Conversation>,
    /// Time of the newest change here: it rises strictly.
    pub updated_at: Timestamp,
    /// Messages that are being stored.
    pub in_flight: usize,
    /// Messages that were dispatched of late and are stored.
    pub dispatched: DispatchedMessages,
    /// Set while it is still to be found out who confirmed them before they were stored.
    pub is_progress_due: bool,
    /// Members without a socket, where that was looked up since it last changed.
    pub absent: Option<Arc<[UserId]>>,
    pub used_at: Timestamp,
}

impl CachedConversation {
    /// Returns the time of the next change here: later than that of each change before, whatever the clock says.
    pub(crate) fn next_time(&mut self, now: Timestamp) -> Timestamp {
        self.updated_at = now.max(self.updated_at.plus_millis(1));
        self.used_at = now;
        self.updated_at
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{conversation_id, running, user};
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn direct(number: u128, one: &str, other: &str) -> Conversation {
        new_direct(conversation_id(number), &user(one), &user(other), NOW)
    }

    #[test]
    fn a_direct_conversation_is_found_by_its_users_for_as_long_as_it_is_at_hand() {
        let mut conversations = Conversations::default();
        conversations.keep(direct(1, "ann", "bob"), None, NOW);
        conversations.keep(direct(2, "ann", "ann"), None, NOW);
        conversations.keep(Conversation { kind: ConversationKind::Group, ..direct(3, "ann", "cid") }, None, NOW);
        let between =
            |conversations: &Conversations, one: &str, other: &str| conversations.direct_between(&user(one), &user(other));
        assert_eq!(between(&conversations, "bob", "ann"), Some(conversation_id(1)));
        assert_eq!(between(&conversations, "ann", "ann"), Some(conversation_id(2)));
        assert_eq!(between(&conversations, "ann", "cid"), None, "a group of two is no direct conversation");
        conversations.remove(&conversation_id(1));
        conversations.forget_unused(|id, _| id != conversation_id(2));
        assert_eq!((between(&conversations, "ann", "bob"), between(&conversations, "ann", "ann")), (None, None));
        assert_eq!((conversations.len(), conversations.directs.len()), (1, 0));
    }

    #[test]
    fn a_read_never_replaces_what_is_at_hand() {
        let mut conversations = Conversations::default();
        conversations.keep(direct(1, "ann", "bob"), None, NOW);
        conversations.get_mut(&conversation_id(1)).unwrap().in_flight = 1;
        conversations.keep(direct(1, "ann", "bob"), Some(NOW.plus_millis(9)), NOW);
        let cached = conversations.get(&conversation_id(1)).unwrap();
        assert_eq!((cached.in_flight, cached.updated_at), (1, NOW));
    }

    #[test]
    fn time_rises_strictly_where_the_clock_does_not() {
        let mut conversations = Conversations::default();
        conversations.keep(direct(1, "ann", "bob"), Some(NOW.plus_millis(5)), NOW);
        let cached = conversations.get_mut(&conversation_id(1)).unwrap();
        let times = [NOW, NOW, NOW.plus_millis(-400), NOW.plus_millis(9)].map(|now| cached.next_time(now).as_millis());
        assert_eq!(times, [1_006, 1_007, 1_008, 1_009]);
    }

    #[test]
    fn one_change_of_a_group_is_stored_at_a_time() {
        let mut conversations = Conversations::default();
        let (group, other) = (conversation_id(1), conversation_id(2));
        conversations.begin_change(group);
        assert!(conversations.is_changing(group) && !conversations.is_changing(other));
        ["bob", "cid"].into_iter().for_each(|name| conversations.wait_for_change(group, running(name)));
        let waited: Vec<_> = conversations.end_change(group).iter().map(|running| running.user.to_string()).collect();
        assert_eq!(waited, ["bob", "cid"]);
        assert!(!conversations.is_any_changing());
    }
}
