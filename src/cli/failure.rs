//! Why a command failed.

/// Why a command failed: one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failure(pub String);

impl Failure {
    /// One of which all has been said already.
    pub(super) fn told() -> Self {
        Self(String::new())
    }

    /// Returns one with that reason.
    pub(super) fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}
