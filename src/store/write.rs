//! Changes for the persister, and their results.
use std::sync::Arc;

use super::subscribers::Subscribers;
use crate::config::WebhookEvent;
use crate::model::{
    ChosenStatus, Conversation, ConversationId, Description, File, ListingId, Message, MessageId, Notification, NotificationId,
    Profile, Timestamp, UserId, UserRole,
};

/// A user to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The id; provisioned users bring their own.
    pub id: UserId,
    /// Wanted username. If it is taken, `suffix_if_taken` decides.
    pub username: String,
    /// `true` appends a number to a taken username, `false` fails with
    /// [`StoreError::Conflict`](super::StoreError::Conflict).
    pub suffix_if_taken: bool,
    /// E-mail address; a taken one is dropped if `suffix_if_taken`, else fails with
    /// [`StoreError::Conflict`](super::StoreError::Conflict).
    pub email: Option<String>,
    /// Display name.
    pub full_name: Option<String>,
    /// Argon2 hash in PHC format; provisioned users have none and cannot log in.
    pub password_hash: Option<String>,
    /// The stored role.
    pub role: UserRole,
    /// Time at which this was stated about the user, if known.
    pub described_at: Option<Timestamp>,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// Changes of an account; absent fields stay. All of them take effect, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountChange {
    /// The account's user.
    pub user: UserId,
    /// A username; a taken one answers [`StoreError::Conflict`](super::StoreError::Conflict), as a taken address does.
    pub username: Option<String>,
    /// The e-mail address, or none.
    pub email: Option<Option<String>>,
    /// The full name, or none.
    pub full_name: Option<Option<String>>,
    /// The picture, or none.
    pub avatar: Option<Option<String>>,
    /// The role.
    pub role: Option<UserRole>,
    /// Disabled or enabled.
    pub disabled: Option<bool>,
    /// A hash of a new password: older tokens are revoked, except those of `kept_login`.
    pub password_hash: Option<String>,
    /// The login that changes it.
    pub kept_login: Option<String>,
    /// Time of the change.
    pub changed_at: Timestamp,
}

impl AccountChange {
    /// A change of nothing, to be filled.
    pub fn of(user: UserId, changed_at: Timestamp) -> Self {
        Self {
            user,
            username: None,
            email: None,
            full_name: None,
            avatar: None,
            role: None,
            disabled: None,
            password_hash: None,
            kept_login: None,
            changed_at,
        }
    }
}

/// A message to store.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The message; its `seq` is assigned when it is stored.
    pub message: Arc<Message>,
    /// SHA-256 of target, content, file and attachment URLs of the request, if it has a `clientMessageId`.
    pub request_hash: Option<[u8; 32]>,
    /// Hash of the private id of the sending session.
    pub sent_by: Option<[u8; 32]>,
}

/// A notification to store.
#[derive(Debug, Clone)]
pub struct NewNotification {
    /// The notification.
    pub notification: Arc<Notification>,
    /// Its subject, with which it is withdrawn.
    pub subject: NotificationSubject,
    /// Set if it was already shown.
    pub is_seen: bool,
}

/// Subject of a notification; when it disappears, so does the notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationSubject {
    /// A message. An unseen notification of the same user and conversation is renewed: it keeps its id and gets the new
    /// content, unless it is about a newer message. Nothing is stored if the message is deleted or read, its author's
    /// account is deleted, or the user is not a member.
    Message {
        /// Its conversation.
        conversation: ConversationId,
        /// The message.
        message: MessageId,
    },
    /// The user's membership of a group.
    Membership(ConversationId),
    /// Nothing known to this server.
    Other,
}

impl NotificationSubject {
    /// Returns the conversation.
    pub fn conversation(self) -> Option<ConversationId> {
        match self {
            Self::Message { conversation, .. } | Self::Membership(conversation) => Some(conversation),
            Self::Other => None,
        }
    }

