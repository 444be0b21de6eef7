//! Read-only inspection of a database: nothing is created, waited for or migrated, and a server may be using it.
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::connection::{AnyConnection, Purpose, connect, connect_to_file};
use super::failure::{MaintenanceError, OpenError};
use super::migrations::{MigrationState, list_migrations};
use super::url::DatabaseUrl;

/// State of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseState {
    /// Software that serves it: `SQLite 3.50.2` or `Postgres 17.5`.
    pub version: String,
    /// Its migrations.
    pub migrations: Vec<MigrationState>,
    /// Maximum number of connections of the server; `None` for a file.
    pub max_connections: Option<i64>,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Limit {
    #[diesel(sql_type = BigInt)]
    limit: i64,
}

/// Inspects the database; `None` if the file does not exist yet. Blocks.
///
/// # Errors
/// [`MaintenanceError::Open`], [`MaintenanceError::Failed`].
pub fn look_at(url: &DatabaseUrl) -> Result<Option<DatabaseState>, MaintenanceError> {
    let Some(mut conn) = connect_to_look(url)? else { return Ok(None) };
    let (version, max_connections) = match &conn {
        AnyConnection::Sqlite(_) => ("SELECT 'SQLite ' || sqlite_version() AS version", None),
        AnyConnection::Postgres(_) => (
            "SELECT 'Postgres ' || current_setting('server_version') AS version",
            Some("SELECT current_setting('max_connections')::bigint AS limit"),
        ),
    };
    let Version { version } = diesel::sql_query(version).get_result(&mut conn)?;
    let limit = max_connections.map(|question| diesel::sql_query(question).get_result::<Limit>(&mut conn)).transpose()?;
    let migrations = list_migrations(&mut conn)?;
    Ok(Some(DatabaseState { version, migrations, max_connections: limit.map(|row| row.limit) }))
}

/// Connects for inspection; `None` if the file does not exist yet.
///
/// # Errors
/// [`MaintenanceError::Open`].
pub fn connect_to_look(url: &DatabaseUrl) -> Result<Option<AnyConnection>, MaintenanceError> {
    let conn = match url {
        DatabaseUrl::Sqlite(path) if !path.exists() => return Ok(None),
        DatabaseUrl::Sqlite(path) => connect_to_file(path, untouched(path)),
        DatabaseUrl::Postgres(_) => connect(url, Purpose::Reading),
    };
    Ok(Some(conn.map_err(OpenError::Unavailable)?))
}

/// Returns options that keep SQLite from creating any file.
///
/// If there is no log, the file was closed properly and can be read as immutable.
fn untouched(path: &Path) -> &'static str {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() { "mode=ro" } else { "mode=ro&immutable=1" }
}
