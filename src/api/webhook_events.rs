//! Bodies of the requests to webhooks.
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use super::shapes::{MessageView, NumberedRoomMessage};
use crate::config::WebhookEvent;
use crate::model::{Conversation, ConversationId, ConversationKind, Message, MessageId, Place, Profile, Timestamp, UserId};
use crate::schema::{Call, SchemaOf};
use crate::store::StoredEvent;

/// Descriptions of the requests, for OpenAPI.
pub const WEBHOOKS: &[Call] = &[
    told(WebhookEvent::MessageCreated, "A message was stored.", SchemaGenerator::subschema_for::<MessageData<'_>>),
    told(WebhookEvent::MessageEdited, "A message was edited.", SchemaGenerator::subschema_for::<MessageData<'_>>),
    told(
        WebhookEvent::MessageDeleted,
        "A message was deleted; its content is empty.",
        SchemaGenerator::subschema_for::<MessageData<'_>>,
    ),
    told(
        WebhookEvent::MessageRead,
        "A member read a message, for the first time.",
        SchemaGenerator::subschema_for::<ReadData<'_>>,
    ),
    told(
        WebhookEvent::MessageUnreached,
        "A message is not proven to have arrived at any device of these recipients within WEBHOOK_UNREACHED_AFTER, nor have they \
         read it.",
        SchemaGenerator::subschema_for::<UnreachedData<'_>>,
    ),
    told(
        WebhookEvent::ConversationChanged,
        "A conversation was made, changed or deleted, or users joined or left it.",
        SchemaGenerator::subschema_for::<ConversationData<'_>>,
    ),
    told(WebhookEvent::UserConnected, "A user came online.", SchemaGenerator::subschema_for::<UserData<'_>>),
    told(WebhookEvent::UserDisconnected, "A user went offline.", SchemaGenerator::subschema_for::<UserData<'_>>),
];

/// Describes a request whose answer counts by its status alone.
const fn told(event: WebhookEvent, summary: &'static str, data: SchemaOf) -> Call {
    Call { setting: "webhook", name: event.as_str(), summary, data, answer: None }
}

/// A request's body.
#[derive(Debug, Serialize)]
struct Told<D> {
    /// The event.
    r#type: &'static str,
    /// The event's id: the same in every repetition, and in the header `webhook-id`.
    id: String,
    /// Time of the change.
    timestamp: Timestamp,
    /// All that the event tells of, as it is when the request is sent.
    data: D,
}

/// A message.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MessageEvent")]
struct MessageData<'a> {
    #[schemars(with = "MessageId")]
    message_id: &'a str,
    /// The message; `null` if it exists no more.
    message: Option<Shown<'a>>,
    /// Its conversation; `null` for public rooms, or if it exists no more.
    conversation: Option<ConversationBrief<'a>>,
}

/// A message of a conversation, or of a public room.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Shown<'a> {
    OfConversation(Box<MessageView<'a>>),
    OfRoom(Box<NumberedRoomMessage<'a>>),
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReadEvent")]
struct ReadData<'a> {
    #[serde(flatten)]
    message: MessageData<'a>,
    /// The reader; `null` if the account was deleted.
    reader: Option<UserBrief<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UnreachedEvent")]
struct UnreachedData<'a> {
    #[serde(flatten)]
    message: MessageData<'a>,
    /// Recipients whom it has not reached, up to a thousand.
    recipients: Vec<UserBrief<'a>>,
    /// Number of further ones.
    more: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConversationEvent")]
struct ConversationData<'a> {
    #[schemars(with = "ConversationId")]
    conversation_id: &'a str,
    #[schemars(extend("enum" = ["created", "updated", "joined", "left", "deleted"]))]
    change: &'a str,
    /// First members, or who joined or left.
    #[schemars(with = "Vec<UserId>")]
    users: &'a [String],
    /// The conversation; `null` if it exists no more.
    conversation: Option<ConversationBrief<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserEvent")]
struct UserData<'a> {
    #[schemars(with = "UserId")]
    user_id: &'a str,
    /// The user; `null` if the account was deleted.
    user: Option<UserBrief<'a>>,
}

/// A conversation and its members.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConversationBrief")]
struct ConversationBrief<'a> {
    id: ConversationId,
    #[schemars(with = "ConversationKind")]
    r#type: &'static str,
    name: Option<&'a str>,
    participants: &'a [UserId],
}

impl<'a> ConversationBrief<'a> {
    fn of(conversation: &'a Conversation) -> Self {
        let Conversation { id, kind, name, participants, .. } = conversation;
        Self { id: *id, r#type: kind.as_str(), name: name.as_deref(), participants }
    }
}

/// A user, with what is needed to write to them elsewhere.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserBrief")]
struct UserBrief<'a> {
    id: &'a UserId,
    username: &'a str,
    full_name: Option<&'a str>,
    email: Option<&'a str>,
}

impl<'a> UserBrief<'a> {
    fn of(profile: &'a Profile) -> Self {
        let Profile { id, username, full_name, avatar: _, email, role: _ } = profile;
        Self { id, username, full_name: full_name.as_deref(), email: email.as_deref() }
    }
}

/// Returns the body of the request that tells of an event.
pub fn webhook_body(event: &StoredEvent) -> String {
    match event.event {
        WebhookEvent::MessageCreated | WebhookEvent::MessageEdited | WebhookEvent::MessageDeleted => {
            body(event, message_data(event))
        }
        WebhookEvent::MessageRead => {
            let reader = event.users.first().map(|user| UserBrief::of(user));
            body(event, ReadData { message: message_data(event), reader })
        }
        WebhookEvent::MessageUnreached => {
            let recipients = event.users.iter().map(|user| UserBrief::of(user)).collect();
            body(event, UnreachedData { message: message_data(event), recipients, more: event.detail.more })
        }
        WebhookEvent::ConversationChanged => {
            let data = ConversationData {
                conversation_id: &event.subject,
                change: event.detail.change.as_deref().unwrap_or_default(),
                users: &event.detail.users,
                conversation: event.conversation.as_deref().map(ConversationBrief::of),
            };
            body(event, data)
        }
        WebhookEvent::UserConnected | WebhookEvent::UserDisconnected => {
            let user = event.users.first().map(|user| UserBrief::of(user));
            body(event, UserData { user_id: &event.subject, user })
        }
    }
}

fn body(event: &StoredEvent, data: impl Serialize) -> String {
    let told = Told { r#type: event.event.as_str(), id: event.id().to_string(), timestamp: event.at, data };
    // Texts, numbers and lists always have a JSON form.
    serde_json::to_string(&told).unwrap_or_default()
}

fn message_data(event: &StoredEvent) -> MessageData<'_> {
    MessageData {
        message_id: &event.subject,
        message: event.message.as_deref().map(shown),
        conversation: event.conversation.as_deref().map(ConversationBrief::of),
    }
}

fn shown(message: &Message) -> Shown<'_> {
    match message.place {
        Place::Conversation(_) => Shown::OfConversation(Box::new(MessageView::new(message))),
        Place::Room(_) | Place::CommonChat => Shown::OfRoom(Box::new(NumberedRoomMessage::new(message))),
    }
}
