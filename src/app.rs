//! Puts the parts together and serves.
use crate::config::Config;

/// Why the server could not start or stopped by itself: one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AppError(pub String);

/// Serves until it is told to stop.
///
/// # Errors
/// [`AppError`] if it cannot start.
pub async fn run(config: Config) -> Result<(), AppError> {
    crate::auth::token_secrets(&config).map_err(|error| AppError(error.to_string()))?;
    Ok(())
}
