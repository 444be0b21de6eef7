//! `parlance completions SHELL`: completion scripts.
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::arguments::Arguments;
use super::error::CliError;
use super::output::print;

/// Prints the script for `shell`. Needs no configuration.
pub(super) fn execute(shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "parlance", &mut script);
    print(&String::from_utf8_lossy(&script))
}