    /// Returns the message, if it is about one.
    pub fn message(self) -> Option<MessageId> {
        if let Self::Message { message, .. } = self { Some(message) } else { None }
    }
}

/// One change. Changes are stored in the order given, each completely or not at all.
#[expect(missing_docs, reason = "a variant's comment explains its fields")]
#[derive(Debug, Clone)]
pub enum Write {
    /// Stores a message, assigns its `seq` and makes it the last message of its conversation or room. Result:
    /// [`Written::Message`]. The same id again is no error and returns the stored `seq`: with the same position the
    /// batch was retried, with another the client repeated the message.
    Message(Box<NewMessage>),
    /// Sets the content and `updated_at` of a message, unless it is deleted. `position`: its place in the order of all
    /// messages and changes, if it has one.
    EditMessage { message: MessageId, content: String, updated_at: Timestamp, position: Option<i64> },
    /// Empties a message's content, file and attachments, and marks it as deleted; `position` as in an edit.
    DeleteMessage { message: MessageId, deleted_at: Timestamp, position: Option<i64> },
    /// Stores a receipt, and moves the reader's `read_seq` forward to the message's `seq`, never back. A repeated
    /// receipt has no effect.
    MarkRead { message: MessageId, conversation: ConversationId, reader: UserId, read_at: Timestamp },
    /// Moves `delivered_seq` of these members forward, never back.
    Delivered(Vec<DeliveredUpTo>),
    /// Creates a conversation with its first members, who all join at its creation (`joined_position`: messages up to
    /// it are not caught up). A direct one gets the key of its users (see [`direct_key`]). Result: [`Written::Done`].
    CreateConversation { conversation: Arc<Conversation>, joined_position: i64 },
    /// Sets name, picture and administrator.
    UpdateConversation {
        conversation: ConversationId,
        name: Option<String>,
        avatar: Option<String>,
        admin: Option<UserId>,
        updated_at: Timestamp,
    },
    /// Sets the owner's name for a conversation; the name moves to it from any other conversation.
    NameConversation { owner: UserId, name: String, conversation: ConversationId, named_at: Timestamp },
    /// Adds members. One who had left becomes a member again.
    AddParticipants { conversation: ConversationId, users: Vec<UserId>, joined_at: Timestamp, joined_position: i64 },
    /// Removes a member.
    RemoveParticipant { conversation: ConversationId, user: UserId, left_at: Timestamp },
    /// Deletes a group with its messages.
    DeleteConversation { conversation: ConversationId },
    /// Creates a user. Result: [`Written::User`], also if the id exists already.
    CreateUser(Box<NewUser>),
    /// Sets name and picture, as far as they are given.
    UpdateProfile { user: UserId, full_name: Option<Option<String>>, avatar: Option<Option<String>> },
    /// Sets the chosen presence.
    SetStatus { user: UserId, status: ChosenStatus },
    /// Notes users who came online or went offline; `at` is a time at which the server was alive. After a crash, the
    /// next start takes it for the time at which those online were last seen. Stored in the row of the present start.
    Online { came: Vec<UserId>, gone: Vec<UserId>, at: Timestamp },
    /// Records the time at which the last socket closed.
    SetLastSeen { user: UserId, last_seen: Timestamp },
    /// Sets a password; tokens from before `valid_from` are revoked, except those of `kept_login`.
    SetPassword { user: UserId, password_hash: String, valid_from: Timestamp, kept_login: Option<String> },
    /// Changes an account, for its user or an administrator. Unknown and deleted users stay as they are.
    ChangeAccount(Box<AccountChange>),
    /// Replaces the hash of an unchanged password, if it is still `known`. Tokens stay valid.
    RenewPasswordHash { user: UserId, known: String, renewed: String },
    /// Updates a user from a foreign token, unless something newer is known; names and addresses that are taken are
    /// ignored.
    Describe { user: UserId, description: Description },
    /// Sets a role on an administrator's order.
    SetRole { user: UserId, role: UserRole, at: Timestamp },
    /// Deletes a user, who leaves all groups, loses all personal data, and remains as the nameless author of messages
    /// to others; `keeps_name`: under the username, which anybody may have again.
    DeleteUser { user: UserId, deleted_at: Timestamp, keeps_name: bool },
    /// Revokes all tokens of a user issued before `valid_from`.
    RevokeTokensOf { user: UserId, valid_from: Timestamp },
    /// Revokes the tokens of a login, or a single one if `key` is its fingerprint in hex; may be forgotten after
    /// `until`.
    RevokeToken { key: String, until: Timestamp },
    /// Stores that a login got a token.
    NoteLogin(Box<Login>),
    /// Stores an audit entry.
    Audit(Box<AuditEntry>),
    /// Deletes these notes of changed accounts.
    ForgetAccountChanges { ids: Vec<i64> },
    /// Stores or renews notifications. One that is stored already is left as it is.
    Notify(Vec<NewNotification>),
    /// Marks notifications as shown: those with these ids, or all of the user's.
    NotificationsSeen { user: UserId, ids: Option<Vec<NotificationId>>, seen_at: Timestamp },
    /// Marks notifications as read: those with these ids, or all of the user's.
    NotificationsRead { user: UserId, ids: Option<Vec<NotificationId>>, read_at: Timestamp },
    /// Sets the title of a listing.
    SetListingTitle { listing: ListingId, title: String, updated_at: Timestamp },
    /// Deletes the oldest messages of a conversation or room written before `before`, with their receipts; at most
    /// `limit`. Result: [`Written::Pruned`].
    PruneMessages { place: String, before: Timestamp, limit: i64 },
    /// Deletes messages of a deleted conversation, at most `limit`. Result: [`Written::Pruned`].
    PruneDeleted { place: String, limit: i64 },
    /// Deletes the oldest notifications of a user last renewed before `before`; at most `limit`. Result:
    /// [`Written::Pruned`].
    PruneNotifications { user: UserId, before: Timestamp, limit: i64 },
    /// Notes those of these uploads that have no references for removal.
    ReleaseFiles { urls: Vec<String> },
    /// Deletes the unreferenced uploads among these noted files. Result: [`Written::Unnamed`].
    DropFiles { urls: Vec<String> },
    /// Deletes the notes of files that were removed from disk.
    FilesRemoved { urls: Vec<String> },
    /// Stores an upload.
    Upload { file: File, owner: UserId, uploaded_at: Timestamp },
    /// Deletes events that their webhook has got.
    WebhookDelivered { numbers: Vec<i64> },
    /// Makes dead letters of events, for this reason. Result: [`Written::Pruned`].
    BuryWebhookEvents { numbers: Vec<i64>, failure: String },
    /// Puts dead letters behind all that waits. Result: [`Written::Pruned`].
    ReplayWebhookEvents { numbers: Vec<i64> },
    /// Deletes waiting events and dead letters with these numbers. Result: [`Written::Pruned`].
    SkipWebhookEvents { numbers: Vec<i64> },
    /// Deletes dead letters from before a time, and the oldest beyond so many. Result: [`Written::Pruned`].
    ForgetDeadLetters { before: Timestamp, most: i64 },
    /// Stores events of messages that have not reached everybody, and deletes the checks that found it.
    Unreached { checks: Vec<i64>, unreached: Vec<Unreached> },
    /// Stores nothing: answered once everything before it is stored or given up.
    Barrier,
    /// Fails or panics on purpose; for tests of the persister.
    #[doc(hidden)]
    TestFault(TestFault),
}

