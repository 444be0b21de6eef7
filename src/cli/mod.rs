//! The command line: `parlance [serve]`, `parlance config`, `parlance user …`.
mod backup;
mod database;
mod healthz;
mod migrate;
mod transfer;
mod user;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use log::LevelFilter;

use self::migrate::MigrateCommand;
use self::user::UserCommand;
use crate::app;
use crate::config::{Config, Found, Listed, LogFilter, LogFormat};
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
    Config,
    /// Print what the HTTP routes take and answer, as OpenAPI.
    Openapi,
    /// Print what Socket.IO clients say and are told, as AsyncAPI.
    Asyncapi,
    /// Print the same as TypeScript types.
    Types,
    /// Make, promote and list users in the configured database.
    #[command(subcommand)]
    User(UserCommand),
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
}

/// Why a command failed: one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failure(String);

impl Failure {
    fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// Does what the command line says. Failures are one line on stderr; wrong usage is status 2, all else 1.
pub fn run() -> ExitCode {
    match execute(Arguments::parse().command.unwrap_or(Command::Serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            logging::fail(&one_line(&failure.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    let environment = Environment::load().map_err(Failure::new)?;
    let find = |name: &str| {
        let (value, source) = environment.find(name)?;
        Some(Found { value: value.clone(), source })
    };
    let config = Config::load(find).map_err(Failure::new)?;
    DialectSet::enabled(&config.dialects).map_err(Failure::new)?;
    match command {
        Command::Serve => {
            logging::start(config.log_format, config.rust_log.clone());
            actix::System::new().block_on(app::run(config)).map_err(Failure::new)
        }
        Command::Config => print(&table(&Config::list(find).map_err(Failure::new)?)),
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
    }
}

/// The settings, aligned, under the names of their groups.
fn table(settings: &[Listed]) -> String {
    let width = |of: fn(&Listed) -> usize, most: usize| settings.iter().map(of).max().unwrap_or(0).min(most);
    let name_width = width(|setting| setting.name.len(), 40);
    let value_width = width(|setting| setting.value.chars().count(), 30);
    let mut text = String::new();
    let mut group = "";
    for Listed { group: own, name, value, source, help } in settings {
        if *own != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{gap}# {own}");
            group = own;
        }
        let value = if value.is_empty() { "(none)" } else { value };
        let _ = writeln!(text, "{name:name_width$}  {value:value_width$}  {source:11}  {help}");
    }
    text
}

/// Writes a command's output. A reader that has seen enough (`parlance config | head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure(format!("cannot write the output: {error}"))),
        _ => Ok(()),
    }
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

    #[test]
    fn the_table_shows_each_setting_in_its_group() {
        let text = table(&Config::list(|_| None).unwrap());
        assert!(text.starts_with("# server\nHOST "));
        assert!(text.contains("\n# limits\nRATE_LIMIT_EVENTS "));
        assert!(text.lines().any(|line| line.starts_with("JWT_SECRET ") && line.contains("(none)")));
    }
}
