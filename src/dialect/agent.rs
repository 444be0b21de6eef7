//! `agent`: a chatbot back end with request and reply events in an envelope, and stored messages for absent users.
//!
//! ```text
//! → 42["message:send",{"conversationId":"conv_123","targetUserId":"user_456","content":"Hello!"}]
//! ← 42["message:receive",{"success":true,"data":{"_id":"0197…","conversationId":"conv_123","sender":"user",…},"timestamp":"2026-…"}]
//! ← 42["connection:receive",{"success":true,"data":[{"userId":"…","socketId":"…"}],"totalConnections":1,"timestamp":"2026-…"}]
//! ```
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::argument_schemas::{ATTACHMENTS, CLIENT_MESSAGE_ID, CONTENT, CONVERSATION_ID, SOME_ATTACHMENTS, SOME_CONTENT, id};
use super::content::{LastMessageView, data_of};
use super::events::{ClientEvent, EventDoc, ServerEvent};
use super::fields::Payload;
use super::packets::{Packets, json_packet, one, packet, to_json};
use super::refusal::{Code, failure_packet};
use super::request_error::{RequestError, Wording};
use super::vocabulary::{Asked, Decoded, Vocabulary};
use crate::chat::{Capabilities, ChatError, Command, Draft, Event, OwnCopy, Reply, SendTo, Sent};
use crate::logging::ErrorId;
use crate::model::{
    ConversationId, ConversationKind, File, Message, MessageId, Notification, NotificationId, Place, Profile, Role, SocketId,
    Timestamp, UserId, UserRole,
};
use crate::schema::{Field, Shape, kinds};
use crate::socketio::Args;
use crate::store::Overview;

/// Maximum number of notifications in one answer.
const NOTIFICATIONS_MAX: i64 = 100;
/// Maximum number of sockets in one answer.
const CONNECTIONS_MAX: usize = 1_000;

/// The vocabulary of this front end.
#[derive(Debug)]
pub(super) struct Agent;

const EVENTS: &[ClientEvent] = &[
    ClientEvent::work("notification:get").doc(&EventDoc {
        summary: "Asks for the caller's notifications, newest first, at most 100.",
        takes: Shape::Object(&[]),
        ack: enveloped::<Vec<NotificationView>>,
        is_acked: false,
        reply: Some("notification:receive"),
    }),
    ClientEvent::work("connection:get").doc(&EventDoc {
        summary: "Asks for connected users, a row for each socket, at most 1000.",
        takes: Shape::Object(&[]),
        ack: connections,
        is_acked: false,
        reply: Some("connection:receive"),
    }),
    ClientEvent::work("conversation:get").doc(&EventDoc {
        summary: "Asks for the caller's conversations, most recently active first.",
        takes: Shape::Object(&[]),
        ack: enveloped::<Vec<ConversationView>>,
        is_acked: false,
        reply: Some("conversation:receive"),
    }),
    ClientEvent::work("message:send").doc(&EventDoc {
        summary: "Sends a message to a conversation, or to a user; conversationId may be one's own name for the conversation with \
                  targetUserId.",
        takes: Shape::ObjectWith(
            &[
                Field::optional("conversationId", id),
                Field::optional("targetUserId", kinds::user),
                CONTENT,
                ATTACHMENTS,
                CLIENT_MESSAGE_ID,
            ],
            &[&[CONVERSATION_ID, Field::required("targetUserId", kinds::user)], &[SOME_CONTENT, SOME_ATTACHMENTS]],
        ),
        ack: enveloped::<MessageView>,
        is_acked: false,
        reply: Some("message:receive"),
    }),
];

const SERVER_EVENTS: &[ServerEvent] = &[
    ServerEvent::unplaced(
        "notification:receive",
        enveloped::<Vec<NotificationView>>,
        "One's own notifications, or why there is no answer.",
    ),
    ServerEvent::unplaced("connection:receive", connections, "Connected users, or a refusal."),
    ServerEvent::unplaced(
        "conversation:receive",
        enveloped::<Vec<ConversationView>>,
        "One's own conversations, or why there is no answer.",
    ),
    ServerEvent::either(
        "message:receive",
        enveloped::<MessageView>,
        "A message, including the user's own; or the refusal of a send.",
    ),
    ServerEvent::new("message:updated", SchemaGenerator::subschema_for::<Envelope<MessageView>>, "A message was edited."),
    ServerEvent::new("message:deleted", SchemaGenerator::subschema_for::<Envelope<Deleted>>, "A message was deleted."),
];

