//! Values for tests.
use std::sync::Arc;

use super::request_error::RequestError;
use crate::model::{
    Account, ChosenStatus, ConversationId, File, Message, MessageId, MessageStatus, Place, Profile, Role, Timestamp, UserId,
    UserRole,
};
use crate::socketio::{Args, Client, Incoming};

/// A conversation's id.
pub const CONVERSATION: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// A message's id.
pub const MESSAGE: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

/// Returns a user's id.
pub fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

/// Returns the profile of a user with a picture and an e-mail address.
pub fn profile(id: &str) -> Arc<Profile> {
    Arc::new(Profile {
        id: user(id),
        username: id.to_uppercase(),
        full_name: None,
        avatar: Some(format!("/{id}.png")),
        email: Some(format!("{id}@example.org")),
        role: UserRole::User,
    })
}

/// Returns an account that may log in.
pub fn account(id: &str) -> Arc<Account> {
    Arc::new(Account {
        profile: profile(id),
        status: ChosenStatus::Online,
        last_seen: None,
        disabled: false,
        is_deleted: false,
        tokens_valid_from: None,
        kept_login: None,
        described_at: None,
        created_at: Timestamp::default(),
    })
}

/// Returns the id [`CONVERSATION`].
pub fn conversation() -> ConversationId {
    ConversationId::parse(CONVERSATION).unwrap()
}

/// Returns the id [`MESSAGE`].
pub fn message_id() -> MessageId {
    MessageId::parse(MESSAGE).unwrap()
}

/// Returns a picture that was uploaded under this name.
pub fn file(name: &str) -> File {
    File {
        url: format!("/uploads/{name}.png"),
        filename: format!("{name}.png"),
        size: 7,
        mimetype: "image/png".to_owned(),
        message_type: "image".to_owned(),
    }
}

/// Returns a message of `sender` in [`CONVERSATION`].
pub fn message(sender: &str, content: &str) -> Message {
    Message {
        id: message_id(),
        place: Place::Conversation(conversation()),
        seq: 1,
        position: 1,
        sender: profile(sender),
        role: Role::User,
        content: content.to_owned(),
        message_type: "text".to_owned(),
        file: None,
        attachments: Vec::new(),
        listing: None,
        client_message_id: None,
        chat: None,
        is_truncated: false,
        status: MessageStatus::Sent,
        read_by: Vec::new(),
        created_at: Timestamp::from_millis(1_767_225_600_123),
        updated_at: Timestamp::from_millis(1_767_225_600_124),
        deleted_at: None,
    }
}

/// Returns the refusal of a request because of one field, missing or invalid.
pub fn request_error_of(field: &'static str, json: &str) -> RequestError {
    let payload = args(json).and_then(|args| Some(args.get(0)?.get().to_owned())).unwrap_or_else(|| "{}".to_owned());
    let fields: Result<Option<serde_json::Map<String, serde_json::Value>>, _> = serde_json::from_str(&payload);
    let is_missing = fields.is_ok_and(|fields| fields.unwrap_or_default().get(field).is_none_or(serde_json::Value::is_null));
    if is_missing && field != "payload" { RequestError::Missing(field) } else { RequestError::Field(field.into()) }
}

/// Returns the arguments of an event, given as comma-separated JSON. `None` if it is not JSON.
pub fn args(json: &str) -> Option<Args> {
    let mut client = Client::new();
    client.on_text("0").unwrap();
    client.join("/");
    let comma = if json.is_empty() { "" } else { "," };
    match client.on_text(&format!("2[\"x\"{comma}{json}]")).ok()?? {
        Incoming::Event(event) => Some(event.args),
        _ => None,
    }
}
