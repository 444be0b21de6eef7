//! Why requests are refused, and how a dialect words it.
use std::borrow::Cow;
use std::time::Duration;

use crate::chat::ChatError;

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

/// A refusal as it reads in a dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// Stable name for clients.
    pub code: &'static str,
    /// A sentence for people.
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
