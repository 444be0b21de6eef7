//! Rows, and their conversion to model types.
use std::collections::HashMap;
use std::sync::Arc;

use diesel::result::Error;
use diesel::{Insertable, QueryResult, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use super::schema::{audit_log, conversations, logins, messages, notifications, uploads, users};
use super::write::{AuditEntry, Login};
use crate::model::{
    Account, ChosenStatus, Conversation, ConversationId, ConversationKind, File, Listing, ListingId, Message, MessageId,
    MessageStatus, Notification, NotificationId, Place, Profile, ReadMark, Role, RoomId, Timestamp, UserId, UserRole,
};

const ROOM_PREFIX: &str = "room:";
const COMMON_CHAT: &str = "common-chat";

/// Returns the value of `messages.place`.
pub(super) fn place_key(place: &Place) -> String {
    match place {
        Place::Conversation(id) => id.to_string(),
        Place::Room(room) => format!("{ROOM_PREFIX}{}", room.as_str()),
        Place::CommonChat => COMMON_CHAT.to_owned(),
    }
}

/// Returns whether the key belongs in `rooms`.
pub(super) fn is_room(place: &Place) -> bool {
    !matches!(place, Place::Conversation(_))
}

fn place_of(key: &str) -> QueryResult<Place> {
    if key == COMMON_CHAT {
        return Ok(Place::CommonChat);
    }
    match key.strip_prefix(ROOM_PREFIX) {
        Some(room) => RoomId::parse(room).map(Place::Room).map_err(|_| corrupt("messages.place", key)),
        None => Ok(Place::Conversation(conversation_id(key)?)),
    }
}

/// Returns the error for a stored text that we cannot have written.
pub(super) fn corrupt(column: &str, text: &str) -> Error {
    let shown: String = text.chars().take(80).collect();
    let cause: Box<dyn std::error::Error + Send + Sync> = format!("{column} holds {shown:?}").into();
    Error::DeserializationError(cause)
}

pub(super) fn user_id(text: &str) -> QueryResult<UserId> {
    UserId::parse(text).map_err(|_| corrupt("a user's id", text))
}

pub(super) fn conversation_id(text: &str) -> QueryResult<ConversationId> {
    ConversationId::parse(text).map_err(|_| corrupt("a conversation's id", text))
}

pub(super) fn message_id(text: &str) -> QueryResult<MessageId> {
    MessageId::parse(text).map_err(|_| corrupt("messages.id", text))
}

pub(super) fn conversation_kind(text: &str) -> QueryResult<ConversationKind> {
    ConversationKind::parse(text).ok_or_else(|| corrupt("conversations.kind", text))
}

/// Converts a stored SHA-256.
pub(super) fn hash_of(bytes: Option<Vec<u8>>) -> Option<[u8; 32]> {
    bytes.and_then(|bytes| bytes.try_into().ok())
}

/// A user as stored, without the password.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(super) struct AccountRow {
    id: String,
    username: String,
    full_name: Option<String>,
    avatar: Option<String>,
    email: Option<String>,
    role: String,
    status: String,
    last_seen: Option<i64>,
    disabled: bool,
    tokens_valid_from: Option<i64>,
    kept_login: Option<String>,
    created_at: i64,
    deleted_at: Option<i64>,
    described_at: Option<i64>,
}

impl TryFrom<AccountRow> for Account {
    type Error = Error;

    fn try_from(row: AccountRow) -> QueryResult<Self> {
        let AccountRow {
            id,
            username,
            full_name,
            avatar,
            email,
            role,
            status,
            last_seen,
            disabled,
            tokens_valid_from,
            kept_login,
            created_at,
            deleted_at,
            described_at,
        } = row;
        Ok(Self {
            profile: ProfileRow { id, username, full_name, avatar, email, role }.try_into()?,
            status: ChosenStatus::parse(&status).ok_or_else(|| corrupt("users.status", &status))?,
            last_seen: last_seen.map(Timestamp::from_millis),
            disabled,
            is_deleted: deleted_at.is_some(),
            tokens_valid_from: tokens_valid_from.map(Timestamp::from_millis),
            kept_login,
            described_at: described_at.map(Timestamp::from_millis),
            created_at: Timestamp::from_millis(created_at),
        })
    }
}

