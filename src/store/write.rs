//! Changes that the persister stores, and its answers.
use std::sync::Arc;

use crate::model::{
    ChosenStatus, Conversation, ConversationId, Description, File, ListingId, Message, MessageId, Notification, NotificationId,
    Profile, Timestamp, UserId, UserRole,
};

/// A user to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The id; provisioned users bring theirs.
    pub id: UserId,
    /// Wanted username. Where it is taken, `suffix_if_taken` decides.
    pub username: String,
    /// `true` appends a number to a taken username, `false` answers [`StoreError::Conflict`](super::StoreError::Conflict).
    pub suffix_if_taken: bool,
    /// E-mail; a taken one is dropped where `suffix_if_taken`, else [`StoreError::Conflict`](super::StoreError::Conflict).
    pub email: Option<String>,
    /// The name to show.
    pub full_name: Option<String>,
    /// Argon2 in PHC form; provisioned users have none and cannot log in.
    pub password_hash: Option<String>,
    /// The stored role.
    pub role: UserRole,
    /// When that was said of the user, where it is known.
    pub described_at: Option<Timestamp>,
    /// When it is made.
    pub created_at: Timestamp,
}

/// A message to be stored.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The message; its `seq` is given when it is stored.
    pub message: Arc<Message>,
    /// SHA-256 of target, content, file and attachment URLs of the request, where it bears a `clientMessageId`.
    pub request_hash: Option<[u8; 32]>,
    /// Hash of the private id of the session that sent it.
    pub sent_by: Option<[u8; 32]>,
}

/// A notification to be stored.
#[derive(Debug, Clone)]
pub struct NewNotification {
    /// The notification.
    pub notification: Arc<Notification>,
    /// The event that it goes with.
    pub tells_of: TellsOf,
    /// Tells whether it has been shown.
    pub is_seen: bool,
}

/// The event that a notification tells of, and goes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TellsOf {
    /// A message. The unseen one of the same user and conversation is renewed, where there is one: it keeps its id and gets
    /// the rest, unless it has a newer message. Nothing is stored of a message that is deleted or read, or whose author's
    /// account is deleted, nor for a user who is no member.
    Message {
        /// Its conversation.
        conversation: ConversationId,
        /// The message.
        message: MessageId,
    },
    /// Its user's membership of a group.
    Membership(ConversationId),
    /// Nothing that this server knows.
    Other,
}

impl TellsOf {
    /// Its conversation.
    pub fn conversation(self) -> Option<ConversationId> {
        match self {
            Self::Message { conversation, .. } | Self::Membership(conversation) => Some(conversation),
            Self::Other => None,
        }
    }

    /// The message, where it is one.
    pub fn message(self) -> Option<MessageId> {
        if let Self::Message { message, .. } = self { Some(message) } else { None }
    }
}

