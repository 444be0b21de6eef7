//! Synchronisation for front ends that keep a local copy of direct messages.
use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Value, json};

use crate::dialect::{DeletedMessageView, DirectMessageView};
use crate::model::{Message, Timestamp, UserId};
use crate::store::{self, DirectChanges};
use crate::web::{AuthenticatedUser, Body, HttpError, WebState};

/// Maximum number of messages in one answer, deleted ones included.
const MESSAGES_MAX: i64 = 100;
/// Error text that the front end shows for a fault of ours.
const SYNC_FAILED: &str = "Failed to sync conversation";
const STATUS_FAILED: &str = "Failed to get sync status";

/// `POST /api/messages/sync` `{otherUserId,lastSyncTimestamp?}`
pub(super) async fn sync(
    state: Data<WebState>,
    user: Result<AuthenticatedUser, HttpError>,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    changes(&state, user, &body).await.map_err(|http_error| http_error.or_ours(SYNC_FAILED))
}

async fn changes(state: &WebState, user: Result<AuthenticatedUser, HttpError>, body: &Body) -> Result<HttpResponse, HttpError> {
    let user = user?;
    let other_id = other_user(body)?;
    let since = last_sync(body)?;
    let requester = user.id().clone();
    let read = state.store.read_after_writes(move |conn| {
        let changes = store::list_direct_changes(conn, &requester, &other_id, since, MESSAGES_MAX)?;
        Ok((changes, store::find_profiles(conn, &[other_id])?.pop()))
    });
    let (DirectChanges { messages, deleted, up_to }, other) = read.await?;
    let own = &user.account.profile;
    // An unknown user has no messages.
    let other = other.as_ref().unwrap_or(own);
    let receiver = |message: &Message| if message.sender.id == own.id { other } else { own };
    let views: Vec<_> = messages.iter().map(|message| DirectMessageView::new(message, receiver(message))).collect();
    let deleted: Vec<_> = deleted.into_iter().map(|(id, at)| DeletedMessageView::new(id, at)).collect();
    let count = views.len() + deleted.len();
    let answer = json!({"success": true, "messages": views, "deleted": deleted, "syncTimestamp": up_to, "count": count});
    Ok(HttpResponse::Ok().json(answer))
}

fn other_user(body: &Body) -> Result<UserId, HttpError> {
    match body.get("otherUserId") {
        None => Err(HttpError::bad_request("otherUserId is required")),
        Some(Value::String(text)) if text.is_empty() => Err(HttpError::bad_request("otherUserId is required")),
        Some(_) => body.user("otherUserId"),
    }
}

/// Parses ISO text or epoch milliseconds. An empty text counts as absent: the front end may send one on its first sync.
fn last_sync(body: &Body) -> Result<Option<Timestamp>, HttpError> {
    let time = match body.get("lastSyncTimestamp") {
        None => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => Timestamp::parse(text),
        Some(Value::Number(millis)) => millis.as_i64().map(Timestamp::from_millis),
        Some(_) => None,
    };
    time.map(Some).ok_or_else(|| HttpError::invalid("lastSyncTimestamp"))
}

/// `GET /api/messages/sync-status`
pub(super) async fn status(state: Data<WebState>, user: Result<AuthenticatedUser, HttpError>) -> Result<HttpResponse, HttpError> {
    last_activity(&state, user).await.map_err(|http_error| http_error.or_ours(STATUS_FAILED))
}

async fn last_activity(state: &WebState, user: Result<AuthenticatedUser, HttpError>) -> Result<HttpResponse, HttpError> {
    let user = user?;
    let id = user.id().clone();
    let last_activity = state.store.read_after_writes(move |conn| store::last_activity(conn, &id)).await?;
    let answer = json!({
        "success": true,
        "lastActivity": last_activity,
        "serverTime": Timestamp::now(),
        "userId": user.id(),
    });
    Ok(HttpResponse::Ok().json(answer))
}
