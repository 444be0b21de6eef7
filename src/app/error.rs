//! The error of a failed start.

/// Reason why the server could not start, or stopped by itself: one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AppError(pub String);

impl AppError {
    /// Returns an error with that reason.
    pub(super) fn because(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}
