//! Content of refused CONNECTs.
use std::borrow::Cow;

use serde::Serialize;

use super::packets::to_json;
use super::table::DialectSet;
use crate::auth::AuthError;
use crate::chat::{ChatError, HOOK_REFUSED, HookRefusal, RefusedConnect};
use crate::logging::ErrorId;

/// Final reason for refusing a CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectRefusal {
    /// The token does not admit its bearer.
    Auth(AuthError),
    /// The connection pins a dialect that is not enabled.
    UnknownDialect,
    /// The operator's hook refused it.
    Hook(HookRefusal),
    /// The operator's hook gave no usable answer.
    HookFailed,
    /// The connection's wish for recovery is neither true nor false.
    BadRecovery,
}

impl From<AuthError> for ConnectRefusal {
    fn from(refusal: AuthError) -> Self {
        Self::Auth(refusal)
    }
}

impl From<RefusedConnect> for ConnectRefusal {
    fn from(refused: RefusedConnect) -> Self {
        Self::Auth(match refused {
            RefusedConnect::InvalidToken => AuthError::InvalidToken,
            RefusedConnect::TokenExpired => AuthError::TokenExpired,
            RefusedConnect::UserNotFound => AuthError::UserNotFound,
            RefusedConnect::AccountDisabled => AuthError::AccountDisabled,
        })
    }
}

/// The content of a CONNECT_ERROR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    /// Stable code, for the log.
    pub code: &'static str,
    /// Code that the client is shown: of a hook that refuses, its own.
    pub shown_code: Cow<'static, str>,
    /// Sentence for people.
    pub message: Cow<'static, str>,
    /// The equivalent HTTP status.
    pub status: u16,
}

impl ConnectError {
    /// Returns JSON with code and status.
    pub fn data(&self, error_id: Option<ErrorId>) -> String {
        to_json(&ConnectErrorData { code: &self.shown_code, status: self.status, error_id })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectErrorData<'a> {
    code: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<ErrorId>,
}

/// Words the refusal of a CONNECT, for a connection that can speak `speakable`.
pub fn connect_error(refusal: ConnectRefusal, speakable: DialectSet, enabled: DialectSet) -> ConnectError {
    let (code, message, status) = match refusal {
        ConnectRefusal::Hook(HookRefusal { code, message }) => {
            let (shown_code, message) = (code.into_string().into(), message.into_string().into());
            return ConnectError { code: HOOK_REFUSED, shown_code, message, status: 403 };
        }
        ConnectRefusal::HookFailed => {
            let error = ChatError::HookFailed;
            (error.code(), error.to_string().into(), 503)
        }
        ConnectRefusal::UnknownDialect => {
            ("UNKNOWN_DIALECT", format!("Unknown dialect, known are: {}", enabled.names()).into(), 400)
        }
        ConnectRefusal::BadRecovery => ("INVALID_PAYLOAD", "Invalid recovery: neither true nor false".into(), 400),
        ConnectRefusal::Auth(refusal) => {
            let own = speakable.only().and_then(|dialect| dialect.connect_sentence(refusal));
            (refusal.code(), Cow::Borrowed(own.unwrap_or_else(|| common_sentence(refusal))), 401)
        }
    };
    ConnectError { code, shown_code: code.into(), message, status }
}

fn common_sentence(refusal: AuthError) -> &'static str {
    match refusal {
        AuthError::NoToken => "Authentication error: No token provided",
        AuthError::InvalidToken | AuthError::TokenExpired => "Authentication error: Invalid token",
        AuthError::UserNotFound => "Authentication error: User not found",
        AuthError::AccountDisabled => "Authentication error: Account disabled",
    }
}
