//! The token secret that is made if none is configured.
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use log::{info, warn};

use crate::config::{Config, Secret, make_private_folder};

/// Name of the file below `DATA_DIR`.
const FILE_NAME: &str = "jwt-secret";

/// Minimum recommended length of a secret in bytes; shorter ones can be found by trying (RFC 7518 §3.2 for HS256).
pub const ADVISED_SECRET_BYTES: usize = 32;

/// The secret could be neither read nor created.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep a token secret in {}: {reason}; set JWT_SECRET, or DATA_DIR to a folder that can be written", path.display())]
pub struct SecretError {
    path: PathBuf,
    reason: io::Error,
}

/// Returns the secrets of tokens: the configured ones, else the one kept in `DATA_DIR`, which is created at the first
/// start. Accesses the disk.
///
/// # Errors
/// [`SecretError`] if the kept secret can be neither read nor created.
pub fn token_secrets(config: &Config) -> Result<Vec<Secret>, SecretError> {
    let set = config.jwt_secrets();
    if set.iter().any(|secret| secret.expose().len() < ADVISED_SECRET_BYTES) {
        warn!(advised_bytes = ADVISED_SECRET_BYTES; "a token secret is short and can be guessed");
    }
    if !set.is_empty() {
        return Ok(set);
    }
    let path = config.data_dir.join(FILE_NAME);
    match read_or_make(&config.data_dir, &path) {
        Ok(secret) => Ok(vec![Secret::new(secret)]),
        Err(reason) => Err(SecretError { path, reason }),
    }
}

/// The secret kept in `DATA_DIR`.
#[derive(Debug)]
pub struct KeptSecret {
    /// Its file.
    pub path: PathBuf,
    /// The secret.
    pub secret: Secret,
    /// Permission bits of the file.
    pub mode: u32,
}

/// Finds the secret kept in `DATA_DIR`, which is used if none is configured. Creates none.
///
/// # Errors
/// [`SecretError`] if there is one that cannot be used.
pub fn find_kept_secret(config: &Config) -> Result<Option<KeptSecret>, SecretError> {
    let path = config.data_dir.join(FILE_NAME);
    let read = || -> io::Result<_> {
        let secret = Secret::new(not_empty(fs::read_to_string(&path)?)?);
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path)?.permissions()) & 0o777;
        Ok((secret, mode))
    };
    match read() {
        Ok((secret, mode)) => Ok(Some(KeptSecret { path, secret, mode })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(reason) => Err(SecretError { path, reason }),
    }
}

fn read_or_make(folder: &Path, path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return not_empty(found?),
    }
    make_private_folder(folder)?;
    // Written aside and linked into place: a crash leaves no partial secret, and if two servers start at once, one
    // wins.
    let aside = tempfile_path(path);
    write_privately(&aside, &random_secret())?;
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    match linked {
        Ok(()) => info!(file:% = path.display(); "made a secret for tokens"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    fs::File::open(folder)?.sync_all()?;
    not_empty(fs::read_to_string(path)?)
}

fn not_empty(text: String) -> io::Result<String> {
    let secret = text.trim();
    if secret.is_empty() { Err(io::Error::other("it is empty, remove it")) } else { Ok(secret.to_owned()) }
}

fn tempfile_path(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.new", uuid::Uuid::now_v7()))
}

fn write_privately(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Returns 384 random bits as text.
fn random_secret() -> String {
    use base64::Engine as _;
    let bytes: [u8; 48] = rand::random();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_in(folder: &Path) -> Config {
        Config { data_dir: folder.join("made/at/start"), ..Config::default() }
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_is_made_once_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let config = config_in(folder.path());
        let made = token_secrets(&config).unwrap();
        assert_eq!(token_secrets(&config).unwrap(), made);
        assert_eq!(made.len(), 1);
        assert!(made[0].expose().len() >= 64);
        let mode = fs::metadata(config.data_dir.join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&config.data_dir).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn of_two_first_starts_at_once_both_get_the_same_secret() {
        let folder = tempfile::tempdir().unwrap();
        let config = config_in(folder.path());
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| token_secrets(&config).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn secrets_that_are_set_make_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { jwt_secrete: Some(Secret::new("s")), ..config_in(folder.path()) };
        assert_eq!(token_secrets(&config).unwrap(), [Secret::new("s")]);
        assert!(!config.data_dir.exists());
    }

    #[test]
    fn an_empty_file_or_an_unusable_folder_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let config = config_in(folder.path());
        fs::create_dir_all(&config.data_dir).unwrap();
        fs::write(config.data_dir.join(FILE_NAME), "\n").unwrap();
        assert!(token_secrets(&config).unwrap_err().to_string().contains("JWT_SECRET"));
        let under_a_file = Config { data_dir: config.data_dir.join(FILE_NAME), ..Config::default() };
        assert!(token_secrets(&under_a_file).is_err());
    }
}
