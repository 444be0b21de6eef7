//! Files of which it is to be found out whether anything names them.
use diesel::dsl::exists;
use diesel::prelude::*;

use crate::model::Timestamp;
use crate::store::connection::AnyConnection;
use crate::store::schema::{file_names, unnamed_files, uploads};

/// The files that are to be looked at, some of them.
pub fn list_unnamed_files(conn: &mut AnyConnection, limit: i64) -> QueryResult<Vec<String>> {
    unnamed_files::table.order(unnamed_files::url).limit(limit).select(unnamed_files::url).load(conn)
}

/// A page of the uploads after this address that were made before that and that nothing names; and where the next one begins.
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
    // Those that are looked at anyway are not counted twice.
    let is_noted = exists(unnamed_files::table.filter(unnamed_files::url.eq(uploads::url)));
    let orphans = uploads::table
        .filter(uploads::url.eq_any(&old).and(diesel::dsl::not(is_named)).and(diesel::dsl::not(is_noted)))
        .order(uploads::url)
        .select(uploads::url)
        .load(conn)?;
    Ok((orphans, last))
}
