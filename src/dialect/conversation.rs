//! `conversation`: conversations, typing, presence with a chosen status, receipts, notifications, several devices.
//!
//! ```text
//! ← 42["connected",{"userId":"ann","socketId":"bTlhZk…"}]
//! → 42["message:send",{"conversationId":"0197…","content":"Hi Bob"}]
//! ← 42["message:new",{"id":"0197…","conversationId":"0197…","senderId":"ann","content":"Hi Bob","type":"text","timestamp":"2026-01-02T03:04:05.678Z"}]
//! ```
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::value::RawValue;

use super::argument_schemas::{
    ATTACHMENTS, CLIENT_MESSAGE_ID, CONTENT, CONVERSATION_ID, FILE, MESSAGE_ID, SOME_ATTACHMENTS, SOME_CONTENT, SOME_FILE, TYPE,
};
use super::content::{LastMessageView, data_of};
use super::events::{ClientEvent, EventDoc, ServerEvent};
use super::fields::{Field, Payload};
use super::packets::{Packets, batch, one, packet, to_json};
use super::refusal::{RefusedAck, failure_packet};
use super::request_error::{RequestError, Wording};
use super::vocabulary::{Asked, Decoded, Vocabulary};
use crate::chat::{Capabilities, ChatError, Command, Draft, Event, PresenceChange, Reply, SendTo, Sent};
use crate::model::{
    ChosenStatus, Conversation as Model, ConversationId, ConversationKind, File, Message, MessageId, Notification,
    NotificationId, Place, SocketId, Timestamp, UserId,
};
use crate::schema::{self, Shape, either, kinds};
use crate::socketio::Args;

/// Event of a notification; other servers emit it to notify users of this front end.
pub const NOTIFICATION_EVENT: &str = "notification:new";

/// The vocabulary of this front end.
#[derive(Debug)]
pub(super) struct Conversation;

/// An answer without any data.
const DONE: EventDoc =
    EventDoc { summary: "", takes: Shape::Nothing, ack: either::<Done, RefusedAck>, is_acked: false, reply: None };

