//! Connections for work on the whole database without a store: migrations, export, import, backup.
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::{AnyConnection, Purpose, connect, connect_or_create};
use super::failure::{MaintenanceError, absent, is_absence};
use super::url::DatabaseUrl;

/// Locks the file against all others, from its first use until the connection ends.
const SQLITE_ALONE: &str = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;";
/// The number is arbitrary; whoever needs the database alone holds this lock. The lock of a killed command lasts until
/// Postgres notices.
const POSTGRES_ALONE: &str = "SET lock_timeout = '10s'; SELECT pg_advisory_lock(7263917026);";
const POSTGRES_SERVERS: &str = "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
     AND pid <> pg_backend_pid() AND application_name IN ('parlance writer', 'parlance reader')";
/// These queries run long, and reading by index avoids sorting whole tables.
const POSTGRES_WHOLE: &str = "SET statement_timeout = 0; SET enable_seqscan = off; SET enable_sort = off; \
     SET application_name = 'parlance maintenance';";

/// Time within which Postgres ends the sessions of a server that has just stopped.
const GONE_WITHIN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Connects for reading, while a server may be running. A missing file is not created.
///
/// # Errors
/// [`MaintenanceError::Open`], [`MaintenanceError::Missing`].
pub fn connect_beside(url: &DatabaseUrl) -> Result<AnyConnection, MaintenanceError> {
    must_exist(url)?;
    let mut conn = connect(url, Purpose::Reading).map_err(absent)?;
    if let AnyConnection::Postgres(conn) = &mut conn {
        conn.batch_execute(POSTGRES_WHOLE)?;
    }
    Ok(conn)
}

/// Connects for writing, exclusively. An SQLite file stays locked until the connection ends.
///
/// # Errors
/// [`MaintenanceError::InUse`] if a server is running on the database; otherwise as [`connect_beside`].
pub fn connect_alone(url: &DatabaseUrl) -> Result<AnyConnection, MaintenanceError> {
    must_exist(url)?;
    alone(url, connect)
}

/// [`connect_alone`], but creates a missing file.
///
/// # Errors
/// As [`connect_alone`].
pub(super) fn connect_or_make_alone(url: &DatabaseUrl) -> Result<AnyConnection, MaintenanceError> {
    alone(url, connect_or_create)
}

fn alone(
    url: &DatabaseUrl,
    connect: fn(&DatabaseUrl, Purpose) -> Result<AnyConnection, String>,
) -> Result<AnyConnection, MaintenanceError> {
    let mut conn = connect(url, Purpose::Writing)
        .map_err(|cause| if cause.contains("database is locked") { MaintenanceError::InUse } else { absent(cause).into() })?;
    match &mut conn {
        AnyConnection::Sqlite(conn) => conn
            .batch_execute(SQLITE_ALONE)
            .map_err(|error| if is_absence(&error) { MaintenanceError::InUse } else { error.into() })?,
        AnyConnection::Postgres(conn) => {
            conn.batch_execute(POSTGRES_WHOLE)?;
            let begun = Instant::now();
            while has_servers(conn)? {
                if begun.elapsed() > GONE_WITHIN {
                    return Err(MaintenanceError::InUse);
                }
                thread::sleep(PAUSE);
            }
            if conn.batch_execute(POSTGRES_ALONE).is_err() {
                return Err(MaintenanceError::InUse);
            }
        }
    }
    Ok(conn)
}

fn has_servers(conn: &mut PgConnection) -> QueryResult<bool> {
    diesel::sql_query(POSTGRES_SERVERS).get_result(conn).map(|Count { count }| count > 0)
}

/// Connects for writing like a starting server: a missing file is created.
///
/// # Errors
/// [`MaintenanceError::Open`].
pub fn connect_or_make(url: &DatabaseUrl) -> Result<AnyConnection, MaintenanceError> {
    Ok(connect_or_create(url, Purpose::Writing).map_err(absent)?)
}

pub(super) fn must_exist(url: &DatabaseUrl) -> Result<(), MaintenanceError> {
    match url {
        DatabaseUrl::Sqlite(path) if !path.exists() => Err(MaintenanceError::Missing(path.display().to_string())),
        _ => Ok(()),
    }
}
