//! Parts shared by commands on the whole database.
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::error::CliError;
use crate::config::Config;
use crate::store::{DatabaseUrl, MaintenanceError, OpenError};

/// Returns the address of the configured database.
pub(super) fn url(config: &Config) -> Result<DatabaseUrl, CliError> {
    DatabaseUrl::parse(config.database_url.as_str(), &config.data_dir)
        .map_err(|reason| CliError(format!("DATABASE_URL: {reason}")))
}

/// Describes an error, with advice.
pub(super) fn failed(error: &MaintenanceError) -> CliError {
    let hint = match error {
        MaintenanceError::Open(OpenError::Unavailable(_)) => ": is it running, and is DATABASE_URL right?",
        _ => "",
    };
    CliError(format!("{error}{hint}"))
}

/// Asks for confirmation on the terminal; without a terminal the answer is no.
pub(super) fn confirms(question: &str) -> bool {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return false;
    }
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut line = String::new();
    stdin.lock().read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}