impl Vocabulary for Conversation {
    fn name(&self) -> &'static str {
        "conversation"
    }

    fn events(&self) -> &'static [ClientEvent] {
        const EVENTS: &[ClientEvent] = &[
            ClientEvent::work("authenticate").doc(&EventDoc {
                summary: "Shows a fresh token of the same user; without an ack, connected is the answer.",
                takes: Shape::Object(&[schema::Field::required("token", kinds::some_text)]),
                reply: Some("connected"),
                ..DONE
            }),
            ClientEvent::work("message:send").doc(&EventDoc {
                summary: "Sends a message to the others in a conversation; message:delivered tells the sender of its arrival.",
                takes: Shape::ObjectWith(
                    &[CONVERSATION_ID, CONTENT, TYPE, FILE, ATTACHMENTS, CLIENT_MESSAGE_ID],
                    &[&[SOME_CONTENT, SOME_FILE, SOME_ATTACHMENTS]],
                ),
                ack: either::<Ack, RefusedAck>,
                ..DONE
            }),
            ClientEvent::receipt("message:read").doc(&EventDoc {
                summary: "Marks a message as read.",
                takes: Shape::Object(&[MESSAGE_ID]),
                ..DONE
            }),
            ClientEvent::typing("typing:start").doc(&EventDoc {
                summary: "Signals that the user is typing; expires by itself.",
                takes: Shape::Object(&[CONVERSATION_ID]),
                ..DONE
            }),
            ClientEvent::typing("typing:stop").doc(&EventDoc {
                summary: "Signals that the user stopped typing.",
                takes: Shape::Object(&[CONVERSATION_ID]),
                ..DONE
            }),
            ClientEvent::work("conversation:join").doc(&EventDoc {
                summary: "Opens a conversation on this socket, and ends its mute. Participants only.",
                takes: Shape::Value(CONVERSATION_ID),
                ..DONE
            }),
            ClientEvent::work("conversation:leave").doc(&EventDoc {
                summary: "Closes and mutes a group on this socket; always succeeds, and ends no membership.",
                takes: Shape::Value(CONVERSATION_ID),
                ..DONE
            }),
            ClientEvent::work("user:status").doc(&EventDoc {
                summary: "Chooses the user's presence; kept over reconnects.",
                takes: Shape::Value(schema::Field::required("status", SchemaGenerator::subschema_for::<ChosenStatus>)),
                ..DONE
            }),
        ];
        EVENTS
    }

    fn server_events(&self) -> &'static [ServerEvent] {
        const SERVER_EVENTS: &[ServerEvent] = &[
            ServerEvent::either(
                "connected",
                SchemaGenerator::subschema_for::<Connected>,
                "The first event after the handshake; after a recovery it follows the missed events.",
            ),
            ServerEvent::new("message:new", SchemaGenerator::subschema_for::<MessageView>, "A message in a conversation."),
            ServerEvent::new("message:updated", SchemaGenerator::subschema_for::<Updated>, "A message was edited."),
            ServerEvent::new("message:deleted", SchemaGenerator::subschema_for::<MessageDeleted>, "A message was deleted."),
            ServerEvent::new(
                "message:delivered",
                SchemaGenerator::subschema_for::<Delivered>,
                "One's own message has reached a device of a recipient.",
            ),
            ServerEvent::new(
                "message:read",
                SchemaGenerator::subschema_for::<Read>,
                "Somebody read one's own message; with one's own id: a message was read on another device.",
            ),
            ServerEvent::unplaced("typing:start", SchemaGenerator::subschema_for::<Typing>, "Somebody is typing."),
            ServerEvent::unplaced("typing:stop", SchemaGenerator::subschema_for::<Typing>, "Somebody stopped typing."),
            ServerEvent::unplaced(
                "user:online",
                SchemaGenerator::subschema_for::<Online>,
                "A user came online, or chose another status.",
            ),
            ServerEvent::unplaced(
                "user:offline",
                SchemaGenerator::subschema_for::<Offline>,
                "A user went offline, or appears so.",
            ),
            ServerEvent::new(
                NOTIFICATION_EVENT,
                SchemaGenerator::subschema_for::<NotificationView>,
                "A notification was made or renewed. Other servers that emit it word it themselves.",
            ),
            ServerEvent::new(
                "conversation:updated",
                SchemaGenerator::subschema_for::<ConversationView>,
                "A conversation was made, or its name, picture, admin or members changed.",
            ),
            ServerEvent::new(
                "conversation:deleted",
                SchemaGenerator::subschema_for::<ConversationDeleted>,
                "A conversation is gone, or one is no longer a member.",
            ),
        ];
        SERVER_EVENTS
    }

    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, RequestError> {
        let command = match asked.event {
            "authenticate" => return authenticate(&Payload::of(args)?.field("token")),
            "message:send" => {
                let payload = Payload::of(args)?;
                let draft = draft(&payload)?;
                Command::Send { to: SendTo::Conversation(payload.field("conversationId").conversation()?), draft }
            }
            "message:read" => Command::MarkRead { message: Payload::of(args)?.field("messageId").message()? },
            event @ ("typing:start" | "typing:stop") => {
                let conversation = Payload::of(args)?.field("conversationId").conversation()?;
                Command::Typing { conversation, active: event == "typing:start" }
            }
            "conversation:join" => {
                let conversation = Field::of(args, "conversationId")?.conversation()?;
                Command::OpenConversation { conversation, groups_only: false }
            }
            "conversation:leave" => return Decoded::leaving(Field::of(args, "conversationId")?.conversation()),
            "user:status" => {
                let field = Field::of(args, "status")?;
                let status = field.text()?.as_deref().and_then(ChosenStatus::parse).ok_or_else(|| field.request_error())?;
                Command::SetStatus { status }
            }
            _ => return Err(RequestError::UnknownEvent),
        };
        Ok(command.into())
    }

    fn encode(&self, event: &Event) -> Option<Packets> {
        let text = match event {
            Event::Connected { user, socket, token: _ } => packet("connected", &Connected { user_id: user, socket_id: socket }),
            Event::Message { message, kind: _, recipient: _ } => packet("message:new", &MessageView::of(message)?),
            Event::MessageUpdated { message, kind: _, recipient: _ } => packet("message:updated", &Updated::of(message)?),
            Event::MessageDeleted { message, conversation, kind: _, deleted_at: _ } => {
                packet("message:deleted", &MessageDeleted { message_id: *message, conversation_id: *conversation })
            }
            Event::Delivered { message, conversation, users, delivered_at, client_message_id, at_once: _ } => {
                let delivered = |user_id| Delivered {
                    message_id: *message,
                    conversation_id: *conversation,
                    user_id,
                    delivered_at: *delivered_at,
                    client_message_id: client_message_id.as_deref(),
                };
                return batch(users.iter().map(|user| packet("message:delivered", &delivered(user))));
            }
            Event::Read { message, conversation, user, read_at } => packet(
                "message:read",
                &Read { message_id: *message, conversation_id: *conversation, user_id: user, read_at: *read_at },
            ),
            Event::Typing { user, conversation, active } => packet(
                if *active { "typing:start" } else { "typing:stop" },
                &Typing { user_id: &user.id, conversation_id: *conversation },
            ),
            Event::Presence(changes) => return batch(changes.iter().map(presence)),
            Event::Notification(notification) => packet(NOTIFICATION_EVENT, &NotificationView::of(notification)),
            Event::ConversationChanged(conversation) => packet("conversation:updated", &ConversationView::of(conversation)),
            Event::ConversationDeleted { conversation } => {
                packet("conversation:deleted", &ConversationDeleted { conversation_id: *conversation })
            }
            Event::AnswerFailed { error, error_id, .. } => failure_packet(error, *error_id),
            Event::AnswerPiece { .. }
            | Event::Apology { .. }
            | Event::RoomMessage { .. }
            | Event::GroupOpened { .. }
            | Event::Emitted(_) => return None,
        };
        Some(one(text))
    }

    fn capabilities(&self, _is_requested: bool) -> Capabilities {
        Capabilities {
            direct_message: true,
            own_direct_message: true,
            group_message: true,
            received_at_once: true,
            notification: true,
            ..Capabilities::default()
        }
    }

    fn encode_ack(&self, _asked: &Asked, reply: &Reply) -> String {
        let sent = if let Reply::Sent(Sent { message, .. }) = reply { MessageView::of(message) } else { None };
        to_json(&Ack { success: true, sent })
    }

    fn word(&self, event: &'static str, request_error: &RequestError) -> Wording {
        match (event, request_error) {
            // An unknown conversation and one of others must look the same.
            ("conversation:join", RequestError::Chat(ChatError::ConversationNotFound)) => {
                (&RequestError::from(ChatError::NotAMember)).into()
            }
            _ => request_error.into(),
        }
    }
}

