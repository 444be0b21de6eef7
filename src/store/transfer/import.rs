//! Import into an empty database.
//!
//! Progress is stored in the transaction of the rows themselves, so an import that was interrupted in any way continues
//! where it stopped.
use std::io::BufRead;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::max;
use diesel::prelude::*;
use sha2::{Digest as _, Sha256};

use super::export::{must_equal, read_all};
use super::failure::TransferError;
use super::lines::{Line, Lines, Step, wrong};
use super::sums::{Sums, Tally, hexadecimal};
use super::tables::{Batch, Record, STARTS, TABLES};
use crate::model::Timestamp;
use crate::store::changes;
use crate::store::connection::{AnyConnection, in_transaction};
use crate::store::maintenance::connect_or_make_alone;
use crate::store::migrations::apply_migrations;
use crate::store::schema::{boots, conversations, file_names, imports, messages, participants, rooms, unnamed_files, users};
use crate::store::url::DatabaseUrl;

/// Maximum number of rows in one transaction.
const BATCH_ROWS: usize = 2_000;
/// Maximum number of bytes of the file in one transaction, unless a single row is longer.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// Rows do not come in the order of any index, so a large cache keeps hot pages in memory and writes them rarely. After
/// a crash of the machine, lost rows are imported again, because their progress was in the same transaction.
const SQLITE_BULK: &str = "PRAGMA cache_size = -131072; PRAGMA wal_autocheckpoint = 32768; PRAGMA synchronous = NORMAL;";
/// Makes the end of an import durable.
const SQLITE_LASTING: &str = "PRAGMA synchronous = FULL;";
/// The user that every new database has, as which the AI model writes.
const MODEL: &str = "model";

/// A completed import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Sums of the rows read back from the database; equal to those in the file.
    pub sums: Sums,
    /// Number of lines that an earlier run had stored.
    pub resumed_after: u64,
}

/// Stores a whole file in an empty database, and reads it back to compare. An interrupted import is continued; with
/// `is_restart` it starts over.
///
/// # Errors
/// The reason for the database not matching the file. Rows stored by then stay, so that the import can be continued.
pub fn import(
    url: &DatabaseUrl,
    input: impl BufRead,
    is_restart: bool,
    on_step: &mut dyn FnMut(Step),
) -> Result<Import, TransferError> {
    let (header, lines) = Lines::begin(input)?;
    let mut conn = connect_or_make_alone(url)?;
    apply_migrations(&mut conn)?;
    let (done, digest) = match begun(&mut conn)? {
        Some(_) if is_restart => begin(&mut conn, &header.id)?,
        Some(Begun { file, lines, digest }) if file == header.id => (lines, digest),
        Some(_) => {
            let reason = "the import of another file is not finished: go on with that one, or give --restart to throw away what \
                          it brought";
            return Err(TransferError::OtherImport(reason.to_owned()));
        }
        None => {
            must_be_empty(&mut conn)?;
            begin(&mut conn, &header.id)?
        }
    };
    set(&mut conn, SQLITE_BULK)?;
    let resumed_after = u64::try_from(done).unwrap_or_default();
    let expected = Run::new(&mut conn, &header.id, resumed_after, digest).take_in(lines, on_step)?;
    let sums = read_all(&mut conn, on_step, &mut |_| Ok(()))?;
    must_equal("the database", &sums, &expected)?;
    set(&mut conn, SQLITE_LASTING)?;
    in_transaction(&mut conn, finish)?;
    Ok(Import { sums, resumed_after })
}

/// Applies settings that only SQLite has.
fn set(conn: &mut AnyConnection, pragmas: &str) -> QueryResult<()> {
    match conn {
        AnyConnection::Sqlite(conn) => conn.batch_execute(pragmas),
        AnyConnection::Postgres(_) => Ok(()),
    }
}

#[derive(Queryable)]
struct Begun {
    file: String,
    lines: i64,
    digest: String,
}

fn begun(conn: &mut AnyConnection) -> QueryResult<Option<Begun>> {
    imports::table.select((imports::file, imports::lines, imports::digest)).first(conn).optional()
}

fn must_be_empty(conn: &mut AnyConnection) -> Result<(), TransferError> {
    for table in TABLES.iter().filter(|table| table.name != STARTS) {
        let count = match table.name {
            "users" => users::table.filter(users::id.ne(MODEL)).count().get_result(conn)?,
            _ => (table.count)(conn)?,
        };
        if count > 0 {
            return Err(TransferError::NotEmpty(format!("{}: {count} rows", table.name)));
        }
    }
    Ok(())
}

