//! Connections to either database, with the settings that durability depends on.
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::{Connection as _, PgConnection, QueryResult, SqliteConnection};

use super::url::DatabaseUrl;
use crate::config::make_private_folder;

/// Settings of a writer: nothing is confirmed before it is on disk.
///
/// The busy time-out is short because the persister does the waiting, and knows its limit.
const SQLITE_WRITER: &str = "PRAGMA busy_timeout = 1000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384;";
/// Each reader has a cache; all of them together hold as much as one of normal size, and the operating system caches
/// the rest.
const SQLITE_READER: &str =
    "PRAGMA busy_timeout = 4000; PRAGMA foreign_keys = ON; PRAGMA query_only = ON; PRAGMA cache_size = -256;";
/// Marks the sessions of a server on a schema; the next server ends marked sessions. Those of maintenance and commands
/// are unmarked.
const POSTGRES_MARK: &str = "SELECT pg_advisory_lock_shared(1885957229, hashtext(current_schema()));";
/// The writer finds everything by key: plans made while tables were small must not scan them once they are large.
const POSTGRES_WRITER: &str = "SET synchronous_commit = on; SET lock_timeout = '5s'; SET application_name = 'parlance writer'; \
     SET jit = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;";
const POSTGRES_READER: &str = "SET default_transaction_read_only = on; SET statement_timeout = '5s'; \
     SET application_name = 'parlance reader'; SET jit = off;";

/// Text of libpq's error if `sslmode=require` is used without the feature `postgres-tls`.
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
    /// The single writer of a server.
    Serving,
    /// Changes by another process.
    Writing,
    Reading,
}

/// [`connect`], but creates a missing file first.
pub(super) fn connect_or_create(url: &DatabaseUrl, purpose: Purpose) -> Result<AnyConnection, String> {
    if let DatabaseUrl::Sqlite(path) = url {
        make_private(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    connect(url, purpose)
}

/// Connects and applies the settings for the purpose; a missing file is not created. Errors contain no secrets.
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

/// Connects to a file for inspection only, with these options in its address.
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

/// Returns a file's SQLite address with options (source: SQLite, "URI Filenames").
fn sqlite_address(path: &Path, options: &str) -> String {
    let name = path.to_string_lossy();
    // Two slashes at the start would be taken as the start of a host name.
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

/// Frees SQLite's page cache. Pages come back from the operating system's cache within microseconds.
pub(super) fn free_pages(conn: &mut AnyConnection) -> QueryResult<()> {
    match conn {
        AnyConnection::Postgres(_) => Ok(()),
        AnyConnection::Sqlite(conn) => conn.batch_execute("PRAGMA shrink_memory"),
    }
}

/// Runs `body` in a transaction: committed on `Ok`, rolled back otherwise.
///
/// On SQLite the write lock is taken at once, so that the transaction cannot fail halfway for lack of it.
pub(super) fn in_transaction<T>(
    conn: &mut AnyConnection,
    body: impl FnOnce(&mut AnyConnection) -> QueryResult<T>,
) -> QueryResult<T> {
    transact(conn, "BEGIN", "BEGIN IMMEDIATE", body)
}

/// Runs queries that all see the same snapshot of the database.
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
            // The first error is the informative one; a connection that cannot even roll back fails at its next use.
            let _ = match conn {
                AnyConnection::Postgres(conn) => AnsiTransactionManager::rollback_transaction(conn),
                AnyConnection::Sqlite(conn) => AnsiTransactionManager::rollback_transaction(conn),
            };
            Err(error)
        }
    }
}

/// Creates a missing file and folder, readable by this user only.
pub(super) fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_private_folder(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Connects to Postgres. The error is one line without secrets.
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
