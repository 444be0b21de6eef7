//! Audit entries.
use diesel::prelude::*;

use crate::store::connection::AnyConnection;
use crate::store::rows::AuditRow;
use crate::store::schema::audit_log;
use crate::store::write::AuditEntry;

/// Returns entries before that one, newest first.
pub fn list_audit(conn: &mut AnyConnection, before: Option<&str>, limit: i64) -> QueryResult<Vec<AuditEntry>> {
    let mut entries = audit_log::table.order(audit_log::id.desc()).limit(limit).select(AuditRow::as_select()).into_boxed();
    if let Some(before) = before {
        entries = entries.filter(audit_log::id.lt(before));
    }
    let rows: Vec<AuditRow> = entries.load(conn)?;
    Ok(rows.into_iter().map(AuditEntry::from).collect())
}
