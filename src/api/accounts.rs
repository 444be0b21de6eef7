//! A user's own account.
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::web::{Data, ReqData};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use uuid::Uuid;

use super::own_password::OwnPassword;
use super::sessions::{begin_session, find_account};
use super::shapes::own_user;
use crate::auth::{check_email, check_full_name, check_password, check_username};
use crate::chat::RevokeTokens;
use crate::config::WebChat;
use crate::model::{Timestamp, UserId, UserRole};
use crate::store::{self, NewUser, StoreError, Write};
use crate::web::{AuthenticatedUser, Body, HttpError, LoginLimit, PasswordWork, RequestOrigin, Tried, WebState, end_demo};

/// `POST /api/auth/register` `{username,email,password,fullName?}`
pub(super) async fn register(
    state: Data<WebState>,
    limit: Data<LoginLimit>,
    passwords: Data<PasswordWork>,
    origin: ReqData<RequestOrigin>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    if !state.settings.allow_registration {
        return Err(HttpError::forbidden("Registration is closed"));
    }
    let (username, email) = (body.text("username")?.to_owned(), body.text("email")?.to_owned());
    let (password, full_name) = (body.text("password")?.to_owned(), body.optional_text("fullName")?.map(str::to_owned));
    check_email(&email)?;
    check_username(&username, Some(&email))?;
    check_password(&password)?;
    full_name.as_deref().map_or(Ok(()), check_full_name)?;
    // Otherwise anybody could find out which addresses have accounts.
    let tried = Tried { account: None, address: origin.client.address };
    limit.attempt(&tried, Instant::now()).map_err(HttpError::rate_limited)?;
    refuse_taken(&state, &username, &email).await?;
    let password_hash = passwords.hash(origin.client.address, password).await?;
    let id = UserId::parse(&Uuid::now_v7().to_string()).map_err(HttpError::internal)?;
    let user = NewUser {
        id: id.clone(),
        username: username.trim().to_owned(),
        suffix_if_taken: false,
        email: Some(email),
        full_name,
        password_hash: Some(password_hash),
        role: UserRole::User,
        described_at: None,
        created_at: Timestamp::now(),
    };
    state.store.write(Write::CreateUser(Box::new(user))).await?;
    if state.settings.offers_demo && state.settings.web_chat == WebChat::On {
        end_demo(&state.store, &state.chat).await;
    }
    let account = find_account(&state, &id).await?;
    begin_session(&state, &origin, &request, &account, StatusCode::CREATED).await
}

/// Refuses names that are taken, before time is spent on hashing the password.
async fn refuse_taken(state: &WebState, username: &str, email: &str) -> Result<(), HttpError> {
    let (username, email) = (username.to_owned(), email.to_owned());
    let taken = state.store.read(move |conn| store::find_taken(conn, &username, &email)).await?;
    taken.map_or(Ok(()), |field| Err(StoreError::Conflict(field).into()))
}

/// `GET /api/auth/me`
pub(super) async fn me(state: Data<WebState>, user: AuthenticatedUser) -> Result<HttpResponse, HttpError> {
    let account = find_account(&state, user.id()).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true, "user": own_user(&state, &account).await?})))
}

/// `POST /api/auth/password` `{oldPassword,newPassword}`
pub(super) async fn change_password(
    state: Data<WebState>,
    own_password: OwnPassword,
    user: AuthenticatedUser,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let old = body.text("oldPassword")?.to_owned();
    let new = body.text("newPassword")?.to_owned();
    check_password(&new).map_err(|_| HttpError::bad_request("Invalid newPassword: must have 8 to 1024 characters"))?;
    own_password.must_be(&user, old).await?;
    let password_hash = own_password.hash(new).await?;
    let kept_login = user.claims.login.clone();
    state.chat.revoke(RevokeTokens::Password { user: user.id().clone(), password_hash, kept_login }).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}
