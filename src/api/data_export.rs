//! A user's personal data: export and deletion.
use std::io;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::web::{Bytes, Data, ReqData};
use futures_util::stream;
use log::warn;
use serde_json::json;
use tokio::sync::mpsc;

use super::cookie::{CookieReach, no_token_cookie};
use super::own_password::OwnPassword;
use crate::store::{self, PersonalError};
use crate::web::{AuthenticatedUser, Body, HttpError, RequestOrigin, WebState, delete_account};

/// Maximum number of pages waiting for the caller's connection.
const PAGES: usize = 2;

/// `DELETE /api/users/me` `{password}`
pub(super) async fn delete_me(
    state: Data<WebState>,
    own_password: OwnPassword,
    origin: ReqData<RequestOrigin>,
    user: AuthenticatedUser,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let password = body.text("password")?.to_owned();
    own_password.must_be(&user, password).await?;
    delete_account(&state, user.id()).await?;
    Ok(HttpResponse::Ok()
        .cookie(no_token_cookie(CookieReach::new(state.settings.cookie_samesite, origin.client.secure)))
        .json(json!({"success": true})))
}

/// `GET /api/users/me/export`: one line of JSON for each item, `end` last. An export without `end` was cut off.
pub(super) async fn export_me(state: Data<WebState>, user: AuthenticatedUser) -> Result<HttpResponse, HttpError> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(PAGES);
    let (store, id) = (state.store.clone(), user.id().clone());
    actix_web::rt::spawn(async move {
        let take = async |text: String| sender.send(Ok(Bytes::from(text))).await.is_ok();
        match store::export_personal(&store, &id, take).await {
            Ok(()) | Err(PersonalError::Unwanted) => {}
            Err(error) => {
                warn!("an export of a user's data broke off user={id}: {error:?}");
                // Cuts the connection, so that the client does not take it for complete.
                let _ = sender.send(Err(io::Error::other("the store is unavailable"))).await;
            }
        }
    });
    let pages = stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|page| (page, receiver)) });
    let mut response = HttpResponse::Ok();
    response.content_type("application/x-ndjson").insert_header((CACHE_CONTROL, "no-store"));
    Ok(response.insert_header((CONTENT_DISPOSITION, "attachment; filename=\"my-data.jsonl\"")).streaming(pages))
}
