//! The error of a setting.

/// A setting whose value cannot be used. Shown as one line; never shows a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct ConfigError {
    /// The setting.
    pub name: &'static str,
    /// The fault, and what would be right.
    pub reason: String,
}
