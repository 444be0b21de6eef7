//! References to uploaded files: adding and removing them, and noting files that have none left.
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{Array, Text};

use super::outcome::Outcome;
use crate::store::connection::AnyConnection;
use crate::store::file_names::{FileName, uploads_in};
use crate::store::schema::{file_names, unnamed_files, uploads};
use crate::store::write::Written;

/// Maximum number of rows in one statement.
const ROWS_AT_ONCE: usize = 1_000;

/// Adds references. Existing ones stay.
pub(in crate::store) fn insert(conn: &mut AnyConnection, names: &[FileName]) -> QueryResult<()> {
    if names.is_empty() {
        return Ok(());
    }
    match conn {
        AnyConnection::Postgres(conn) => {
            let (namers, urls): (Vec<&str>, Vec<&str>) = names.iter().map(|(namer, url)| (&**namer, &**url)).unzip();
            diesel::sql_query("INSERT INTO file_names (namer, url) SELECT * FROM unnest($1, $2) ON CONFLICT DO NOTHING")
                .bind::<Array<Text>, _>(namers)
                .bind::<Array<Text>, _>(urls)
                .execute(conn)?;
        }
        AnyConnection::Sqlite(conn) => {
            for (namer, url) in names {
                diesel::insert_into(file_names::table)
                    .values((file_names::namer.eq(namer), file_names::url.eq(url)))
                    .on_conflict_do_nothing()
                    .execute(conn)?;
            }
        }
    }
    Ok(())
}

/// Replaces the references of one namer: from now on, only the uploads in these texts.
pub(super) fn rename(conn: &mut AnyConnection, namer: &str, texts: &[&str]) -> QueryResult<()> {
    let now: Vec<&str> = texts.iter().flat_map(|text| uploads_in(text)).collect();
    let before: Vec<String> = file_names::table.filter(file_names::namer.eq(namer)).select(file_names::url).load(conn)?;
    let added: Vec<FileName> = now
        .iter()
        .filter(|url| !before.iter().any(|known| known == *url))
        .map(|url| (namer.to_owned(), (*url).to_owned()))
        .collect();
    insert(conn, &added)?;
    let dropped: Vec<String> = before.into_iter().filter(|url| !now.contains(&url.as_str())).collect();
    for urls in dropped.chunks(ROWS_AT_ONCE) {
        let gone = file_names::namer.eq(namer).and(file_names::url.eq_any(urls));
        diesel::delete(file_names::table.filter(gone)).execute(conn)?;
    }
    release(conn, &dropped)
}

/// Removes all references of these namers.
pub(super) fn forget(conn: &mut AnyConnection, namers: &[String]) -> QueryResult<()> {
    for namers in namers.chunks(ROWS_AT_ONCE) {
        let own = file_names::namer.eq_any(namers);
        let urls: Vec<String> = file_names::table.filter(own).select(file_names::url).distinct().load(conn)?;
        if urls.is_empty() {
            continue;
        }
        diesel::delete(file_names::table.filter(file_names::namer.eq_any(namers))).execute(conn)?;
        release(conn, &urls)?;
    }
    Ok(())
}

/// Notes the unreferenced uploads of a user for removal.
pub(super) fn release_own(conn: &mut AnyConnection, user: &str) -> QueryResult<()> {
    diesel::sql_query(
        "INSERT INTO unnamed_files (url) SELECT uploads.url FROM uploads WHERE uploads.owner = $1 \
         AND NOT EXISTS (SELECT 1 FROM file_names WHERE file_names.url = uploads.url) ON CONFLICT (url) DO NOTHING",
    )
    .bind::<Text, _>(user)
    .execute(conn)
    .map(drop)
}

/// Notes those of these uploads that exist and have no references.
pub(super) fn release(conn: &mut AnyConnection, urls: &[String]) -> QueryResult<()> {
    for url in urls {
        diesel::sql_query(
            "INSERT INTO unnamed_files (url) SELECT uploads.url FROM uploads WHERE uploads.url = $1 \
             AND NOT EXISTS (SELECT 1 FROM file_names WHERE file_names.url = uploads.url) ON CONFLICT (url) DO NOTHING",
        )
        .bind::<Text, _>(url)
        .execute(conn)?;
    }
    Ok(())
}

/// Deletes the unreferenced uploads among these noted files, and the notes of those that are referenced again. Returns
/// the files to remove from disk, including those whose upload an earlier process deleted before it died.
pub(super) fn drop_unnamed(conn: &mut AnyConnection, urls: &[String]) -> QueryResult<Outcome> {
    let noted: Vec<String> =
        unnamed_files::table.filter(unnamed_files::url.eq_any(urls)).select(unnamed_files::url).load(conn)?;
    let is_named = exists(file_names::table.filter(file_names::url.eq(uploads::url)));
    let named: Vec<String> = uploads::table.filter(uploads::url.eq_any(&noted).and(is_named)).select(uploads::url).load(conn)?;
    diesel::delete(unnamed_files::table.filter(unnamed_files::url.eq_any(&named))).execute(conn)?;
    let unnamed: Vec<String> = noted.into_iter().filter(|url| !named.contains(url)).collect();
    diesel::delete(uploads::table.filter(uploads::url.eq_any(&unnamed))).execute(conn)?;
    Ok(Ok(Written::Unnamed { urls: unnamed }))
}

/// Deletes the notes of files that were removed from disk.
pub(super) fn note_removed(conn: &mut AnyConnection, urls: &[String]) -> QueryResult<()> {
    diesel::delete(unnamed_files::table.filter(unnamed_files::url.eq_any(urls))).execute(conn).map(drop)
}
