//! Opens a database for a store: waits for it, migrates it, and numbers the start.
use std::time::Duration;

use diesel::dsl::max;
use diesel::prelude::*;
use uuid::Uuid;

use super::changes;
use super::connection::{AnyConnection, Purpose, connect, connect_or_create, in_transaction};
use super::database_file::DatabaseFile;
use super::failure::{MaintenanceError, OpenError, absent, is_absence};
use super::maintenance::must_exist;
use super::migrations::{list_migrations, migrate, must_be_up_to_date};
use super::other_writers::end_other_writers;
use super::queries::notifications::list_owed;
use super::retry::patiently;
use super::schema::{account_changes, boots, conversations, imports, logins, participants, revoked_tokens, rooms};
use super::subscribers::Subscribers;
use super::url::DatabaseUrl;
use crate::model::Timestamp;

const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Refused, because clients must not take a partial history for a complete one.
const HALF_IMPORTED: &str = "an import into it is not finished: `parlance import FILE` with the same file continues it";

/// An opened database, and facts read from it.
pub(super) struct Opened {
    /// The writer's connection.
    pub conn: AnyConnection,
    /// Set for SQLite.
    pub file: Option<DatabaseFile>,
    pub noted: Noted,
}

/// Facts read when a start is recorded.
#[derive(Default)]
pub(super) struct Noted {
    pub epoch: i64,
    pub last_position: i64,
    pub starts: Vec<Start>,
}

/// One start of a server on this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Number of the start; rises at every start.
    pub number: i64,
    /// Time of the start.
    pub started_at: Timestamp,
    /// The highest position stored by then.
    pub last_position: i64,
}

/// Maximum number of names whose keys are updated in one transaction.
const KEYED_AT_ONCE: i64 = 1_000;

/// Number of starts remembered; older offsets are ignored.
const STARTS_KNOWN: i64 = 10_000;

/// Waits up to `retry_for` for the database, migrates it and records the start. Blocks.
pub(super) fn open(url: &DatabaseUrl, retry_for: Duration, webhooks: &Subscribers) -> Result<Opened, OpenError> {
    patiently(retry_for, LONGEST_PAUSE, || attempt(url, webhooks))
}

/// Waits up to `retry_for` for the database and opens it unchanged, as a server may be running on it. If `may_make`, a
/// missing database or missing tables are created. Blocks.
pub(super) fn open_beside(url: &DatabaseUrl, retry_for: Duration, may_make: bool) -> Result<Opened, OpenError> {
    patiently(retry_for, LONGEST_PAUSE, || attempt_beside(url, may_make))
}

fn attempt(url: &DatabaseUrl, webhooks: &Subscribers) -> Result<Opened, OpenError> {
    let mut conn = connect_or_create(url, Purpose::Serving).map_err(absent)?;
    let file = pin(url)?;
    end_other_writers(&mut conn)?;
    migrate_or_say(&mut conn)?;
    must_be_whole(&mut conn)?;
    while in_transaction(&mut conn, |conn| changes::users::key_names(conn, KEYED_AT_ONCE)).map_err(in_words)? > 0 {}
    let noted = in_transaction(&mut conn, |conn| note_start(conn, webhooks, Timestamp::now(), Uuid::now_v7)).map_err(in_words)?;
    pin_beside(file.as_ref())?;
    Ok(Opened { conn, file, noted })
}

fn attempt_beside(url: &DatabaseUrl, may_make: bool) -> Result<Opened, OpenError> {
    let unusable = |error: MaintenanceError| match error {
        MaintenanceError::Open(error) => error,
        MaintenanceError::Failed(cause) => absent(cause),
        error => OpenError::Unusable(error.to_string()),
    };
    let mut conn = if may_make {
        connect_or_create(url, Purpose::Writing).map_err(absent)?
    } else {
        must_exist(url).map_err(unusable)?;
        connect(url, Purpose::Writing).map_err(absent)?
    };
    let file = pin(url)?;
    if may_make && list_migrations(&mut conn).map_err(unusable)?.iter().all(|step| !step.is_applied) {
        migrate_or_say(&mut conn)?;
    }
    must_be_up_to_date(&mut conn).map_err(unusable)?;
    must_be_whole(&mut conn)?;
    pin_beside(file.as_ref())?;
    Ok(Opened { conn, file, noted: Noted::default() })
}

