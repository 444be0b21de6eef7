//! `listing`: a marketplace with direct messages about listings, one common chat, and public rooms.
//!
//! ```text
//! → 42["sendDirectMessage",{"receiverId":"bob","content":"Still free?","listingId":"flat-7"}]
//! ← 42["directMessage",{"_id":"0197…","senderId":{…},"receiverId":{…},"message":"Still free?","listingId":{"_id":"flat-7","title":"Loft"},…}]
//! ← 42["joinedRoom",{"roomId":"flat-7","success":true}]
//! ```
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator as Generator, json_schema};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::argument_schemas::{CLIENT_MESSAGE_ID, GivenId, MESSAGE_TYPE, SOME_CONTENT, id};
use super::content::{one_file, with_urls};
use super::events::{ClientEvent, EventDoc, ServerEvent};
use super::fields::{Field, Payload};
use super::packets::{Packets, one, packet, to_json};
use super::refusal::{RefusedAck, failure_packet};
use super::request_error::{RequestError, Wording};
use super::vocabulary::{Asked, Decoded, Vocabulary};
use crate::chat::{Capabilities, Command, Draft, Event, OwnCopy, Reply, SendTo, Sent};
use crate::model::{ConversationKind, File, Listing as Offer, ListingId, Message, MessageId, Place, Profile, Timestamp, UserId};
use crate::schema::{self, SchemaOf, Shape, kinds, success};
use crate::socketio::Args;

/// Text that the front end shows for every refused send.
const SEND_FAILED: &str = "Failed to send message";

/// The vocabulary of this front end.
#[derive(Debug)]
pub(super) struct Listing;

const UNACKED: EventDoc = EventDoc {
    summary: "",
    takes: Shape::Nothing,
    ack: |generator| or_refusal(done(generator), generator),
    is_acked: false,
    reply: None,
};

const ROOM_ID: schema::Field = schema::Field::required("roomId", id);

fn or_refusal(answer: Schema, generator: &mut Generator) -> Schema {
    json_schema!({ "anyOf": [answer, generator.subschema_for::<RefusedAck>()] })
}

fn done(generator: &mut Generator) -> Schema {
    success(generator, &[])
}

fn user_setup(generator: &mut Generator) -> Schema {
    success(generator, &[("userId", Generator::subschema_for::<UserId> as SchemaOf)])
}

fn in_room(generator: &mut Generator) -> Schema {
    success(generator, &[("roomId", Generator::subschema_for::<GivenId> as SchemaOf)])
}

