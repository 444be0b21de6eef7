//! The error of a command.

/// A failed command: one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failure(pub String);

impl Failure {
    /// A failure that was already reported.
    pub(super) fn told() -> Self {
        Self(String::new())
    }

    /// Returns a failure with that reason.
    pub(super) fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}
