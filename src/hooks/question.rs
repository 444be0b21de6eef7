//! Questions, as the hook is asked them.
use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answer::TextRules;
use crate::chat::{AskUpload, ClientDialects, HookMessage, HookPlace, HookQuestion, HookSubject};
use crate::config::HookEvent;
use crate::dialect::{DialectSet, DialectState};
use crate::model::{File, Message, Profile, SocketId, Timestamp, UserId};
use crate::schema::{Call, SchemaOf};
use crate::session::AskConnect;

/// A question in its envelope: `type` is the event, `id` is the header `webhook-id`, too.
#[derive(Serialize)]
pub(super) struct Envelope<'a> {
    pub(super) r#type: &'static str,
    pub(super) id: &'a str,
    pub(super) timestamp: Timestamp,
    pub(super) data: &'a RawValue,
}

/// User who asks for something.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HookUser")]
pub(super) struct User<'a> {
    id: &'a UserId,
    username: &'a str,
    /// `user` or `admin`.
    role: &'a str,
}

/// Conversation or room.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HookConversation")]
struct Conversation<'a> {
    /// Absent for the common chat, and for a conversation that this message makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// `direct`, `group`, `ai`, `room` or `common_chat`.
    r#type: &'static str,
    /// Members of a conversation, at most 100 of them.
    participants: &'a [UserId],
    /// Number of all members.
    participant_count: usize,
}

/// Message that is to be sent, edited or deleted.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HookMessage")]
struct MessageView<'a> {
    /// Id that it has, or will have.
    id: String,
    /// Its text; of an edit the new one.
    content: &'a str,
    /// `text`, `image`, …
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a File>,
    #[serde(skip_serializing_if = "<[File]>::is_empty")]
    attachments: &'a [File],
    /// The sender's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    /// Text so far, in an edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a str>,
}

/// A message is to be sent, edited or deleted.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OfMessage<'a> {
    user: User<'a>,
    /// The socket; null over HTTP.
    socket_id: Option<SocketId>,
    /// The dialect that the socket speaks, as far as it is known; null over HTTP.
    dialect: Option<&'static str>,
    conversation: Conversation<'a>,
    message: MessageView<'a>,
}

/// A public room or the common chat is to be entered.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OfJoin<'a> {
    user: User<'a>,
    /// The socket.
    socket_id: Option<SocketId>,
    /// The dialect that the socket speaks, as far as it is known.
    dialect: Option<&'static str>,
    conversation: Conversation<'a>,
}

/// A client is to come in.
#[derive(Serialize, JsonSchema)]
struct OfConnect<'a> {
    /// The user whom a valid token proves; null without one.
    user: Option<&'a UserId>,
    /// The client's `auth`, as it came; null without one.
    #[schemars(with = "Value")]
    auth: Option<&'a RawValue>,
    /// Headers of the connection that HOOK_HEADERS names, in lower case.
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    headers: Map<String, Value>,
    /// The client's address.
    #[schemars(with = "Option<String>")]
    address: Option<IpAddr>,
}

/// A file was uploaded, and is to be kept.
#[derive(Serialize, JsonSchema)]
struct OfUpload<'a> {
    user: User<'a>,
    file: &'a File,
}

impl<'a> User<'a> {
    pub(super) fn of(profile: &'a Profile) -> Self {
        Self { id: &profile.id, username: &profile.username, role: profile.role.as_str() }
    }
}

impl<'a> Conversation<'a> {
    fn of(place: &'a HookPlace) -> Self {
        let HookPlace { id, kind, participants, participant_count } = place;
        Self { id: id.as_deref(), r#type: kind, participants, participant_count: *participant_count }
    }
}

impl<'a> MessageView<'a> {
    fn of_new(message: &'a HookMessage) -> Self {
        let HookMessage { id, content, message_type, file, attachments, client_message_id } = message;
        Self {
            id: id.to_string(),
            content,
            r#type: message_type,
            file: file.as_ref(),
            attachments,
            client_message_id: client_message_id.as_deref(),
            before: None,
        }
    }

    fn of_stored(message: &'a Message, content: Option<&'a str>) -> Self {
        Self {
            id: message.id.to_string(),
            content: content.unwrap_or(&message.content),
            r#type: &message.message_type,
            file: message.file.as_ref(),
            attachments: &message.attachments,
            client_message_id: message.client_message_id.as_deref(),
            before: content.map(|_| &*message.content),
        }
    }
}

/// The data of a question, and the rules for the text in its answer.
pub(super) struct Asked {
    /// JSON.
    pub data: Box<RawValue>,
    /// Rules for the text in its answer.
    pub rules: TextRules,
}

impl Asked {
    fn of(data: &impl Serialize, rules: TextRules) -> Self {
        // Texts and numbers can always be written.
        let data = serde_json::value::to_raw_value(data).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { data, rules }
    }

