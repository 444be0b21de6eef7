//! `parlance export` and `parlance import`: the whole database to a file, and back.
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::database::{self, failed};
use super::error::CliError;
use super::output::print;
use crate::config::Config;
use crate::store::{self, DatabaseUrl, Import, Step, Sums, TransferError};

/// Stands for standard input, or standard output.
const PIPE: &str = "-";
const BUFFER_BYTES: usize = 256 * 1024;

/// Options of `export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The file to write, which must not exist yet, or `-` for standard output.
    file: PathBuf,
    /// Write nothing; compare the database with the file instead.
    #[arg(long)]
    verify: bool,
    /// Report at the end as JSON what was written (on standard error if the rows go to standard output).
    #[arg(long)]
    json: bool,
}

/// Options of `import`.
#[derive(Debug, Args)]
pub(super) struct ImportFrom {
    /// A file written by `parlance export`, or `-` for standard input.
    file: PathBuf,
    /// Discard the rows of an interrupted import, and start over.
    #[arg(long)]
    restart: bool,
    /// Report at the end as JSON what was read.
    #[arg(long)]
    json: bool,
}

/// Writes the database of `config` to a file.
pub(super) fn export(arguments: &Export, config: &Config) -> Result<(), CliError> {
    let Export { file, verify, json } = arguments;
    let (url, begun) = (database::url(config)?, Instant::now());
    if *verify {
        let (input, bar) = open(file)?;
        let sums = store::compare(&url, input, &mut |step| bar.show(step));
        bar.end();
        return print(&figures("equal", file, &sums.map_err(|error| cli_error(&error))?, 0, begun, *json));
    }
    if !is_pipe(file) && file.exists() {
        return Err(CliError(format!("{} exists: name another file", file.display())));
    }
    let bar = Bar::of_rows();
    let sums = if is_pipe(file) {
        store::export(&url, &mut BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()), &mut |step| bar.show(step))
    } else {
        export_to(&url, file, &bar)
    };
    bar.end();
    let text = figures("exported", file, &sums.map_err(|error| cli_error(&error))?, 0, begun, *json);
    if is_pipe(file) {
        let _ = io::stderr().write_all(text.as_bytes());
        return Ok(());
    }
    print(&text)
}

/// Makes the file readable by this user only, because it holds password hashes.
fn export_to(url: &DatabaseUrl, path: &Path, bar: &Bar) -> Result<Sums, TransferError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, &file);
    let written = store::export(url, &mut out, &mut |step| bar.show(step)).and_then(|sums| {
        drop(out);
        file.sync_all()?;
        Ok(sums)
    });
    if written.is_err() {
        // A partial file is useless, and would be in the way of the next attempt.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Fills the empty database of `config` from a file.
pub(super) fn import(arguments: &ImportFrom, config: &Config) -> Result<(), CliError> {
    let ImportFrom { file, restart, json } = arguments;
    let (url, begun) = (database::url(config)?, Instant::now());
    let (input, bar) = open(file)?;
    let imported = store::import(&url, input, *restart, &mut |step| bar.show(step));
    bar.end();
    let Import { sums, resumed_after } = imported.map_err(|error| cli_error(&error))?;
    print(&figures("imported and verified", file, &sums, resumed_after, begun, *json))
}

fn open(path: &Path) -> Result<(BufReader<Box<dyn Read>>, Bar), CliError> {
    if is_pipe(path) {
        return Ok((BufReader::with_capacity(BUFFER_BYTES, Box::new(io::stdin().lock())), Bar::of_bytes(0)));
    }
    let unreadable = |error: io::Error| CliError(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    Ok((BufReader::with_capacity(BUFFER_BYTES, Box::new(file)), Bar::of_bytes(bytes)))
}

fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == PIPE
}

fn cli_error(error: &TransferError) -> CliError {
    match error {
        TransferError::Database(error) => failed(error),
        error => CliError::new(error),
    }
}

fn figures(what: &str, file: &Path, sums: &Sums, resumed_after: u64, begun: Instant, as_json: bool) -> String {
    let rows: u64 = sums.values().map(|sum| sum.count).sum();
    let seconds = begun.elapsed().as_secs_f64();
    let file = if is_pipe(file) { PIPE.to_owned() } else { file.display().to_string() };
    if as_json {
        let figures = json!({
            "outcome": what, "file": file, "rows": rows, "resumedAfterLine": resumed_after, "tables": sums,
            "seconds": (seconds * 10.0).round() / 10.0,
        });
        return format!("{figures}\n");
    }
    let mut text = String::new();
    if resumed_after > 0 {
        text = format!("continued after line {resumed_after}\n");
    }
    for (table, sum) in sums.iter().filter(|(_, sum)| sum.count > 0) {
        text += &format!("{:>10}  {table}\n", sum.count);
    }
    text + &format!("{what}: {rows} rows in {seconds:.1} s\n")
}

/// A progress bar, if standard error is a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn of_bytes(bytes: u64) -> Self {
        Self::new(bytes, "{bar:40} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left")
    }

    fn of_rows() -> Self {
        Self::new(0, Self::ROWS)
    }

    const ROWS: &str = "{bar:40} {human_pos}/{human_len} rows  {per_sec}  {eta} left";

    fn new(length: u64, template: &str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(length);
        bar.set_style(style(template));
        Self(bar)
    }

    fn show(&self, step: Step) {
        match step {
            // From here on the database is read, after the file or for it.
            Step::Rows(rows) => {
                self.0.set_style(style(Self::ROWS));
                self.0.reset();
                self.0.set_length(rows);
            }
            Step::Done(count) => self.0.inc(count),
        }
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
