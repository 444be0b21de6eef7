//! Copies an SQLite database while a server writes to it.
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::connection::{AnyConnection, Purpose, connect};
use super::failure::MaintenanceError;
use super::maintenance::connect_beside;
use super::url::DatabaseUrl;

/// Reason for the lack of a copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] MaintenanceError),
    /// It is a Postgres database, which has tools of its own.
    #[error("Postgres is backed up by its own pg_dump: pg_dump --format=custom --file=FILE \"$DATABASE_URL\"")]
    Postgres,
    /// The target file could not be written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The copy is corrupt and was deleted; most likely the original is corrupt, too.
    #[error("the copy is damaged, and most likely the database is: {0}")]
    Damaged(String),
}

#[derive(QueryableByName)]
struct Finding {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// Copies a snapshot of the database to `target`, checks the copy and syncs it. It gets its name last, so a file of
/// that name is always complete. The server is not held up: in WAL mode, readers do not block the writer.
///
/// Returns the copy's size in bytes.
///
/// # Errors
/// [`BackupError`]; the target is then left as it was.
pub fn back_up(url: &DatabaseUrl, target: &Path, may_replace: bool) -> Result<u64, BackupError> {
    let DatabaseUrl::Sqlite(_) = url else { return Err(BackupError::Postgres) };
    let failed = |error: io::Error| BackupError::File { path: target.to_owned(), reason: error.to_string() };
    if !may_replace && target.exists() {
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "it exists: name another file, or give --force")));
    }
    let mut conn = connect_beside(url)?;
    let name = target.file_name().ok_or_else(|| failed(io::Error::other("it names no file")))?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // SQLite gives some relative names a special meaning.
    let folder = folder.canonicalize().map_err(failed)?;
    let mut part_name = name.to_owned();
    part_name.push(format!(".part-{}", std::process::id()));
    let part = folder.join(part_name);
    // SQLite accepts an empty file as a new database; made here, it is readable by this user only.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(failed)?;
    let copied = copy(&mut conn, &part).and_then(|()| name_it(&part, &folder.join(name), may_replace).map_err(failed));
    if copied.is_err() {
        let _ = fs::remove_file(&part);
    }
    copied
}

fn copy(conn: &mut AnyConnection, part: &Path) -> Result<(), BackupError> {
    let unnamed = || BackupError::File { path: part.to_owned(), reason: "its name is not UTF-8".to_owned() };
    let location = part.to_str().ok_or_else(unnamed)?;
    if let AnyConnection::Sqlite(conn) = conn {
        // Nothing is written to this database, but SQLite treats the copy as a write.
        conn.batch_execute("PRAGMA query_only = OFF").map_err(MaintenanceError::from)?;
        diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(location).execute(conn).map_err(MaintenanceError::from)?;
    }
    let mut copy = connect(&DatabaseUrl::Sqlite(part.to_owned()), Purpose::Reading).map_err(BackupError::Damaged)?;
    let findings = diesel::sql_query("PRAGMA integrity_check").load::<Finding>(&mut copy);
    let findings = findings.map_err(|error| BackupError::Damaged(error.to_string()))?;
    let problems: Vec<String> =
        findings.into_iter().map(|finding| finding.integrity_check).filter(|finding| finding != "ok").collect();
    if problems.is_empty() { Ok(()) } else { Err(BackupError::Damaged(problems.join("; "))) }
}

fn name_it(part: &Path, target: &Path, may_replace: bool) -> io::Result<u64> {
    let file = File::open(part)?;
    file.sync_all()?;
    if may_replace {
        fs::rename(part, target)?;
    } else {
        // Unlike `rename`, a hard link never replaces a file.
        fs::hard_link(part, target)?;
        fs::remove_file(part)?;
    }
    if let Some(folder) = target.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file.metadata()?.len())
}
