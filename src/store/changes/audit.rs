//! Audit entries.
use diesel::prelude::*;

use crate::store::connection::AnyConnection;
use crate::store::rows::AuditRow;
use crate::store::schema::audit_log;
use crate::store::write::AuditEntry;

/// Stores an entry; repeating it has no effect.
pub(super) fn insert(conn: &mut AnyConnection, entry: &AuditEntry) -> QueryResult<()> {
    let is_known: i64 = audit_log::table.filter(audit_log::id.eq(&entry.id)).count().get_result(conn)?;
    if is_known > 0 {
        return Ok(());
    }
    diesel::insert_into(audit_log::table).values(AuditRow::from(entry.clone())).execute(conn).map(drop)
}
