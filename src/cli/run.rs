//! Parses the command line and runs the command.
use std::process::ExitCode;

use clap::Parser as _;
use log::{LevelFilter, warn};

use super::arguments::{Arguments, Command};
use super::dialect as own_dialect;
use super::error::CliError;
use super::output::print;
use super::{
    admin_password, backup, check, completions, config, healthz, migrate, send, stats, tail, token, transfer, user, webhooks,
};
use crate::app;
use crate::config::{Config, Found, LogFilter, LogFormat, Typo, typos};
use crate::dialect::{self, DialectSet};
use crate::env::Environment;
use crate::logging;

/// Runs the command line. A failure prints one line on stderr; status 2 means wrong usage, 1 any other failure.
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

fn execute(command: Command) -> Result<(), CliError> {
    // Commands that may be needed to repair the settings run without them.
    match &command {
        Command::Completions { shell } => return completions::execute(*shell),
        Command::AdminPassword => return admin_password::execute(),
        Command::Dialect(command) => return own_dialect::execute(command),
        _ => {}
    }
    let environment = Environment::load().map_err(CliError::new)?;
    let find = |name: &str| {
        let (value, source) = environment.find(name)?;
        Some(Found { value: value.clone(), source })
    };
    if let Command::Check(options) = &command {
        return check::execute(options, &environment, find);
    }
    let config = Config::load(find).map_err(CliError::new)?;
    app::load_dialects(&config).map_err(CliError::new)?;
    DialectSet::enabled(&config.dialects).map_err(CliError::new)?;
    match command {
        Command::Serve => {
            logging::start(config.log_format, config.rust_log.clone());
            for Typo { name, source, meant } in typos(environment.names()) {
                warn!(name, source, meant; "unknown setting");
            }
            actix::System::new().block_on(app::run(config)).map_err(CliError::new)
        }
        Command::Config(options) => config::execute(&options, &environment, find),
        Command::Openapi => print(&format!("{:#}\n", app::openapi())),
        Command::Asyncapi => print(&format!("{:#}\n", dialect::asyncapi())),
        Command::Types => print(&dialect::types()),
        Command::User(command) => {
            // A command's results are its output; the log reports only problems.
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
        Command::Webhooks(command) => actix::System::new().block_on(webhooks::execute(&command, &environment, &config)),
        // Handled above: they do not need a valid configuration.
        Command::Check(_) | Command::Completions { .. } | Command::AdminPassword | Command::Dialect(_) => Ok(()),
    }
}

fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_one_line() {
        assert_eq!(one_line("a\n  b\r\n\n"), "a; b");
    }
}
