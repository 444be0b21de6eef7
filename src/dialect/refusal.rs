//! Refusals on the wire.
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::packets::{packet, to_json};
use super::request_error::{RequestError, Wording};
use crate::chat::ChatError;
use crate::logging::ErrorId;

/// Longest name of an unknown event that an answer repeats, in characters.
const MAX_ECHOED_NAME: usize = 200;

/// All codes of refusals in events and acks (`docs/errors.md`).
const CODES: [&str; 22] = [
    "ACCOUNT_DISABLED",
    "CONFLICT",
    "DRAINING",
    "FORBIDDEN",
    "FORWARD_FAILED",
    "HOOK_FAILED",
    "HOOK_REFUSED",
    "INTERNAL",
    "INVALID_PAYLOAD",
    "INVALID_TOKEN",
    "KICKED",
    "MODEL_BUSY",
    "MODEL_FAILED",
    "MODEL_TIMEOUT",
    "NOT_FOUND",
    "NOT_STORED",
    "RATE_LIMITED",
    "STORAGE_UNAVAILABLE",
    "TOKEN_EXPIRED",
    "TOO_LARGE",
    "UNKNOWN_EVENT",
    "USER_NOT_FOUND",
];

/// Schema of a code.
pub(super) struct Code;

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "enum": CODES },
            { "type": "string", "description": "A code of the operator's hook", "pattern": "^[A-Za-z0-9_.-]{1,64}$" },
        ] })
    }
}

/// A refusal of a request without an ack, or a failure that concerns no request.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ErrorEvent")]
pub(super) struct ErrorBody<'a> {
    message: &'a str,
    error: &'a str,
    #[schemars(with = "Code")]
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<ErrorId>,
}

/// An ack that refuses a request.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Refusal")]
pub(super) struct RefusedAck<'a> {
    #[schemars(extend("const" = false))]
    success: bool,
    error: &'a str,
    #[schemars(with = "Code")]
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<ErrorId>,
}

/// Encodes the event `error`.
pub(super) fn error_packet(
    wording: &Wording,
    event: Option<&str>,
    request_error: &RequestError,
    error_id: Option<ErrorId>,
) -> String {
    let Wording { code, error, message } = wording;
    packet("error", &ErrorBody { message, error, code, event, retry_after_ms: request_error.retry_after_ms(), error_id })
}

/// Encodes the event `error` for a failure that concerns no request: a message is stored, but a consequence of it
/// failed.
pub(super) fn failure_packet(error: &ChatError, error_id: Option<ErrorId>) -> String {
    let request_error = RequestError::Chat(error.clone());
    error_packet(&(&request_error).into(), None, &request_error, error_id)
}

pub(super) fn error_ack_of(wording: &Wording, request_error: &RequestError, error_id: Option<ErrorId>) -> String {
    let Wording { code, error, message: _ } = wording;
    to_json(&RefusedAck { success: false, error, code, retry_after_ms: request_error.retry_after_ms(), error_id })
}

/// Returns the ack that refuses a request of no dialect.
pub fn error_ack(request_error: &RequestError, error_id: Option<ErrorId>) -> String {
    error_ack_of(&request_error.into(), request_error, error_id)
}

/// Encodes the event `error` for an event that no dialect of the connection has: the same in every dialect.
pub fn unknown_event_packet(name: &str, request_error: &RequestError, error_id: Option<ErrorId>) -> String {
    let name: String = name.chars().take(MAX_ECHOED_NAME).collect();
    error_packet(&request_error.into(), Some(&name), request_error, error_id)
}

/// Explains to people why a client is kicked.
pub fn kick_sentence(code: &'static str) -> &'static str {
    match code {
        "TOKEN_EXPIRED" => "Your session has expired",
        "INVALID_TOKEN" => "You were logged out",
        "USER_NOT_FOUND" => "User not found",
        "ACCOUNT_DISABLED" => "Account disabled",
        "RATE_LIMITED" => "Too many requests",
        _ => "You were disconnected by an administrator",
    }
}

/// Encodes the event `error` that precedes a DISCONNECT: the same in every dialect.
pub fn kick_packet(code: &'static str, error_id: Option<ErrorId>) -> String {
    let sentence = kick_sentence(code);
    packet("error", &ErrorBody { message: sentence, error: sentence, code, event: None, retry_after_ms: None, error_id })
}
