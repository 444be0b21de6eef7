//! How refusals look on the wire.
use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::DialectSet;
use super::vocabulary::{Offset, Told, packet, to_json};
use crate::auth::Refusal;
use crate::chat::{ChatError, RefusedConnect};
use crate::logging::ErrorId;

/// Longest name of an unknown event that an answer repeats, in characters.
const MAX_ECHOED_NAME: usize = 200;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This field, or the payload, is not as it must be.
    Field(Cow<'static, str>),
    /// This field has to be there.
    Missing(&'static str),
    /// No dialect that is spoken here has such an event.
    UnknownEvent,
    /// The broker said no, or would.
    Chat(ChatError),
}

impl From<ChatError> for Fault {
    fn from(error: ChatError) -> Self {
        Self::Chat(error)
    }
}

impl Fault {
    /// Stable name for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Field(_) | Self::Missing(_) => "INVALID_PAYLOAD",
            Self::UnknownEvent => "UNKNOWN_EVENT",
            Self::Chat(error) => error.code(),
        }
    }

    /// A sentence for people.
    pub fn sentence(&self) -> Cow<'static, str> {
        match self {
            Self::Field(field) => format!("Invalid {field}").into(),
            Self::Missing(field) => format!("Missing {field}").into(),
            Self::UnknownEvent => "Unknown event".into(),
            Self::Chat(error) => error.to_string().into(),
        }
    }

    pub(super) fn retry_after_ms(&self) -> Option<u64> {
        let Self::Chat(error) = self else { return None };
        error.retry_after().map(whole_millis)
    }
}

/// Rounded up: who comes back after it is not too early.
fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// How a refusal reads in a dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// Stable name for clients.
    pub code: &'static str,
    /// What happened, for people.
    pub error: Cow<'static, str>,
    /// The same at its most general; in most dialects it is `error`.
    pub message: Cow<'static, str>,
}

impl Wording {
    /// One sentence for both fields.
    pub fn new(code: &'static str, sentence: impl Into<Cow<'static, str>>) -> Self {
        let sentence = sentence.into();
        Self { code, error: sentence.clone(), message: sentence }
    }
}

impl From<&Fault> for Wording {
    fn from(fault: &Fault) -> Self {
        Self::new(fault.code(), fault.sentence())
    }
}

/// All codes of refusals that are told by events and acks (`docs/errors.md`).
const CODES: [&str; 19] = [
    "ACCOUNT_DISABLED",
    "CONFLICT",
    "DRAINING",
    "FORBIDDEN",
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

/// The schema of a code.
pub(super) struct Code;

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": CODES })
    }
}

/// A refusal of what asked for no ack, and what no request is refused by.
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

/// The ack that refuses a request.
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

/// The event `error`.
pub(super) fn error_packet(wording: &Wording, event: Option<&str>, fault: &Fault, error_id: Option<ErrorId>) -> String {
    let Wording { code, error, message } = wording;
    packet("error", &ErrorBody { message, error, code, event, retry_after_ms: fault.retry_after_ms(), error_id })
}

/// The event `error` for what no request is refused by: a message is stored, and what was to follow from it failed.
pub(super) fn failure_packet(error: &ChatError, error_id: Option<ErrorId>) -> String {
    let fault = Fault::Chat(error.clone());
    error_packet(&(&fault).into(), None, &fault, error_id)
}

pub(super) fn fault_ack_of(wording: &Wording, fault: &Fault, error_id: Option<ErrorId>) -> String {
    let Wording { code, error, message: _ } = wording;
    to_json(&RefusedAck { success: false, error, code, retry_after_ms: fault.retry_after_ms(), error_id })
}

/// The arguments of the ack that refuses a request of no dialect.
pub fn fault_ack(fault: &Fault, error_id: Option<ErrorId>) -> String {
    fault_ack_of(&fault.into(), fault, error_id)
}

/// The event `error` for an event that no spoken dialect has: the same in every dialect.
pub fn unknown_event_packet(name: &str, fault: &Fault, error_id: Option<ErrorId>) -> String {
    let name: String = name.chars().take(MAX_ECHOED_NAME).collect();
    error_packet(&fault.into(), Some(&name), fault, error_id)
}

/// Why a client is put out, for people.
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

/// The event `error` that precedes a DISCONNECT: the same in every dialect.
pub fn kick_packet(code: &'static str, error_id: Option<ErrorId>) -> String {
    let sentence = kick_sentence(code);
    packet("error", &ErrorBody { message: sentence, error: sentence, code, event: None, retry_after_ms: None, error_id })
}

/// What clients of every dialect are told.
pub(super) const COMMON: [Told; 2] = [
    Told::either(
        "error",
        SchemaGenerator::subschema_for::<ErrorBody>,
        "A request without an ack was refused, or something happened that no request is refused by; before a DISCONNECT, why.",
    ),
    Told {
        name: "recovery:seed",
        summary: "An offset from the start, for a socket that will not be told connected.",
        payload: None,
        offset: Offset::Always,
    },
];

/// Why a CONNECT is refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectRefusal {
    /// The token proves nobody who may come in.
    Auth(Refusal),
    /// The connection pins what is not enabled.
    UnknownDialect,
}

impl From<Refusal> for ConnectRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Auth(refusal)
    }
}

impl From<RefusedConnect> for ConnectRefusal {
    fn from(refused: RefusedConnect) -> Self {
        Self::Auth(match refused {
            RefusedConnect::InvalidToken => Refusal::InvalidToken,
            RefusedConnect::TokenExpired => Refusal::TokenExpired,
            RefusedConnect::UserNotFound => Refusal::UserNotFound,
            RefusedConnect::AccountDisabled => Refusal::AccountDisabled,
        })
    }
}

/// What a CONNECT_ERROR says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    /// Stable name.
    pub code: &'static str,
    /// For people.
    pub message: Cow<'static, str>,
    /// The HTTP status that would say the same.
    pub status: u16,
}

impl ConnectError {
    /// JSON with code and status.
    pub fn data(&self, error_id: Option<ErrorId>) -> String {
        to_json(&ConnectErrorData { code: self.code, status: self.status, error_id })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectErrorData {
    code: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<ErrorId>,
}

/// Words a refused CONNECT, for a connection that can speak `speakable`.
pub fn connect_error(refusal: ConnectRefusal, speakable: DialectSet, enabled: DialectSet) -> ConnectError {
    let (code, message, status) = match refusal {
        ConnectRefusal::UnknownDialect => {
            ("UNKNOWN_DIALECT", format!("Unknown dialect, known are: {}", enabled.names()).into(), 400)
        }
        ConnectRefusal::Auth(refusal) => {
            let own = speakable.only().and_then(|dialect| dialect.connect_sentence(refusal));
            (refusal.code(), Cow::Borrowed(own.unwrap_or_else(|| common_sentence(refusal))), 401)
        }
    };
    ConnectError { code, message, status }
}

fn common_sentence(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoToken => "Authentication error: No token provided",
        Refusal::InvalidToken | Refusal::TokenExpired => "Authentication error: Invalid token",
        Refusal::UserNotFound => "Authentication error: User not found",
        Refusal::AccountDisabled => "Authentication error: Account disabled",
    }
}
