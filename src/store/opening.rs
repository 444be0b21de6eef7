//! What happens before the store can be used: waiting for the database, tables, the number of this start.
use std::thread;
use std::time::{Duration, Instant};

use diesel::dsl::max;
use diesel::prelude::*;
use log::warn;

use super::changes;
use super::connection::{NO_TLS, Purpose, connect, in_transaction};
use super::migrations::migrate;
use super::notifications::list_owed;
use super::schema::{boots, conversations, imports, participants, revoked_tokens, rooms};
use super::{AnyConnection, DatabaseUrl, OpenError};
use crate::model::Timestamp;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What libpq says when no waiting helps.
const HOPELESS: [&str; 6] = [
    NO_TLS,
    "invalid URI",
    "invalid sslmode value",
    "certificate verify failed",
    "root certificate file",
    "server does not support SSL",
];

/// Half of somebody's messages must not look like all of them.
const HALF_IMPORTED: &str = "an import into it is not finished: `parlance import FILE` with the same file goes on with it";

/// What an opened database says.
pub(super) struct Opened {
    pub boot: i64,
    pub last_position: i64,
    pub starts: Vec<Start>,
}

/// A start of a server on this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// It rises at every start.
    pub number: i64,
    /// When it was.
    pub started_at: Timestamp,
    /// The highest position that was stored by then.
    pub last_position: i64,
}

/// Offsets from before so many starts are taken for none.
const STARTS_KNOWN: i64 = 10_000;

/// Waits for the database for `retry_for`, brings its tables up to date and notes the start. Blocks.
pub(super) fn open(url: &DatabaseUrl, retry_for: Duration) -> Result<Opened, OpenError> {
    patiently(retry_for, LONGEST_PAUSE, || attempt(url))
}

/// Tries again for `retry_for` while the database is unavailable. Blocks.
pub(super) fn patiently<T>(
    retry_for: Duration,
    longest_pause: Duration,
    mut attempt: impl FnMut() -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let cause = match attempt() {
            Ok(opened) => return Ok(opened),
            Err(OpenError::Unavailable(cause)) => cause,
            Err(unusable) => return Err(unusable),
        };
        if begun.elapsed() + pause > retry_for {
            return Err(OpenError::Unavailable(cause));
        }
        if pause == FIRST_PAUSE {
            warn!(cause; "waiting for the database");
        }
        thread::sleep(pause);
        pause = (pause * 2).min(longest_pause);
    }
}

/// Why there is no connection.
pub(super) fn absent(cause: String) -> OpenError {
    if HOPELESS.iter().any(|text| cause.contains(text)) { OpenError::Unusable(cause) } else { OpenError::Unavailable(cause) }
}

fn attempt(url: &DatabaseUrl) -> Result<Opened, OpenError> {
    let mut conn = connect(url, Purpose::Writing).map_err(absent)?;
    if let Err(error) = migrate(&mut conn) {
        let text = error.to_string();
        let is_absence = error.downcast_ref::<diesel::result::Error>().is_some_and(super::failure::is_absence)
            || text.contains("database is locked");
        return Err(if is_absence { OpenError::Unavailable(text) } else { OpenError::Unusable(text) });
    }
    let in_words = |error: diesel::result::Error| {
        let text = error.to_string();
        if super::failure::is_absence(&error) { OpenError::Unavailable(text) } else { OpenError::Unusable(text) }
    };
    let interrupted: i64 = imports::table.count().get_result(&mut conn).map_err(in_words)?;
    if interrupted > 0 {
        return Err(OpenError::Unusable(HALF_IMPORTED.to_owned()));
    }
    in_transaction(&mut conn, note_start).map_err(in_words)
}

/// Positions go on after the highest that was ever given, whether its message is still there or not.
fn note_start(conn: &mut AnyConnection) -> QueryResult<Opened> {
    let known: [Option<i64>; 4] = [
        boots::table.select(max(boots::last_position)).first(conn)?,
        conversations::table.select(max(conversations::last_position)).first(conn)?,
        rooms::table.select(max(rooms::last_position)).first(conn)?,
        participants::table.select(max(participants::joined_position)).first(conn)?,
    ];
    let last_position = known.into_iter().flatten().max().unwrap_or_default();
    let last_boot: Option<i64> = boots::table.select(max(boots::id)).first(conn)?;
    let (boot, now) = (last_boot.unwrap_or_default() + 1, Timestamp::now().as_millis());
    diesel::insert_into(boots::table)
        .values((boots::id.eq(boot), boots::started_at.eq(now), boots::last_position.eq(last_position)))
        .execute(conn)?;
    let owed = list_owed(conn)?;
    changes::notifications::store(conn, &owed)?;
    diesel::delete(revoked_tokens::table.filter(revoked_tokens::revoked_until.le(now))).execute(conn)?;
    let columns = (boots::id, boots::started_at, boots::last_position);
    let rows: Vec<(i64, i64, i64)> = boots::table.order(boots::id.desc()).limit(STARTS_KNOWN).select(columns).load(conn)?;
    let starts = rows.into_iter().rev().map(|(number, started_at, last_position)| Start {
        number,
        started_at: Timestamp::from_millis(started_at),
        last_position,
    });
    Ok(Opened { boot, last_position, starts: starts.collect() })
}
