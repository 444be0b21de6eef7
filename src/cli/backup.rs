//! `parlance backup`: a copy of the SQLite database while the server runs.
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::database::{self, failed};
use super::error::CliError;
use super::output::print;
use crate::config::Config;
use crate::store::{self, BackupError};

/// Options of `backup`.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to write.
    file: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    /// Report as JSON what was written.
    #[arg(long)]
    json: bool,
}

/// Copies the database of `config`.
pub(super) fn execute(arguments: &Backup, config: &Config) -> Result<(), CliError> {
    let Backup { file, force, json } = arguments;
    let begun = Instant::now();
    let bytes = store::back_up(&database::url(config)?, file, *force).map_err(|error| match error {
        BackupError::Database(error) => failed(&error),
        error => CliError::new(error),
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    if *json {
        let figures = json!({ "file": file.display().to_string(), "bytes": bytes, "seconds": (seconds * 10.0).round() / 10.0 });
        return print(&format!("{figures}\n"));
    }
    print(&format!("wrote and checked {}: {bytes} bytes in {seconds:.1} s\n", file.display()))
}
