//! `messenger`: direct and group chat, presence, receipts, typing, files; every request has an ack.
//!
//! ```text
//! → 421["send_direct_message",{"recipientId":"bob","content":"Hi Bob"}]
//! ← 42["user_online",{"userId":"bob","username":"Bob"}]
//! ← 42["message_read",{"messageId":"0197…","conversationId":"0197…","readBy":"bob","readAt":"2026-01-02T03:04:05.678Z"}]
//! ```
use schemars::SchemaGenerator;

use super::argument_schemas::{CLIENT_MESSAGE_ID, CONTENT, CONVERSATION_ID, FILE, MESSAGE_ID, SOME_CONTENT, SOME_FILE, id};
use super::conversation::ConversationView;
use super::events::{ClientEvent, EventDoc, ServerEvent};
use super::fields::{Field, Payload};
use super::messenger_shapes::{
    Changed, Deleted, Delivered, DirectAck, Done, Gone, GroupAck, InRoom, Member, MessageView, Offline, Online, Piece, Read,
    RoomAck, Shown, Stopped,
};
use super::packets::{Packets, batch, one, packet, to_json};
use super::refusal::{RefusedAck, failure_packet};
use super::request_error::{RequestError, Wording};
use super::vocabulary::{Asked, Decoded, Vocabulary};
use crate::auth::AuthError;
use crate::chat::{Capabilities, ChatError, Command, Draft, Event, OwnCopy, PresenceChange, Reply, SendTo, Sent};
use crate::model::{ConversationKind, MODEL_USER, UserId};
use crate::schema::{self, Shape, either, kinds};
use crate::socketio::Args;

/// The vocabulary of this front end.
#[derive(Debug)]
pub(super) struct Messenger;

/// An answer without any data.
const DONE: EventDoc =
    EventDoc { summary: "", takes: Shape::Nothing, ack: either::<Done, RefusedAck>, is_acked: true, reply: None };

/// A message needs a text or a file.
const SAYS_SOMETHING: &[&[schema::Field]] = &[&[SOME_CONTENT, SOME_FILE]];

/// Asks for the model's answer piece by piece.
const STREAM: schema::Field = schema::Field::optional("stream", kinds::flag);

