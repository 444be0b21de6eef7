//! `messenger`: direct and group chat, presence, receipts, typing, files; every request has an ack.
//!
//! ```text
//! → 421["send_direct_message",{"recipientId":"bob","content":"Hi Bob"}]
//! ← 42["user_online",{"userId":"bob","username":"Bob"}]
//! ← 42["message_read",{"messageId":"0197…","conversationId":"0197…","readBy":"bob","readAt":"2026-01-02T03:04:05.678Z"}]
//! ```
use std::borrow::Cow;

use schemars::{JsonSchema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::argument_schemas::{CLIENT_MESSAGE_ID, CONTENT, CONVERSATION_ID, FILE, MESSAGE_ID, SOME_CONTENT, SOME_FILE};
use super::content::{KnownType, known_type, one_file, with_urls};
use super::events::{ClientEvent, EventDoc, ServerEvent};
use super::fields::{Field, Payload};
use super::packets::{Packets, batch, one, packet, to_json};
use super::refusal::{RefusedAck, failure_packet};
use super::request_error::{RequestError, Wording};
use super::vocabulary::{Asked, Decoded, Vocabulary};
use crate::auth::AuthError;
use crate::chat::{Capabilities, ChatError, Command, Draft, Event, OwnCopy, PresenceChange, Reply, SendTo, Sent};
use crate::model::{
    ConversationId, ConversationKind, File, Message, MessageId, MessageStatus, Place, Profile, ReadMark, Timestamp, UserId,
};
use crate::schema::{self, Shape, either, kinds};
use crate::socketio::Args;

/// The vocabulary of this front end.
#[derive(Debug)]
pub struct Messenger;

/// An answer without any data.
const DONE: EventDoc =
    EventDoc { summary: "", takes: Shape::Nothing, ack: either::<Done, RefusedAck>, is_acked: true, reply: None };

/// A message needs a text or a file.
const SAYS_SOMETHING: &[&[schema::Field]] = &[&[SOME_CONTENT, SOME_FILE]];

impl Vocabulary for Messenger {
    fn name(&self) -> &'static str {
        "messenger"
    }

    fn events(&self) -> &'static [ClientEvent] {
        const EVENTS: &[ClientEvent] = &[
            ClientEvent::work("send_direct_message").doc(&EventDoc {
                summary: "Sends a message to a user, in the direct conversation with them; its status is delivered where it was \
                          sent to a live socket.",
                takes: Shape::ObjectWith(
                    &[schema::Field::required("recipientId", kinds::user), CONTENT, FILE, CLIENT_MESSAGE_ID],
                    SAYS_SOMETHING,
                ),
                ack: either::<DirectAck, RefusedAck>,
                ..DONE
            }),
            ClientEvent::work("send_group_message").doc(&EventDoc {
                summary: "Sends a message to a group, or to the user's conversation with the model. Members only.",
                takes: Shape::ObjectWith(&[CONVERSATION_ID, CONTENT, FILE, CLIENT_MESSAGE_ID], SAYS_SOMETHING),
                ack: either::<GroupAck, RefusedAck>,
                ..DONE
            }),
            ClientEvent::receipt("mark_as_read").doc(&EventDoc {
                summary: "Marks a message as read. Participants only.",
                takes: Shape::Object(&[MESSAGE_ID]),
                is_acked: false,
                ..DONE
            }),
            ClientEvent::typing("typing_start").doc(&EventDoc {
                summary: "Signals that the user is typing; expires by itself.",
                takes: Shape::Object(&[CONVERSATION_ID]),
                is_acked: false,
                ..DONE
            }),
            ClientEvent::typing("typing_stop").doc(&EventDoc {
                summary: "Signals that the user stopped typing.",
                takes: Shape::Object(&[CONVERSATION_ID]),
                is_acked: false,
                ..DONE
            }),
            ClientEvent::work("join_group").doc(&EventDoc {
                summary: "Opens a group on this socket, and ends its mute. Members only.",
                takes: Shape::Value(CONVERSATION_ID),
                ..DONE
            }),
            ClientEvent::work("leave_group").doc(&EventDoc {
                summary: "Closes and mutes a group on this socket; always succeeds, and ends no membership.",
                takes: Shape::Value(CONVERSATION_ID),
                is_acked: false,
                ..DONE
            }),
        ];
        EVENTS
    }

    fn server_events(&self) -> &'static [ServerEvent] {
        const SERVER_EVENTS: &[ServerEvent] = &[
            ServerEvent::unplaced("user_online", SchemaGenerator::subschema_for::<Online>, "A user came online."),
            ServerEvent::unplaced("user_offline", SchemaGenerator::subschema_for::<Offline>, "A user went offline."),
            ServerEvent::new("new_message", SchemaGenerator::subschema_for::<Shown>, "A direct message, or the model's answer."),
            ServerEvent::new("new_group_message", SchemaGenerator::subschema_for::<Shown>, "A message in a group."),
            ServerEvent::new("message_read", SchemaGenerator::subschema_for::<Read>, "Somebody read the user's message."),
            ServerEvent::new(
                "message_delivered",
                SchemaGenerator::subschema_for::<Delivered>,
                "One's own message has reached somebody to whom it had not been sent when its ack was made.",
            ),
            ServerEvent::new("message_updated", SchemaGenerator::subschema_for::<Shown>, "A message was edited."),
            ServerEvent::new("message_deleted", SchemaGenerator::subschema_for::<Deleted>, "A message was deleted."),
            ServerEvent::unplaced("user_typing", SchemaGenerator::subschema_for::<Member>, "Somebody is typing."),
            ServerEvent::unplaced("user_stopped_typing", SchemaGenerator::subschema_for::<Stopped>, "Somebody stopped typing."),
            ServerEvent::new("user_joined_group", SchemaGenerator::subschema_for::<Member>, "A member opened a group."),
            ServerEvent::new("user_left_group", SchemaGenerator::subschema_for::<Member>, "A member closed a group."),
        ];
        SERVER_EVENTS
    }

    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, RequestError> {
        let command = match asked.event {
            "send_direct_message" => {
                let payload = Payload::of(args)?;
                Command::Send { to: SendTo::User(payload.field("recipientId").user()?), draft: draft(&payload)? }
            }
            "send_group_message" => {
                let payload = Payload::of(args)?;
                let draft = draft(&payload)?;
                let command = Command::Send { to: SendTo::Conversation(payload.field("conversationId").conversation()?), draft };
                return Ok(Decoded::Command { command, own_copy: OwnCopy::Live });
            }
            "mark_as_read" => Command::MarkRead { message: Payload::of(args)?.field("messageId").message()? },
            event @ ("typing_start" | "typing_stop") => {
                let conversation = Payload::of(args)?.field("conversationId").conversation()?;
                Command::Typing { conversation, active: event == "typing_start" }
            }
            "join_group" => {
                let conversation = Field::of(args, "conversationId")?.conversation()?;
                Command::OpenConversation { conversation, groups_only: true }
            }
            "leave_group" => return Decoded::leaving(Field::of(args, "conversationId")?.conversation()),
            _ => return Err(RequestError::UnknownEvent),
        };
        Ok(command.into())
    }

    fn encode(&self, event: &Event) -> Option<Packets> {
        let text = match event {
            Event::Message { message, kind, recipient: _ } => {
                let name = if *kind == ConversationKind::Group { "new_group_message" } else { "new_message" };
                packet(name, &Shown::of(message)?)
            }
            Event::MessageUpdated { message, kind: _, recipient: _ } => packet("message_updated", &Shown::of(message)?),
            Event::MessageDeleted { message, conversation, kind: _, deleted_at: _ } => {
                packet("message_deleted", &Deleted { message_id: *message, conversation_id: *conversation })
            }
            // The ack reports immediate delivery.
            Event::Delivered { at_once: true, .. } => return None,
            Event::Delivered { message, conversation, users, delivered_at, client_message_id: _, at_once: false } => {
                let delivered = |user_id| Delivered {
                    message_id: *message,
                    conversation_id: *conversation,
                    user_id,
                    delivered_at: *delivered_at,
                };
                return batch(users.iter().map(|user| packet("message_delivered", &delivered(user))));
            }
            Event::Read { message, conversation, user, read_at } => packet(
                "message_read",
                &Read { message_id: *message, conversation_id: *conversation, read_by: user, read_at: *read_at },
            ),
            Event::Typing { user, conversation, active: true } => packet("user_typing", &Member::new(user, *conversation)),
            Event::Typing { user, conversation, active: false } => {
                packet("user_stopped_typing", &Stopped { user_id: &user.id, conversation_id: *conversation })
            }
            Event::GroupOpened { user, conversation, opened } => {
                packet(if *opened { "user_joined_group" } else { "user_left_group" }, &Member::new(user, *conversation))
            }
            Event::Presence(changes) => return presence(changes),
            Event::AnswerFailed { error, error_id, .. } => failure_packet(error, *error_id),
            Event::Connected { .. }
            | Event::AnswerPiece { .. }
            | Event::Apology { .. }
            | Event::RoomMessage { .. }
            | Event::Notification(_)
            | Event::ConversationChanged(_)
            | Event::ConversationDeleted { .. }
            | Event::Emitted(_) => return None,
        };
        Some(one(text))
    }

    /// The front end takes every `new_message` for somebody else's, so only clients that requested the dialect get their
    /// own. It takes every `message_read` to be about a message of its own.
    fn shows(&self, event: &Event, viewer: &UserId, is_requested: bool) -> bool {
        if let Event::Read { user, .. } = event {
            return user != viewer;
        }
        let Event::Message { message, kind, recipient } = event else { return true };
        let to_oneself = recipient.as_ref().is_some_and(|recipient| recipient.id == *viewer);
        is_requested || *kind == ConversationKind::Group || message.sender.id != *viewer || to_oneself
    }

    fn capabilities(&self, is_requested: bool) -> Capabilities {
        Capabilities { direct_message: true, own_direct_message: is_requested, group_message: true, ..Capabilities::default() }
    }

    fn encode_ack(&self, asked: &Asked, reply: &Reply) -> String {
        match reply {
            Reply::Sent(Sent { message, status, .. }) => {
                let furthest = message.status.max(*status);
                let message = MessageView { status: furthest.as_str(), ..MessageView::of(message) };
                match asked.event {
                    "send_direct_message" => to_json(&DirectAck { success: true, message, status: status.as_str() }),
                    _ => to_json(&GroupAck { success: true, message }),
                }
            }
            _ => to_json(&Done { success: true }),
        }
    }

    fn word(&self, event: &'static str, request_error: &RequestError) -> Wording {
        match (event, request_error) {
            (
                "join_group",
                RequestError::Chat(ChatError::ConversationNotFound | ChatError::NotAMember | ChatError::Forbidden),
            ) => Wording::new("FORBIDDEN", "Not a member"),
            ("send_group_message", RequestError::Chat(ChatError::ConversationNotFound)) => {
                Wording::new("NOT_FOUND", "Not a member")
            }
            _ => request_error.into(),
        }
    }

    fn connect_sentence(&self, refusal: AuthError) -> Option<&'static str> {
        match refusal {
            AuthError::NoToken => Some("No token provided"),
            AuthError::InvalidToken | AuthError::TokenExpired => Some("Authentication failed"),
            AuthError::UserNotFound => Some("User not found"),
            AuthError::AccountDisabled => None,
        }
    }
}