    /// A request that the broker asks about.
    pub(super) fn of_request(question: &HookQuestion, enabled: DialectSet, max_length: usize) -> Self {
        let HookQuestion { user, socket, subject } = question;
        let (user, socket_id) = (User::of(user), socket.map(|(socket, _)| socket));
        let dialect = socket.and_then(|(_, dialects)| spoken(enabled, dialects));
        let (place, message, rules) = match subject {
            HookSubject::Send { place, message } => {
                let may_be_empty = message.file.is_some() || !message.attachments.is_empty();
                let rules = TextRules { message: Some(message.id.to_string()), may_be_empty, max_length };
                (place, MessageView::of_new(message), rules)
            }
            HookSubject::Edit { place, message, content } => {
                let may_be_empty = message.file.is_some() || !message.attachments.is_empty();
                let rules = TextRules { message: Some(message.id.to_string()), may_be_empty, max_length };
                (place, MessageView::of_stored(message, Some(content)), rules)
            }
            HookSubject::Delete { place, message } => (place, MessageView::of_stored(message, None), TextRules::default()),
            HookSubject::Join { place } => {
                let data = OfJoin { user, socket_id, dialect, conversation: Conversation::of(place) };
                return Self::of(&data, TextRules::default());
            }
        };
        Self::of(&OfMessage { user, socket_id, dialect, conversation: Conversation::of(place), message }, rules)
    }

    /// A client that wants to come in.
    pub(super) fn of_connect(question: &AskConnect) -> Self {
        let AskConnect { connection: _, ticket: _, user, auth, headers, address } = question;
        let headers = headers.iter().map(|(name, value)| (name.to_string(), Value::from(&**value))).collect();
        let data = OfConnect { user: user.as_ref(), auth: auth.as_deref(), headers, address: *address };
        Self::of(&data, TextRules::default())
    }

    /// A file that was uploaded.
    pub(super) fn of_upload(question: &AskUpload) -> Self {
        Self::of(&OfUpload { user: User::of(&question.user), file: &question.file }, TextRules::default())
    }

    /// Returns the body of the request.
    pub(super) fn body(&self, event: HookEvent, id: &str, timestamp: Timestamp) -> String {
        let envelope = Envelope { r#type: event.as_str(), id, timestamp, data: &self.data };
        serde_json::to_string(&envelope).unwrap_or_default()
    }
}

/// Returns the first dialect that a client speaks, if that is known.
fn spoken(enabled: DialectSet, dialects: ClientDialects) -> Option<&'static str> {
    let speaks = DialectState::of_client_dialects(enabled, dialects).speaks();
    speaks.iter().next().map(|dialect| dialect.name())
}

/// Descriptions of the questions, for OpenAPI.
pub(crate) const QUESTIONS: [Call; 6] = [
    question("connect", "A client is to come in.", of::<OfConnect<'_>>, naming),
    question("send", "A message is to be sent.", of::<OfMessage<'_>>, changing),
    question("edit", "A message is to have another text.", of::<OfMessage<'_>>, changing),
    question("delete", "A message is to be deleted.", of::<OfMessage<'_>>, allowing),
    question("join", "A public room or the common chat is to be entered.", of::<OfJoin<'_>>, allowing),
    question("upload", "A file was uploaded, and is to be kept.", of::<OfUpload<'_>>, allowing),
];

const fn question(name: &'static str, summary: &'static str, data: SchemaOf, answer: SchemaOf) -> Call {
    Call { setting: "hook", name, summary, data, answer: Some(answer) }
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn allowing(_: &mut SchemaGenerator) -> Schema {
    answer(&Map::new())
}

fn changing(_: &mut SchemaGenerator) -> Schema {
    let text = json!({ "type": "object", "properties": { "content": { "type": "string" } }, "required": ["content"] });
    answer(&Map::from_iter([("message".to_owned(), text)]))
}

fn naming(_: &mut SchemaGenerator) -> Schema {
    let text = json!({ "type": "string" });
    let user = json!({
        "type": "object",
        "properties": {
            "id": text, "username": text, "fullName": text, "email": text, "role": { "enum": ["user", "admin"] },
            "expiresAt": { "type": "string", "format": "date-time" },
        },
        "required": ["id"],
    });
    answer(&Map::from_iter([("user".to_owned(), user)]))
}

/// Returns the schema of an answer: a refusal, or one of these fields; empty, it allows.
fn answer(fields: &Map<String, Value>) -> Schema {
    let code = json!({ "type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$" });
    let refusal = json!({ "type": "object", "properties": { "code": code, "message": { "type": "string", "maxLength": 500 } } });
    let mut properties = fields.clone();
    properties.insert("refuse".to_owned(), refusal);
    json_schema!({ "type": "object", "properties": properties, "maxProperties": 1 })
}
