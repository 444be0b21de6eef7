//! `parlance dialect …`: checks and tries dialects that files describe. Needs no configuration.
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::error::CliError;
use super::output::print;
use crate::app;
use crate::config::Config;
use crate::dialect::{DialectSet, FileDialect, START, Vocabulary as _, replace};

#[derive(Debug, Subcommand)]
pub(super) enum DialectCommand {
    /// Find what is wrong with files: FILE:LINE:COLUMN, one a line. Status 1 if the server would not take one of them.
    Check {
        /// The files, in the order of DIALECT_FILES.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Show what an event becomes, and what each dialect is shown of it, as JSON.
    Try {
        /// The file.
        file: PathBuf,
        /// Name of the event.
        event: String,
        /// Its arguments, each as JSON.
        arguments: Vec<String>,
    },
    /// Print a file to begin with.
    New,
}

pub(super) fn execute(command: &DialectCommand) -> Result<(), CliError> {
    match command {
        DialectCommand::Check { files } => check(files),
        DialectCommand::Try { file, event, arguments } => {
            let dialect = read(file).and_then(|(dialect, _)| {
                replace(dialect).map_err(|error| error.to_string())?;
                dialect.try_event(event, &arguments.join(","))
            });
            print(&format!("{:#}\n", dialect.map_err(CliError)?))
        }
        DialectCommand::New => print(START),
    }
}

/// Reads a dialect and its text.
///
/// # Errors
/// All that is wrong with it, a line each.
fn read(path: &Path) -> Result<(&'static FileDialect, String), String> {
    let text = app::read_dialect(path)?;
    match FileDialect::parse(path, &text, Config::default().max_packet_size) {
        Ok(dialect) => Ok((dialect, text)),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

fn check(files: &[PathBuf]) -> Result<(), CliError> {
    let (mut is_well, mut names) = (true, Vec::new());
    for path in files {
        let (dialect, text) = match read(path) {
            Ok(read) => read,
            Err(problems) => {
                is_well = false;
                print(&format!("{problems}\n"))?;
                continue;
            }
        };
        let name = dialect.name();
        if names.contains(&name) {
            is_well = false;
            print(&format!("{}: another file has the name {name}\n", path.display()))?;
            continue;
        }
        let remarks = dialect.remarks(path, &text, DialectSet::all());
        print(&remarks.iter().map(|remark| format!("{remark} (remark)\n")).collect::<String>())?;
        names.push(name);
        replace(dialect).map_err(|error| CliError(format!("{}: {error}", path.display())))?;
    }
    if is_well { Ok(()) } else { Err(CliError::reported()) }
}
