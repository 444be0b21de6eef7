//! Error answers of HTTP.
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix::MailboxError;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value, json};

use crate::auth::{AuthError, InvalidField};
use crate::chat::ChatError;
use crate::http::ERROR_ID;
use crate::logging::ErrorId;
use crate::store::StoreError;

/// A refusal of a request: `{"success":false,"error":S,"message":S,"code":C}`.
#[derive(Debug, Clone)]
pub struct HttpError(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    /// Code that the client is shown instead: a hook's own.
    shown_code: Option<Box<str>>,
    text: Cow<'static, str>,
    /// Cause for the log; `None`: the text.
    cause: Option<String>,
    error_id: Option<ErrorId>,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    fields: Map<String, Value>,
    headers: Vec<(&'static str, String)>,
}

impl HttpError {
    /// Makes a refusal with its sentence for people.
    pub fn new(status: StatusCode, code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        let (text, fields, headers) = (text.into(), Map::new(), Vec::new());
        let (cause, error_id, retry_after, allow) = (None, None, None, None);
        Self(Box::new(Parts { status, code, shown_code: None, text, cause, error_id, retry_after, allow, fields, headers }))
    }

    /// 400: the named field, or part of the request, is invalid.
    pub fn invalid(field: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PAYLOAD", format!("Invalid {field}"))
    }

    /// 400: the named field is required.
    pub fn missing(field: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PAYLOAD", format!("Missing {field}"))
    }

    /// 400 with a given sentence.
    pub fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PAYLOAD", text)
    }

    /// 404: nothing exists at this address.
    pub fn not_found(text: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", text)
    }

    /// 403
    pub fn forbidden(text: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", text)
    }

    /// 409.
    pub fn conflict(text: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, "CONFLICT", text)
    }

    /// 401: wrong name or wrong password.
    pub fn invalid_credentials() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "INVALID_CREDENTIALS", "Invalid credentials")
    }

    /// 405; `allow` lists the supported methods.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let mut http_error = Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Method not allowed");
        http_error.0.allow = Some(allow);
        http_error
    }

    /// 413
    pub fn too_large(text: &'static str) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", text)
    }

    /// 415
    pub fn unsupported_type(text: &'static str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_TYPE", text)
    }

    /// 429
    pub fn rate_limited(retry_after: Duration) -> Self {
        ChatError::RateLimited { retry_after }.into()
    }

    /// 503: the server is stopping.
    pub fn draining() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "DRAINING", "The server is stopping, try again")
    }

    /// 503: the database or the disk is unavailable.
    pub fn store_away() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "STORAGE_UNAVAILABLE", "The storage is away, try again later")
    }

    /// 500. `cause` goes to the log, under the id that the client gets.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error").because(cause)
    }

    /// Adds a cause for the log, which the client does not see.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Adds the id of its log line.
    #[must_use]
    pub(super) fn logged(mut self, error_id: ErrorId) -> Self {
        self.0.error_id = Some(error_id);
        self
    }

    /// Adds a field to the answer.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.fields.insert(name.to_owned(), value);
        self
    }

    /// Replaces the sentence for people.
    #[must_use]
    pub fn saying(mut self, text: &'static str) -> Self {
        self.0.text = text.into();
        self
    }

    /// Replaces the sentence if the fault is ours, because some front ends know a particular one.
    #[must_use]
    pub fn or_ours(mut self, text: &'static str) -> Self {
        if self.0.status.is_server_error() {
            self.0.text = text.into();
        }
        self
    }

    /// Adds headers; names are in lower case. Headers set on its answer instead would be lost, because the answer is
    /// written again with the id of the log line.
    #[must_use]
    pub fn with_headers(mut self, headers: Vec<(&'static str, String)>) -> Self {
        self.0.headers.extend(headers);
        self
    }

    /// Returns the stable code for clients.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Returns the cause for the log.
    pub(super) fn cause(&self) -> &str {
        self.0.cause.as_deref().unwrap_or(&self.0.text)
    }

    /// Returns the answer. The refusal stays attached to it, so the middleware can log it and add the id of the log line.
    pub fn to_response(&self) -> HttpResponse {
        let mut answer = Map::new();
        answer.insert("success".to_owned(), Value::Bool(false));
        answer.insert("error".to_owned(), json!(self.0.text));
        answer.insert("message".to_owned(), json!(self.0.text));
        answer.insert("code".to_owned(), json!(self.0.shown_code.as_deref().unwrap_or(self.0.code)));
        answer.extend(self.0.fields.clone());
        let mut response = HttpResponse::build(self.0.status);
        if let Some(error_id) = self.0.error_id {
            answer.insert("errorId".to_owned(), json!(error_id));
            response.insert_header((ERROR_ID, error_id.to_string()));
        }
        if let Some(wait) = self.0.retry_after {
            answer.insert("retryAfterMs".to_owned(), json!(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
            // Whole seconds, rounded up, so that a client that waits as long as it should is not refused again.
            response.insert_header((RETRY_AFTER, wait.as_millis().div_ceil(1_000).max(1).to_string()));
        }
        if let Some(allow) = self.0.allow {
            response.insert_header((ALLOW, allow));
        }
        for (name, value) in &self.0.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.insert_header((HeaderName::from_static(name), value));
            }
        }
        let mut response = response.json(answer);
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code(), self.cause())
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.to_response()
    }
}

