//! Health probes.
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde_json::json;
use tokio::time::timeout;

use crate::web::{HttpError, WebState};

/// Time within which a healthy broker answers.
const BROKER_WITHIN: Duration = Duration::from_secs(5);

/// `GET /api/socket/health`
pub(super) async fn socket(state: Data<WebState>) -> Result<HttpResponse, HttpError> {
    let (connected, rooms) = state.chat.health().await?;
    Ok(HttpResponse::Ok().json(json!({
        "status": "ok",
        "socket": {"initialized": true, "connected": connected, "rooms": rooms},
    })))
}

/// `GET /healthz`: the process is alive.
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({"success": true, "status": "ok"}))
}

/// `GET /readyz`: the server can serve clients.
pub(super) async fn ready(state: Data<WebState>) -> HttpResponse {
    let broker = async { timeout(BROKER_WITHIN, state.chat.health()).await.is_ok_and(|answer| answer.is_ok()) };
    let (store, has_broker) = futures_util::future::join(state.store.ping(), broker).await;
    let mut reasons = Vec::new();
    let mut code = "INTERNAL";
    if !has_broker {
        reasons.push("the broker does not answer");
    }
    if store.is_err() {
        reasons.push("the store is unavailable");
        code = "STORAGE_UNAVAILABLE";
    }
    if state.is_draining() {
        reasons.push("the server is stopping");
        code = "DRAINING";
    }
    if reasons.is_empty() {
        return HttpResponse::Ok().json(json!({"success": true, "status": "ready"}));
    }
    let text = format!("Not ready: {}", reasons.join(", "));
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, code, text).with("reasons", json!(reasons)).to_response()
}
