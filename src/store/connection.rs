//! Connections to either database, with the settings that the promises rest on.
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::{Connection as _, PgConnection, QueryResult, SqliteConnection};

use super::url::DatabaseUrl;
use crate::config::make_private_folder;

/// Settings of a writer: nothing is confirmed before it is on the disk.
///
/// The short busy time-out leaves the waiting to the persister, who knows for how long.
const SQLITE_WRITER: &str = "PRAGMA busy_timeout = 1000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384;";
/// Each of the readers has a cache: in all they hold what one of usual size does, and the rest comes from the system's.
const SQLITE_READER: &str =
    "PRAGMA busy_timeout = 4000; PRAGMA foreign_keys = ON; PRAGMA query_only = ON; PRAGMA cache_size = -256;";
/// Marks the sessions of a server that serves a schema: the next one's end them. Maintenance and commands have it not.
const POSTGRES_MARK: &str = "SELECT pg_advisory_lock_shared(1885957229, hashtext(current_schema()));";
/// The writer finds all by key: plans made while the tables were small must not read them whole when they are not.
const POSTGRES_WRITER: &str = "SET synchronous_commit = on; SET lock_timeout = '5s'; SET application_name = 'parlance writer'; \
     SET jit = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;";
const POSTGRES_READER: &str = "SET default_transaction_read_only = on; SET statement_timeout = '5s'; \
     SET application_name = 'parlance reader'; SET jit = off;";

/// Words of libpq about `sslmode=require` where the feature `postgres-tls` is not compiled in.
pub(super) const NO_TLS: &str = "SSL support is not compiled in";

/// A connection to either database.
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    /// To a Postgres server.
    Postgres(PgConnection),
    /// To a file.
    Sqlite(SqliteConnection),
}

/// Purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The one writer of a server.
    Serving,
    /// Another's changes.
    Writing,
    Reading,
}

/// [`connect`], where a missing file is made before: for who makes a database.
pub(super) fn connect_or_create(url: &DatabaseUrl, purpose: Purpose) -> Result<AnyConnection, String> {
    if let DatabaseUrl::Sqlite(path) = url {
        make_private(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    connect(url, purpose)
}

/// Connects and sets what the purpose asks for; a missing file is not made. The cause of a failure is a text without secrets.
pub(super) fn connect(url: &DatabaseUrl, purpose: Purpose) -> Result<AnyConnection, String> {
    match url {
        DatabaseUrl::Sqlite(path) => {
            connect_file(path, "mode=rw", if purpose == Purpose::Reading { SQLITE_READER } else { SQLITE_WRITER })
        }
        DatabaseUrl::Postgres(url) => {
            let settings = if purpose == Purpose::Reading { POSTGRES_READER } else { POSTGRES_WRITER };
            let mut conn = establish(url)?;
            conn.batch_execute(settings).map_err(|error| one_line(&error.to_string()))?;
            if purpose == Purpose::Serving {
                conn.batch_execute(POSTGRES_MARK).map_err(|error| one_line(&error.to_string()))?;
            }
            Ok(AnyConnection::Postgres(conn))
        }
    }
}

/// Connects to a file only to look at it, with these options of its address.
pub(super) fn connect_to_file(path: &Path, options: &str) -> Result<AnyConnection, String> {
    connect_file(path, options, SQLITE_READER)
}

fn connect_file(path: &Path, options: &str, settings: &str) -> Result<AnyConnection, String> {
    let location = path.to_str().ok_or("the database file's name is not UTF-8")?;
    let address = sqlite_address(path, options);
    let mut conn = SqliteConnection::establish(&address).map_err(|error| format!("{location}: {error}"))?;
    conn.batch_execute(settings).map_err(|error| format!("{location}: {error}"))?;
    Ok(AnyConnection::Sqlite(conn))
}

/// A file's address for SQLite with options (source: SQLite, "URI Filenames").
fn sqlite_address(path: &Path, options: &str) -> String {
    let name = path.to_string_lossy();
    // Two slashes at the beginning would be taken for a host's.
    let mut address = String::from(if name.starts_with("//") { "file://" } else { "file:" });
    for character in name.chars() {
        match character {
            '%' => address.push_str("%25"),
            '?' => address.push_str("%3f"),
            '#' => address.push_str("%23"),
            _ => address.push(character),
        }
    }
    format!("{address}?{options}")
}

/// Frees what SQLite keeps of the file's pages. They come again from the system's cache, in microseconds.
pub(super) fn free_pages(conn: &mut AnyConnection) -> QueryResult<()> {
    match conn {
        AnyConnection::Postgres(_) => Ok(()),
        AnyConnection::Sqlite(conn) => conn.batch_execute("PRAGMA shrink_memory"),
    }
}

/// Runs `body` in a transaction: committed where it answers `Ok`, rolled back otherwise.
///
/// On SQLite the write lock is taken at once, so that nothing fails halfway for want of it.
pub(super) fn in_transaction<T>(
    conn: &mut AnyConnection,
    body: impl FnOnce(&mut AnyConnection) -> QueryResult<T>,
) -> QueryResult<T> {
    transact(conn, "BEGIN", "BEGIN IMMEDIATE", body)
}

/// Runs questions that all see the same state of the database.
pub(super) fn in_snapshot<T>(
    conn: &mut AnyConnection,
    body: impl FnOnce(&mut AnyConnection) -> QueryResult<T>,
) -> QueryResult<T> {
    transact(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "BEGIN", body)
}

fn transact<T>(
    conn: &mut AnyConnection,
    postgres_begin: &str,
    sqlite_begin: &str,
    body: impl FnOnce(&mut AnyConnection) -> QueryResult<T>,
) -> QueryResult<T> {
    match conn {
        AnyConnection::Postgres(conn) => AnsiTransactionManager::begin_transaction_sql(conn, postgres_begin)?,
        AnyConnection::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, sqlite_begin)?,
    }
    match body(conn) {
        Ok(value) => {
            match conn {
                AnyConnection::Postgres(conn) => AnsiTransactionManager::commit_transaction(conn)?,
                AnyConnection::Sqlite(conn) => AnsiTransactionManager::commit_transaction(conn)?,
            }
            Ok(value)
        }
        Err(error) => {
            // The first error says more; a connection that cannot even roll back is found out by its next use.
            let _ = match conn {
                AnyConnection::Postgres(conn) => AnsiTransactionManager::rollback_transaction(conn),
                AnyConnection::Sqlite(conn) => AnsiTransactionManager::rollback_transaction(conn),
            };
            Err(error)
        }
    }
}

/// Makes the file, and its folder, where they are missing: for nobody else's eyes.
pub(super) fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_private_folder(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Connects to Postgres. The cause of a failure is one line without secrets.
pub(super) fn establish(url: &str) -> Result<PgConnection, String> {
    PgConnection::establish(url).map_err(|error| {
        let cause = one_line(&error.to_string());
        if cause.contains(NO_TLS) { format!("{cause}: build with `--features postgres-tls`") } else { cause }
    })
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_signs_of_addresses_stands_for_itself() {
        for (name, address) in [
            ("/a b/50%?#.db", "file:/a b/50%25%3f%23.db?mode=rw"),
            ("//a.db", "file:////a.db?mode=rw"),
            ("a.db", "file:a.db?mode=rw"),
        ] {
            assert_eq!(sqlite_address(Path::new(name), "mode=rw"), address);
        }
    }
}