/// The public part of a user.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(super) struct ProfileRow {
    id: String,
    username: String,
    full_name: Option<String>,
    avatar: Option<String>,
    email: Option<String>,
    role: String,
}

impl TryFrom<ProfileRow> for Arc<Profile> {
    type Error = Error;

    fn try_from(row: ProfileRow) -> QueryResult<Self> {
        let ProfileRow { id, username, full_name, avatar, email, role } = row;
        let role = UserRole::parse(&role).ok_or_else(|| corrupt("users.role", &role))?;
        Ok(Self::new(Profile { id: user_id(&id)?, username, full_name, avatar, email, role }))
    }
}

/// A conversation without its members and its last message.
#[derive(Queryable, Selectable)]
#[diesel(table_name = conversations)]
pub(super) struct ConversationRow {
    pub id: String,
    kind: String,
    name: Option<String>,
    avatar: Option<String>,
    admin: Option<String>,
    last_seq: i64,
    created_at: i64,
    updated_at: i64,
}

impl ConversationRow {
    pub(super) fn into_conversation(self, participants: Vec<UserId>) -> QueryResult<Conversation> {
        let Self { id, kind, name, avatar, admin, last_seq, created_at, updated_at } = self;
        Ok(Conversation {
            id: conversation_id(&id)?,
            kind: conversation_kind(&kind)?,
            name,
            avatar,
            admin: admin.as_deref().map(user_id).transpose()?,
            participants,
            last_message: None,
            last_seq,
            created_at: Timestamp::from_millis(created_at),
            updated_at: Timestamp::from_millis(updated_at),
        })
    }
}

/// A message without its sender's profile, its receipts and its listing's title.
#[derive(Queryable, Selectable)]
#[diesel(table_name = messages)]
pub(super) struct MessageRow {
    pub id: String,
    place: String,
    seq: i64,
    position: i64,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
    role: String,
    message_type: String,
    pub listing_id: Option<String>,
    client_message_id: Option<String>,
    file: Option<String>,
    attachments: Option<String>,
    content: String,
    chat: Option<String>,
    truncated: Option<bool>,
}

impl MessageRow {
    pub(super) fn into_message(
        self,
        sender: Arc<Profile>,
        is_delivered: bool,
        read_by: Vec<ReadMark>,
        titles: &HashMap<String, String>,
    ) -> QueryResult<Message> {
        let Self {
            id,
            place,
            seq,
            position,
            created_at,
            updated_at,
            deleted_at,
            role,
            message_type,
            listing_id,
            client_message_id,
            file,
            attachments,
            content,
            chat,
            truncated,
        } = self;
        let status = if !read_by.is_empty() {
            MessageStatus::Read
        } else if is_delivered {
            MessageStatus::Delivered
        } else {
            MessageStatus::Sent
        };
        let file: Option<FileJson> = file.as_deref().map(|json| parse_json("messages.file", json)).transpose()?;
        let attachments: Option<Vec<FileJson>> =
            attachments.as_deref().map(|json| parse_json("messages.attachments", json)).transpose()?;
        let listing = listing_id.map(|id| {
            let title = titles.get(&id).cloned();
            ListingId::parse(&id).map(|id| Listing { id, title }).map_err(|_| corrupt("messages.listing_id", &id))
        });
        Ok(Message {
            id: message_id(&id)?,
            place: place_of(&place)?,
            seq,
            position,
            sender,
            role: if role == Role::Model.as_str() { Role::Model } else { Role::User },
            content,
            message_type,
            file: file.map(File::from),
            attachments: attachments.unwrap_or_default().into_iter().map(File::from).collect(),
            listing: listing.transpose()?,
            client_message_id,
            chat: chat.map(Arc::from),
            is_truncated: truncated == Some(true),
            status,
            read_by,
            created_at: Timestamp::from_millis(created_at),
            updated_at: Timestamp::from_millis(updated_at),
            deleted_at: deleted_at.map(Timestamp::from_millis),
        })
    }
}

/// A file in the JSON of `messages`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileJson {
    url: String,
    filename: String,
    size: i64,
    mimetype: String,
    message_type: String,
}

