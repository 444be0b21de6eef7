//! Dialects that files describe: read at the start, and anew at SIGHUP.
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use log::{error, info};

use super::error::AppError;
use crate::config::Config;
use crate::dialect::{FileDialect, Problem, RegisterError, Vocabulary as _, replace};

/// Maximum size of a file that is read at all, in bytes.
const LENGTH_MAX: u64 = 1_024 * 1_024;

/// A file as it is in force.
struct Loaded {
    path: PathBuf,
    text: String,
    name: &'static str,
    max_bytes: usize,
}

/// The files of this process: the table of dialects is the process's, too.
static LOADED: Mutex<Vec<Loaded>> = Mutex::new(Vec::new());

/// Makes the dialects of `DIALECT_FILES` known. A file that is known and has not changed is left as it is.
///
/// # Errors
/// [`AppError`] with the first thing that is wrong with a file, and its place.
pub fn load_dialects(config: &Config) -> Result<(), AppError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut names = Vec::new();
    for path in &config.dialect_files {
        let text = read_dialect(path).map_err(AppError)?;
        let known = loaded.iter_mut().find(|known| known.path == *path);
        let name = match known {
            Some(known) if known.text == text => known.name,
            Some(known) => {
                *known = load(path, text, config.max_packet_size).map_err(AppError)?;
                known.name
            }
            None => {
                let file = load(path, text, config.max_packet_size).map_err(AppError)?;
                let name = file.name;
                loaded.push(file);
                name
            }
        };
        if names.contains(&name) {
            return Err(AppError(format!("{}: another file of DIALECT_FILES has the name {name}", path.display())));
        }
        names.push(name);
    }
    Ok(())
}

/// Reads the files anew. One that is broken goes on as it was.
pub(super) async fn reload() {
    let reloaded = tokio::task::spawn_blocking(|| {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        for known in loaded.iter_mut() {
            match changed(known) {
                Ok(None) => {}
                Ok(Some(file)) => {
                    info!(dialect = file.name; "a dialect was read anew");
                    *known = file;
                }
                Err(cause) => error!(dialect = known.name, cause:% = cause; "a dialect stays as it was"),
            }
        }
    });
    if let Err(error) = reloaded.await {
        error!(cause:% = error; "could not read the dialects anew");
    }
}

fn changed(known: &Loaded) -> Result<Option<Loaded>, String> {
    let text = read_dialect(&known.path)?;
    if text == known.text {
        return Ok(None);
    }
    let dialect = parse(&known.path, &text, known.max_bytes)?;
    if dialect.name() != known.name {
        return Err(format!("{}: a dialect keeps its name until the next start", known.path.display()));
    }
    register(&known.path, dialect)?;
    Ok(Some(Loaded { path: known.path.clone(), text, name: known.name, max_bytes: known.max_bytes }))
}

fn load(path: &Path, text: String, max_bytes: usize) -> Result<Loaded, String> {
    let dialect = parse(path, &text, max_bytes)?;
    register(path, dialect)?;
    Ok(Loaded { path: path.to_owned(), text, name: dialect.name(), max_bytes })
}

/// Reads a file of `DIALECT_FILES`. What is no file, as a pipe, is not opened: it might never end.
///
/// # Errors
/// The path, and what is wrong with it.
pub fn read_dialect(path: &Path) -> Result<String, String> {
    let because = |cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
    let metadata = fs::metadata(path).map_err(|error| because(&error))?;
    if !metadata.is_file() {
        return Err(because(&"is no file"));
    }
    if metadata.len() > LENGTH_MAX {
        return Err(because(&"is larger than 1 MB"));
    }
    fs::read_to_string(path).map_err(|error| because(&error))
}

fn parse(path: &Path, text: &str, max_bytes: usize) -> Result<&'static FileDialect, String> {
    FileDialect::parse(path, text, max_bytes).map_err(|problems| problems.first().map(Problem::to_string).unwrap_or_default())
}

fn register(path: &Path, dialect: &'static FileDialect) -> Result<(), String> {
    replace(dialect).map_err(|error| match error {
        RegisterError::NameTaken => format!("{}: the name {} is taken", path.display(), dialect.name()),
        RegisterError::NoRoom => {
            format!("{}: this process has had 64 dialects and versions of them; start it again", path.display())
        }
    })
}