impl Vocabulary for Listing {
    fn name(&self) -> &'static str {
        "listing"
    }

    fn events(&self) -> &'static [ClientEvent] {
        const EVENTS: &[ClientEvent] = &[
            ClientEvent::work("setupUser").doc(&EventDoc {
                summary: "Asks for the user's own account.",
                takes: Shape::Value(schema::Field::optional("payload", kinds::anything)),
                ack: |generator| or_refusal(user_setup(generator), generator),
                reply: Some("userSetup"),
                ..UNACKED
            }),
            ClientEvent::work("sendDirectMessage").doc(&EventDoc {
                summary: "Sends a message to a user; directMessage comes to the sender too, and is the confirmation.",
                takes: Shape::Object(&[
                    schema::Field::required("receiverId", kinds::user),
                    SOME_CONTENT,
                    schema::Field::optional("listingId", id),
                    MESSAGE_TYPE,
                    CLIENT_MESSAGE_ID,
                ]),
                ack: |generator| or_refusal(generator.subschema_for::<Success<DirectMessageView>>(), generator),
                reply: Some("directMessage"),
                ..UNACKED
            }),
            ClientEvent::work("joinCommonChat").doc(&EventDoc {
                summary: "Joins the common chat.",
                reply: Some("joinedCommonChat"),
                ..UNACKED
            }),
            ClientEvent::work("leaveCommonChat").doc(&EventDoc {
                summary: "Leaves the common chat.",
                reply: Some("leftCommonChat"),
                ..UNACKED
            }),
            ClientEvent::work("sendCommonChatMessage").doc(&EventDoc {
                summary: "Sends a message to all in the common chat; commonChatMessage comes to the sender too.",
                takes: Shape::Object(&[SOME_CONTENT, MESSAGE_TYPE, CLIENT_MESSAGE_ID]),
                ack: |generator| or_refusal(generator.subschema_for::<Success<CommonChatMessage>>(), generator),
                reply: Some("commonChatMessage"),
                ..UNACKED
            }),
            ClientEvent::work("joinRoom").doc(&EventDoc {
                summary: "Joins a public room.",
                takes: Shape::Value(ROOM_ID),
                ack: |generator| or_refusal(in_room(generator), generator),
                reply: Some("joinedRoom"),
                ..UNACKED
            }),
            ClientEvent::work("leaveRoom").doc(&EventDoc {
                summary: "Leaves a public room.",
                takes: Shape::Value(ROOM_ID),
                ack: |generator| or_refusal(in_room(generator), generator),
                reply: Some("leftRoom"),
                ..UNACKED
            }),
            ClientEvent::work("sendRoomMessage").doc(&EventDoc {
                summary: "Sends a message to all in a public room; roomMessage comes to the sender too.",
                takes: Shape::Object(&[ROOM_ID, SOME_CONTENT, MESSAGE_TYPE, CLIENT_MESSAGE_ID]),
                ack: |generator| or_refusal(generator.subschema_for::<Success<RoomMessageView<GivenId>>>(), generator),
                reply: Some("roomMessage"),
                ..UNACKED
            }),
        ];
        EVENTS
    }

    fn server_events(&self) -> &'static [ServerEvent] {
        const SERVER_EVENTS: &[ServerEvent] = &[
            ServerEvent::unplaced("userSetup", user_setup, "The user's own account."),
            ServerEvent::new("directMessage", Generator::subschema_for::<DirectMessageView>, "A message between two users."),
            ServerEvent::unplaced("joinedCommonChat", done, "The user joined the common chat."),
            ServerEvent::unplaced("leftCommonChat", done, "The user left the common chat."),
            ServerEvent::new("commonChatMessage", Generator::subschema_for::<CommonChatMessage>, "A message in the common chat."),
            ServerEvent::unplaced("joinedRoom", in_room, "The user joined the room."),
            ServerEvent::unplaced("leftRoom", in_room, "The user left the room."),
            ServerEvent::new("roomMessage", Generator::subschema_for::<RoomMessageView<GivenId>>, "A message in a public room."),
            ServerEvent::new("messageUpdated", Generator::subschema_for::<DirectMessageView>, "A direct message was edited."),
            ServerEvent::new("messageDeleted", Generator::subschema_for::<Deleted>, "A direct message was deleted."),
        ];
        SERVER_EVENTS
    }

    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, RequestError> {
        match asked.event {
            "setupUser" => Field::of(args, "payload").map(|_| Decoded::OwnAccount),
            "joinCommonChat" => Field::of(args, "payload").map(|_| Command::JoinCommonChat.into()),
            "leaveCommonChat" => Field::of(args, "payload").map(|_| Command::LeaveCommonChat.into()),
            "joinRoom" => {
                let field = Field::of(args, "roomId")?;
                let room = field.room()?;
                asked.echo = field.json().unwrap_or_default().into();
                Ok(Command::JoinRoom { room }.into())
            }
            "leaveRoom" => {
                let field = Field::of(args, "roomId")?;
                let room = field.room()?;
                asked.echo = field.json().unwrap_or_default().into();
                Ok(Command::LeaveRoom { room }.into())
            }
            "sendDirectMessage" => {
                let payload = Payload::of(args)?;
                let recipient = payload.field("receiverId").user()?;
                let draft = Draft { listing_id: payload.field("listingId").listing()?, ..draft(&payload)? };
                Ok(confirmed_by_event(Command::Send { to: SendTo::User(recipient), draft }))
            }
            "sendCommonChatMessage" => {
                Ok(confirmed_by_event(Command::Send { to: SendTo::CommonChat, draft: draft(&Payload::of(args)?)? }))
            }
            "sendRoomMessage" => {
                let payload = Payload::of(args)?;
                let field = payload.field("roomId");
                let (room, draft) = (field.room()?, draft(&payload)?);
                asked.echo = field.json().unwrap_or_default().into();
                Ok(confirmed_by_event(Command::Send { to: SendTo::Room { room, shown_as: asked.echo.clone() }, draft }))
            }
            _ => Err(RequestError::UnknownEvent),
        }
    }

    fn encode(&self, event: &Event) -> Option<Packets> {
        let text = match event {
            Event::Message { message, kind: _, recipient: Some(recipient) } => {
                packet("directMessage", &DirectMessageView::new(message, recipient))
            }
            Event::MessageUpdated { message, kind: _, recipient: Some(recipient) } => {
                packet("messageUpdated", &DirectMessageView::new(message, recipient))
            }
            Event::MessageDeleted { message, kind: ConversationKind::Direct | ConversationKind::Ai, .. } => {
                packet("messageDeleted", &Deleted { id: *message })
            }
            Event::RoomMessage { message, shown_as: _ } if message.place == Place::CommonChat => {
                packet("commonChatMessage", &RoomMessageView::of_common_chat(message))
            }
            Event::RoomMessage { message, shown_as } => packet("roomMessage", &RoomMessageView::new(message, room_id(shown_as)?)),
            Event::AnswerFailed { error, error_id, .. } => failure_packet(error, *error_id),
            // This front end knows no groups.
            Event::Message { recipient: None, .. }
            | Event::MessageUpdated { recipient: None, .. }
            | Event::MessageDeleted { kind: ConversationKind::Group, .. }
            | Event::Connected { .. }
            | Event::AnswerPiece { .. }
            | Event::Apology { .. }
            | Event::Delivered { .. }
            | Event::Read { .. }
            | Event::Typing { .. }
            | Event::Presence(_)
            | Event::Notification(_)
            | Event::ConversationChanged(_)
            | Event::ConversationDeleted { .. }
            | Event::Emitted(_)
            | Event::GroupOpened { .. } => return None,
        };
        Some(one(text))
    }

    fn confirms_by_event(&self) -> bool {
        true
    }

    fn capabilities(&self, _is_requested: bool) -> Capabilities {
        Capabilities { direct_message: true, own_direct_message: true, group_message: false, ..Capabilities::default() }
    }

    fn encode_ack(&self, asked: &Asked, reply: &Reply) -> String {
        match reply {
            Reply::Sent(Sent { message, recipient: Some(recipient), .. }) => {
                to_json(&Success::with(DirectMessageView::new(message, recipient)))
            }
            Reply::Sent(Sent { message, recipient: None, .. }) => match room_id(&asked.echo) {
                Some(room_id) => to_json(&Success::with(RoomMessageView::new(message, room_id))),
                None => to_json(&Success::with(RoomMessageView::of_common_chat(message))),
            },
            reply => to_json(&Success::of(asked, reply)),
        }
    }

    fn encode_reply(&self, asked: &Asked, reply: &Reply) -> Option<String> {
        let name = match asked.event {
            "setupUser" => "userSetup",
            "joinCommonChat" => "joinedCommonChat",
            "leaveCommonChat" => "leftCommonChat",
            "joinRoom" => "joinedRoom",
            "leaveRoom" => "leftRoom",
            // The sender's own copy of the message is the answer.
            _ => return None,
        };
        Some(packet(name, &Success::of(asked, reply)))
    }

    fn word(&self, event: &'static str, request_error: &RequestError) -> Wording {
        let wording = Wording::from(request_error);
        match event {
            "sendDirectMessage" | "sendCommonChatMessage" | "sendRoomMessage" => {
                Wording { message: Cow::Borrowed(SEND_FAILED), ..wording }
            }
            _ => wording,
        }
    }
}