impl From<FileJson> for File {
    fn from(json: FileJson) -> Self {
        let FileJson { url, filename, size, mimetype, message_type } = json;
        Self { url, filename, size, mimetype, message_type }
    }
}

fn parse_json<'a, T: Deserialize<'a>>(column: &str, json: &'a str) -> QueryResult<T> {
    serde_json::from_str(json).map_err(|_| corrupt(column, json))
}

/// A file as stored in `messages`: with its address on this server, without `PUBLIC_URL`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredFile<'a> {
    url: &'a str,
    filename: &'a str,
    size: i64,
    mimetype: &'a str,
    message_type: &'a str,
}

impl<'a> From<&'a File> for StoredFile<'a> {
    fn from(file: &'a File) -> Self {
        let File { url, filename, size, mimetype, message_type } = file;
        Self { url, filename, size: *size, mimetype, message_type }
    }
}

/// Serializes a message's file for storage.
pub(super) fn file_json(file: &File) -> QueryResult<String> {
    to_json(&StoredFile::from(file))
}

/// Serializes a message's list of attachments for storage.
pub(super) fn files_json(files: &[File]) -> QueryResult<String> {
    to_json(&files.iter().map(StoredFile::from).collect::<Vec<_>>())
}

fn to_json<T: Serialize>(value: &T) -> QueryResult<String> {
    serde_json::to_string(value).map_err(|error| Error::SerializationError(error.into()))
}

/// A notification without its conversation.
#[derive(Queryable, Selectable)]
#[diesel(table_name = notifications)]
pub(super) struct NotificationRow {
    id: String,
    user_id: String,
    kind: String,
    message: String,
    data: Option<String>,
    read_at: Option<i64>,
    created_at: i64,
}

impl TryFrom<NotificationRow> for Notification {
    type Error = Error;

    fn try_from(row: NotificationRow) -> QueryResult<Self> {
        let NotificationRow { id, user_id: user, kind, message, data, read_at, created_at } = row;
        Ok(Self {
            id: NotificationId::parse(&id).map_err(|_| corrupt("notifications.id", &id))?,
            user: user_id(&user)?,
            kind,
            message,
            data,
            read: read_at.is_some(),
            created_at: Timestamp::from_millis(created_at),
        })
    }
}

/// An upload and its owner.
#[derive(Queryable, Selectable)]
#[diesel(table_name = uploads)]
pub(super) struct UploadRow {
    url: String,
    owner: String,
    filename: String,
    size: i64,
    mimetype: String,
    message_type: String,
}

impl TryFrom<UploadRow> for (File, UserId) {
    type Error = Error;

    fn try_from(row: UploadRow) -> QueryResult<Self> {
        let UploadRow { url, owner, filename, size, mimetype, message_type } = row;
        Ok((File { url, filename, size, mimetype, message_type }, user_id(&owner)?))
    }
}

/// An audit entry.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log)]
pub(super) struct AuditRow {
    id: String,
    done_at: i64,
    actor: String,
    action: String,
    object: Option<String>,
    address: Option<String>,
    times: i64,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        let AuditRow { id, done_at, actor, action, object, address, times } = row;
        Self { id, done_at: Timestamp::from_millis(done_at), actor, action, object, address, times }
    }
}

impl From<AuditEntry> for AuditRow {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, done_at, actor, action, object, address, times } = entry;
        Self { id, done_at: done_at.as_millis(), actor, action, object, address, times }
    }
}

/// A login that has tokens.
#[derive(Queryable, Selectable)]
#[diesel(table_name = logins)]
pub(super) struct LoginRow {
    id: String,
    user_id: String,
    begun_at: i64,
    used_at: i64,
    expires_at: i64,
    address: Option<String>,
    agent: Option<String>,
}

impl TryFrom<LoginRow> for Login {
    type Error = Error;

    fn try_from(row: LoginRow) -> QueryResult<Self> {
        let LoginRow { id, user_id: user, begun_at, used_at, expires_at, address, agent } = row;
        let [begun_at, used_at, expires_at] = [begun_at, used_at, expires_at].map(Timestamp::from_millis);
        Ok(Self { id, user: user_id(&user)?, begun_at, used_at, expires_at, address, agent })
    }
}
