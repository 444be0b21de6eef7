//! Values that several dialects encode alike.
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::{File, LastMessage, Message, Notification, Timestamp, UserId};

/// Returns the file to show in a dialect with room for one, and the remaining ones.
pub(super) fn one_file(message: &Message) -> (Option<&File>, &[File]) {
    match (&message.file, message.attachments.as_slice()) {
        (None, [first, further @ ..]) => (Some(first), further),
        (file, further) => (file.as_ref(), further),
    }
}

/// Appends the addresses of remaining files to the content, one per line.
pub(super) fn with_urls<'a>(content: Cow<'a, str>, files: &[File]) -> Cow<'a, str> {
    if files.is_empty() {
        return content;
    }
    let lines = Some(&*content).filter(|content| !content.is_empty()).into_iter();
    Cow::Owned(lines.map(Cow::Borrowed).chain(files.iter().map(File::shown_url)).collect::<Vec<_>>().join("\n"))
}

/// The message types that all front ends know.
const KNOWN_TYPES: [&str; 5] = ["text", "image", "video", "audio", "file"];

/// Returns a message type for front ends that know only these five; any other becomes `text`.
pub fn known_type(message_type: &str) -> &str {
    if KNOWN_TYPES.contains(&message_type) { message_type } else { "text" }
}

/// Schema of the result of [`known_type`].
#[derive(Debug)]
pub struct KnownType;

impl JsonSchema for KnownType {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "KnownType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": KNOWN_TYPES })
    }
}

/// Returns the data of a notification as it was given.
pub(super) fn data_of(notification: &Notification) -> Option<&RawValue> {
    notification.data.as_deref().and_then(|json| serde_json::from_str(json).ok())
}

/// The last message of a conversation in lists of conversations.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "LastMessage")]
pub(super) struct LastMessageView<'a> {
    content: &'a str,
    sender: &'a UserId,
    timestamp: Timestamp,
    message_type: &'a str,
}

impl<'a> LastMessageView<'a> {
    /// Makes a view of the present state.
    pub(super) fn of(last: &'a LastMessage) -> Self {
        let LastMessage { content, sender, timestamp, message_type } = last;
        Self { content, sender, timestamp: *timestamp, message_type }
    }
}