fn draft(payload: &Payload<'_>) -> Result<Draft, RequestError> {
    let content = payload.field("content");
    let draft = Draft {
        content: content.text()?.unwrap_or_default(),
        message_type: None,
        file_url: payload.field("file").file_url()?,
        attachment_urls: Vec::new(),
        listing_id: None,
        client_message_id: payload.field("clientMessageId").id()?,
    };
    if draft.content.is_empty() && draft.file_url.is_none() { Err(content.request_error()) } else { Ok(draft) }
}

/// Returns one packet for each change that the front end can show.
fn presence(changes: &[PresenceChange]) -> Option<Packets> {
    let packets = changes.iter().filter_map(|change| match change {
        PresenceChange::Online { user, came: true, status: _ } => {
            Some(packet("user_online", &Online { user_id: &user.id, username: &user.username }))
        }
        // A new status of a user who is already online.
        PresenceChange::Online { .. } => None,
        PresenceChange::Offline { user, last_seen } => {
            Some(packet("user_offline", &Offline { user_id: user, last_seen: *last_seen }))
        }
    });
    batch(packets)
}

/// A message of a conversation. HTTP has its own shape, with all files and more fields.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Message")]
struct MessageView<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    #[schemars(with = "ConversationId")]
    conversation_id: Option<ConversationId>,
    sender: Summary<'a>,
    content: Cow<'a, str>,
    #[schemars(with = "KnownType")]
    message_type: &'a str,
    file: Option<&'a File>,
    #[schemars(with = "MessageStatus")]
    status: &'static str,
    #[schemars(with = "Vec<Mark>")]
    read_by: ReadBy<'a>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    /// Set if an answer of the model was cut off by length or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true))]
    truncated: Option<bool>,
}

