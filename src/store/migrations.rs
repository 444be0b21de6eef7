//! The tables' history: the same versions and names for both databases, compiled in.
use diesel::connection::SimpleConnection as _;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::AnyConnection;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// Held while tables are made, so that two processes that start at once do not both make them. Any number of our own.
const LOCK: &str = "SELECT pg_advisory_lock(7263917025)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(7263917025)";

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Brings the tables up to date.
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

/// Takes all tables away again; for tests of the way back.
#[doc(hidden)]
pub fn revert_migrations(conn: &mut AnyConnection) -> Outcome {
    match conn {
        AnyConnection::Postgres(conn) => conn.revert_all_migrations(POSTGRES).map(drop),
        AnyConnection::Sqlite(conn) => conn.revert_all_migrations(SQLITE).map(drop),
    }
}

/// [`migrate`], for the same tests.
#[doc(hidden)]
pub fn run_migrations(conn: &mut AnyConnection) -> Outcome {
    migrate(conn)
}