fn authenticate(token: &Field<'_>) -> Result<Decoded, RequestError> {
    match token.text() {
        // As in a CONNECT, a value that is not a string counts as an invalid token.
        Err(_) => Err(ChatError::InvalidToken.into()),
        Ok(text) => match text.filter(|text| !text.is_empty()) {
            Some(token) => Ok(Decoded::Authenticate { token }),
            None => Err(token.request_error()),
        },
    }
}

fn draft(payload: &Payload<'_>) -> Result<Draft, RequestError> {
    let content = payload.field("content");
    let draft = Draft {
        content: content.text()?.unwrap_or_default(),
        message_type: payload.field("type").message_type()?,
        file_url: payload.field("file").file_url()?,
        attachment_urls: payload.field("attachments").file_urls()?,
        listing_id: None,
        client_message_id: payload.field("clientMessageId").id()?,
    };
    let is_empty = draft.content.is_empty() && draft.file_url.is_none() && draft.attachment_urls.is_empty();
    if is_empty { Err(content.request_error()) } else { Ok(draft) }
}

fn presence(change: &PresenceChange) -> String {
    match change {
        PresenceChange::Online { user, status, came: _ } => {
            packet("user:online", &Online { user_id: &user.id, status: status.as_str() })
        }
        PresenceChange::Offline { user, last_seen } => packet("user:offline", &Offline { user_id: user, last_seen: *last_seen }),
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Connected<'a> {
    user_id: &'a UserId,
    socket_id: &'a SocketId,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Message")]
struct MessageView<'a> {
    id: MessageId,
    conversation_id: ConversationId,
    sender_id: &'a UserId,
    content: &'a str,
    r#type: &'a str,
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a File>,
    #[serde(skip_serializing_if = "<[File]>::is_empty")]
    attachments: &'a [File],
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    /// Set if an answer of the model was cut off by length or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true))]
    truncated: Option<bool>,
}

impl<'a> MessageView<'a> {
    /// Makes a view of the message, if it is in a conversation.
    fn of(message: &'a Message) -> Option<Self> {
        let Place::Conversation(conversation_id) = message.place else { return None };
        Some(Self {
            id: message.id,
            conversation_id,
            sender_id: &message.sender.id,
            content: &message.content,
            r#type: &message.message_type,
            timestamp: message.created_at,
            file: message.file.as_ref(),
            attachments: &message.attachments,
            client_message_id: message.client_message_id.as_deref(),
            truncated: message.is_truncated.then_some(true),
        })
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UpdatedMessage")]
struct Updated<'a> {
    #[serde(flatten)]
    message: MessageView<'a>,
    updated_at: Timestamp,
}

impl<'a> Updated<'a> {
    fn of(message: &'a Message) -> Option<Self> {
        Some(Self { message: MessageView::of(message)?, updated_at: message.updated_at })
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MessageDeleted {
    message_id: MessageId,
    conversation_id: ConversationId,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Delivered<'a> {
    message_id: MessageId,
    conversation_id: ConversationId,
    user_id: &'a UserId,
    delivered_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    message_id: MessageId,
    conversation_id: ConversationId,
    user_id: &'a UserId,
    read_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Typing<'a> {
    user_id: &'a UserId,
    conversation_id: ConversationId,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Online<'a> {
    user_id: &'a UserId,
    #[schemars(with = "ChosenStatus")]
    status: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Offline<'a> {
    user_id: &'a UserId,
    last_seen: Timestamp,
}

/// A notification in `conversation`, and over HTTP.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Notification")]
pub struct NotificationView<'a> {
    id: NotificationId,
    r#type: &'a str,
    message: &'a str,
    data: Option<&'a RawValue>,
    created_at: Timestamp,
    read: bool,
}

impl<'a> NotificationView<'a> {
    /// Makes a view of the present state.
    pub fn of(notification: &'a Notification) -> Self {
        let Notification { id, user: _, kind, message, data: _, read, created_at } = notification;
        Self { id: *id, r#type: kind, message, data: data_of(notification), created_at: *created_at, read: *read }
    }
}

/// A conversation in `conversation`, and, with further fields, over HTTP.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Conversation")]
pub struct ConversationView<'a> {
    id: ConversationId,
    #[schemars(with = "ConversationKind")]
    r#type: &'static str,
    name: Option<&'a str>,
    avatar: Option<&'a str>,
    participants: &'a [UserId],
    admin: Option<&'a UserId>,
    last_message: Option<LastMessageView<'a>>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> ConversationView<'a> {
    /// Makes a view of the conversation.
    pub fn of(conversation: &'a Model) -> Self {
        let Model { id, kind, name, avatar, admin, participants, last_message, last_seq: _, created_at, updated_at } =
            conversation;
        Self {
            id: *id,
            r#type: kind.as_str(),
            name: name.as_deref(),
            avatar: avatar.as_deref(),
            participants,
            admin: admin.as_ref(),
            last_message: last_message.as_ref().map(LastMessageView::of),
            created_at: *created_at,
            updated_at: *updated_at,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ConversationDeleted {
    conversation_id: ConversationId,
}

/// An ack: with the message if one was sent.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sent")]
struct Ack<'a> {
    #[schemars(extend("const" = true))]
    success: bool,
    #[serde(flatten)]
    #[schemars(with = "MessageView")]
    sent: Option<MessageView<'a>>,
}

#[derive(JsonSchema)]
struct Done {
    #[expect(dead_code, reason = "as an `Ack` without a message")]
    #[schemars(extend("const" = true))]
    success: bool,
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
