//! The error of a command.

/// A failed command: one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct CliError(pub String);

impl CliError {
    /// A failure that was already reported.
    pub(super) fn reported() -> Self {
        Self(String::new())
    }

    /// Returns a failure with that reason.
    pub(super) fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}