impl Write {
    /// Returns whether it may be an event that a webhook wants.
    pub(super) fn is_event(&self, wanted: &Subscribers) -> bool {
        let event = match self {
            Self::Message(_) => {
                return wanted.want(WebhookEvent::MessageCreated) || wanted.want(WebhookEvent::MessageUnreached);
            }
            Self::Online { came, gone, at: _ } => {
                return !came.is_empty() && wanted.want(WebhookEvent::UserConnected)
                    || !gone.is_empty() && wanted.want(WebhookEvent::UserDisconnected);
            }
            Self::EditMessage { .. } => WebhookEvent::MessageEdited,
            Self::DeleteMessage { .. } => WebhookEvent::MessageDeleted,
            Self::MarkRead { .. } => WebhookEvent::MessageRead,
            Self::CreateConversation { .. }
            | Self::UpdateConversation { .. }
            | Self::AddParticipants { .. }
            | Self::RemoveParticipant { .. }
            | Self::DeleteConversation { .. }
            | Self::DeleteUser { .. } => WebhookEvent::ConversationChanged,
            Self::Unreached { .. } | Self::ReplayWebhookEvents { .. } => return true,
            _ => return false,
        };
        wanted.want(event)
    }

    /// Returns whether it may take the last reference from a file.
    pub(super) fn may_unname_files(&self) -> bool {
        matches!(
            self,
            Self::EditMessage { .. }
                | Self::DeleteMessage { .. }
                | Self::UpdateConversation { .. }
                | Self::DeleteConversation { .. }
                | Self::UpdateProfile { .. }
                | Self::ChangeAccount(_)
                | Self::DeleteUser { .. }
                | Self::PruneMessages { .. }
                | Self::PruneDeleted { .. }
                | Self::ReleaseFiles { .. }
        )
    }
}

