//! The command line: `parlance [serve]`, and what helps those who run it. Each command has a file.
mod admin_password;
mod backup;
mod check;
mod completions;
mod config;
mod database;
mod figures;
mod following;
mod healthz;
mod migrate;
mod remote;
mod send;
mod stats;
mod tail;
mod token;
mod transfer;
mod user;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use log::{LevelFilter, warn};

use self::check::CheckOptions;
use self::config::ConfigOptions;
use self::migrate::MigrateCommand;
use self::send::SendOptions;
use self::stats::StatsOptions;
use self::tail::TailOptions;
use self::token::TokenCommand;
use self::user::UserCommand;
use crate::app;
use crate::config::{Config, Found, LogFilter, LogFormat, Typo, typos};
use crate::dialect::{self, DialectSet};
use crate::env::Environment;
use crate::logging;

/// A real-time chat server that five Socket.IO front ends share, each in its own words.
///
/// Settings come from the environment and the file .env; `parlance config` lists them.
#[derive(Debug, Parser)]
#[command(name = "parlance", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
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
    Export(transfer::Export),
    /// Fill an empty database, of either kind, from such a file; what was interrupted goes on.
    Import(transfer::ImportFrom),
    /// Copy the SQLite database to a file while the server runs; of Postgres it says how.
    Backup(backup::Backup),
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

/// Why a command failed: one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failure(String);

impl Failure {
    /// One of which all has been said already.
    fn told() -> Self {
        Self(String::new())
    }

    fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// Does what the command line says. Failures are one line on stderr; wrong usage is status 2, all else 1.
pub fn run() -> ExitCode {
    match execute(Arguments::parse().command.unwrap_or(Command::Serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let line = one_line(&failure.to_string());
            if !line.is_empty() {
                logging::fail(&line);
            }
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    // What may be called to mend the settings does without them.
    match command {
        Command::Completions { shell } => return completions::execute(shell),
        Command::AdminPassword => return admin_password::execute(),
        _ => {}
    }
    let environment = Environment::load().map_err(Failure::new)?;
    let find = |name: &str| {
        let (value, source) = environment.find(name)?;
        Some(Found { value: value.clone(), source })
    };
    if let Command::Check(options) = &command {
        return check::execute(options, &environment, find);
    }
    let config = Config::load(find).map_err(Failure::new)?;
    DialectSet::enabled(&config.dialects).map_err(Failure::new)?;
    match command {
        Command::Serve => {
            logging::start(config.log_format, config.rust_log.clone());
            for Typo { name, source, meant } in typos(environment.names()) {
                warn!(name, source, meant; "this is no setting");
            }
            actix::System::new().block_on(app::run(config)).map_err(Failure::new)
        }
        Command::Config(options) => config::execute(&options, &environment, find),
        Command::Openapi => print(&format!("{:#}\n", app::openapi())),
        Command::Asyncapi => print(&format!("{:#}\n", dialect::asyncapi())),
        Command::Types => print(&dialect::types()),
        Command::User(command) => {
            // What a command says is its output; of the log only what went wrong.
            logging::start(LogFormat::Text, LogFilter::from(LevelFilter::Warn));
            actix::System::new().block_on(user::execute(command, &config))
        }
        Command::Migrate(command) => migrate::execute(&command, &config),
        Command::Export(arguments) => transfer::export(&arguments, &config),
        Command::Import(arguments) => transfer::import(&arguments, &config),
        Command::Healthz => healthz::execute(&config),
        Command::Backup(arguments) => backup::execute(&arguments, &config),
        Command::Token(command) => {
            logging::start(LogFormat::Text, LogFilter::from(LevelFilter::Warn));
            actix::System::new().block_on(token::execute(&command, &environment, &config))
        }
        Command::Send(options) => actix::System::new().block_on(send::execute(&options, &environment, &config)),
        Command::Stats(options) => actix::System::new().block_on(stats::execute(&options, &environment, &config)),
        Command::Tail(options) => actix::System::new().block_on(tail::execute(&options, &environment, &config)),
        // Done above: they do without a configuration that is right.
        Command::Check(_) | Command::Completions { .. } | Command::AdminPassword => Ok(()),
    }
}

/// Writes a command's output. A reader that has seen enough (`parlance config | head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure(format!("cannot write the output: {error}"))),
        _ => Ok(()),
    }
}

/// Says something beside a command's output, in one piece: other programs may write to the same terminal.
fn remark(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn failures_are_one_line() {
        assert_eq!(one_line("a\n  b\r\n\n"), "a; b");
    }
}
