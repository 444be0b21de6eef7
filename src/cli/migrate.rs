//! `parlance migrate …`: migrations of the tables.
use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::json;

use super::database::{self, confirms, failed};
use super::error::CliError;
use super::output::print;
use crate::config::Config;
use crate::store::{self, DatabaseUrl, MigrationState};

/// Commands on migrations.
#[derive(Debug, Subcommand)]
pub(super) enum MigrateCommand {
    /// Apply missing migrations, as the server does at its start. A missing SQLite file is created.
    Up,
    /// Undo the latest migration, which deletes the contents of its tables and columns. The server must not be running.
    Down {
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
    /// List the migrations that the database has, and those that are missing.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command against the database of `config`.
pub(super) fn execute(command: &MigrateCommand, config: &Config) -> Result<(), CliError> {
    let url = database::url(config)?;
    match command {
        MigrateCommand::Up => up(&url),
        MigrateCommand::Down { yes } => down(&url, *yes),
        MigrateCommand::Status { json } => status(&url, *json),
    }
}

fn up(url: &DatabaseUrl) -> Result<(), CliError> {
    let mut conn = store::connect_or_make(url).map_err(|error| failed(&error))?;
    let applied = store::apply_migrations(&mut conn).map_err(|error| failed(&error))?;
    if applied.is_empty() {
        return print("the tables are up to date\n");
    }
    print(&applied.iter().fold(String::new(), |text, name| text + "applied " + name + "\n"))
}

fn down(url: &DatabaseUrl, is_confirmed: bool) -> Result<(), CliError> {
    let mut conn = store::connect_alone(url).map_err(|error| failed(&error))?;
    let list = store::list_migrations(&mut conn).map_err(|error| failed(&error))?;
    let Some(last) = list.iter().rev().find(|step| step.is_applied) else {
        return Err(CliError("the database has no migrations: there is nothing to undo".to_owned()));
    };
    let MigrationState { name, is_known, .. } = last;
    if !is_known {
        return Err(CliError(format!("the migration {name} is of a later version: undo it with that one")));
    }
    if !is_confirmed && !confirms(&format!("Undo {name}, and lose the contents of its tables and columns?")) {
        return Err(CliError(format!("{name} stays; to undo it without confirmation, give --yes")));
    }
    store::revert_last_migration(&mut conn).map_err(|error| failed(&error))?;
    print(&format!("undid {name}; this version applies it again at its next start\n"))
}

fn status(url: &DatabaseUrl, as_json: bool) -> Result<(), CliError> {
    let mut conn = store::connect_beside(url).map_err(|error| failed(&error))?;
    let list = store::list_migrations(&mut conn).map_err(|error| failed(&error))?;
    let pending = list.iter().filter(|step| !step.is_applied).count();
    if as_json {
        let migrations: Vec<_> = list
            .iter()
            .map(
                |MigrationState { name, is_applied, is_known }| json!({ "name": name, "applied": is_applied, "known": is_known }),
            )
            .collect();
        return print(&format!("{}\n", json!({ "migrations": migrations, "pending": pending })));
    }
    let mut text = String::new();
    for MigrationState { name, is_applied, is_known } in &list {
        let state = match (is_applied, is_known) {
            (true, true) => "applied",
            (true, false) => "applied by a later version",
            (false, _) => "missing",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}  {state}");
    }
    if pending > 0 {
        let _ = writeln!(text, "{pending} missing: `parlance migrate up`, or the next start of the server, applies them");
    }
    print(&text)
}
