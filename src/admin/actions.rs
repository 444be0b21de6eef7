//! Actions of administrators.
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::chat::{Administer, ChatError};
use crate::model::SocketId;
use crate::web::{ActsOn, Admin, Body, HttpError, WebState, delete_account, path_text, user_in_path};

/// `PATCH /api/admin/users/{id}` `{disabled}`. Administrators cannot disable themselves: nobody might be left to undo
/// it.
pub async fn change_user(
    state: Data<WebState>,
    admin: Admin,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let user = user_in_path(&request, "id")?;
    let Value::Bool(disabled) = body.required("disabled")? else { return Err(HttpError::invalid("disabled")) };
    if *disabled && admin.claims.is_some_and(|claims| claims.user == user) {
        return Err(HttpError::forbidden("Another administrator has to do that"));
    }
    let act = Administer::SetDisabled { user: user.clone(), disabled: *disabled };
    if !state.chat.administer(act).await? {
        return Err(ChatError::UserNotFound.into());
    }
    request.extensions_mut().insert(ActsOn(format!("{user} (disabled: {disabled})")));
    Ok(HttpResponse::Ok().json(json!({"success": true, "user": {"id": user, "disabled": disabled}})))
}

/// `DELETE /api/admin/users/{id}`. Administrators delete themselves by `DELETE /api/users/me`, which asks for the
/// password.
pub async fn delete_user(state: Data<WebState>, admin: Admin, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let user = user_in_path(&request, "id")?;
    if admin.claims.is_some_and(|claims| claims.user == user) {
        return Err(HttpError::forbidden("Use DELETE /api/users/me"));
    }
    delete_account(&state, &user).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

/// `POST /api/admin/sockets/{id}/kick`
pub async fn kick(state: Data<WebState>, _: Admin, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let no_socket = || HttpError::not_found("Socket not found");
    let socket = SocketId::parse(&path_text(&request, "id")).map_err(|_| no_socket())?;
    match state.chat.administer(Administer::Kick { socket }).await? {
        true => Ok(HttpResponse::Ok().json(json!({"success": true}))),
        false => Err(no_socket()),
    }
}