fn migrate_or_say(conn: &mut AnyConnection) -> Result<(), OpenError> {
    migrate(conn).map_err(|error| {
        let text = error.to_string();
        let is_absence =
            error.downcast_ref::<diesel::result::Error>().is_some_and(is_absence) || text.contains("database is locked");
        if is_absence { OpenError::Unavailable(text) } else { OpenError::Unusable(text) }
    })
}

fn pin(url: &DatabaseUrl) -> Result<Option<DatabaseFile>, OpenError> {
    let DatabaseUrl::Sqlite(path) = url else { return Ok(None) };
    DatabaseFile::pin(path).map(Some).map_err(|error| OpenError::Unavailable(format!("{}: {error}", path.display())))
}

fn pin_beside(file: Option<&DatabaseFile>) -> Result<(), OpenError> {
    file.map_or(Ok(()), DatabaseFile::pin_beside).map_err(|error| OpenError::Unavailable(format!("the database's log: {error}")))
}

/// Refuses a database with an unfinished import.
fn must_be_whole(conn: &mut AnyConnection) -> Result<(), OpenError> {
    let interrupted: i64 = imports::table.count().get_result(conn).map_err(in_words)?;
    if interrupted > 0 { Err(OpenError::Unusable(HALF_IMPORTED.to_owned())) } else { Ok(()) }
}

fn in_words(error: diesel::result::Error) -> OpenError {
    let text = error.to_string();
    if is_absence(&error) { OpenError::Unavailable(text) } else { OpenError::Unusable(text) }
}

/// Records a start. Positions continue after the highest one ever assigned, even if its message was deleted.
pub(super) fn note_start(
    conn: &mut AnyConnection,
    webhooks: &Subscribers,
    now: Timestamp,
    new_id: impl FnMut() -> Uuid,
) -> QueryResult<Noted> {
    let known: [Option<i64>; 5] = [
        boots::table.select(max(boots::last_position)).first(conn)?,
        boots::table.select(max(boots::given_up_to)).first(conn)?,
        conversations::table.select(max(conversations::last_position)).first(conn)?,
        rooms::table.select(max(rooms::last_position)).first(conn)?,
        participants::table.select(max(participants::joined_position)).first(conn)?,
    ];
    let last_position = known.into_iter().flatten().max().unwrap_or_default();
    changes::dead_letters::bury_unwanted(conn, webhooks)?;
    changes::webhooks::insert_lost(conn, webhooks, now)?;
    // Must come before the present start has a row.
    changes::presence::settle_those_of_before(conn)?;
    let last_boot: Option<i64> = boots::table.select(max(boots::id)).first(conn)?;
    let (epoch, now) = (last_boot.unwrap_or_default() + 1, now.as_millis());
    diesel::insert_into(boots::table)
        .values((boots::id.eq(epoch), boots::started_at.eq(now), boots::last_position.eq(last_position)))
        .execute(conn)?;
    let owed = list_owed(conn, new_id)?;
    changes::notifications::store(conn, &owed)?;
    // This start reads all accounts afresh.
    diesel::delete(account_changes::table).execute(conn)?;
    diesel::delete(revoked_tokens::table.filter(revoked_tokens::revoked_until.le(now))).execute(conn)?;
    diesel::delete(logins::table.filter(logins::expires_at.le(now))).execute(conn)?;
    let columns = (boots::id, boots::started_at, boots::last_position);
    let rows: Vec<(i64, i64, i64)> = boots::table.order(boots::id.desc()).limit(STARTS_KNOWN).select(columns).load(conn)?;
    let starts = rows.into_iter().rev().map(|(number, started_at, last_position)| Start {
        number,
        started_at: Timestamp::from_millis(started_at),
        last_position,
    });
    Ok(Noted { epoch, last_position, starts: starts.collect() })
}
