//! Names of namespaces that mean the chat's.
use std::fmt;
use std::str::FromStr;

use super::kind::{items, join};

/// Maximum number of names.
const MAX: usize = 64;

/// Names of other namespaces that mean `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces(Vec<Box<str>>);

impl Namespaces {
    /// Returns the names.
    pub fn names(&self) -> &[Box<str>] {
        &self.0
    }
}

impl FromStr for Namespaces {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<_> = items(text).collect();
        for name in &names {
            if !name.starts_with('/') || *name == "/" || name.contains(['?', '\u{1e}']) {
                return Err(format!("{name:?} is not the name of another namespace, such as /chat"));
            }
            if *name == "/admin" {
                return Err("/admin is the Admin UI's".to_owned());
            }
        }
        if names.len() > MAX {
            return Err(format!("must be at most {MAX} names"));
        }
        Ok(Self(names.into_iter().map(Box::from).collect()))
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&join(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_a_slash() {
        let parse = |text: &str| text.parse::<Namespaces>();
        assert_eq!(parse(" /chat, /v1/room ").unwrap().to_string(), "/chat,/v1/room");
        for wrong in ["chat", "/", "/chat,/", "/admin", "/chat?x=1", "chat,/room"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
