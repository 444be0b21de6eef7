//! Scopes of the keys of servers.
use std::fmt;
use std::str::FromStr;

use super::kind::items;
use super::word::Scope;

/// Scopes by names of keys; a key that is not named has all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyScopes(Vec<(String, Vec<Scope>)>);

impl KeyScopes {
    /// Returns the scopes of the key with this name; `None`: all.
    pub fn of(&self, name: Option<&str>) -> Option<&[Scope]> {
        let name = name?;
        self.0.iter().find(|(known, _)| known == name).map(|(_, scopes)| &scopes[..])
    }

    /// Lists the names that have scopes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl FromStr for KeyScopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut keys: Vec<(String, Vec<Scope>)> = Vec::new();
        for item in items(text) {
            let (name, scopes) = item
                .split_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| format!("{item:?} is no NAME:SCOPE+SCOPE, such as shop:send+read"))?;
            if keys.iter().any(|(known, _)| known == name) {
                return Err(format!("{name} stands twice"));
            }
            let scopes = scopes.split('+').map(|scope| scope.trim().parse()).collect::<Result<_, _>>()?;
            keys.push((name.to_owned(), scopes));
        }
        Ok(Self(keys))
    }
}

impl fmt::Display for KeyScopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, scopes)) in self.0.iter().enumerate() {
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
            write!(formatter, "{}{name}:{}", if place == 0 { "" } else { "," }, scopes.join("+"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_by_name() {
        let text = "shop:send+read,mail:read";
        let scopes: KeyScopes = text.parse().unwrap();
        assert_eq!(scopes.to_string(), text);
        assert_eq!(scopes.of(Some("shop")), Some(&[Scope::Send, Scope::Read][..]));
        assert_eq!((scopes.of(Some("other")), scopes.of(None)), (None, None));
        for wrong in ["shop", "shop:", "shop:send+", "shop:sent", ":send", "a:send,a:read"] {
            assert!(wrong.parse::<KeyScopes>().is_err(), "{wrong}");
        }
    }
}