impl<'a> MessageView<'a> {
    fn of(message: &'a Message) -> Self {
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
struct Summary<'a> {
    #[serde(rename = "_id")]
    id: &'a UserId,
    username: &'a str,
    avatar: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReadMark")]
struct Mark<'a> {
    user: &'a UserId,
    read_at: Timestamp,
}

struct ReadBy<'a>(&'a [ReadMark]);

impl Serialize for ReadBy<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|ReadMark { user, read_at }| Mark { user, read_at: *read_at }))
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    conversation_id: ConversationId,
    message: MessageView<'a>,
}

impl<'a> Shown<'a> {
    fn of(message: &'a Message) -> Option<Self> {
        Some(Self { conversation_id: conversation_of(message)?, message: MessageView::of(message) })
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Deleted {
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
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    message_id: MessageId,
    conversation_id: ConversationId,
    read_by: &'a UserId,
    read_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    user_id: &'a UserId,
    username: &'a str,
    conversation_id: ConversationId,
}

impl<'a> Member<'a> {
    fn new(user: &'a Profile, conversation_id: ConversationId) -> Self {
        Self { user_id: &user.id, username: &user.username, conversation_id }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Stopped<'a> {
    user_id: &'a UserId,
    conversation_id: ConversationId,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Online<'a> {
    user_id: &'a UserId,
    username: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Offline<'a> {
    user_id: &'a UserId,
    last_seen: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SentDirect")]
struct DirectAck<'a> {
    #[schemars(extend("const" = true))]
    success: bool,
    message: MessageView<'a>,
    #[schemars(with = "MessageStatus")]
    status: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SentGroup")]
struct GroupAck<'a> {
    #[schemars(extend("const" = true))]
    success: bool,
    message: MessageView<'a>,
}

#[derive(Serialize, JsonSchema)]
struct Done {
    #[schemars(extend("const" = true))]
    success: bool,
}

#[cfg(test)]
#[path = "messenger_tests.rs"]
mod tests;
