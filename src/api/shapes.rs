//! Users, conversations and messages as HTTP shows them.
use serde::Serialize;

use crate::chat::{ChatError, UserPresence};
use crate::model::{Account, Conversation, File, LastMessage, Message, MessageId, Place, Profile, ReadMark, Timestamp, UserId};
use crate::web::{Failure, WebState};

/// A user for somebody's eyes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserView<'a> {
    id: &'a UserId,
    username: &'a str,
    full_name: Option<&'a str>,
    avatar: Option<&'a str>,
    is_online: bool,
    status: &'static str,
    last_seen: Option<Timestamp>,
    #[serde(flatten)]
    private: Option<Private<'a>>,
}

#[derive(Debug, Serialize)]
struct Private<'a> {
    email: Option<&'a str>,
    role: &'static str,
}

impl<'a> UserView<'a> {
    /// `private`: for the user's own eyes or an administrator's.
    pub fn new(account: &'a Account, presence: &UserPresence, private: bool) -> Self {
        let Account { profile, last_seen, .. } = account;
        let Profile { id, username, full_name, avatar, email, role } = &**profile;
        let UserPresence { is_online, status, last_seen: last_seen_here } = presence;
        Self {
            id,
            username,
            full_name: full_name.as_deref(),
            avatar: avatar.as_deref(),
            is_online: *is_online,
            status: status.as_str(),
            last_seen: (*last_seen_here).max(*last_seen),
            private: private.then(|| Private { email: email.as_deref(), role: role.as_str() }),
        }
    }
}

/// A user for their own eyes.
pub async fn own_user<'a>(state: &WebState, account: &'a Account) -> Result<UserView<'a>, Failure> {
    let id = &account.profile.id;
    let presence = state.chat.presence_of(id.clone(), vec![id.clone()]).await?;
    let presence = presence.first().ok_or(ChatError::Internal)?;
    Ok(UserView::new(account, presence, true))
}

/// A conversation as one of its members sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationView<'a> {
    id: String,
    r#type: &'static str,
    name: Option<&'a str>,
    avatar: Option<&'a str>,
    participants: &'a [UserId],
    admin: Option<&'a UserId>,
    last_message: Option<LastMessageView<'a>>,
    created_at: Timestamp,
    updated_at: Timestamp,
    unread_count: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LastMessageView<'a> {
    content: &'a str,
    sender: &'a UserId,
    timestamp: Timestamp,
    message_type: &'a str,
}

impl<'a> ConversationView<'a> {
    /// With the number of messages that the member has not read.
    pub fn new(conversation: &'a Conversation, unread_count: i64) -> Self {
        let Conversation { id, kind, name, avatar, admin, participants, last_message, last_seq: _, created_at, updated_at } =
            conversation;
        Self {
            id: id.to_string(),
            r#type: kind.as_str(),
            name: name.as_deref(),
            avatar: avatar.as_deref(),
            participants,
            admin: admin.as_ref(),
            last_message: last_message.as_ref().map(|last| {
                let LastMessage { content, sender, timestamp, message_type } = last;
                LastMessageView { content, sender, timestamp: *timestamp, message_type }
            }),
            created_at: *created_at,
            updated_at: *updated_at,
            unread_count,
        }
    }
}

/// A message of a conversation: as in the front end with acks, and what that one does not know.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    conversation_id: Option<String>,
    sender: SenderView<'a>,
    content: &'a str,
    message_type: &'a str,
    file: Option<&'a File>,
    status: &'static str,
    read_by: Vec<ReadView<'a>>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    seq: i64,
    role: &'static str,
    attachments: &'a [File],
    listing_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct SenderView<'a> {
    #[serde(rename = "_id")]
    id: &'a UserId,
    username: &'a str,
    avatar: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadView<'a> {
    user: &'a UserId,
    read_at: Timestamp,
}

/// The types that the front end with acks knows.
const KNOWN_TYPES: [&str; 5] = ["text", "image", "video", "audio", "file"];

impl<'a> MessageView<'a> {
    /// As it is now.
    pub fn new(message: &'a Message) -> Self {
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
            listing_id,
            client_message_id,
            chat: _,
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
            message_type: if KNOWN_TYPES.contains(&message_type.as_str()) { message_type } else { "text" },
            file: file.as_ref(),
            status: status.as_str(),
            read_by: read_by.iter().map(|ReadMark { user, read_at }| ReadView { user, read_at: *read_at }).collect(),
            created_at: *created_at,
            updated_at: *updated_at,
            client_message_id: client_message_id.as_deref(),
            seq: *seq,
            role: role.as_str(),
            attachments,
            listing_id: listing_id.as_deref(),
        }
    }
}

/// A message of a public room or the common chat: as its event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomMessageView<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    user: RoomUserView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a str>,
    message: String,
    timestamp: Timestamp,
    message_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a File>,
    seq: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RoomUserView<'a> {
    #[serde(rename = "_id")]
    id: &'a UserId,
    full_name: &'a str,
    username: &'a str,
    profile_picture: Option<&'a str>,
}

impl<'a> RoomMessageView<'a> {
    /// As it is now.
    pub fn new(message: &'a Message) -> Self {
        let Profile { id: user_id, username, full_name, avatar, email: _, role: _ } = &*message.sender;
        let user = RoomUserView {
            id: user_id,
            full_name: full_name.as_deref().unwrap_or(username),
            username,
            profile_picture: avatar.as_deref(),
        };
        Self {
            id: message.id,
            user,
            room_id: match &message.place {
                Place::Room(room) => Some(room.as_str()),
                Place::Conversation(_) | Place::CommonChat => None,
            },
            message: shown_text(message),
            timestamp: message.created_at,
            message_type: &message.message_type,
            file: message.file.as_ref(),
            seq: message.seq,
        }
    }
}

/// The text; where there is none, what the file is called and where it is.
fn shown_text(message: &Message) -> String {
    match message.file.as_ref().or(message.attachments.first()) {
        Some(file) if message.content.is_empty() => format!("{} {}", file.filename, file.url),
        _ => message.content.clone(),
    }
}
