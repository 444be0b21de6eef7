//! Login and logout.
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::web::{Data, ReqData};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde_json::json;

use super::cookie::{no_token_cookie, token_cookie};
use super::shapes::own_user;
use crate::auth::{AuthError, TokenPlace, new_login_id};
use crate::chat::RevokeTokens;
use crate::model::{Account, Timestamp, name_key};
use crate::store;
use crate::web::{AuthenticatedUser, Body, HttpError, LoginLimit, PasswordWork, RequestOrigin, Tried, USER_NAME_MAX, WebState};

/// `POST /api/auth/login` `{login,password}`; the name may be in `username` or `email` instead.
pub async fn login(
    state: Data<WebState>,
    limit: Data<LoginLimit>,
    passwords: Data<PasswordWork>,
    origin: ReqData<RequestOrigin>,
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
    // An attempt that was not checked does not count as wrong.
    let is_right = passwords.verify(address, password, hash).await.inspect_err(|_| limit.forgive(&tried))?;
    let account = account.filter(|_| is_right).ok_or_else(HttpError::invalid_credentials)?;
    limit.forgive(&tried);
    if account.disabled {
        return Err(AuthError::AccountDisabled.into());
    }
    begin_session(&state, &origin, &account, StatusCode::OK).await
}

/// Answers with a token of a new login, as text and as a cookie.
pub async fn begin_session(
    state: &WebState,
    origin: &RequestOrigin,
    account: &Account,
    status: StatusCode,
) -> Result<HttpResponse, HttpError> {
    answer_token(state, origin, account, &new_login_id(), HttpResponse::build(status), true).await
}

async fn answer_token(
    state: &WebState,
    origin: &RequestOrigin,
    account: &Account,
    login: &str,
    mut response: HttpResponseBuilder,
    with_cookie: bool,
) -> Result<HttpResponse, HttpError> {
    let now = Timestamp::now();
    let (token, expires_at) =
        state.tokens.issue(&account.profile.id, login, account.profile.role, account.profile.email.as_deref(), now);
    if with_cookie {
        response.cookie(token_cookie(&token, expires_at, now, origin.client.secure));
    }
    let user = own_user(state, account).await?;
    Ok(response.json(json!({"success": true, "user": user, "token": token, "expiresAt": expires_at})))
}

/// `POST /api/auth/refresh`
pub async fn refresh(
    state: Data<WebState>,
    origin: ReqData<RequestOrigin>,
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
    answer_token(&state, &origin, &account, &login, HttpResponse::Ok(), with_cookie).await
}

/// `POST /api/auth/logout`
pub async fn logout(
    state: Data<WebState>,
    origin: ReqData<RequestOrigin>,
    user: AuthenticatedUser,
) -> Result<HttpResponse, HttpError> {
    let until = user.claims.revoked_until(Timestamp::now(), state.tokens.ttl());
    let tokens = RevokeTokens::Key { user: user.id().clone(), key: user.claims.revocation_key.to_string(), until };
    state.chat.revoke(tokens).await?;
    let cookie = no_token_cookie(origin.client.secure);
    Ok(HttpResponse::Ok().cookie(cookie).json(json!({"success": true})))
}

/// Returns the stored account.
pub async fn find_account(state: &WebState, user: &crate::model::UserId) -> Result<Arc<Account>, HttpError> {
    let id = user.clone();
    let found = state.store.read(move |conn| store::find_account(conn, &id)).await?;
    found.map(Arc::new).ok_or_else(|| crate::chat::ChatError::UserNotFound.into())
}
