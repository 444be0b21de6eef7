//! A user's own logins: their list, and the end of one.
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::chat::RevokeTokens;
use crate::model::Timestamp;
use crate::store::{self, Login};
use crate::web::{AuthenticatedUser, HttpError, WebState, path_text};

/// Maximum number of logins in an answer.
const LISTED_MAX: i64 = 200;

/// `GET /api/users/me/sessions`: the caller's valid logins, the last used first.
pub(super) async fn list(state: Data<WebState>, user: AuthenticatedUser) -> Result<HttpResponse, HttpError> {
    let (account, now) = (user.account.clone(), Timestamp::now());
    let found = state.store.read_after_writes(move |conn| store::list_logins(conn, &account, now, LISTED_MAX)).await?;
    let shown: Vec<_> = found.into_iter().map(|login| SessionView::new(login, user.claims.login.as_deref())).collect();
    Ok(HttpResponse::Ok().json(json!({"success": true, "sessions": shown})))
}

/// `DELETE /api/users/me/sessions/{id}`: revokes the login's tokens and disconnects its sockets.
pub(super) async fn end(state: Data<WebState>, user: AuthenticatedUser, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (id, owner) = (path_text(&request, "id"), user.id().clone());
    let found = state.store.read_after_writes(move |conn| store::find_login(conn, &owner, &id)).await?;
    let login = found.ok_or_else(|| HttpError::not_found("Session not found"))?;
    // Another token of the login may be issued meanwhile.
    let ttl_ms = i64::try_from(state.tokens.ttl().as_millis()).unwrap_or(i64::MAX);
    let until = login.expires_at.max(Timestamp::now().plus_millis(ttl_ms));
    state.chat.revoke(RevokeTokens::Key { user: user.id().clone(), key: login.id, until }).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

/// A login, as shown to its owner.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Session")]
pub(super) struct SessionView {
    id: String,
    started_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    address: Option<String>,
    user_agent: Option<String>,
    is_current: bool,
}

impl SessionView {
    fn new(login: Login, current: Option<&str>) -> Self {
        let Login { id, user: _, begun_at, used_at, expires_at, address, agent } = login;
        let is_current = current == Some(id.as_str());
        Self { id, started_at: begun_at, last_used_at: used_at, expires_at, address, user_agent: agent, is_current }
    }
}