/// Kind of misbehaviour of [`Write::TestFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum TestFault {
    /// The database refuses this particular row.
    Poison,
    /// The code panics.
    Panic,
}

/// Progress of one member in one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredUpTo {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserId,
    /// Number up to which messages were delivered.
    pub seq: i64,
}

/// A message that has not reached everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// The message.
    pub message: String,
    /// Its conversation.
    pub conversation: String,
    /// Time of the message.
    pub at: Timestamp,
    /// Members whom it has not reached, in the order of their ids; a bounded number.
    pub users: Vec<String>,
    /// Number of further ones.
    pub more: usize,
}

/// A login that has tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its id: a UUID that contains its time.
    pub id: String,
    /// Its user.
    pub user: UserId,
    /// Time of the login.
    pub begun_at: Timestamp,
    /// Time of its last token.
    pub used_at: Timestamp,
    /// Expiry of its last token.
    pub expires_at: Timestamp,
    /// Address of the client that last asked for a token.
    pub address: Option<String>,
    /// That client's `User-Agent`.
    pub agent: Option<String>,
}

/// An action, or several similar ones of one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// A UUID that contains the time: later ones are greater.
    pub id: String,
    /// Time of the action; of several, of the first.
    pub done_at: Timestamp,
    /// `user:ID`, `key:NAME`, `admin-ui:NAME` or `command line`.
    pub actor: String,
    /// Route or command.
    pub action: String,
    /// Object of the action.
    pub object: Option<String>,
    /// Address of the client.
    pub address: Option<String>,
    /// Number of times.
    pub times: i64,
}

/// Result of a stored [`Write`].
#[expect(missing_docs, reason = "a variant's comment explains its fields")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Stored.
    Done,
    /// The message has this number; if `is_repeat`, only the first request stored something.
    Message { seq: i64, is_repeat: bool },
    /// Nothing was stored: the message to be edited or deleted was already deleted.
    Gone,
    /// Number of rows deleted.
    Pruned { rows: usize },
    /// These uploads were deleted: their files are to be removed.
    Unnamed { urls: Vec<String> },
    /// The user as stored, with the username that was assigned.
    User(Arc<Profile>),
}

/// Returns the key that makes the direct conversation of two users unique, whoever starts it.
pub fn direct_key(one: &UserId, other: &UserId) -> String {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    format!("{first}\n{second}")
}
