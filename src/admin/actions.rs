//! Actions of administrators.
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::chat::Administer;
use crate::model::SocketId;
use crate::web::{Admin, HttpError, WebState, delete_account, path_text, user_in_path};

/// `DELETE /api/admin/users/{id}`. Administrators delete themselves by `DELETE /api/users/me`, which asks for the
/// password.
pub(super) async fn delete_user(state: Data<WebState>, admin: Admin, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let user = user_in_path(&request, "id")?;
    if admin.claims.is_some_and(|claims| claims.user == user) {
        return Err(HttpError::forbidden("Use DELETE /api/users/me"));
    }
    delete_account(&state, &user).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

/// `POST /api/admin/sockets/{id}/kick`
pub(super) async fn kick(state: Data<WebState>, _: Admin, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let no_socket = || HttpError::not_found("Socket not found");
    let socket = SocketId::parse(&path_text(&request, "id")).map_err(|_| no_socket())?;
    match state.chat.administer(Administer::Kick { socket }).await? {
        true => Ok(HttpResponse::Ok().json(json!({"success": true}))),
        false => Err(no_socket()),
    }
}
