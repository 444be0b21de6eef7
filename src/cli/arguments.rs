//! Words of the command line.
use clap::{Parser, Subcommand};
use clap_complete::Shell;

use super::backup::Backup;
use super::check::CheckOptions;
use super::config::ConfigOptions;
use super::migrate::MigrateCommand;
use super::send::SendOptions;
use super::stats::StatsOptions;
use super::tail::TailOptions;
use super::token::TokenCommand;
use super::transfer::{Export, ImportFrom};
use super::user::UserCommand;

/// A real-time chat server that five Socket.IO front ends share, each in its own words.
///
/// Settings come from the environment and the file .env; `parlance config` lists them.
#[derive(Debug, Parser)]
#[command(name = "parlance", version)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve (the default).
    Serve,
    /// List the settings: name, value, where it came from, what it is for.
    Config(ConfigOptions),
    /// See whether the server can run here: settings, secret, database, disk, port, limits. Changes nothing.
    Check(CheckOptions),
    /// Print what the HTTP routes take and answer, as OpenAPI.
    Openapi,
    /// Print what Socket.IO clients say and are told, as AsyncAPI.
    Asyncapi,
    /// Print the same as TypeScript types.
    Types,
    /// Make, promote and list users in the configured database.
    #[command(subcommand)]
    User(UserCommand),
    /// Hash a password for the Admin UI of Socket.IO: reads it from standard input, prints the setting ADMIN_UI_PASSWORD.
    AdminPassword,
    /// Bring the tables up to date, take the latest step back, or tell which there are.
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Write the whole database to a file of JSON lines, also while the server runs; uploaded files are not in it.
    Export(Export),
    /// Fill an empty database, of either kind, from such a file; what was interrupted goes on.
    Import(ImportFrom),
    /// Copy the SQLite database to a file while the server runs; of Postgres it says how.
    Backup(Backup),
    /// Ask the server of these settings whether it lives: status 0 if it does.
    Healthz,
    /// Make, look into and revoke tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Send a message, or an event in other words, through a running server.
    Send(SendOptions),
    /// Watch a running server's figures, every second.
    Stats(StatsOptions),
    /// Watch what happens on a running server: sockets, rooms and events as they come and go.
    Tail(TailOptions),
    /// Print the script that completes this command's words in a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
