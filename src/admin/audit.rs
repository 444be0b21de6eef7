//! Lists the actions of administrators, and of servers with keys.
use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Value, json};

use crate::store::{self, AuditEntry};
use crate::web::{Admin, HttpError, Query, WebState};

/// Longest id of an entry.
pub(super) const ID_MAX: usize = 36;

/// `GET /api/admin/audit?before=&limit=`: newest first. `next` is the `before` of the next page.
pub(super) async fn list(state: Data<WebState>, _: Admin, query: Query) -> Result<HttpResponse, HttpError> {
    let before = query.get("before").map(str::to_owned);
    if before.as_ref().is_some_and(|before| before.len() > ID_MAX) {
        return Err(HttpError::invalid("before"));
    }
    let limit = query.limit()?;
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let entries = state.store.read_after_writes(move |conn| store::list_audit(conn, before.as_deref(), rows)).await?;
    let next = if entries.len() == limit { entries.last().map(|entry| entry.id.clone()) } else { None };
    let entries: Vec<Value> = entries.iter().map(shown).collect();
    Ok(HttpResponse::Ok().json(json!({"success": true, "entries": entries, "next": next})))
}

fn shown(entry: &AuditEntry) -> Value {
    let AuditEntry { id, done_at, actor, action, object, address, times } = entry;
    json!({"id": id, "doneAt": done_at, "actor": actor, "action": action, "object": object, "address": address, "times": times})
}
