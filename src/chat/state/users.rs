//! Users whose account is at hand.
use std::hash::Hash;
use std::sync::Arc;

use hashbrown::Equivalent;
use smallvec::SmallVec;

use super::account_changes::AccountChanges;
use super::made_users::MadeUsers;
use super::sent_ids::SentIds;
use super::subscriptions::Subscriptions;
use crate::auth::Revocations;
use crate::chat::ports::RoomKey;
use crate::engineio::ConnectionKey;
use crate::hash::HashMap;
use crate::model::{Account, ConversationId, ConversationKind, PrivateId, Profile, Timestamp, UserId};
use crate::store::Membership;

/// Ids of what a user sent are kept so long after their last use: ten minutes.
const SENT_IDS_IDLE_MS: i64 = 600_000;

/// Users, and what changed of them. Who is at hand is as new as all that took effect: a read never replaces an entry.
#[derive(Debug, Default)]
pub(crate) struct Users {
    at_hand: HashMap<UserId, Box<User>>,
    pub changes: AccountChanges,
    /// Users who are made because somebody writes to them.
    pub made: MadeUsers,
    pub revocations: Revocations,
}

impl Users {
    /// Nobody yet; these tokens are revoked.
    pub(crate) fn new(revocations: Revocations) -> Self {
        Self { revocations, ..Self::default() }
    }

    /// Returns a user who is at hand.
    pub(crate) fn get(&self, id: &(impl Hash + Equivalent<UserId> + ?Sized)) -> Option<&User> {
        self.at_hand.get(id).map(|user| &**user)
    }

    /// [`Users::get`], to change it.
    pub(crate) fn get_mut(&mut self, id: &(impl Hash + Equivalent<UserId> + ?Sized)) -> Option<&mut User> {
        self.at_hand.get_mut(id).map(|user| &mut **user)
    }

    /// Returns whether a user is at hand.
    pub(crate) fn contains(&self, id: &UserId) -> bool {
        self.at_hand.contains_key(id)
    }

    /// Number of users at hand.
    pub(crate) fn len(&self) -> usize {
        self.at_hand.len()
    }

    /// Returns all who are at hand, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&UserId, &User)> {
        self.at_hand.iter().map(|(id, user)| (id, &**user))
    }

    /// Keeps a user as it was read, unless it is at hand.
    pub(crate) fn keep(&mut self, account: Account, memberships: Vec<Membership>, now: Timestamp) {
        self.at_hand.entry(account.profile.id.clone()).or_insert_with(|| Box::new(User::new(account, memberships, now)));
    }

    /// Forgets those without a socket whom nobody has asked for since `old`, and ids of what others sent ten minutes ago.
    pub(crate) fn forget_unused(&mut self, now: Timestamp, old: Timestamp) {
        self.at_hand.retain(|_, user| {
            if user.sent.as_ref().is_some_and(|sent| sent.used_at < now.plus_millis(-SENT_IDS_IDLE_MS)) {
                user.sent = None;
            }
            user.has_sessions() || user.is_announced || user.sent.is_some() || user.used_at > old
        });
    }

    /// Returns the rooms in which a session with these subscriptions is.
    pub(crate) fn rooms_of(
        &self,
        user: &UserId,
        subscriptions: Option<&Subscriptions>,
        is_in_common_chat: bool,
    ) -> SmallVec<[RoomKey; 8]> {
        let memberships = self.get(user).map_or(&[][..], |user| &user.memberships);
        let is_muted = |id: &ConversationId| subscriptions.is_some_and(|subscriptions| subscriptions.muted.contains_key(id));
        let groups = memberships
            .iter()
            .filter(|membership| membership.kind == ConversationKind::Group && !is_muted(&membership.conversation))
            .map(|membership| RoomKey::Group(membership.conversation));
        let public =
            subscriptions.into_iter().flat_map(|subscriptions| &subscriptions.rooms).map(|room| RoomKey::Public(room.clone()));
        groups.chain(public).chain(is_in_common_chat.then_some(RoomKey::CommonChat)).collect()
    }
}

