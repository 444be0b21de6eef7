//! One server per database.
//!
//! Positions are given by the process that serves, from the highest one that it found at its start: two that write would give
//! the same twice. So a server holds a claim for as long as it lives, and the next one waits for it before it opens the
//! database. A claim ends with its process, however that ends.
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

/// The longest pause between two looks whether the other server has ended: its clients wait meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Postgres notices within half a minute that the machine of a server is gone, and its claim with it.
const POSTGRES_SESSION: &str = "SET application_name = 'parlance claim'; SET tcp_keepalives_idle = 10; \
     SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
     SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout';";
/// The number is ours among those that other programs may lock; each schema has its own claim.
const POSTGRES_CLAIM: &str = "pg_try_advisory_lock(1885957228, hashtext(current_schema()))";

/// The right to serve a database, until it is dropped.
pub struct Claim(#[expect(dead_code, reason = "its drop ends the claim")] Held);

enum Held {
    File(#[expect(dead_code, reason = "its drop ends the lock")] File),
    Session(#[expect(dead_code, reason = "its drop ends the session")] Mutex<PgConnection>),
}

impl Claim {
    /// Takes the claim, waiting for `wait_for` while another server has it or the database is absent.
    ///
    /// # Errors
    /// [`OpenError::Unavailable`] when it could not be had by then, [`OpenError::Unusable`] when waiting will not help.
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

/// Locks a file beside the database: SQLite's own locks are let go between two transactions.
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

/// Locks within Postgres, for as long as the connection lasts.
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