/// Deletes the rows that every new database has, or those of an interrupted import.
fn begin(conn: &mut AnyConnection, file: &str) -> QueryResult<(i64, String)> {
    in_transaction(conn, |conn| {
        for table in TABLES.iter().rev() {
            (table.clear)(conn)?;
        }
        // Derived from the tables themselves during the import.
        diesel::delete(file_names::table).execute(conn)?;
        diesel::delete(unnamed_files::table).execute(conn)?;
        diesel::delete(imports::table).execute(conn)?;
        let row = (imports::file.eq(file), imports::lines.eq(0), imports::digest.eq(""));
        diesel::insert_into(imports::table).values(row).execute(conn)?;
        Ok((0, String::new()))
    })
}

/// An import in progress.
struct Run<'a> {
    conn: &'a mut AnyConnection,
    file: &'a str,
    /// Number of lines stored already, and their SHA-256.
    stored: u64,
    digest: String,
    batch: Batch,
    batch_bytes: u64,
    tally: Tally,
    hash: Sha256,
}

impl<'a> Run<'a> {
    fn new(conn: &'a mut AnyConnection, file: &'a str, stored: u64, digest: String) -> Self {
        let (batch, tally, hash) = (Batch::default(), Tally::default(), Sha256::new());
        Self { conn, file, stored, digest, batch, batch_bytes: 0, tally, hash }
    }

    /// Stores the lines that are not stored yet. Returns the sums of the last line.
    fn take_in(mut self, mut lines: Lines<impl BufRead>, on_step: &mut dyn FnMut(Step)) -> Result<Sums, TransferError> {
        loop {
            let number = lines.number;
            match lines.next()? {
                Some((Line::Row(table, line), bytes)) => {
                    self.take(number + 1, table, line, bytes)?;
                    on_step(Step::Done(bytes));
                }
                Some((Line::End(expected), _)) => {
                    lines.must_end()?;
                    self.store(number)?;
                    must_equal("the file", &self.tally.finish(), &expected)?;
                    return Ok(expected);
                }
                None => {
                    self.store(number)?;
                    return Err(TransferError::Cut(number));
                }
            }
        }
    }

    fn take(&mut self, number: u64, table: &str, line: &[u8], bytes: u64) -> Result<(), TransferError> {
        self.tally.add(table, line);
        self.hash.update(line);
        self.hash.update(b"\n");
        if number < self.stored {
            return Ok(());
        }
        if number == self.stored {
            // The same id does not prove that it is the same file.
            let is_same = hexadecimal(self.hash.clone()) == self.digest;
            return if is_same { Ok(()) } else { Err(wrong(number, &"this line, or one before, is not what was imported")) };
        }
        self.batch.push(serde_json::from_slice::<Record>(line).map_err(|error| wrong(number, &error))?);
        self.batch_bytes += bytes;
        if self.batch.rows >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES { self.store(number) } else { Ok(()) }
    }

    /// Stores the batch that ends with this line.
    fn store(&mut self, number: u64) -> Result<(), TransferError> {
        if self.batch.rows == 0 {
            return Ok(());
        }
        let (batch, file, digest) = (&mut self.batch, self.file, hexadecimal(self.hash.clone()));
        let stored = in_transaction(self.conn, |conn| {
            let named = batch.file_names();
            batch.store(conn)?;
            changes::file_names::insert(conn, &named)?;
            let progress = (imports::lines.eq(i64::try_from(number).unwrap_or(i64::MAX)), imports::digest.eq(digest));
            diesel::update(imports::table.find(file)).set(progress).execute(conn)
        });
        stored.map_err(|error| TransferError::Rows { number, reason: error.to_string() })?;
        self.batch_bytes = 0;
        Ok(())
    }
}

/// Records a start numbered above every imported start and position, so that old offsets differ from new ones.
fn finish(conn: &mut AnyConnection) -> QueryResult<()> {
    let positions: [Option<i64>; 6] = [
        boots::table.select(max(boots::last_position)).first(conn)?,
        boots::table.select(max(boots::given_up_to)).first(conn)?,
        conversations::table.select(max(conversations::last_position)).first(conn)?,
        rooms::table.select(max(rooms::last_position)).first(conn)?,
        participants::table.select(max(participants::joined_position)).first(conn)?,
        messages::table.select(max(messages::position)).first(conn)?,
    ];
    let last_position = positions.into_iter().flatten().max().unwrap_or_default();
    let last: Option<i64> = boots::table.select(max(boots::id)).first(conn)?;
    let row = (
        boots::id.eq(last.unwrap_or_default() + 1),
        boots::started_at.eq(Timestamp::now().as_millis()),
        boots::last_position.eq(last_position),
    );
    diesel::insert_into(boots::table).values(row).execute(conn)?;
    diesel::delete(imports::table).execute(conn).map(drop)
}
