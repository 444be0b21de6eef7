//! Files that may have lost their last reference.
use diesel::dsl::exists;
use diesel::prelude::*;

use crate::model::Timestamp;
use crate::store::connection::AnyConnection;
use crate::store::schema::{file_names, unnamed_files, uploads};

/// Returns noted files, at most `limit`.
pub fn list_unnamed_files(conn: &mut AnyConnection, limit: i64) -> QueryResult<Vec<String>> {
    unnamed_files::table.order(unnamed_files::url).limit(limit).select(unnamed_files::url).load(conn)
}

/// Returns a page of unreferenced uploads older than `before`, starting after an address; and the start of the next
/// page.
pub(in crate::store) fn list_orphans(
    conn: &mut AnyConnection,
    after: &str,
    before: Timestamp,
    limit: i64,
) -> QueryResult<(Vec<String>, Option<String>)> {
    let page: Vec<(String, i64)> = uploads::table
        .filter(uploads::url.gt(after))
        .order(uploads::url)
        .limit(limit)
        .select((uploads::url, uploads::uploaded_at))
        .load(conn)?;
    let last = page.last().map(|(url, _)| url.clone());
    let old: Vec<String> =
        page.into_iter().filter(|(_, uploaded_at)| *uploaded_at < before.as_millis()).map(|(url, _)| url).collect();
    let is_named = exists(file_names::table.filter(file_names::url.eq(uploads::url)));
    // Files that are already noted are not counted again.
    let is_noted = exists(unnamed_files::table.filter(unnamed_files::url.eq(uploads::url)));
    let orphans = uploads::table
        .filter(uploads::url.eq_any(&old).and(diesel::dsl::not(is_named)).and(diesel::dsl::not(is_noted)))
        .order(uploads::url)
        .select(uploads::url)
        .load(conn)?;
    Ok((orphans, last))
}