/// Makes a send that the message's event at the sending socket confirms, because its front end waits for nothing else.
fn confirmed_by_event(command: Command) -> Decoded {
    Decoded::Command { command, own_copy: OwnCopy::Held }
}

fn draft(payload: &Payload<'_>) -> Result<Draft, RequestError> {
    let content = payload.field("content");
    let draft = Draft {
        content: content.text()?.unwrap_or_default(),
        message_type: payload.field("messageType").message_type()?,
        client_message_id: payload.field("clientMessageId").id()?,
        ..Draft::default()
    };
    if draft.content.is_empty() { Err(content.request_error()) } else { Ok(draft) }
}

/// Returns the room's id as it came.
fn room_id(json: &str) -> Option<&RawValue> {
    serde_json::from_str(json).ok()
}

/// A deleted message, for front ends that keep a copy of direct messages.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DeletedDirectMessage")]
pub struct DeletedMessageView {
    #[serde(rename = "_id")]
    id: MessageId,
    deleted_at: Timestamp,
}

impl DeletedMessageView {
    /// Makes a view of a message deleted at this time.
    pub fn new(id: MessageId, deleted_at: Timestamp) -> Self {
        Self { id, deleted_at }
    }
}

/// A direct message in `listing`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DirectMessage")]
pub struct DirectMessageView<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    sender_id: Summary<'a>,
    receiver_id: Summary<'a>,
    message: Cow<'a, str>,
    listing_id: Option<OfferView<'a>>,
    message_type: &'a str,
    is_read: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a File>,
    /// Set if an answer of the model was cut off by length or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true))]
    truncated: Option<bool>,
}

