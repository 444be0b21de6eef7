//! The error of a setting.

/// A setting with an unusable value. Printed as one line; never prints a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct ConfigError {
    /// The setting.
    pub name: &'static str,
    /// The fault, and an example of what would be right.
    pub reason: String,
}
