//! Texts that must not be shown.
use std::fmt;

/// A secret; never printed or logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A key that gives another server administrator rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Name used in the log: up to 32 letters, digits, `-`, `_` and `.`.
    pub name: Option<String>,
    /// The key itself.
    pub secret: Secret,
}

impl ApiKey {
    /// Parses `NAME:KEY`, or a key without a name; a text with nothing valid before its colon is a key as a whole.
    pub fn parse(text: &str) -> Self {
        let is_name = |name: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            (1..=32).contains(&name.len()) && name.bytes().all(is_plain)
        };
        match text.split_once(':').filter(|(name, key)| is_name(name) && !key.is_empty()) {
            Some((name, key)) => Self { name: Some(name.to_owned()), secret: Secret::new(key) },
            None => Self { name: None, secret: Secret::new(text) },
        }
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(redacted)")
    }
}
