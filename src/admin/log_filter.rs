//! The log filter, which can be switched while the server runs.
use std::time::Duration;

use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use log::info;
use serde_json::json;

use crate::config::LogFilter;
use crate::logging::{self, Switched};
use crate::model::Timestamp;
use crate::web::{ActsOn, Admin, Body, HttpError};

/// Longest filter, in characters.
const MAX_FILTER_LENGTH: usize = 1_000;
/// Longest time for which a filter can be switched: 30 days.
pub(super) const MAX_SECONDS: u64 = 30 * 24 * 60 * 60;

/// `GET /api/admin/log`
pub(super) async fn show(_: Admin) -> HttpResponse {
    answer()
}

/// `PUT /api/admin/log` `{filter,forSeconds?}`. Without `forSeconds` it holds until the next start.
pub(super) async fn put(_: Admin, request: HttpRequest, body: Body) -> Result<HttpResponse, HttpError> {
    let text = body.bounded_text("filter", 1, MAX_FILTER_LENGTH)?.ok_or_else(|| HttpError::missing("filter"))?;
    if text.trim().is_empty() {
        return Err(HttpError::invalid("filter"));
    }
    let filter: LogFilter = text.parse().map_err(|reason| HttpError::bad_request(format!("Invalid filter: {reason}")))?;
    let time = body.bounded_integer("forSeconds", 1, MAX_SECONDS)?.map(Duration::from_secs);
    info!(filter:% = filter, seconds = time.map(|time| time.as_secs()); "switched the log filter");
    request.extensions_mut().insert(ActsOn(filter.to_string()));
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let change = logging::switch(filter, time.map(|time| Timestamp::now().plus_millis(millis(time))));
    if let Some(time) = time {
        actix_web::rt::spawn(async move {
            actix_web::rt::time::sleep(time).await;
            if logging::restore(change) {
                info!("the log filter is as configured again");
            }
        });
    }
    Ok(answer())
}

fn answer() -> HttpResponse {
    let Switched { filter, configured, until } = logging::switched();
    HttpResponse::Ok().json(json!({"success": true, "log": {"filter": filter, "configured": configured, "until": until}}))
}
