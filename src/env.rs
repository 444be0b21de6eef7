//! The process's environment, and the `.env` file that completes it.
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hashbrown::HashMap;

/// A `.env` file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {reason}", path.display())]
pub(crate) struct EnvError {
    path: PathBuf,
    reason: String,
}

/// Names and values, with the source of each.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    values: HashMap<String, (OsString, &'static str)>,
}

impl Environment {
    /// Reads the process's environment and `./.env`, which adds unset names and overrides none. Neither is changed.
    ///
    /// # Errors
    /// [`EnvError`] if there is a `.env` file that is malformed or cannot be read.
    pub(crate) fn load() -> Result<Self, EnvError> {
        Self::with_file(env::vars_os(), Path::new(".env"))
    }

    fn with_file(variables: impl Iterator<Item = (OsString, OsString)>, path: &Path) -> Result<Self, EnvError> {
        let mut values = HashMap::new();
        for (name, value) in variables {
            // All our names are ASCII.
            if let Ok(name) = name.into_string() {
                values.insert(name, (value, "environment"));
            }
        }
        let fail = |reason: String| EnvError { path: path.to_owned(), reason };
        let lines = match dotenvy::from_path_iter(path) {
            Ok(lines) => lines,
            Err(error) if error.not_found() => return Ok(Self { values }),
            Err(error) => return Err(fail(error.to_string())),
        };
        for line in lines {
            let (name, value) = line.map_err(|error| fail(reason_of(&error)))?;
            // An empty variable counts as unset, so the file may set it.
            let is_set = values.get(&name).is_some_and(|(value, _)| !value.is_empty());
            if !is_set {
                values.insert(name, (value.into(), ".env"));
            }
        }
        Ok(Self { values })
    }

    /// Returns all names that have a value, and the source of each.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.values.iter().filter(|(_, (value, _))| !value.is_empty()).map(|(name, (_, source))| (name.as_str(), *source))
    }

    /// Returns the value of a name and its source: `environment` or `.env`.
    pub(crate) fn find(&self, name: &str) -> Option<(&OsString, &'static str)> {
        self.values.get(name).map(|(value, source)| (value, *source))
    }
}

/// Describes the error in one line, without the offending line's text: it may be a secret.
fn reason_of(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(line, position) => {
            let name = line.split('=').next().unwrap_or_default().trim();
            let is_name = !name.is_empty() && name.len() < line.len();
            if is_name {
                format!("the line of {name:?} is malformed (character {position})")
            } else {
                "a line is not NAME=value".to_owned()
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(variables: &[(&str, &str)], file: Option<&str>) -> Result<Environment, EnvError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        if let Some(text) = file {
            fs::write(&path, text).unwrap();
        }
        Environment::with_file(variables.iter().map(|(name, value)| (name.into(), value.into())), &path)
    }

    #[test]
    fn the_file_completes_and_overrides_nothing() {
        let env = load(
            &[("PORT", "1"), ("HOST", "")],
            Some("# comment\nPORT=2\nHOST=example.org\nexport JWT_SECRET='a # b'\nDATA_DIR=\n"),
        )
        .unwrap();
        let find = |name: &str| env.find(name).map(|(value, source)| (value.to_str().unwrap(), source));
        assert_eq!(find("PORT"), Some(("1", "environment")));
        assert_eq!(find("HOST"), Some(("example.org", ".env")));
        assert_eq!(find("JWT_SECRET"), Some(("a # b", ".env")));
        assert_eq!(find("DATA_DIR"), Some(("", ".env")));
        assert_eq!(find("OTHER"), None);
        let mut names: Vec<_> = env.names().collect();
        names.sort_unstable();
        assert_eq!(names, [("HOST", ".env"), ("JWT_SECRET", ".env"), ("PORT", "environment")]);
    }

    #[test]
    fn a_missing_file_is_fine_and_a_broken_one_is_one_line_without_its_secrets() {
        assert!(load(&[], None).is_ok());
        for text in ["JWT_SECRET='hush", "JWT_SECRET=hush hush\n", "hush\n"] {
            let line = load(&[], Some(text)).err().unwrap().to_string();
            assert!(line.contains(".env") && !line.contains("hush") && !line.contains('\n'), "{line}");
        }
    }
}
