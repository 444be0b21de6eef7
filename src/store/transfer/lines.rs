//! Reads a file line by line; the lines that are not rows.
use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};

use super::failure::TransferError;
use super::sums::{self, Sums};

/// Version of the file format. Raised when a change of tables alters the meaning of older files.
pub(super) const FORMAT: u32 = 1;
/// Maximum length of a line; bounds memory if the file is not ours.
const LINE_MAX: u64 = 256 * 1024 * 1024;
/// Start of the last line.
const END: &[u8] = b"{\"end\":";

/// Progress of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Number of rows that will be read from the database.
    Rows(u64),
    /// Number of further bytes of the file, or rows of the database, read.
    Done(u64),
}

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub format: u32,
    /// Id of this export.
    pub id: String,
    /// Version of the server.
    pub version: String,
    /// `sqlite` or `postgres`.
    pub source: String,
    pub exported_at: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeaderLine {
    pub parlance: Header,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EndLine {
    pub end: Sums,
}

/// A line of a file.
pub(super) enum Line<'a> {
    /// A row, and its table's name.
    Row(&'a str, &'a [u8]),
    /// The last line.
    End(Sums),
}

/// Reads a file line by line.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    /// Number of the last line read.
    pub number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads the header.
    pub(super) fn begin(input: R) -> Result<(Header, Self), TransferError> {
        let mut lines = Self { input, line: Vec::new(), number: 0 };
        let is_there = lines.read()?;
        let header = serde_json::from_slice::<HeaderLine>(&lines.line).ok().filter(|_| is_there);
        let Some(HeaderLine { parlance: header }) = header else {
            return Err(TransferError::Foreign("the file is no export: its first line is not `{\"parlance\":…}`".to_owned()));
        };
        if header.format != FORMAT {
            let Header { format, version, .. } = header;
            let reason = format!("the file has format {format}, made by version {version}: this version reads format {FORMAT}");
            return Err(TransferError::Foreign(reason));
        }
        Ok((header, lines))
    }

    /// Returns the next line and the number of its bytes; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(Line<'_>, u64)>, TransferError> {
        if !self.read()? {
            return Ok(None);
        }
        let (number, line) = (self.number, &self.line[..]);
        let taken = line.len() as u64 + 1;
        if line.starts_with(END) {
            let EndLine { end } = serde_json::from_slice(line).map_err(|error| wrong(number, &error))?;
            return Ok(Some((Line::End(end), taken)));
        }
        let table = line.strip_prefix(b"{\"").and_then(|rest| rest.split(|byte| *byte == b'"').next());
        let table = table.and_then(|name| std::str::from_utf8(name).ok());
        let table = table.ok_or_else(|| wrong(number, &"it is no row"))?;
        Ok(Some((Line::Row(table, line), taken)))
    }

    /// Reads a line without its end. An unterminated line was cut off, and is dropped.
    fn read(&mut self) -> Result<bool, TransferError> {
        self.line.clear();
        self.input.by_ref().take(LINE_MAX).read_until(b'\n', &mut self.line)?;
        if self.line.pop_if(|byte| *byte == b'\n').is_none() {
            if self.line.len() as u64 == LINE_MAX {
                return Err(wrong(self.number + 1, &"it is too long"));
            }
            return Ok(false);
        }
        self.number += 1;
        Ok(true)
    }

    /// Reads to the end and adds up sums. Returns the sums found, and those in the last line.
    pub(super) fn add_up(mut self, on_step: &mut dyn FnMut(Step)) -> Result<(Sums, Sums), TransferError> {
        let mut tally = sums::Tally::default();
        while let Some((line, bytes)) = self.next()? {
            on_step(Step::Done(bytes));
            match line {
                Line::Row(table, line) => tally.add(table, line),
                Line::End(expected) => {
                    self.must_end()?;
                    return Ok((tally.finish(), expected));
                }
            }
        }
        Err(TransferError::Cut(self.number))
    }

    /// Checks that nothing follows the last line.
    pub(super) fn must_end(&mut self) -> Result<(), TransferError> {
        if self.input.fill_buf()?.is_empty() { Ok(()) } else { Err(wrong(self.number + 1, &"it stands behind the end")) }
    }
}

pub(super) fn wrong(number: u64, reason: &impl ToString) -> TransferError {
    TransferError::Line { number, reason: reason.to_string() }
}

/// Writes `{"name":row}` without a line end.
pub(super) fn row_line(line: &mut Vec<u8>, table: &str, row: &impl Serialize) -> io::Result<()> {
    line.clear();
    line.extend_from_slice(b"{\"");
    line.extend_from_slice(table.as_bytes());
    line.extend_from_slice(b"\":");
    serde_json::to_writer(&mut *line, row)?;
    line.push(b'}');
    Ok(())
}