/// Schema of an envelope, or of a failure.
fn enveloped<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [generator.subschema_for::<Envelope<T>>(), generator.subschema_for::<Refused>()] })
}

/// Schema of the answer to `connection:get`, the only one with a total.
fn connections(generator: &mut SchemaGenerator) -> Schema {
    let mut envelope = generator.subschema_for::<Envelope<Vec<Connection>>>();
    if let Some(Value::Object(properties)) = envelope.get_mut("properties") {
        properties.insert("totalConnections".to_owned(), kinds::count(generator).to_value());
    }
    if let Some(Value::Array(required)) = envelope.get_mut("required") {
        required.push("totalConnections".into());
    }
    json_schema!({ "anyOf": [envelope, generator.subschema_for::<Refused>()] })
}

/// Returns the event that answers a request.
fn answer_to(event: &str) -> &'static str {
    match event {
        "notification:get" => "notification:receive",
        "connection:get" => "connection:receive",
        "conversation:get" => "conversation:receive",
        _ => "message:receive",
    }
}

/// Returns the requests and their answers, as in the front end's list of events.
pub fn agent_exchanges() -> Vec<String> {
    EVENTS.iter().map(|entry| format!("{} → {}", entry.name, answer_to(entry.name))).collect()
}

impl Vocabulary for Agent {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn events(&self) -> &'static [ClientEvent] {
        EVENTS
    }

    fn server_events(&self) -> &'static [ServerEvent] {
        SERVER_EVENTS
    }

    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, RequestError> {
        let payload = Payload::of(args)?;
        match asked.event {
            "notification:get" => Ok(Command::ListNotifications { limit: NOTIFICATIONS_MAX }.into()),
            "connection:get" => Ok(Command::ListConnections { limit: CONNECTIONS_MAX }.into()),
            "conversation:get" => Ok(Command::ListConversations.into()),
            "message:send" => Ok(Decoded::Command { command: send(&payload)?, own_copy: OwnCopy::Held }),
            _ => Err(RequestError::UnknownEvent),
        }
    }

    /// A named target means this front end: the other front end with such an event has none.
    fn takes_precedence(&self, event: &'static str, args: &Args) -> bool {
        event == "message:send" && Payload::of(args).is_ok_and(|payload| payload.field("targetUserId").json().is_some())
    }

    fn confirms_by_event(&self) -> bool {
        true
    }

    fn encode(&self, event: &Event) -> Option<Packets> {
        shown(event, None)
    }

    fn encode_named(&self, event: &Event, name: &str) -> Option<Packets> {
        shown(event, Some(name))
    }

    fn capabilities(&self, _is_requested: bool) -> Capabilities {
        Capabilities { direct_message: true, own_direct_message: true, group_message: true, ..Capabilities::default() }
    }

    fn encode_ack(&self, asked: &Asked, reply: &Reply) -> String {
        answer(asked, reply)
    }

    fn encode_reply(&self, asked: &Asked, reply: &Reply) -> Option<String> {
        // The sender's own copy of the message is the answer.
        (asked.event != "message:send").then(|| json_packet(answer_to(asked.event), &answer(asked, reply)))
    }

    fn word(&self, event: &'static str, request_error: &RequestError) -> Wording {
        match request_error {
            RequestError::Chat(ChatError::InvalidPayload { field: "recipient" }) => {
                (&RequestError::Field("targetUserId".into())).into()
            }
            RequestError::Chat(ChatError::StorageUnavailable) if event != "message:send" => {
                Wording::new(request_error.code(), "Could not be read, try again later")
            }
            _ => request_error.into(),
        }
    }

    fn encode_refusal_ack(&self, asked: &Asked, request_error: &RequestError) -> String {
        to_json(&Refused::new(&self.word(asked.event, request_error), request_error, asked))
    }

    fn encode_refusal(&self, asked: &Asked, request_error: &RequestError) -> String {
        json_packet(answer_to(asked.event), &self.encode_refusal_ack(asked, request_error))
    }
}

