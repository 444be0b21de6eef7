//! Parameters in a request's path.
use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

use crate::chat::ChatError;
use crate::model::UserId;

/// Returns a decoded part of the path.
pub fn path_text(request: &HttpRequest, name: &str) -> String {
    // The router has decoded all but `%`, `/` and `+`; the middleware has checked that it is UTF-8.
    let raw = request.match_info().get(name).unwrap_or_default();
    percent_decode_str(raw).decode_utf8_lossy().into_owned()
}

/// Returns the user named in the path. A malformed id is treated as unknown.
///
/// # Errors
/// [`ChatError::UserNotFound`]
pub fn user_in_path(request: &HttpRequest, name: &str) -> Result<UserId, ChatError> {
    UserId::parse(&path_text(request, name)).map_err(|_| ChatError::UserNotFound)
}
