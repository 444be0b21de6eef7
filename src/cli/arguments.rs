//! The command line's syntax.
use clap::{Parser, Subcommand};
use clap_complete::Shell;

use super::backup::Backup;
use super::check::CheckOptions;
use super::config::ConfigOptions;
use super::dialect::DialectCommand;
use super::migrate::MigrateCommand;
use super::send::SendOptions;
use super::stats::StatsOptions;
use super::tail::TailOptions;
use super::token::TokenCommand;
use super::transfer::{Export, ImportFrom};
use super::user::UserCommand;
use super::webhooks::WebhooksCommand;

/// A real-time chat server shared by five Socket.IO front ends, each with its own event vocabulary.
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
    /// Run the server (the default).
    Serve,
    /// List the settings: name, value, source, description.
    Config(ConfigOptions),
    /// Check whether the server can run here: settings, secret, database, disk, port, limits. Changes nothing.
    Check(CheckOptions),
    /// Check and try dialects that files describe, or begin one.
    #[command(subcommand)]
    Dialect(DialectCommand),
    /// Print the HTTP interface as OpenAPI.
    Openapi,
    /// Print the Socket.IO interface as AsyncAPI.
    Asyncapi,
    /// Print both interfaces as TypeScript types.
    Types,
    /// Create, promote, list and delete users in the configured database.
    #[command(subcommand)]
    User(UserCommand),
    /// Hash a password for the Admin UI of Socket.IO: reads it from standard input, prints the setting
    /// ADMIN_UI_PASSWORD.
    AdminPassword,
    /// Migrate the tables, undo the latest migration, or list all of them.
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Write the whole database to a file of JSON lines, even while the server runs; uploaded files are not included.
    Export(Export),
    /// Fill an empty database, of either kind, from such a file; an interrupted import is continued.
    Import(ImportFrom),
    /// Copy the SQLite database to a file while the server runs; for Postgres, it says how to.
    Backup(Backup),
    /// Check that the server of this configuration is alive: status 0 if it is.
    Healthz,
    /// Make, inspect and revoke tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Send a message, or any event, through a running server.
    Send(SendOptions),
    /// Watch a running server's figures, updated every second.
    Stats(StatsOptions),
    /// Watch events on a running server: sockets, rooms, and events of clients.
    Tail(TailOptions),
    /// Look after a running server's webhooks: list them, replay or skip what they have not got.
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// Print the completion script for a shell.
    Completions {
        /// The shell.
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