fn send(payload: &Payload<'_>) -> Result<Command, RequestError> {
    let (conversation, target, content) =
        (payload.field("conversationId"), payload.field("targetUserId"), payload.field("content"));
    let recipient = target.json().map(|_| target.user()).transpose()?;
    let draft = Draft {
        content: content.text()?.unwrap_or_default(),
        attachment_urls: payload.field("attachments").file_urls()?,
        client_message_id: payload.field("clientMessageId").id()?,
        ..Draft::default()
    };
    let command = match (conversation.id()?, recipient) {
        (Some(name), recipient) => Command::Send { to: SendTo::Named { name, recipient }, draft },
        (None, Some(recipient)) => Command::Send { to: SendTo::User(recipient), draft },
        (None, None) => return Err(conversation.request_error()),
    };
    let is_empty = command.draft().is_some_and(|draft| draft.content.is_empty() && draft.attachment_urls.is_empty());
    if is_empty { Err(content.request_error()) } else { Ok(command) }
}

/// Encodes an event for a client that calls its conversation `name`; `None`: by its id.
fn shown(event: &Event, name: Option<&str>) -> Option<Packets> {
    let text = match event {
        Event::Message { message, kind: _, recipient: _ } => {
            packet("message:receive", &Envelope::new(MessageView::new(message, name)?, message.created_at))
        }
        Event::MessageUpdated { message, kind: _, recipient: _ } => {
            let view = MessageView { updated_at: Some(message.updated_at), ..MessageView::new(message, name)? };
            packet("message:updated", &Envelope::new(view, message.updated_at))
        }
        Event::MessageDeleted { message, conversation, kind: _, deleted_at } => {
            let deleted = Deleted { id: *message, conversation_id: shown_id(*conversation, name) };
            packet("message:deleted", &Envelope::new(deleted, *deleted_at))
        }
        Event::AnswerFailed { error, error_id, .. } => failure_packet(error, *error_id),
        Event::Connected { .. }
        | Event::AnswerPiece { .. }
        | Event::Apology { .. }
        | Event::RoomMessage { .. }
        | Event::Delivered { .. }
        | Event::Read { .. }
        | Event::Typing { .. }
        | Event::Presence(_)
        | Event::Notification(_)
        | Event::Emitted(_)
        | Event::ConversationChanged(_)
        | Event::ConversationDeleted { .. }
        | Event::GroupOpened { .. } => return None,
    };
    Some(one(text))
}

