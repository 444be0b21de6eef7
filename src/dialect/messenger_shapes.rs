//! Values of the events and acks of `messenger`.
use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::content::{KnownType, known_type, one_file, with_urls};
use super::conversation::ConversationView;
use crate::model::{
    ConversationId, File, Message, MessageId, MessageStatus, Place, Profile, ReadMark, RoomId, Timestamp, UserId,
};

/// A message of a conversation. HTTP has its own shape, with all files and more fields.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Message")]
pub(super) struct MessageView<'a> {
    #[serde(rename = "_id")]
    pub(super) id: MessageId,
    #[schemars(with = "ConversationId")]
    pub(super) conversation_id: Option<ConversationId>,
    pub(super) sender: Summary<'a>,
    pub(super) content: Cow<'a, str>,
    #[schemars(with = "KnownType")]
    pub(super) message_type: &'a str,
    pub(super) file: Option<&'a File>,
    #[schemars(with = "MessageStatus")]
    pub(super) status: &'static str,
    #[schemars(with = "Vec<Mark>")]
    pub(super) read_by: ReadBy<'a>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_message_id: Option<&'a str>,
    /// Set if an answer of the model was cut off by length or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true))]
    pub(super) truncated: Option<bool>,
}

impl<'a> MessageView<'a> {
    pub(super) fn of(message: &'a Message) -> Self {
        let (file, further) = one_file(message);
        Self {
            id: message.id,
            conversation_id: conversation_of(message),
            sender: Summary {
                id: &message.sender.id,
                username: &message.sender.username,
                avatar: message.sender.avatar.as_deref(),
            },
            content: with_urls(Cow::Borrowed(&message.content), further),
            message_type: known_type(&message.message_type),
            file,
            status: message.status.as_str(),
            read_by: ReadBy(&message.read_by),
            created_at: message.created_at,
            updated_at: message.updated_at,
            client_message_id: message.client_message_id.as_deref(),
            truncated: message.is_truncated.then_some(true),
        }
    }
}

fn conversation_of(message: &Message) -> Option<ConversationId> {
    match message.place {
        Place::Conversation(conversation) => Some(conversation),
        Place::Room(_) | Place::CommonChat => None,
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub(super) struct Summary<'a> {
    #[serde(rename = "_id")]
    pub(super) id: &'a UserId,
    pub(super) username: &'a str,
    pub(super) avatar: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReadMark")]
pub(super) struct Mark<'a> {
    pub(super) user: &'a UserId,
    pub(super) read_at: Timestamp,
}

pub(super) struct ReadBy<'a>(pub(super) &'a [ReadMark]);

impl Serialize for ReadBy<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|ReadMark { user, read_at }| Mark { user, read_at: *read_at }))
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<'a> {
    pub(super) conversation_id: ConversationId,
    pub(super) message: MessageView<'a>,
}

impl<'a> Shown<'a> {
    pub(super) fn of(message: &'a Message) -> Option<Self> {
        Some(Self { conversation_id: conversation_of(message)?, message: MessageView::of(message) })
    }
}

/// A message of a public room: in no conversation, and without read marks.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RoomMessage")]
pub(super) struct RoomMessage<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    room_id: &'a RoomId,
    sender: Summary<'a>,
    content: Cow<'a, str>,
    #[schemars(with = "KnownType")]
    message_type: &'a str,
    file: Option<&'a File>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
}

impl<'a> RoomMessage<'a> {
    /// Returns `None` for a message outside of the public rooms; the common chat is not one.
    fn of(message: &'a Message) -> Option<Self> {
        let Place::Room(room_id) = &message.place else { return None };
        let MessageView { id, sender, content, message_type, file, created_at, updated_at, client_message_id, .. } =
            MessageView::of(message);
        Some(Self { id, room_id, sender, content, message_type, file, created_at, updated_at, client_message_id })
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ShownInRoom")]
pub(super) struct InRoom<'a> {
    room_id: &'a RoomId,
    message: RoomMessage<'a>,
}

impl<'a> InRoom<'a> {
    pub(super) fn of(message: &'a Message) -> Option<Self> {
        let message = RoomMessage::of(message)?;
        Some(Self { room_id: message.room_id, message })
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SentInRoom")]
pub(super) struct RoomAck<'a> {
    #[schemars(extend("const" = true))]
    success: bool,
    message: RoomMessage<'a>,
}

impl<'a> RoomAck<'a> {
    pub(super) fn of(message: &'a Message) -> Option<Self> {
        Some(Self { success: true, message: RoomMessage::of(message)? })
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Piece<'a> {
    /// Recipient of the question: `model`, or the conversation's id.
    pub(super) chat: Option<&'a RawValue>,
    pub(super) delta: &'a str,
    pub(super) done: bool,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChangedConversation")]
pub(super) struct Changed<'a> {
    pub(super) conversation: ConversationView<'a>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GoneConversation")]
pub(super) struct Gone {
    pub(super) conversation_id: ConversationId,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deleted {
    pub(super) message_id: MessageId,
    pub(super) conversation_id: ConversationId,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delivered<'a> {
    pub(super) message_id: MessageId,
    pub(super) conversation_id: ConversationId,
    pub(super) user_id: &'a UserId,
    pub(super) delivered_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Read<'a> {
    pub(super) message_id: MessageId,
    pub(super) conversation_id: ConversationId,
    pub(super) read_by: &'a UserId,
    pub(super) read_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member<'a> {
    pub(super) user_id: &'a UserId,
    pub(super) username: &'a str,
    pub(super) conversation_id: ConversationId,
}

impl<'a> Member<'a> {
    pub(super) fn new(user: &'a Profile, conversation_id: ConversationId) -> Self {
        Self { user_id: &user.id, username: &user.username, conversation_id }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stopped<'a> {
    pub(super) user_id: &'a UserId,
    pub(super) conversation_id: ConversationId,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Online<'a> {
    pub(super) user_id: &'a UserId,
    pub(super) username: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Offline<'a> {
    pub(super) user_id: &'a UserId,
    pub(super) last_seen: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SentDirect")]
pub(super) struct DirectAck<'a> {
    #[schemars(extend("const" = true))]
    pub(super) success: bool,
    pub(super) message: MessageView<'a>,
    #[schemars(with = "MessageStatus")]
    pub(super) status: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SentGroup")]
pub(super) struct GroupAck<'a> {
    #[schemars(extend("const" = true))]
    pub(super) success: bool,
    pub(super) message: MessageView<'a>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    #[schemars(extend("const" = true))]
    pub(super) success: bool,
}
