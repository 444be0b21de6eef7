//! Notifications: a user's own, and those created by other servers.
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::limits::{IDS_MAX, NOTIFICATION_MAX};
use crate::chat::{Command, Notified};
use crate::dialect::NotificationView;
use crate::model::limits::TYPE_MAX;
use crate::model::{Notification, NotificationId, Timestamp};
use crate::store::{self, NotificationCursor, NotificationRange, Write};
use crate::web::{ActsOn, Admin, AuthenticatedUser, Body, Cursor, HttpError, Page, PageRequest, Query, WebState};

/// Longest `data` of a notification, in bytes of JSON: a connecting client gets up to a hundred at once.
const DATA_MAX_BYTES: usize = 65_536;

/// `GET /api/notifications`, newest first.
pub(super) async fn list(state: Data<WebState>, user: AuthenticatedUser, query: Query) -> Result<HttpResponse, HttpError> {
    let request = PageRequest::read(&query, 'n', read_cursor)?;
    let range = match request.page {
        Page::Newest => NotificationRange::Newest,
        Page::Before(cursor) => NotificationRange::Before(cursor),
        Page::After(cursor) => NotificationRange::After(cursor),
    };
    let (id, rows) = (user.id().clone(), request.limit_and_one());
    state.chat.save_notifications(id.clone()).await?;
    let mut found = state.store.read_after_writes(move |conn| store::list_notifications(conn, &id, range, rows)).await?;
    let goes_on = found.len() > request.limit;
    // The extra row is at the end where the list continues.
    let next = if matches!(range, NotificationRange::After(_)) {
        found.drain(..found.len().saturating_sub(request.limit));
        found.first()
    } else {
        found.truncate(request.limit);
        found.last()
    };
    let next = next.filter(|_| goes_on).map(|next| cursor_of(next).encode());
    let notifications: Vec<_> = found.iter().map(NotificationView::of).collect();
    Ok(HttpResponse::Ok().json(json!({"success": true, "notifications": notifications, "nextCursor": next})))
}

fn cursor_of(notification: &Notification) -> Cursor {
    Cursor::new('n', format_args!("{}.{}", notification.created_at.as_millis(), notification.id))
}

fn read_cursor(key: &str) -> Option<NotificationCursor> {
    let (millis, id) = key.split_once('.')?;
    let created_at = Timestamp::from_millis(millis.parse().ok()?);
    Some(NotificationCursor { created_at, id: NotificationId::parse(id).ok()? })
}

/// `POST /api/notifications/read` `{ids?}`: marks some, or all. Ids of other users are ignored.
pub(super) async fn read(state: Data<WebState>, user: AuthenticatedUser, body: Body) -> Result<HttpResponse, HttpError> {
    let ids = match body.get("ids") {
        None => None,
        Some(Value::Array(ids)) if ids.len() <= IDS_MAX => Some(known_ids(ids)?),
        Some(Value::Array(_)) => return Err(HttpError::too_large("Too many ids")),
        Some(_) => return Err(HttpError::invalid("ids")),
    };
    let user = user.id().clone();
    state.chat.save_notifications(user.clone()).await?;
    state.store.write(Write::NotificationsRead { user, ids, read_at: Timestamp::now() }).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

/// Returns the well-formed ids among texts that may be ids; refuses any other value.
fn known_ids(ids: &[Value]) -> Result<Vec<NotificationId>, HttpError> {
    if !ids.iter().all(|id| id.is_string() || id.is_u64()) {
        return Err(HttpError::invalid("ids"));
    }
    Ok(ids.iter().filter_map(Value::as_str).filter_map(|id| NotificationId::parse(id).ok()).collect())
}

/// `POST /api/notifications` `{userId,type,message,data?}`
pub(super) async fn create(state: Data<WebState>, _: Admin, request: HttpRequest, body: Body) -> Result<HttpResponse, HttpError> {
    let user = body.user("userId")?;
    request.extensions_mut().insert(ActsOn(user.to_string()));
    let command = Command::Notify {
        kind: body.bounded_text("type", 1, TYPE_MAX)?.ok_or_else(|| HttpError::missing("type"))?.to_owned(),
        message: body.bounded_text("message", 1, NOTIFICATION_MAX)?.ok_or_else(|| HttpError::missing("message"))?.to_owned(),
        data: data_text(body.get("data"))?,
        emitted: None,
    };
    let Notified { notification, .. } = state.chat.ask_for(&user, command).await?;
    Ok(HttpResponse::Created().json(json!({"success": true, "notification": NotificationView::of(&notification)})))
}

fn data_text(data: Option<&Value>) -> Result<Option<String>, HttpError> {
    let data = data.map(Value::to_string);
    if data.as_ref().is_some_and(|data| data.len() > DATA_MAX_BYTES) {
        return Err(HttpError::too_large("The data is too large"));
    }
    Ok(data)
}

/// Returns kind, text and data to store for a notification whose format another server chose: our fields as far as it
/// has them; a value that is not an object becomes the data.
pub(super) fn worded_notification(data: Option<&Value>) -> Result<(String, String, Option<String>), HttpError> {
    let field = |name| data.and_then(|data| data.get(name)).filter(|value| !value.is_null());
    let text = |name, most| field(name).and_then(Value::as_str).map(|text: &str| text.chars().take(most).collect::<String>());
    let kind = text("type", TYPE_MAX).filter(|kind| !kind.is_empty()).unwrap_or_else(|| "notification".to_owned());
    let rest = if data.is_some_and(Value::is_object) { field("data") } else { data };
    Ok((kind, text("message", NOTIFICATION_MAX).unwrap_or_default(), data_text(rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_made() {
        let id = NotificationId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let cursor = NotificationCursor { created_at: Timestamp::from_millis(7), id };
        assert_eq!(read_cursor(&format!("7.{id}")), Some(cursor));
        for bad in ["", ".", "7", "7.x", &format!("x.{id}")] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }

    #[test]
    fn of_a_worded_notification_is_kept_what_it_has() {
        let full = json!({"id": "n-1", "type": "sale", "message": "Sold", "data": {"price": 7}, "createdAt": "2026"});
        let kept = |data: Option<&Value>| worded_notification(data).unwrap();
        assert_eq!(kept(Some(&full)), ("sale".into(), "Sold".into(), Some(r#"{"price":7}"#.into())));
        assert_eq!(kept(Some(&json!({"type": "", "data": null}))), ("notification".into(), "".into(), None));
        assert_eq!(kept(Some(&json!({"type": 7, "message": ["x"]}))), ("notification".into(), "".into(), None));
        assert_eq!(kept(Some(&json!("Sold"))), ("notification".into(), "".into(), Some("\"Sold\"".into())));
        assert_eq!(kept(None), ("notification".into(), "".into(), None));
        assert!(worded_notification(Some(&json!({"data": "x".repeat(DATA_MAX_BYTES)}))).is_err());
    }
}
