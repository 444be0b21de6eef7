//! Users whose account is at hand.
use std::sync::Arc;

use smallvec::SmallVec;

use super::sent_ids::SentIds;
use crate::engineio::ConnectionKey;
use crate::model::{Account, ConversationId, PrivateId, Profile, Timestamp};
use crate::store::Membership;

/// A user whose account is at hand: online, or used a short while ago.
#[derive(Debug)]
pub struct User {
    pub account: Arc<Account>,
    pub memberships: Vec<Membership>,
    /// Whether a membership may have a name.
    pub has_names: bool,
    /// How many names were given since the user is at hand: what was read before is too old to be kept.
    pub names_given: u64,
    pub sessions: SmallVec<[ConnectionKey; 1]>,
    /// Sessions whose connection was lost, oldest first.
    pub parked: Vec<PrivateId>,
    /// Whether others were told that this user is online.
    pub is_announced: bool,
    /// When the loss of the last socket counts, unless one comes before.
    pub offline_at: Option<Timestamp>,
    pub sent: Option<Box<SentIds>>,
    /// How often the store was given notifications that were not shown, and how many of those times are made up for.
    pub unseen_noted: u32,
    pub unseen_shown: u32,
    pub used_at: Timestamp,
}

impl User {
    /// Whether a session of theirs is open or parked.
    pub fn has_sessions(&self) -> bool {
        !self.sessions.is_empty() || !self.parked.is_empty()
    }

    pub fn profile(&self) -> &Arc<Profile> {
        &self.account.profile
    }

    /// What the user calls a conversation.
    pub fn name_of(&self, conversation: ConversationId) -> Option<&Arc<str>> {
        let memberships = if self.has_names { &*self.memberships } else { &[] };
        memberships.iter().find(|membership| membership.conversation == conversation)?.name.as_ref()
    }

    /// The conversation that the user calls so, as far as that is at hand: by its id or by the latest name.
    pub fn conversation_called(&self, text: &str) -> Option<ConversationId> {
        let id = ConversationId::parse(text).ok();
        let means = |membership: &&Membership| {
            Some(membership.conversation) == id || membership.name.as_deref().is_some_and(|name| name == text)
        };
        self.memberships.iter().find(means).map(|membership| membership.conversation)
    }

    pub fn membership(&mut self, conversation: ConversationId) -> Option<&mut Membership> {
        self.memberships.iter_mut().find(|membership| membership.conversation == conversation)
    }
}