/// Returns the envelope that answers a request.
fn answer(asked: &Asked, reply: &Reply) -> String {
    match reply {
        Reply::Notifications(notifications) => {
            let data: Vec<_> = notifications.iter().map(NotificationView::new).collect();
            to_json(&Envelope::new(data, asked.at))
        }
        Reply::Connections { connections, total } => {
            let data: Vec<_> =
                connections.iter().map(|(user, socket)| Connection { user_id: &user.id, socket_id: socket }).collect();
            to_json(&Envelope { total_connections: Some(*total), ..Envelope::new(data, asked.at) })
        }
        Reply::Conversations(overviews) => {
            let data: Vec<_> = overviews.iter().map(ConversationView::new).collect();
            to_json(&Envelope::new(data, asked.at))
        }
        Reply::Sent(Sent { message, recipient: _, status: _, name }) => {
            to_json(&Envelope::new(MessageView::new(message, name.as_deref()), message.created_at))
        }
        Reply::Done
        | Reply::Message(_)
        | Reply::Messages(_)
        | Reply::Conversation(_)
        | Reply::Notified(_)
        | Reply::Renewed { .. }
        | Reply::Account(_) => to_json(&Envelope::new(None::<()>, asked.at)),
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
struct Envelope<T> {
    #[schemars(extend("const" = true))]
    success: bool,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    total_connections: Option<usize>,
    timestamp: Timestamp,
}

impl<T> Envelope<T> {
    fn new(data: T, timestamp: Timestamp) -> Self {
        Self { success: true, data, total_connections: None, timestamp }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FailedEnvelope")]
struct Refused<'a> {
    #[schemars(extend("const" = false))]
    success: bool,
    error: &'a str,
    #[schemars(with = "Code")]
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<ErrorId>,
    timestamp: Timestamp,
}

impl<'a> Refused<'a> {
    fn new(wording: &'a Wording, request_error: &RequestError, asked: &Asked) -> Self {
        let Wording { code, error, message: _ } = wording;
        let (retry_after_ms, error_id, timestamp) = (request_error.retry_after_ms(), asked.error_id, asked.at);
        Self { success: false, error, code, retry_after_ms, error_id, timestamp }
    }
}

/// Returns a conversation's id as shown to a client that calls it `name`.
fn shown_id(id: ConversationId, name: Option<&str>) -> Cow<'_, str> {
    name.map_or_else(|| Cow::Owned(id.to_string()), Cow::Borrowed)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Message")]
struct MessageView<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    conversation_id: Cow<'a, str>,
    #[schemars(with = "Role")]
    sender: &'static str,
    sender_id: &'a UserId,
    content: &'a str,
    attachments: Vec<&'a File>,
    sender_info: SenderInfo<'a>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    /// Set if an answer of the model was cut off by length or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true))]
    truncated: Option<bool>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SenderInfo<'a> {
    user_id: &'a UserId,
    email: Option<&'a str>,
    #[schemars(with = "UserRole")]
    role: &'static str,
}

impl<'a> MessageView<'a> {
    fn new(message: &'a Message, name: Option<&'a str>) -> Option<Self> {
        let Place::Conversation(conversation) = message.place else { return None };
        let Profile { id, username: _, full_name: _, avatar: _, email, role } = &*message.sender;
        Some(Self {
            id: message.id,
            conversation_id: shown_id(conversation, name),
            sender: message.role.as_str(),
            sender_id: id,
            content: &message.content,
            attachments: message.file.iter().chain(&message.attachments).collect(),
            sender_info: SenderInfo { user_id: id, email: email.as_deref(), role: role.as_str() },
            created_at: message.created_at,
            updated_at: None,
            truncated: message.is_truncated.then_some(true),
        })
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Deleted<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    conversation_id: Cow<'a, str>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Notification")]
struct NotificationView<'a> {
    #[serde(rename = "_id")]
    id: NotificationId,
    r#type: &'a str,
    message: &'a str,
    data: Option<&'a RawValue>,
    read: bool,
    created_at: Timestamp,
}

impl<'a> NotificationView<'a> {
    fn new(notification: &'a Notification) -> Self {
        let Notification { id, user: _, kind, message, data: _, read, created_at } = notification;
        Self { id: *id, r#type: kind, message, data: data_of(notification), read: *read, created_at: *created_at }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Connection<'a> {
    user_id: &'a UserId,
    socket_id: &'a SocketId,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Conversation")]
struct ConversationView<'a> {
    #[serde(rename = "_id")]
    id: Cow<'a, str>,
    #[schemars(with = "ConversationKind")]
    r#type: &'static str,
    name: Option<&'a str>,
    avatar: Option<&'a str>,
    participants: Vec<Participant<'a>>,
    last_message: Option<LastMessageView<'a>>,
    unread_count: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> ConversationView<'a> {
    fn new(overview: &'a Overview) -> Self {
        let Overview { conversation, members, unread, name } = overview;
        Self {
            id: shown_id(conversation.id, name.as_deref()),
            r#type: conversation.kind.as_str(),
            name: conversation.name.as_deref(),
            avatar: conversation.avatar.as_deref(),
            participants: members.iter().map(|member| Participant::new(member)).collect(),
            last_message: conversation.last_message.as_ref().map(LastMessageView::of),
            unread_count: *unread,
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Participant<'a> {
    user_id: &'a UserId,
    username: &'a str,
    email: Option<&'a str>,
    #[schemars(with = "UserRole")]
    role: &'static str,
}

impl<'a> Participant<'a> {
    fn new(user: &'a Profile) -> Self {
        let Profile { id, username, full_name: _, avatar: _, email, role } = user;
        Self { user_id: id, username, email: email.as_deref(), role: role.as_str() }
    }
}

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
