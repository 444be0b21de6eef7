//! JSON of users, conversations and messages.
use schemars::JsonSchema;
use serde::Serialize;

use crate::chat::{ChatError, UserPresence};
use crate::dialect::{self, RoomMessageView};
use crate::model::{
    Account, ChosenStatus, Conversation, File, ListingId, Message, MessageId, MessageStatus, Place, Profile, ReadMark, Role,
    Timestamp, UserId, UserRole,
};
use crate::web::{HttpError, WebState};

/// A user as seen by a particular reader.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "User")]
pub(super) struct UserView<'a> {
    id: &'a UserId,
    username: &'a str,
    full_name: Option<&'a str>,
    avatar: Option<&'a str>,
    is_online: bool,
    #[schemars(with = "ChosenStatus")]
    status: &'static str,
    last_seen: Option<Timestamp>,
    #[serde(flatten)]
    private: Option<Private<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Private<'a> {
    #[schemars(extend("x-nullable" = true))]
    email: Option<&'a str>,
    #[schemars(with = "UserRole")]
    role: &'static str,
}

impl<'a> UserView<'a> {
    /// Makes a view; without `presence` it has none. `private`: for the user or an administrator.
    pub(super) fn new(account: &'a Account, presence: Option<&UserPresence>, private: bool) -> Self {
        let Profile { id, username, full_name, avatar, email, role } = &*account.profile;
        let last_seen_here = presence.and_then(|presence| presence.last_seen);
        Self {
            id,
            username,
            full_name: full_name.as_deref(),
            avatar: avatar.as_deref(),
            is_online: presence.is_some_and(|presence| presence.is_online),
            status: presence.map_or(ChosenStatus::Offline, |presence| presence.status).as_str(),
            last_seen: presence.and_then(|_| last_seen_here.max(account.last_seen)),
            private: private.then(|| Private { email: email.as_deref(), role: role.as_str() }),
        }
    }
}

/// Returns the authenticated user's own view.
pub(super) async fn own_user<'a>(state: &WebState, account: &'a Account) -> Result<UserView<'a>, HttpError> {
    let id = &account.profile.id;
    let presence = state.chat.presence_of(id.clone(), vec![id.clone()]).await?;
    let presence = presence.first().ok_or(ChatError::Internal)?;
    Ok(UserView::new(account, Some(presence), true))
}

/// A conversation as seen by one of its members.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Conversation")]
pub(super) struct ConversationView<'a> {
    #[serde(flatten)]
    conversation: dialect::ConversationView<'a>,
    unread_count: i64,
}

impl<'a> ConversationView<'a> {
    /// Makes a view; `unread_count` is the member's number of unread messages.
    pub(super) fn new(conversation: &'a Conversation, unread_count: i64) -> Self {
        Self { conversation: dialect::ConversationView::of(conversation), unread_count }
    }
}

/// A message of a conversation: the fields of the front end with acks, and some that it lacks.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Message")]
pub(super) struct MessageView<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    conversation_id: Option<String>,
    sender: SenderView<'a>,
    content: &'a str,
    #[schemars(with = "dialect::KnownType")]
    message_type: &'a str,
    file: Option<&'a File>,
    #[schemars(with = "MessageStatus")]
    status: &'static str,
    read_by: Vec<ReadView<'a>>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    seq: i64,
    #[schemars(with = "Role")]
    role: &'static str,
    attachments: &'a [File],
    listing_id: Option<&'a ListingId>,
    /// Set if an answer of the model was cut off by length or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true))]
    truncated: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Sender")]
struct SenderView<'a> {
    #[serde(rename = "_id")]
    id: &'a UserId,
    username: &'a str,
    avatar: Option<&'a str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReadMark")]
struct ReadView<'a> {
    user: &'a UserId,
    read_at: Timestamp,
}

impl<'a> MessageView<'a> {
    /// Makes a view of the message's present state.
    pub(super) fn new(message: &'a Message) -> Self {
        let Message {
            id,
            place,
            seq,
            position: _,
            sender,
            role,
            content,
            message_type,
            file,
            attachments,
            listing,
            client_message_id,
            chat: _,
            is_truncated,
            status,
            read_by,
            created_at,
            updated_at,
            deleted_at: _,
        } = message;
        let Profile { id: sender_id, username, full_name: _, avatar, email: _, role: _ } = &**sender;
        Self {
            id: *id,
            conversation_id: match place {
                Place::Conversation(conversation) => Some(conversation.to_string()),
                Place::Room(_) | Place::CommonChat => None,
            },
            sender: SenderView { id: sender_id, username, avatar: avatar.as_deref() },
            content,
            message_type: dialect::known_type(message_type),
            file: file.as_ref(),
            status: status.as_str(),
            read_by: read_by.iter().map(|ReadMark { user, read_at }| ReadView { user, read_at: *read_at }).collect(),
            created_at: *created_at,
            updated_at: *updated_at,
            client_message_id: client_message_id.as_deref(),
            seq: *seq,
            role: role.as_str(),
            attachments,
            listing_id: listing.as_ref().map(|listing| &listing.id),
            truncated: is_truncated.then_some(true),
        }
    }
}

/// A message of a public room or the common chat: the fields of its event, and its number.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RoomMessage")]
pub(super) struct NumberedRoomMessage<'a> {
    #[serde(flatten)]
    message: RoomMessageView<'a, &'a str>,
    seq: i64,
}

impl<'a> NumberedRoomMessage<'a> {
    /// Makes a view of the message's present state.
    pub(super) fn new(message: &'a Message) -> Self {
        let view = match &message.place {
            Place::Room(room) => RoomMessageView::new(message, room.as_str()),
            Place::Conversation(_) | Place::CommonChat => RoomMessageView::of_common_chat(message),
        };
        Self { message: view, seq: message.seq }
    }
}