/// A user whose account is at hand: online, or used a short while ago.
#[derive(Debug)]
pub(crate) struct User {
    pub account: Arc<Account>,
    pub memberships: Vec<Membership>,
    /// Set if a membership may have an alias.
    pub has_names: bool,
    /// Number of aliases that were given since the user is at hand: a read from before one is too old to be kept.
    pub names_given: u32,
    pub sessions: SmallVec<[ConnectionKey; 1]>,
    /// Sessions whose connection was lost, oldest first.
    pub detached: Vec<PrivateId>,
    /// Set while others believe this user online: they were notified so.
    pub is_announced: bool,
    /// Time at which the loss of the last socket counts, unless one comes before.
    pub offline_at: Option<Timestamp>,
    pub sent: Option<Box<SentIds>>,
    /// Number of times that the store was given notifications that were not shown, and how many of those are made up for.
    pub unseen_noted: u32,
    pub unseen_shown: u32,
    pub used_at: Timestamp,
}

impl User {
    /// A user as it was read.
    fn new(account: Account, memberships: Vec<Membership>, now: Timestamp) -> Self {
        Self {
            account: Arc::new(account),
            has_names: memberships.iter().any(|membership| membership.name.is_some()),
            names_given: 0,
            memberships,
            sessions: SmallVec::new(),
            detached: Vec::new(),
            is_announced: false,
            offline_at: None,
            sent: None,
            // Nobody knows what was stored before.
            unseen_noted: 1,
            unseen_shown: 0,
            used_at: now,
        }
    }

    /// Returns whether a session of theirs is open or detached.
    pub(crate) fn has_sessions(&self) -> bool {
        !self.sessions.is_empty() || !self.detached.is_empty()
    }

    pub(crate) fn profile(&self) -> &Arc<Profile> {
        &self.account.profile
    }

    /// Returns the user's alias for a conversation.
    pub(crate) fn name_of(&self, conversation: ConversationId) -> Option<&Arc<str>> {
        let memberships = if self.has_names { &*self.memberships } else { &[] };
        memberships.iter().find(|membership| membership.conversation == conversation)?.name.as_ref()
    }

    /// The conversation that the user calls so, as far as that is at hand: by its id or by the latest name.
    pub(crate) fn conversation_of_alias(&self, text: &str) -> Option<ConversationId> {
        let id = ConversationId::parse(text).ok();
        let means = |membership: &&Membership| {
            Some(membership.conversation) == id || membership.name.as_deref().is_some_and(|name| name == text)
        };
        self.memberships.iter().find(means).map(|membership| membership.conversation)
    }

    pub(crate) fn membership(&mut self, conversation: ConversationId) -> Option<&mut Membership> {
        self.memberships.iter_mut().find(|membership| membership.conversation == conversation)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{account, connection, pid, user};
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    #[test]
    fn a_user_fills_an_allocation_and_no_more() {
        // The allocator's next size is 160 bytes.
        assert!(size_of::<User>() <= 128, "{}", size_of::<User>());
    }

    #[test]
    fn a_read_never_replaces_what_is_at_hand() {
        let mut users = Users::default();
        users.keep(account("ann"), Vec::new(), NOW);
        users.get_mut(&user("ann")).unwrap().names_given = 7;
        users.keep(account("ann"), Vec::new(), NOW);
        assert_eq!((users.len(), users.get(&user("ann")).unwrap().names_given), (1, 7));
    }

    #[test]
    fn who_is_in_use_is_not_forgotten() {
        let mut users = Users::default();
        for name in ["idle", "asked-for", "in", "away", "announced"] {
            users.keep(account(name), Vec::new(), NOW.plus_millis(if name == "asked-for" { 1 } else { 0 }));
        }
        users.get_mut(&user("in")).unwrap().sessions.push(connection(1));
        users.get_mut(&user("away")).unwrap().detached.push(pid(1));
        users.get_mut(&user("announced")).unwrap().is_announced = true;
        users.forget_unused(NOW, NOW);
        assert!(!users.contains(&user("idle")));
        assert_eq!(users.len(), 4);
    }
}