const ROOM_ID: schema::Field = schema::Field::required("roomId", id);

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
                    &[schema::Field::required("recipientId", kinds::user), CONTENT, FILE, CLIENT_MESSAGE_ID, STREAM],
                    SAYS_SOMETHING,
                ),
                ack: either::<DirectAck, RefusedAck>,
                ..DONE
            }),
            ClientEvent::work("send_group_message").doc(&EventDoc {
                summary: "Sends a message to a group, or to the user's conversation with the model. Members only.",
                takes: Shape::ObjectWith(&[CONVERSATION_ID, CONTENT, FILE, CLIENT_MESSAGE_ID, STREAM], SAYS_SOMETHING),
                ack: either::<GroupAck, RefusedAck>,
                ..DONE
            }),
            ClientEvent::work("send_room_message").doc(&EventDoc {
                summary: "Sends a message to all in a public room; one need not be in it.",
                takes: Shape::ObjectWith(&[ROOM_ID, CONTENT, FILE, CLIENT_MESSAGE_ID], SAYS_SOMETHING),
                ack: either::<RoomAck, RefusedAck>,
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
            ClientEvent::work("join_room").doc(&EventDoc {
                summary: "Joins a public room.",
                takes: Shape::Value(ROOM_ID),
                ..DONE
            }),
            ClientEvent::work("leave_room").doc(&EventDoc {
                summary: "Leaves a public room.",
                takes: Shape::Value(ROOM_ID),
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
            ServerEvent::new("new_room_message", SchemaGenerator::subschema_for::<InRoom>, "A message in a public room."),
            ServerEvent::unplaced(
                "answer_piece",
                SchemaGenerator::subschema_for::<Piece>,
                "A piece of the model's answer, if the question had stream: true.",
            ),
            ServerEvent::new(
                "conversation_updated",
                SchemaGenerator::subschema_for::<Changed>,
                "A conversation was made or changed; only where the dialect was requested.",
            ),
            ServerEvent::new(
                "conversation_deleted",
                SchemaGenerator::subschema_for::<Gone>,
                "A conversation was deleted, or the user removed; only where the dialect was requested.",
            ),
        ];
        SERVER_EVENTS
    }

    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, RequestError> {
        let command = match asked.event {
            "send_direct_message" => {
                let payload = Payload::of(args)?;
                let (recipient, draft) = (payload.field("recipientId").user()?, draft(&payload)?);
                match payload.field("stream").flag()? {
                    Some(true) if recipient.as_str() == MODEL_USER => question(MODEL_USER.to_owned(), draft),
                    _ => Command::Send { to: SendTo::User(recipient), draft },
                }
            }
            "send_group_message" => {
                let payload = Payload::of(args)?;
                let draft = draft(&payload)?;
                let is_streamed = payload.field("stream").flag()? == Some(true);
                let conversation = payload.field("conversationId").conversation()?;
                if is_streamed {
                    return Ok(question(conversation.to_string(), draft).into());
                }
                let command = Command::Send { to: SendTo::Conversation(conversation), draft };
                return Ok(Decoded::Command { command, own_copy: OwnCopy::Live });
            }
            "send_room_message" => {
                let payload = Payload::of(args)?;
                let field = payload.field("roomId");
                let shown_as = field.json().unwrap_or_default().into();
                Command::Send { to: SendTo::Room { room: field.room()?, shown_as }, draft: draft(&payload)? }
            }
            "join_room" => Command::JoinRoom { room: Field::of(args, "roomId")?.room()? },
            "leave_room" => Command::LeaveRoom { room: Field::of(args, "roomId")?.room()? },
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
            Event::AnswerPiece { chat, delta, done } => {
                packet("answer_piece", &Piece { chat: serde_json::from_str(chat).ok(), delta, done: *done })
            }
            Event::RoomMessage { message, shown_as: _ } => packet("new_room_message", &InRoom::of(message)?),
            Event::ConversationChanged(conversation) => {
                packet("conversation_updated", &Changed { conversation: ConversationView::of(conversation) })
            }
            Event::ConversationDeleted { conversation } => {
                packet("conversation_deleted", &Gone { conversation_id: *conversation })
            }
            Event::Connected { .. } | Event::Apology { .. } | Event::Notification(_) | Event::Emitted(_) => return None,
        };
        Some(one(text))
    }

    /// The front end takes every `new_message` for somebody else's, so only clients that requested the dialect get their
    /// own. It takes every `message_read` to be about a message of its own. It reads changes of conversations over HTTP, so
    /// they, too, go only to clients that requested the dialect.
    fn shows(&self, event: &Event, viewer: &UserId, is_requested: bool) -> bool {
        let (message, kind, recipient) = match event {
            Event::Message { message, kind, recipient } => (message, kind, recipient),
            Event::Read { user, .. } => return user != viewer,
            Event::ConversationChanged(_) | Event::ConversationDeleted { .. } => return is_requested,
            _ => return true,
        };
        let to_oneself = recipient.as_ref().is_some_and(|recipient| recipient.id == *viewer);
        is_requested || *kind == ConversationKind::Group || message.sender.id != *viewer || to_oneself
    }

    fn capabilities(&self, is_requested: bool) -> Capabilities {
        Capabilities { direct_message: true, own_direct_message: is_requested, group_message: true, ..Capabilities::default() }
    }

    fn encode_ack(&self, asked: &Asked, reply: &Reply) -> String {
        match reply {
            Reply::Sent(Sent { message, .. }) if asked.event == "send_room_message" => {
                RoomAck::of(message).map_or_else(|| to_json(&Done { success: true }), |ack| to_json(&ack))
            }
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

/// Returns a question whose answer comes piece by piece; each piece names what the question was sent to.
fn question(chat: String, draft: Draft) -> Command {
    Command::Send { to: SendTo::Model { shown_as: to_json(&chat).into(), chat, stream: true }, draft }
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

#[cfg(test)]
#[path = "messenger_tests.rs"]
mod tests;
