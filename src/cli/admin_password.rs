//! `parlance admin-password`: makes the hash for `ADMIN_UI_PASSWORD`.
use super::error::CliError;
use super::output::print;
use super::user::read_password;
use crate::auth::hash_admin_password;

/// Reads a password from standard input and prints the setting.
pub(super) fn execute() -> Result<(), CliError> {
    let password = read_password("the Admin UI").map_err(|_| CliError("no password: write it to standard input".to_owned()))?;
    let hash = hash_admin_password(&password).map_err(CliError::new)?;
    // Between single quotes, neither a shell nor the file .env expands its $.
    print(&format!("ADMIN_UI_PASSWORD='{hash}'\n"))
}
