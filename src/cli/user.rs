//! `parlance user …`
use clap::Subcommand;

use super::Failure;
use crate::config::Config;

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List all users.
    List,
}

pub(super) async fn execute(_command: UserCommand, _config: &Config) -> Result<(), Failure> {
    Ok(())
}
