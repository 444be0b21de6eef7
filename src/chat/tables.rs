//! Who is here: users with their sockets, and what is known of each.
use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;

use super::delivered::UnprovenPages;
use super::handed::Handed;
use super::offsets::{Reached, Since};
use super::rooms::RoomKey;
use super::sent_ids::SentIds;
use super::{ChatError, Command, Manner, OwnCopy, Reply, Words};
use crate::auth::Claims;
use crate::engineio::{ConnectionKey, Peer};
use crate::model::{
    Account, Conversation, ConversationId, ConversationKind, File, Listing, Message, Notification, Offset, PrivateId, Profile,
    RoomId, SocketId, Timestamp, UserId,
};
use crate::store::{Membership, Overview, Received, direct_key};

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

/// An admitted socket.
#[derive(Debug)]
pub struct Session {
    pub user: UserId,
    pub socket: SocketId,
    pub pid: PrivateId,
    pub words: Words,
    pub manner: Manner,
    pub tokens: Tokens,
    /// How far its client is known to have come; `None`, while a catch-up began it: only the client knows.
    pub reached: Option<Reached>,
    /// Number of the last event up to which all that it was told is known to have arrived.
    pub proven: u64,
    /// Events after this one it was told live, or replayed.
    pub told_after: u64,
    /// Of the events up to this one messages may have been left out, which the catch-up brings once they are stored; 0: of none.
    pub left_out_up_to: u64,
    /// Pages of the catch-up that may not have arrived yet.
    pub unproven: Option<Box<UnprovenPages>>,
    pub is_in_common_chat: bool,
    /// Requests that wait for the first of them, in order.
    #[expect(clippy::box_collection, reason = "most sockets have none, and there are many sockets")]
    pub queue: Option<Box<VecDeque<Pending>>>,
    /// Whether the first request of the queue's owner is waiting for the store, or for what the user's sockets left behind.
    pub is_blocked: bool,
    /// Whether its client is being put out: nothing more of it is carried out.
    pub is_put_out: bool,
    pub catch_up: Option<Box<CatchUp>>,
    /// Notifications that are to be shown behind the catch-up.
    pub unseen: Option<Box<Unseen>>,
    pub places: Option<Box<Places>>,
    pub peer: Peer,
    pub connected_at: Timestamp,
}

/// What a session is in by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The logins that its tokens belong to, else their fingerprints in hex: the one that expires last, and the newest.
    pub keys: SmallVec<[Box<str>; 1]>,
    pub expires_at: Option<Timestamp>,
}

impl Tokens {
    /// One token.
    pub fn of(claims: &Claims) -> Self {
        Self { keys: smallvec![claims.revocation_key.clone()], expires_at: claims.expires_at }
    }

    /// These and a newer one: the later expiry counts.
    pub fn and(self, newer: Self, now: Timestamp) -> Self {
        let has_expired = newer.expires_at.is_some_and(|at| at <= now);
        let lasts = |tokens: &Self| tokens.expires_at.unwrap_or(Timestamp::from_millis(i64::MAX));
        match lasts(&newer) >= lasts(&self) {
            true => newer,
            false if has_expired || newer.keys == self.keys => self,
            false => Self { keys: self.keys.into_iter().take(1).chain(newer.keys).collect(), expires_at: self.expires_at },
        }
    }
}

/// Where a socket is, beyond its user's conversations.
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

    /// Its user is no member of a conversation any more. Whether it was muted.
    pub fn forget(&mut self, conversation: ConversationId) -> bool {
        self.opened.remove(&conversation);
        self.absences.retain(|absence| absence.room != RoomKey::Group(conversation));
        self.muted.remove(&conversation).is_some()
    }
}

/// So many absences of one socket are remembered.
const ABSENCES_MAX: usize = 1_024;

impl Session {
    /// Events after this one it was told, whether they are stored in the end or not.
    pub fn surely_told_after(&self) -> u64 {
        self.told_after.max(self.left_out_up_to)
    }

    /// Since which event it hears nothing of a conversation, if it has muted that.
    pub fn muted_since(&self, conversation: ConversationId) -> Option<u64> {
        self.places.as_ref()?.muted.get(&conversation).copied()
    }
}