impl From<ChatError> for HttpError {
    fn from(error: ChatError) -> Self {
        let status = match &error {
            ChatError::InvalidPayload { .. } => StatusCode::BAD_REQUEST,
            ChatError::UserNotFound | ChatError::MessageNotFound | ChatError::ConversationNotFound | ChatError::FileNotFound => {
                StatusCode::NOT_FOUND
            }
            ChatError::NotAMember | ChatError::Forbidden | ChatError::HookRefused(_) => StatusCode::FORBIDDEN,
            ChatError::AccountDisabled | ChatError::InvalidToken => StatusCode::UNAUTHORIZED,
            ChatError::Conflict(_) => StatusCode::CONFLICT,
            ChatError::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            ChatError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            ChatError::StorageUnavailable
            | ChatError::NotStored
            | ChatError::Stopping
            | ChatError::Model(_)
            | ChatError::HookFailed
            | ChatError::ForwardFailed => StatusCode::SERVICE_UNAVAILABLE,
            ChatError::Internal => return Self::internal("the broker could not carry out a command"),
        };
        let mut http_error = Self::new(status, error.code(), error.to_string());
        http_error.0.retry_after = error.retry_after();
        http_error.0.shown_code = (error.shown_code() != error.code()).then(|| error.shown_code().into());
        http_error
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::store_away(),
            StoreError::Unknown => ChatError::NotStored.into(),
            StoreError::Conflict("username") => Self::new(StatusCode::CONFLICT, "CONFLICT", "This username is taken"),
            StoreError::Conflict(_) => Self::new(StatusCode::CONFLICT, "CONFLICT", "This e-mail address is taken"),
            StoreError::Refused | StoreError::Internal => Self::internal(error),
        }
    }
}

impl From<AuthError> for HttpError {
    fn from(refusal: AuthError) -> Self {
        let text = match refusal {
            AuthError::NoToken => "No token",
            AuthError::InvalidToken | AuthError::TokenExpired => "Invalid token",
            AuthError::UserNotFound => "User not found",
            AuthError::AccountDisabled => "Account disabled",
        };
        Self::new(StatusCode::UNAUTHORIZED, refusal.code(), text)
    }
}

impl From<InvalidField> for HttpError {
    fn from(invalid: InvalidField) -> Self {
        let InvalidField { field, reason } = invalid;
        Self::bad_request(format!("Invalid {field}: {reason}"))
    }
}

impl From<MailboxError> for HttpError {
    fn from(error: MailboxError) -> Self {
        match error {
            // The broker stops last, so the server is stopping.
            MailboxError::Closed => Self::draining(),
            MailboxError::Timeout => Self::internal(error),
        }
    }
}
