//! Migrations: the same versions and names for both databases, compiled in.
use diesel::connection::SimpleConnection as _;
use diesel::migration::{Migration as _, MigrationSource as _};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::AnyConnection;
use super::failure::{MaintenanceError, OpenError};

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// Held while migrating, so that two processes starting at once do not both create the tables. The number is arbitrary.
const LOCK: &str = "SELECT pg_advisory_lock(7263917025)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(7263917025)";

/// State of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Name of its folder; if this version does not know it, its number.
    pub name: String,
    /// Set if the database has it.
    pub is_applied: bool,
    /// Set if this version knows it.
    pub is_known: bool,
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    answer: bool,
}

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Applies missing migrations.
pub(super) fn migrate(conn: &mut AnyConnection) -> Outcome {
    match conn {
        AnyConnection::Postgres(conn) => {
            conn.batch_execute(LOCK)?;
            let outcome = conn.run_pending_migrations(POSTGRES).map(drop);
            conn.batch_execute(UNLOCK)?;
            outcome
        }
        AnyConnection::Sqlite(conn) => conn.run_pending_migrations(SQLITE).map(drop),
    }
}

/// Lists migrations, the oldest first: those of this version, and those that a later version applied.
///
/// # Errors
/// [`MaintenanceError::Failed`].
pub fn list_migrations(conn: &mut AnyConnection) -> Result<Vec<MigrationState>, MaintenanceError> {
    // Diesel's own functions create the migration table if it is missing, which a read-only inspection must not do.
    let applied: Vec<String> = if has_history(conn)? {
        let rows = diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load::<Applied>(conn)?;
        rows.into_iter().map(|row| row.version).collect()
    } else {
        Vec::new()
    };
    let known = match conn {
        AnyConnection::Postgres(_) => names::<Pg>(&POSTGRES),
        AnyConnection::Sqlite(_) => names::<Sqlite>(&SQLITE),
    }?;
    let mut list: Vec<(String, MigrationState)> = applied
        .iter()
        .filter(|version| !known.iter().any(|(own, _)| own == *version))
        .map(|version| (version.clone(), MigrationState { name: version.clone(), is_applied: true, is_known: false }))
        .collect();
    list.extend(known.into_iter().map(|(version, name)| {
        let is_applied = applied.contains(&version);
        (version, MigrationState { name, is_applied, is_known: true })
    }));
    list.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(list.into_iter().map(|(_, state)| state).collect())
}

/// Checks that the tables are of this version.
///
/// # Errors
/// [`MaintenanceError::Outdated`] if a migration of this version is missing.
pub(super) fn must_be_up_to_date(conn: &mut AnyConnection) -> Result<(), MaintenanceError> {
    match list_migrations(conn)?.into_iter().find(|migration| !migration.is_applied) {
        Some(missing) => Err(MaintenanceError::Outdated(missing.name)),
        None => Ok(()),
    }
}

fn has_history(conn: &mut AnyConnection) -> QueryResult<bool> {
    let question = match conn {
        AnyConnection::Postgres(_) => "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS answer",
        AnyConnection::Sqlite(_) => {
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__diesel_schema_migrations') AS answer"
        }
    };
    diesel::sql_query(question).get_result::<Answer>(conn).map(|row| row.answer)
}

/// Returns version and name of each migration.
fn names<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Result<Vec<(String, String)>, MaintenanceError>
where
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    let migrations = source.migrations().map_err(|error| MaintenanceError::Failed(error.to_string()))?;
    Ok(migrations.iter().map(|migration| (migration.name().version().to_string(), migration.name().to_string())).collect())
}

/// Applies missing migrations; returns their names.
///
/// # Errors
/// [`MaintenanceError::Open`], [`MaintenanceError::Failed`].
pub fn apply_migrations(conn: &mut AnyConnection) -> Result<Vec<String>, MaintenanceError> {
    let missing = list_migrations(conn)?.into_iter().filter(|step| !step.is_applied).map(|step| step.name).collect();
    migrate(conn).map_err(|error| MaintenanceError::Open(OpenError::Unusable(error.to_string())))?;
    Ok(missing)
}

/// Reverts the latest migration.
///
/// # Errors
/// [`MaintenanceError::Failed`], also if this version does not know the migration.
pub fn revert_last_migration(conn: &mut AnyConnection) -> Result<(), MaintenanceError> {
    let outcome = match conn {
        AnyConnection::Postgres(conn) => conn.revert_last_migration(POSTGRES).map(drop),
        AnyConnection::Sqlite(conn) => conn.revert_last_migration(SQLITE).map(drop),
    };
    outcome.map_err(|error| MaintenanceError::Failed(error.to_string()))
}

/// Reverts all migrations; for tests of `down.sql`.
#[doc(hidden)]
pub fn revert_migrations(conn: &mut AnyConnection) -> Outcome {
    match conn {
        AnyConnection::Postgres(conn) => conn.revert_all_migrations(POSTGRES).map(drop),
        AnyConnection::Sqlite(conn) => conn.revert_all_migrations(SQLITE).map(drop),
    }
}

/// Applies missing migrations; for the same tests.
#[doc(hidden)]
pub fn run_migrations(conn: &mut AnyConnection) -> Outcome {
    migrate(conn)
}
