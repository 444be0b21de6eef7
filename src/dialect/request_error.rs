//! Reasons for refusing requests, and their wording.
use std::borrow::Cow;
use std::time::Duration;

use crate::chat::ChatError;

/// Reason for refusing a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestError {
    /// This field, or the payload, is invalid.
    Field(Cow<'static, str>),
    /// This field is required.
    Missing(&'static str),
    /// No dialect of the connection has such an event.
    UnknownEvent,
    /// The broker refused, or would have.
    Chat(ChatError),
}

impl From<ChatError> for RequestError {
    fn from(error: ChatError) -> Self {
        Self::Chat(error)
    }
}

impl RequestError {
    /// Returns the stable code for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Field(_) | Self::Missing(_) => "INVALID_PAYLOAD",
            Self::UnknownEvent => "UNKNOWN_EVENT",
            Self::Chat(error) => error.code(),
        }
    }

    /// Returns the code that clients are shown: of a hook that refuses, its own.
    pub fn shown_code(&self) -> &str {
        match self {
            Self::Chat(error) => error.shown_code(),
            Self::Field(_) | Self::Missing(_) | Self::UnknownEvent => self.code(),
        }
    }

    /// Returns a sentence for people.
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

/// Rounds up, so that a client that waits this long is not too early.
fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A refusal as worded by a dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// Stable code for clients.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub error: Cow<'static, str>,
    /// A more general sentence; in most dialects it equals `error`.
    pub message: Cow<'static, str>,
}

impl Wording {
    /// Uses one sentence for both fields.
    pub fn new(code: impl Into<Cow<'static, str>>, sentence: impl Into<Cow<'static, str>>) -> Self {
        let sentence = sentence.into();
        Self { code: code.into(), error: sentence.clone(), message: sentence }
    }
}

impl From<&RequestError> for Wording {
    fn from(request_error: &RequestError) -> Self {
        let code = match request_error {
            RequestError::Chat(ChatError::HookRefused(refusal)) => Cow::Owned(refusal.code.to_string()),
            _ => Cow::Borrowed(request_error.code()),
        };
        Self::new(code, request_error.sentence())
    }
}
