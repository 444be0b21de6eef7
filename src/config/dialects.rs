//! The setting that selects dialects.
use std::fmt;
use std::str::FromStr;

use super::kind::{items, join};

/// The dialects to serve, by name. The names are checked by `dialect`, which knows them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DialectNames {
    /// Every dialect.
    #[default]
    All,
    /// The dialects with these names.
    Listed(Vec<String>),
}

impl FromStr for DialectNames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "all" {
            return Ok(Self::All);
        }
        let mut names: Vec<String> = Vec::new();
        for name in items(text) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        if names.is_empty() {
            Err("names nothing; write a comma-separated list, or all".to_owned())
        } else {
            Ok(Self::Listed(names))
        }
    }
}

impl fmt::Display for DialectNames {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all"),
            Self::Listed(names) => formatter.write_str(&join(names)),
        }
    }
}
