//! What was done with an administrator's rights.
use diesel::prelude::*;

use super::AnyConnection;
use super::schema::audit_log;
use crate::model::Timestamp;

/// An act, or several alike of one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// A UUID with its time: later ones are greater.
    pub id: String,
    /// When; of several the first.
    pub done_at: Timestamp,
    /// `user:ID`, `key:NAME`, `admin-ui:NAME` or `command line`.
    pub actor: String,
    /// What was asked for: a route, or a command.
    pub action: String,
    /// What it was done to.
    pub object: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
    /// How often.
    pub times: i64,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log)]
struct AuditRow {
    id: String,
    done_at: i64,
    actor: String,
    action: String,
    object: Option<String>,
    address: Option<String>,
    times: i64,
}

/// Stores an entry; a second time nothing happens.
pub(super) fn insert(conn: &mut AnyConnection, entry: &AuditEntry) -> QueryResult<()> {
    let AuditEntry { id, done_at, actor, action, object, address, times } = entry.clone();
    let is_known: i64 = audit_log::table.filter(audit_log::id.eq(&id)).count().get_result(conn)?;
    if is_known > 0 {
        return Ok(());
    }
    let row = AuditRow { id, done_at: done_at.as_millis(), actor, action, object, address, times };
    diesel::insert_into(audit_log::table).values(row).execute(conn).map(drop)
}

/// Entries, newest first, before that one.
pub fn list_audit(conn: &mut AnyConnection, before: Option<&str>, limit: i64) -> QueryResult<Vec<AuditEntry>> {
    let mut entries = audit_log::table.order(audit_log::id.desc()).limit(limit).select(AuditRow::as_select()).into_boxed();
    if let Some(before) = before {
        entries = entries.filter(audit_log::id.lt(before));
    }
    let rows: Vec<AuditRow> = entries.load(conn)?;
    Ok(rows
        .into_iter()
        .map(|AuditRow { id, done_at, actor, action, object, address, times }| AuditEntry {
            id,
            done_at: Timestamp::from_millis(done_at),
            actor,
            action,
            object,
            address,
            times,
        })
        .collect())
}
