//! Titles of listings, set by their server.
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::limits::TITLE_MAX;
use crate::model::ListingId;
use crate::web::{Admin, Body, HttpError, WebState, path_text};

/// `PUT /api/listings/{id}` `{title}`
pub(super) async fn put(state: Data<WebState>, _: Admin, request: HttpRequest, body: Body) -> Result<HttpResponse, HttpError> {
    let listing = ListingId::parse(&path_text(&request, "id")).map_err(|_| HttpError::invalid("listingId"))?;
    let title = body.bounded_text("title", 1, TITLE_MAX)?.ok_or_else(|| HttpError::missing("title"))?;
    state.chat.title_listing(listing.clone(), title.to_owned()).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true, "listing": {"id": listing, "title": title}})))
}
