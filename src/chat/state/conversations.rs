//! Conversations that are at hand.
use std::sync::Arc;

use super::handed::Handed;
use crate::model::{Conversation, ConversationId, ConversationKind, Timestamp, UserId};
use crate::store::direct_key;

/// A direct conversation that has no message yet.
pub fn new_direct(id: ConversationId, one: &UserId, other: &UserId, now: Timestamp) -> Conversation {
    new_pair(id, ConversationKind::Direct, None, [one, other], now)
}

/// A conversation of two, or of one with itself, that has no message yet.
pub fn new_pair(
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
pub fn pair_key(conversation: &Conversation) -> Option<String> {
    let members = &conversation.participants;
    let pair = members.first().zip(members.last()).filter(|_| conversation.kind == ConversationKind::Direct);
    pair.map(|(one, other)| direct_key(one, other))
}

/// A conversation that is at hand.
#[derive(Debug)]
pub struct CachedConversation {
    pub conversation: Arc<Conversation>,
    /// Time of the newest change here: it rises strictly.
    pub updated_at: Timestamp,
    /// Messages that are being stored.
    pub in_flight: usize,
    /// What was handed out of late and is stored.
    pub handed: Handed,
    /// Whether it is to be looked who has proven that before it was stored.
    pub is_progress_due: bool,
    /// Members without a socket, where that was looked up since it last changed.
    pub absent: Option<Arc<[UserId]>>,
    pub used_at: Timestamp,
}