/// How far a socket's catch-up is.
#[derive(Debug)]
pub struct CatchUp {
    /// Messages up to this position belong to the catch-up, those after it are live.
    pub up_to: i64,
    /// And edits and deletions up to this one.
    pub changes_up_to: i64,
    /// From where on its client lacks messages; `None`: it does not know, and gets what its user had not received.
    pub since: Option<Since>,
    /// The client's earlier session: it knows what it sent itself.
    pub sent_by: Option<[u8; 32]>,
    /// How much of it was handed over; `None`: nothing was read yet.
    pub progress: Option<CatchUpProgress>,
    /// The user's receipts when it began, where they matter.
    pub received: Option<Arc<Received>>,
    /// How many rows the next page asks for.
    pub rows: usize,
    /// Whether a page is being read or the next one waits for the socket.
    pub is_reading: bool,
    /// Whether it stands for live events that were left out where too much waited.
    pub goes_on: bool,
}

/// How much of a catch-up was handed over. First come the changes of messages that its client had, then the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUpProgress {
    /// Changes up to this position,
    pub changes: i64,
    /// and messages up to this one.
    pub messages: i64,
}

/// The notifications that a socket is shown when it comes.
#[derive(Debug)]
pub enum Unseen {
    /// They will be read behind the catch-up, or are being read. With the offset of a client that has caught up.
    Due(Offset),
    /// These wait until the socket has taken those before, oldest first.
    Waiting(VecDeque<Arc<Notification>>, Offset),
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

/// Who waits for an answer.
#[derive(Debug)]
pub enum Asker {
    /// A socket's request.
    Session { connection: ConnectionKey, socket: SocketId, pid: PrivateId, ticket: u32, own_copy: OwnCopy },
    /// A request of a socket that is gone; its client may have come back to its session.
    Left { socket: SocketId, pid: PrivateId, own_copy: OwnCopy },
    /// A request over HTTP.
    Http(oneshot::Sender<Result<Reply, ChatError>>),
    /// Nobody: the model answers a question of this chat.
    Model { conversation: ConversationId },
}

impl Asker {
    /// The socket that asks, if it is one.
    pub fn connection(&self) -> Option<ConnectionKey> {
        match self {
            Self::Session { connection, .. } => Some(*connection),
            Self::Left { .. } | Self::Http(_) | Self::Model { .. } => None,
        }
    }

    /// The public id of the asking socket, which may be gone by now.
    pub fn socket(&self) -> Option<SocketId> {
        match self {
            Self::Session { socket, .. } | Self::Left { socket, .. } => Some(*socket),
            Self::Http(_) | Self::Model { .. } => None,
        }
    }

    /// The session of the asking socket, which may be gone by now.
    pub fn pid(&self) -> Option<PrivateId> {
        match self {
            Self::Session { pid, .. } | Self::Left { pid, .. } => Some(*pid),
            Self::Http(_) | Self::Model { .. } => None,
        }
    }

    /// What the asking socket is shown of what it sends.
    pub fn own_copy(&self) -> OwnCopy {
        match self {
            Self::Session { own_copy, .. } | Self::Left { own_copy, .. } => *own_copy,
            Self::Http(_) | Self::Model { .. } => OwnCopy::None,
        }
    }
}

/// A command on its way, with what was read for it so far.
#[derive(Debug)]
pub struct Pending {
    pub user: UserId,
    pub asker: Asker,
    pub command: Command,
    pub facts: Facts,
}

/// What was read for one command and is kept nowhere else.
#[derive(Debug, Default)]
pub struct Facts {
    /// `Some(None)`: there is no such message.
    pub message: Option<Option<Arc<Message>>>,
    /// `Some(None)`: the question has no answer yet.
    pub answer: Option<Option<Arc<Message>>>,
    /// The uploads that the draft names, and how often files had been dropped by then.
    pub uploads: Option<(u64, Vec<(File, UserId)>)>,
    /// What the sender calls a conversation was looked up.
    pub called: Option<Called>,
    /// The sender's conversations.
    pub overviews: Option<Vec<Overview>>,
    /// The asker's notifications.
    pub notifications: Option<Vec<Notification>>,
    /// The listing that the draft is about; without a title also where that could not be read.
    pub listing: Option<Listing>,
    /// The conversation was looked up; where it is not at hand now, there is none.
    pub conversation_read: bool,
    /// These users were looked up; who is not at hand now is unknown.
    pub users_read: Vec<UserId>,
    /// The sender's ids could not be read: the index decides.
    pub sent_ids_unreadable: bool,
    /// Whether the socket's further requests wait for this one.
    pub holds_queue: bool,
}

/// What a text meant to a user as a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Called {
    /// How many names the user had given by then.
    pub names_given: u64,
    /// `None`: nothing.
    pub conversation: Option<ConversationId>,
}
