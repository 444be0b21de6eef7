//! Login and logout.
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::USER_AGENT;
use actix_web::web::{Data, ReqData};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use log::warn;
use serde_json::json;

use super::cookie::{CookieReach, no_token_cookie, token_cookie};
use super::shapes::own_user;
use crate::auth::{AuthError, TokenPlace, is_foreign_hash, new_login_id};
use crate::chat::RevokeTokens;
use crate::model::{Account, Timestamp, name_key};
use crate::store::{self, Login, Write};
use crate::web::{AuthenticatedUser, Body, HttpError, LoginLimit, PasswordWork, RequestOrigin, Tried, USER_NAME_MAX, WebState};

/// `POST /api/auth/login` `{login,password}`; the name may be in `username` or `email` instead.
pub(super) async fn login(
    state: Data<WebState>,
    limit: Data<LoginLimit>,
    passwords: Data<PasswordWork>,
    origin: ReqData<RequestOrigin>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let mut login = None;
    for field in ["login", "username", "email"] {
        login = login.or(body.bounded_text(field, 1, USER_NAME_MAX)?);
    }
    let login = login.ok_or_else(|| HttpError::bad_request("login is required: a username or an e-mail address"))?.to_owned();
    let password = body.text("password")?.to_owned();
    let name = login.clone();
    let found = state.store.read(move |conn| store::find_credentials(conn, &name)).await?;
    let account = found.as_ref().map_or_else(|| name_key(&login), |(account, _)| account.profile.id.to_string());
    let address = origin.client.address;
    let tried = Tried { account: Some(account), address };
    limit.attempt(&tried, Instant::now()).map_err(HttpError::rate_limited)?;
    // An unknown name takes the same path, and thus the same time.
    let (account, hash) = found.map_or((None, None), |(account, hash)| (Some(account), hash));
    let foreign = hash.clone().filter(|hash| is_foreign_hash(hash));
    let typed = foreign.as_ref().map(|_| password.clone());
    // An attempt that was not checked does not count as wrong.
    let is_right = passwords.verify(address, password, hash).await.inspect_err(|_| limit.forgive(&tried))?;
    let account = account.filter(|_| is_right).ok_or_else(HttpError::invalid_credentials)?;
    limit.forgive(&tried);
    if account.disabled {
        return Err(AuthError::AccountDisabled.into());
    }
    if let (Some(known), Some(password)) = (foreign, typed) {
        renew_hash(&state, &passwords, &origin, &account, known, password).await;
    }
    begin_session(&state, &origin, &request, &account, StatusCode::OK).await
}

/// Replaces another system's hash by one of ours. On failure the next login tries again.
async fn renew_hash(
    state: &WebState,
    passwords: &PasswordWork,
    origin: &RequestOrigin,
    account: &Account,
    known: String,
    password: String,
) {
    let user = account.profile.id.clone();
    let Ok(renewed) = passwords.hash(origin.client.address, password).await else { return };
    if let Err(error) = state.store.write(Write::RenewPasswordHash { user, known, renewed }).await {
        warn!(user:% = account.profile.id, cause:% = error; "a password keeps the hash of another system for now");
    }
}

/// Answers with a token of a new login, as text and as a cookie.
pub(super) async fn begin_session(
    state: &WebState,
    origin: &RequestOrigin,
    request: &HttpRequest,
    account: &Account,
    status: StatusCode,
) -> Result<HttpResponse, HttpError> {
    let client = Client { origin, agent: agent_of(request) };
    answer_token(state, client, account, &new_login_id(), HttpResponse::build(status), true).await
}

/// Maximum number of stored characters of a `User-Agent`.
const AGENT_MAX: usize = 300;

/// The client that gets a token.
struct Client<'a> {
    origin: &'a RequestOrigin,
    agent: Option<String>,
}

/// Returns the printable part of the `User-Agent`.
fn agent_of(request: &HttpRequest) -> Option<String> {
    let agent = request.headers().get(USER_AGENT)?.to_str().ok()?;
    Some(agent.chars().take(AGENT_MAX).collect())
}

async fn answer_token(
    state: &WebState,
    Client { origin, agent }: Client<'_>,
    account: &Account,
    login: &str,
    mut response: HttpResponseBuilder,
    with_cookie: bool,
) -> Result<HttpResponse, HttpError> {
    let now = Timestamp::now();
    let (token, expires_at) =
        state.tokens.issue(&account.profile.id, login, account.profile.role, account.profile.email.as_deref(), now);
    let login = Login {
        id: login.to_owned(),
        user: account.profile.id.clone(),
        begun_at: now,
        used_at: now,
        expires_at,
        address: origin.client.address.map(|address| address.to_string()),
        agent,
    };
    state.store.write(Write::NoteLogin(Box::new(login))).await?;
    if with_cookie {
        response.cookie(token_cookie(
            &token,
            expires_at,
            now,
            CookieReach::new(state.settings.cookie_samesite, origin.client.secure),
        ));
    }
    let user = own_user(state, account).await?;
    Ok(response.json(json!({"success": true, "user": user, "token": token, "expiresAt": expires_at})))
}

/// `POST /api/auth/refresh`
pub(super) async fn refresh(
    state: Data<WebState>,
    origin: ReqData<RequestOrigin>,
    request: HttpRequest,
    user: AuthenticatedUser,
) -> Result<HttpResponse, HttpError> {
    let AuthenticatedUser { account, claims, place } = user;
    let login = claims.login.ok_or_else(|| {
        HttpError::forbidden("Only a token of a login here can be refreshed: one that was made elsewhere is renewed there")
    })?;
    if state.tokens.end_of(&login).is_some_and(|end| end <= Timestamp::now()) {
        return Err(HttpError::from(AuthError::TokenExpired).saying("The login is too old to be refreshed: log in again"));
    }
    // A client that came with a cookie gets one back.
    let with_cookie = place == TokenPlace::Cookie;
    let client = Client { origin: &origin, agent: agent_of(&request) };
    answer_token(&state, client, &account, &login, HttpResponse::Ok(), with_cookie).await
}

/// `POST /api/auth/logout`
pub(super) async fn logout(
    state: Data<WebState>,
    origin: ReqData<RequestOrigin>,
    user: AuthenticatedUser,
) -> Result<HttpResponse, HttpError> {
    let until = user.claims.revoked_until(Timestamp::now(), state.tokens.ttl());
    let tokens = RevokeTokens::Key { user: user.id().clone(), key: user.claims.revocation_key.to_string(), until };
    state.chat.revoke(tokens).await?;
    let cookie = no_token_cookie(CookieReach::new(state.settings.cookie_samesite, origin.client.secure));
    Ok(HttpResponse::Ok().cookie(cookie).json(json!({"success": true})))
}

/// Returns the stored account.
pub(super) async fn find_account(state: &WebState, user: &crate::model::UserId) -> Result<Arc<Account>, HttpError> {
    let id = user.clone();
    let found = state.store.read(move |conn| store::find_account(conn, &id)).await?;
    found.map(Arc::new).ok_or_else(|| crate::chat::ChatError::UserNotFound.into())
}
