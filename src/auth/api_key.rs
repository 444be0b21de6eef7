//! Keys that give other servers administrator rights.
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::{ApiKey, KeyScopes, Scope};

/// Number of hash bytes that name a nameless key: eight hexadecimal digits.
const NAME_BYTES: usize = 4;

/// A known key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// Its name.
    pub name: Arc<str>,
    /// Its scopes; `None`: all.
    scopes: Option<Box<[Scope]>>,
}

impl KnownKey {
    /// Returns whether it has this scope.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&scope))
    }
}

/// Keys as hashes, each with its name and scopes.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<([u8; 32], KnownKey)>);

impl ApiKeys {
    /// Hashes the keys of `API_KEYS`, with the scopes of `API_KEY_SCOPES`; a nameless key is named by the first digits
    /// of its SHA-256.
    pub fn new(keys: &[ApiKey], scopes: &KeyScopes) -> Self {
        let known = keys.iter().map(|key| {
            let hash: [u8; 32] = Sha256::digest(key.secret.expose().as_bytes()).into();
            let digits = || hash.iter().take(NAME_BYTES).map(|byte| format!("{byte:02x}")).collect::<String>();
            let scopes = scopes.of(key.name.as_deref()).map(Box::from);
            (hash, KnownKey { name: Arc::from(key.name.clone().unwrap_or_else(digits)), scopes })
        });
        Self(known.collect())
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns this key, if it is one of ours. Hashes are compared, so timing reveals nothing about a key.
    pub fn find(&self, given: &str) -> Option<&KnownKey> {
        let hash: [u8; 32] = Sha256::digest(given.as_bytes()).into();
        self.0.iter().find(|(key, _)| *key == hash).map(|(_, known)| known)
    }

    /// Returns whether this is one of the keys.
    pub fn has(&self, given: &str) -> bool {
        self.find(given).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(texts: &[&str]) -> ApiKeys {
        let keys: Vec<_> = texts.iter().map(|text| ApiKey::parse(text)).collect();
        ApiKeys::new(&keys, &"shop:send+read".parse().unwrap())
    }

    #[test]
    fn only_whole_keys_count() {
        let keys = keys(&["alpha", "beta"]);
        assert!(keys.has("alpha") && keys.has("beta"));
        assert!(!keys.has("") && !keys.has("alph") && !keys.has("alpha,beta") && !keys.has("Alpha"));
        assert!(!ApiKeys::default().has(""));
    }

    #[test]
    fn a_key_has_a_name() {
        let keys = keys(&["shop:alpha", "beta", "no name:gamma", "mail:", "a:b:c"]);
        for (given, name) in [
            ("alpha", Some("shop")),
            // `printf beta | sha256sum`
            ("beta", Some("f44e64e7")),
            ("no name:gamma", Some("cd13560c")),
            ("b:c", Some("a")),
            ("shop:alpha", None),
        ] {
            assert_eq!(keys.find(given).map(|key| &*key.name), name, "{given}");
        }
        assert!(keys.has("mail:"));
    }

    #[test]
    fn a_key_has_its_rights_or_all() {
        let keys = keys(&["shop:alpha", "mail:beta", "gamma"]);
        for (given, scope, may) in [
            ("alpha", Scope::Send, true),
            ("alpha", Scope::Read, true),
            ("alpha", Scope::Admin, false),
            ("beta", Scope::Admin, true),
            ("gamma", Scope::Users, true),
        ] {
            assert_eq!(keys.find(given).unwrap().may(scope), may, "{given} {scope}");
        }
    }
}
