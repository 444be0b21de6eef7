//! Reasons for which a command is refused.
use std::time::Duration;

use super::refusal::{HOOK_REFUSED, HookRefusal};

/// Reason for which a command was refused. Clients read [`ChatError::code`], each dialect in its own shape.
#[expect(missing_docs, reason = "a variant's comment explains its fields")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// The command is malformed.
    #[error("Invalid {field}")]
    InvalidPayload { field: &'static str },
    /// No such user.
    #[error("User not found")]
    UserNotFound,
    /// No such message.
    #[error("Message not found")]
    MessageNotFound,
    /// No such conversation.
    #[error("Conversation not found")]
    ConversationNotFound,
    /// No such upload.
    #[error("File not found")]
    FileNotFound,
    /// The conversation exists and is not the requester's.
    #[error("Not a member")]
    NotAMember,
    /// The thing that it names exists and is not the requester's.
    #[error("Not allowed")]
    Forbidden,
    /// The requester's account was disabled meanwhile.
    #[error("Account disabled")]
    AccountDisabled,
    /// A token that proves nobody, or no longer.
    #[error("Invalid token")]
    InvalidToken,
    /// The same `clientMessageId` was used for something else, or a name is taken.
    #[error("{0}")]
    Conflict(&'static str),
    /// Too much at once.
    #[error("Too many requests, try again later")]
    RateLimited { retry_after: Duration },
    /// Too long or too many.
    #[error("Too large: {0}")]
    TooLarge(&'static str),
    /// The store is away: nobody has seen it, and it is stored nowhere.
    #[error("The message could not be stored, try again later")]
    StorageUnavailable,
    /// The message was admitted, and given up: perhaps seen and, if the database had it by then, perhaps stored. A retry is
    /// shown to nobody twice.
    #[error("The message was not stored, try again")]
    NotStored,
    /// This server stops; nobody has seen it.
    #[error("The server is stopping, try again")]
    Stopping,
    /// The model was asked and did not answer; the question stays stored.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The operator's hook refused it, in its own words.
    #[error("{}", .0.message)]
    HookRefused(Box<HookRefusal>),
    /// The operator's hook was to be asked and gave no usable answer; nothing has happened.
    #[error("This could not be checked, try again")]
    HookFailed,
    /// The operator's server was to be given an event and gave no usable answer.
    #[error("The event could not be handed on, try again")]
    ForwardFailed,
    /// Our fault.
    #[error("Internal error")]
    Internal,
}

impl ChatError {
    /// Stable name for clients, e.g. `NOT_FOUND`; never given a second meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidPayload { .. } => "INVALID_PAYLOAD",
            Self::UserNotFound | Self::MessageNotFound | Self::ConversationNotFound | Self::FileNotFound => "NOT_FOUND",
            Self::NotAMember | Self::Forbidden => "FORBIDDEN",
            Self::AccountDisabled => "ACCOUNT_DISABLED",
            Self::InvalidToken => "INVALID_TOKEN",
            Self::Conflict(_) => "CONFLICT",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::TooLarge(_) => "TOO_LARGE",
            Self::StorageUnavailable => "STORAGE_UNAVAILABLE",
            Self::NotStored => "NOT_STORED",
            Self::Stopping => "DRAINING",
            Self::Model(error) => error.code(),
            Self::HookRefused(_) => HOOK_REFUSED,
            Self::HookFailed => "HOOK_FAILED",
            Self::ForwardFailed => "FORWARD_FAILED",
            Self::Internal => "INTERNAL",
        }
    }

    /// Returns the code that clients are shown: of a hook that refuses, its own.
    pub fn shown_code(&self) -> &str {
        match self {
            Self::HookRefused(refusal) => &refusal.code,
            _ => self.code(),
        }
    }

    /// Returns the words for a refusal by the hook in an explanation.
    pub fn hook_cause(&self) -> Box<str> {
        match self {
            Self::HookRefused(refusal) => format!("{}: {}", refusal.code, refusal.message).into(),
            _ => self.code().into(),
        }
    }

    /// Returns the time to wait before the next try, if it is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Model(ModelError::Busy { retry_after }) => *retry_after,
            _ => None,
        }
    }
}

/// Reason for which the model did not answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The model cannot be reached, refuses, breaks off or says nothing.
    #[error("The model could not answer, try again")]
    Failed,
    /// Nothing of an answer came within `AI_TIMEOUT`.
    #[error("The model did not answer in time, try again")]
    Timeout,
    /// Too many questions wait, here or there.
    #[error("Too many questions wait for the model, try again later")]
    Busy {
        /// Time until it may be tried again, if known.
        retry_after: Option<Duration>,
    },
    /// This server stops before there is an answer.
    #[error("The server is being restarted, ask again in a moment")]
    Stopping,
}

impl ModelError {
    /// Stable name for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failed | Self::Stopping => "MODEL_FAILED",
            Self::Timeout => "MODEL_TIMEOUT",
            Self::Busy { .. } => "MODEL_BUSY",
        }
    }
}

impl From<crate::store::StoreError> for ChatError {
    fn from(error: crate::store::StoreError) -> Self {
        use crate::store::StoreError;
        match error {
            StoreError::Unavailable => Self::StorageUnavailable,
            StoreError::Unknown => Self::NotStored,
            StoreError::Conflict("username") => Self::Conflict("This username is taken"),
            StoreError::Conflict(_) => Self::Conflict("This e-mail address is taken"),
            StoreError::Refused | StoreError::Internal => Self::Internal,
        }
    }
}

/// The same name for two different messages.
pub(crate) const USED_OTHERWISE: ChatError = ChatError::Conflict("This clientMessageId was used for another message");
