//! Ensures that a database has only one server.
//!
//! The serving process assigns positions, starting after the highest one it finds; two servers would assign the same
//! ones twice. So a server holds a claim as long as it lives, and the next one waits for it before opening the
//! database. However the process ends, its claim ends with it.
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use diesel::PgConnection;
use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::connection::{establish, make_private, one_line};
use super::failure::{OpenError, absent};
use super::retry::patiently;
use super::url::DatabaseUrl;

/// Longest pause between two attempts; the clients of the next server are waiting meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// With these keep-alives, Postgres notices within half a minute that a server's machine is gone, and releases its
/// claim.
const POSTGRES_SESSION: &str = "SET application_name = 'parlance claim'; SET tcp_keepalives_idle = 10; \
     SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
     SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout';";
/// The number distinguishes our lock from those of other programs; each schema has its own claim.
const POSTGRES_CLAIM: &str = "pg_try_advisory_lock(1885957228, hashtext(current_schema()))";

/// The right to serve a database, held until dropped.
pub struct Claim(#[expect(dead_code, reason = "its drop ends the claim")] Held);

enum Held {
    File(#[expect(dead_code, reason = "its drop ends the lock")] File),
    Session(#[expect(dead_code, reason = "its drop ends the session")] Mutex<PgConnection>),
}

impl Claim {
    /// Takes the claim; waits up to `wait_for` while another server has it, or the database is unreachable.
    ///
    /// # Errors
    /// [`OpenError::Unavailable`] if it could not be had by then, [`OpenError::Unusable`] if waiting will not help.
    pub async fn take(url: &DatabaseUrl, wait_for: Duration) -> Result<Self, OpenError> {
        let url = url.clone();
        let taken = actix_rt::task::spawn_blocking(move || patiently(wait_for, LONGEST_PAUSE, || attempt(&url))).await;
        taken.map_err(|error| OpenError::Unusable(error.to_string()))?.map(Self)
    }
}

fn attempt(url: &DatabaseUrl) -> Result<Held, OpenError> {
    match url {
        DatabaseUrl::Sqlite(path) => lock_beside(path).map(Held::File),
        DatabaseUrl::Postgres(url) => lock_within(url).map(|conn| Held::Session(Mutex::new(conn))),
    }
}

/// Locks a file next to the database, because SQLite releases its own locks between transactions.
fn lock_beside(path: &Path) -> Result<File, OpenError> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let absent = |error: std::io::Error| OpenError::Unavailable(format!("{}: {error}", path.display()));
    make_private(path).map_err(absent)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock).map_err(absent)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(in_use()),
        Err(TryLockError::Error(error)) => Err(absent(error)),
    }
}

/// Takes a lock in Postgres that lasts as long as the connection.
fn lock_within(url: &str) -> Result<PgConnection, OpenError> {
    let mut conn = establish(url).map_err(absent)?;
    let unavailable = |error: diesel::result::Error| OpenError::Unavailable(one_line(&error.to_string()));
    conn.batch_execute(POSTGRES_SESSION).map_err(unavailable)?;
    let is_ours: bool = diesel::select(sql::<Bool>(POSTGRES_CLAIM)).get_result(&mut conn).map_err(unavailable)?;
    if is_ours { Ok(conn) } else { Err(in_use()) }
}

fn in_use() -> OpenError {
    OpenError::Unavailable("another server is using it".to_owned())
}
