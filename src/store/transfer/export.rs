//! Export of a database.
use std::io::{BufRead, Write};

use diesel::QueryResult;
use uuid::Uuid;

use super::failure::TransferError;
use super::lines::{EndLine, FORMAT, Header, HeaderLine, Lines, Step};
use super::sums::{Sums, Tally, differences};
use super::tables::{OnLine, STARTS, TABLES};
use crate::model::Timestamp;
use crate::store::connection::{AnyConnection, in_snapshot};
use crate::store::maintenance::connect_beside;
use crate::store::migrations::must_be_up_to_date;
use crate::store::url::DatabaseUrl;

/// Writes a snapshot of the whole database to `out`. A server may keep running.
///
/// # Errors
/// The reason for `out` being incomplete.
pub fn export(url: &DatabaseUrl, out: &mut impl Write, on_step: &mut dyn FnMut(Step)) -> Result<Sums, TransferError> {
    let mut conn = connect_beside(url)?;
    must_be_up_to_date(&mut conn)?;
    let source = match conn {
        AnyConnection::Postgres(_) => "postgres",
        AnyConnection::Sqlite(_) => "sqlite",
    };
    let header = Header {
        format: FORMAT,
        id: Uuid::now_v7().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source: source.to_owned(),
        exported_at: Timestamp::now().to_string(),
    };
    write_line(out, &HeaderLine { parlance: header })?;
    let sums = read_all(&mut conn, on_step, &mut |line| {
        out.write_all(line)?;
        Ok(out.write_all(b"\n")?)
    })?;
    write_line(out, &EndLine { end: sums.clone() })?;
    out.flush()?;
    Ok(sums)
}

/// Compares the database with a file; neither is changed. Starts of servers are left out, because every start adds one.
///
/// # Errors
/// [`TransferError::Differs`] with the differences; any other error if they could not be compared.
pub fn compare(url: &DatabaseUrl, input: impl BufRead, on_step: &mut dyn FnMut(Step)) -> Result<Sums, TransferError> {
    let mut conn = connect_beside(url)?;
    must_be_up_to_date(&mut conn)?;
    let (_, lines) = Lines::begin(input)?;
    let (found, mut expected) = lines.add_up(on_step)?;
    must_equal("the file", &found, &expected)?;
    let mut sums = read_all(&mut conn, on_step, &mut |_| Ok(()))?;
    sums.remove(STARTS);
    expected.remove(STARTS);
    must_equal("the database", &sums, &expected)?;
    Ok(sums)
}

pub(super) fn must_equal(what: &str, found: &Sums, expected: &Sums) -> Result<(), TransferError> {
    let differences = differences(what, found, expected);
    if differences.is_empty() { Ok(()) } else { Err(TransferError::Differs(differences)) }
}

/// Reads every row of a snapshot, in the order of a file, and adds up sums.
pub(super) fn read_all(
    conn: &mut AnyConnection,
    on_step: &mut dyn FnMut(Step),
    on_line: OnLine<'_>,
) -> Result<Sums, TransferError> {
    // An error outside the queries passes through the transaction as a value.
    in_snapshot(conn, |conn| Ok(read_tables(conn, on_step, on_line)))?
}

fn read_tables(conn: &mut AnyConnection, on_step: &mut dyn FnMut(Step), on_line: OnLine<'_>) -> Result<Sums, TransferError> {
    let counts = TABLES.iter().map(|table| (table.count)(conn)).sum::<QueryResult<i64>>()?;
    on_step(Step::Rows(u64::try_from(counts).unwrap_or_default()));
    let mut tally = Tally::default();
    for table in TABLES {
        tally.begin(table.name);
        (table.read)(conn, &mut |line| {
            tally.add(table.name, line);
            on_step(Step::Done(1));
            on_line(line)
        })?;
    }
    Ok(tally.finish())
}

fn write_line(out: &mut impl Write, line: &impl serde::Serialize) -> Result<(), TransferError> {
    let text = serde_json::to_vec(line).map_err(std::io::Error::from)?;
    out.write_all(&text)?;
    out.write_all(b"\n")?;
    Ok(())
}
