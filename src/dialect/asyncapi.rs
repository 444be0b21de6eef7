//! AsyncAPI 3 of all dialects (source: asyncapi.com, specification 3.0.0).
use serde_json::{Map, Value, json};

use super::common::COMMON;
use super::events::{ClientEvent, Offset, ServerEvent};
use super::table::{Dialect, DialectSet};
use super::vocabulary::Vocabulary;
use crate::schema::{Definitions, Shape, pascal_case};

/// Returns the document: one channel for each dialect with a description, and all of its events.
pub fn asyncapi() -> Value {
    let mut parts = Parts::default();
    described().for_each(|dialect| parts.add(&*dialect));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Parlance",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The events of Socket.IO clients in the default namespace: a channel for each dialect. A payload is \
                the event's first argument. Where x-offset is always, a recovery offset follows as the last argument; where it is unasked, \
                it follows unless the event answers a request of this socket. Every request may ask for an ack, which is its reply here; \
                a refusal comes by the ack, and without one as the event error (assistant: ai-error, agent: the failed envelope).",
        },
        "defaultContentType": "application/json",
        "servers": {
            "socket": {
                "host": "{host}",
                "pathname": "/socket.io/",
                "protocol": "socket.io",
                "description": "Socket.IO v5 over Engine.IO v4: WebSocket and HTTP long-polling. The path is the setting SOCKET_PATH.",
                "variables": { "host": { "default": "localhost:3000" } },
            },
        },
        "channels": parts.channels,
        "operations": parts.operations,
        "components": { "schemas": parts.schemas },
    })
}

/// Returns the dialects that describe the events they send.
pub(super) fn described() -> impl Iterator<Item = Dialect> {
    DialectSet::all().iter().filter(|dialect| !dialect.server_events().is_empty())
}

#[derive(Default)]
struct Parts {
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    schemas: Map<String, Value>,
}

impl Parts {
    fn add(&mut self, dialect: &dyn Vocabulary) {
        let channel = dialect.name();
        let mut definitions = Definitions::new(&format!("{}.", pascal_case(channel)));
        let mut messages = Map::new();
        for server_event in COMMON.iter().chain(dialect.server_events()) {
            let key = server_event_key(server_event.name);
            self.operations.insert(format!("{channel}.{key}"), operation("send", channel, server_event.summary, &key));
            messages.insert(key, server_event_message(server_event, &mut definitions));
        }
        for entry in dialect.events() {
            let (key, ack) = (asked_key(entry.name), format!("ack.{}", plain(entry.name)));
            let mut operation = operation("receive", channel, entry.doc.summary, &key);
            let replies: Vec<_> = std::iter::once(ack.clone()).chain(entry.doc.reply.map(server_event_key)).collect();
            let replies: Vec<_> = replies.iter().map(|key| message_ref(channel, key)).collect();
            if let Some(fields) = operation.as_object_mut() {
                fields.insert("reply".to_owned(), json!({ "channel": channel_ref(channel), "messages": replies }));
            }
            self.operations.insert(format!("{channel}.{key}"), operation);
            messages.insert(key, asked_message(entry, &mut definitions));
            let answer = definitions.schema(entry.doc.ack);
            messages.insert(ack, json!({ "name": entry.name, "title": format!("Ack of {}", entry.name), "payload": answer }));
        }
        let description = format!("The dialect {channel}; a client pins it by auth.dialect, or is understood by what it says.");
        self.channels.insert(channel.to_owned(), json!({ "address": "/", "description": description, "messages": messages }));
        self.schemas.extend(definitions.take());
    }
}

fn server_event_message(server_event: &ServerEvent, definitions: &mut Definitions) -> Value {
    let offset = match server_event.offset {
        Offset::Always => "always",
        Offset::Unasked => "unasked",
        Offset::Never => "never",
    };
    let mut message = json!({ "name": server_event.name, "summary": server_event.summary, "x-offset": offset });
    if let (Some(fields), Some(payload)) = (message.as_object_mut(), server_event.payload) {
        fields.insert("payload".to_owned(), definitions.schema(payload));
    }
    message
}

fn asked_message(entry: &ClientEvent, definitions: &mut Definitions) -> Value {
    let mut message = json!({ "name": entry.name, "summary": entry.doc.summary });
    if let (Some(fields), false) = (message.as_object_mut(), matches!(entry.doc.takes, Shape::Nothing)) {
        fields.insert("payload".to_owned(), definitions.request(&entry.doc.takes));
    }
    message
}

/// Returns an operation; `action` is from the server's point of view.
fn operation(action: &str, channel: &str, summary: &str, message: &str) -> Value {
    json!({
        "action": action,
        "channel": channel_ref(channel),
        "summary": summary,
        "messages": [message_ref(channel, message)],
    })
}

fn channel_ref(channel: &str) -> Value {
    json!({ "$ref": format!("#/channels/{channel}") })
}

fn message_ref(channel: &str, message: &str) -> Value {
    json!({ "$ref": format!("#/channels/{channel}/messages/{message}") })
}

/// Returns the key of a server event, distinct from that of a client event of the same name.
fn server_event_key(event: &str) -> String {
    format!("told.{}", plain(event))
}

fn asked_key(event: &str) -> String {
    format!("asked.{}", plain(event))
}

/// Returns the name without characters that keys may not have.
fn plain(event: &str) -> String {
    event.replace(|character: char| !character.is_ascii_alphanumeric() && !"._-".contains(character), "-")
}