/// One change. Changes are stored in the order in which they were given; each either wholly or not at all.
#[derive(Debug, Clone)]
pub enum Write {
    /// Gives the message its `seq` and makes it its place's last one. Answered by [`Written::Message`].
    /// The same id again is no error and answers with the stored `seq`: a retried batch, or (another position) a repeat.
    Message(Box<NewMessage>),
    /// New content of a message (`updated_at` comes with it). Unless deleted. `position`: its place in the order of all messages
    /// and changes, where it has one.
    EditMessage { message: MessageId, content: String, updated_at: Timestamp, position: Option<i64> },
    /// A message's content, file and attachments are emptied and it is marked deleted; `position` as of an edit.
    DeleteMessage { message: MessageId, deleted_at: Timestamp, position: Option<i64> },
    /// A receipt; `read_seq` of the reader moves forward to the message's `seq`, never back. A second one changes nothing.
    MarkRead { message: MessageId, conversation: ConversationId, reader: UserId, read_at: Timestamp },
    /// `delivered_seq` of these members moves forward, never back.
    Delivered(Vec<DeliveredUpTo>),
    /// A conversation and its first members, who all joined at its making (`joined_position`: messages up to it are not caught up).
    /// A direct one has both users' ids as `direct_key` (see [`direct_key`]). Answered by [`Written::Done`].
    CreateConversation { conversation: Arc<Conversation>, joined_position: i64 },
    /// Name, picture and administrator become these.
    UpdateConversation {
        conversation: ConversationId,
        name: Option<String>,
        avatar: Option<String>,
        admin: Option<UserId>,
        updated_at: Timestamp,
    },
    /// An owner calls a conversation so from now on; a name that meant another one means this one then.
    NameConversation { owner: UserId, name: String, conversation: ConversationId, named_at: Timestamp },
    /// Members join. One who had left becomes a member again.
    AddParticipants { conversation: ConversationId, users: Vec<UserId>, joined_at: Timestamp, joined_position: i64 },
    /// A member leaves.
    RemoveParticipant { conversation: ConversationId, user: UserId, left_at: Timestamp },
    /// A group goes, with its messages.
    DeleteConversation { conversation: ConversationId },
    /// A user. Answered by [`Written::User`], also where the id is known already.
    CreateUser(Box<NewUser>),
    /// Name and picture become these, as far as they are given.
    UpdateProfile { user: UserId, full_name: Option<Option<String>>, avatar: Option<Option<String>> },
    /// The chosen presence.
    SetStatus { user: UserId, status: ChosenStatus },
    /// These users came online and those went, `at` the latest: when the server was alive. At the start after a crash those
    /// who are noted were last seen then. The row of the present start has the time.
    Online { came: Vec<UserId>, gone: Vec<UserId>, at: Timestamp },
    /// The last socket closed.
    SetLastSeen { user: UserId, last_seen: Timestamp },
    /// A new password; tokens from before `valid_from` are revoked, except those of `kept_login`.
    SetPassword { user: UserId, password_hash: String, valid_from: Timestamp, kept_login: Option<String> },
    /// Description of a user by a token made elsewhere, unless something newer is known: a name or an address that is taken is
    /// not got.
    Describe { user: UserId, description: Description },
    /// A role, by an administrator's word.
    SetRole { user: UserId, role: UserRole, at: Timestamp },
    /// Disabled or enabled.
    SetDisabled { user: UserId, disabled: bool },
    /// A user goes: leaves the groups, loses all that is personal, and stays as the nameless author of what was said to others.
    DeleteUser { user: UserId, deleted_at: Timestamp },
    /// All tokens of a user from before `valid_from` are refused.
    RevokeTokensOf { user: UserId, valid_from: Timestamp },
    /// A login's tokens, or (`key` = hex of the fingerprint) a single one, are refused; may be forgotten after `until`.
    RevokeToken { key: String, until: Timestamp },
    /// Notes what was done with an administrator's rights.
    Audit(Box<AuditEntry>),
    /// These notes of changed accounts are taken away.
    ForgetAccountChanges { ids: Vec<i64> },
    /// Notifications, made or renewed. One that is stored already is left as it is.
    Notify(Vec<NewNotification>),
    /// Notifications with these ids, or all of the user's, have been shown.
    NotificationsSeen { user: UserId, ids: Option<Vec<NotificationId>>, seen_at: Timestamp },
    /// Notifications with these ids, or all of the user's, have been read.
    NotificationsRead { user: UserId, ids: Option<Vec<NotificationId>>, read_at: Timestamp },
    /// A listing is called so from now on.
    SetListingTitle { listing: ListingId, title: String, updated_at: Timestamp },
    /// The oldest messages of a place go, of those that were written before that, with their receipts: at most so many.
    /// Answered by [`Written::Pruned`].
    PruneMessages { place: String, before: Timestamp, limit: i64 },
    /// The oldest notifications of a user go, of those that were made or last renewed before that: at most so many. Answered by
    /// [`Written::Pruned`].
    PruneNotifications { user: UserId, before: Timestamp, limit: i64 },
    /// The uploads with these addresses are to be looked at, as far as nothing names them.
    ReleaseFiles { urls: Vec<String> },
    /// Of these files, which are to be looked at, the uploads go that nothing names by now. Answered by [`Written::Unnamed`].
    DropFiles { urls: Vec<String> },
    /// These files are off the disk: nobody has to look at them any more.
    FilesRemoved { urls: Vec<String> },
    /// An uploaded file.
    Upload { file: File, owner: UserId, uploaded_at: Timestamp },
    /// Nothing: answered when all before it is stored or given up.
    Barrier,
    /// Fails or panics on purpose; for tests of the persister.
    #[doc(hidden)]
    TestFault(TestFault),
}

impl Write {
    /// Tells whether a file may have lost its last name by it.
    pub(super) fn may_unname_files(&self) -> bool {
        matches!(
            self,
            Self::EditMessage { .. }
                | Self::DeleteMessage { .. }
                | Self::UpdateConversation { .. }
                | Self::DeleteConversation { .. }
                | Self::UpdateProfile { .. }
                | Self::DeleteUser { .. }
                | Self::PruneMessages { .. }
                | Self::ReleaseFiles { .. }
        )
    }
}

/// How a [`Write::TestFault`] misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum TestFault {
    /// The database refuses this very row.
    Poison,
    /// The code panics.
    Panic,
}

/// One member's progress in one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredUpTo {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// All up to this one.
    pub seq: i64,
}

/// An act, or several alike of one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// A UUID with its time: later ones are greater.
    pub id: String,
    /// When; of several the first.
    pub done_at: Timestamp,
    /// `user:ID`, `key:NAME`, `admin-ui:NAME` or `command line`.
    pub actor: String,
    /// Route or command that was asked for.
    pub action: String,
    /// Object that it was done to.
    pub object: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
    /// How often.
    pub times: i64,
}

/// Outcome of a [`Write`] that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Stored.
    Done,
    /// A message has this number in its place; of a repeat nothing was stored but what the first one brought.
    Message { seq: i64, is_repeat: bool },
    /// Nothing: the message that was to be edited or deleted was deleted before.
    Gone,
    /// So many rows were deleted.
    Pruned { rows: usize },
    /// The uploads with these addresses are gone: their files are to be removed.
    Unnamed { urls: Vec<String> },
    /// The user as stored, with the username that it got.
    User(Arc<Profile>),
}

/// The key that makes the direct conversation of two users unique, whoever begins it.
pub fn direct_key(one: &UserId, other: &UserId) -> String {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    format!("{first}\n{second}")
}