impl<'a> DirectMessageView<'a> {
    /// Makes a view of the message for `receiver`.
    pub fn new(message: &'a Message, receiver: &'a Profile) -> Self {
        Self {
            id: message.id,
            sender_id: Summary::of(&message.sender),
            receiver_id: Summary::of(receiver),
            message: text_of(message),
            listing_id: message.listing.as_ref().map(|Offer { id, title }| OfferView { id, title: title.as_deref() }),
            message_type: &message.message_type,
            is_read: !message.read_by.is_empty(),
            created_at: message.created_at,
            updated_at: message.updated_at,
            file: one_file(message).0,
            truncated: message.is_truncated.then_some(true),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Listing")]
struct OfferView<'a> {
    #[serde(rename = "_id")]
    id: &'a ListingId,
    title: Option<&'a str>,
}

/// A message of a public room or the common chat in `listing`; `R` is the type of the room's id.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RoomMessage", transform = require_room)]
pub struct RoomMessageView<'a, R> {
    #[serde(rename = "_id")]
    id: MessageId,
    user: Summary<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "R")]
    room_id: Option<R>,
    message: Cow<'a, str>,
    timestamp: Timestamp,
    message_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a File>,
}

impl<'a, R> RoomMessageView<'a, R> {
    /// Makes a view of the message, in the room that its reader calls `room_id`.
    pub fn new(message: &'a Message, room_id: R) -> Self {
        Self { room_id: Some(room_id), ..Self::without_room(message) }
    }

    fn without_room(message: &'a Message) -> Self {
        Self {
            id: message.id,
            user: Summary::of(&message.sender),
            room_id: None,
            message: text_of(message),
            timestamp: message.created_at,
            message_type: &message.message_type,
            file: one_file(message).0,
        }
    }
}

impl<'a> RoomMessageView<'a, &'a str> {
    /// Makes a view of the message, in the common chat.
    pub fn of_common_chat(message: &'a Message) -> Self {
        Self::without_room(message)
    }
}

/// Only messages of the common chat have no room, and those are [`CommonChatMessage`].
fn require_room(schema: &mut Schema) {
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.push("roomId".into());
    }
}

/// Schema of a [`RoomMessageView`] in the common chat.
#[derive(Debug)]
pub struct CommonChatMessage;

impl JsonSchema for CommonChatMessage {
    fn schema_name() -> Cow<'static, str> {
        "CommonChatMessage".into()
    }

    fn json_schema(generator: &mut Generator) -> Schema {
        let mut schema = RoomMessageView::<GivenId>::json_schema(generator);
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.remove("roomId");
        }
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.retain(|name| name != "roomId");
        }
        schema.insert("description".to_owned(), "A message of the common chat as `listing` shows it.".into());
        schema
    }
}

/// Returns the text; for a file without one, its name and address.
fn text_of(message: &Message) -> Cow<'_, str> {
    let (file, further) = one_file(message);
    let text = match file {
        Some(file) if message.content.is_empty() => Cow::Owned(format!("{} {}", file.filename, file.shown_url())),
        _ => Cow::Borrowed(message.content.as_str()),
    };
    with_urls(text, further)
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "User")]
struct Summary<'a> {
    #[serde(rename = "_id")]
    id: &'a UserId,
    full_name: &'a str,
    username: &'a str,
    profile_picture: Option<&'a str>,
}

impl<'a> Summary<'a> {
    fn of(user: &'a Profile) -> Self {
        let Profile { id, username, full_name, avatar, email: _, role: _ } = user;
        Self { id, full_name: full_name.as_deref().unwrap_or(username), username, profile_picture: avatar.as_deref() }
    }
}

/// A success with its data.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Success<F> {
    #[schemars(extend("const" = true))]
    success: bool,
    #[serde(flatten)]
    fields: F,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct ReplyFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a RawValue>,
}

impl<F> Success<F> {
    fn with(fields: F) -> Self {
        Self { success: true, fields }
    }
}

impl<'a> Success<ReplyFields<'a>> {
    /// Answers any request but a send.
    fn of(asked: &'a Asked, reply: &'a Reply) -> Self {
        let user_id = match reply {
            Reply::Account(account) => Some(&account.profile.id),
            _ => None,
        };
        Self::with(ReplyFields { user_id, room_id: room_id(&asked.echo) })
    }
}

#[derive(Serialize, JsonSchema)]
struct Deleted {
    #[serde(rename = "_id")]
    id: MessageId,
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
