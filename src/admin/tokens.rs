//! Revocation of tokens by administrators.
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::json;

use crate::auth::MAX_TOKEN_BYTES;
use crate::chat::RevokeTokens;
use crate::model::Timestamp;
use crate::web::{ActsOn, Admin, Body, HttpError, USER_NAME_MAX, WebState, find_user};

/// `POST /api/admin/tokens/revoke` `{token}` or `{user}`: revokes the tokens of one login (or one foreign token), or
/// all tokens of a user. Their sockets are disconnected at once.
pub(super) async fn revoke(state: Data<WebState>, _: Admin, request: HttpRequest, body: Body) -> Result<HttpResponse, HttpError> {
    let now = Timestamp::now();
    let (user, revoked) = match (body.bounded_text("token", 1, MAX_TOKEN_BYTES)?, body.get("user")) {
        (Some(token), None) => {
            // An expired token may still be held by a session that resumes.
            let claims = state.tokens.verify_all_but_expiry(token, now).map_err(|_| HttpError::invalid("token"))?;
            let until = claims.revoked_until(now, state.tokens.ttl());
            let user = claims.user;
            (user.clone(), RevokeTokens::Key { user, key: claims.revocation_key.into(), until })
        }
        (None, Some(_)) => {
            let name = body.bounded_text("user", 1, USER_NAME_MAX)?.unwrap_or_default();
            let user = find_user(&state, name, true).await?.profile.id.clone();
            (user.clone(), RevokeTokens::All { user })
        }
        _ => return Err(HttpError::bad_request("One of token and user is required")),
    };
    state.chat.revoke(revoked).await?;
    request.extensions_mut().insert(ActsOn(user.to_string()));
    Ok(HttpResponse::Ok().json(json!({"success": true, "user": {"id": user}})))
}
