//! Keys that give other servers administrator rights.
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::ApiKey;

/// Number of hash bytes that name a nameless key: eight hexadecimal digits.
const NAME_BYTES: usize = 4;

/// Keys as hashes, each with its name.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<([u8; 32], Arc<str>)>);

impl ApiKeys {
    /// Hashes the keys of `API_KEYS`; a nameless key is named by the first digits of its SHA-256.
    pub fn new(keys: &[ApiKey]) -> Self {
        let named = keys.iter().map(|key| {
            let hash: [u8; 32] = Sha256::digest(key.secret.expose().as_bytes()).into();
            let digits = || hash.iter().take(NAME_BYTES).map(|byte| format!("{byte:02x}")).collect::<String>();
            (hash, Arc::from(key.name.clone().unwrap_or_else(digits)))
        });
        Self(named.collect())
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the name of this key, if it is one. Hashes are compared, so timing reveals nothing about a key.
    pub fn find(&self, given: &str) -> Option<&Arc<str>> {
        let hash: [u8; 32] = Sha256::digest(given.as_bytes()).into();
        self.0.iter().find(|(key, _)| *key == hash).map(|(_, name)| name)
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
        ApiKeys::new(&texts.iter().map(|text| ApiKey::parse(text)).collect::<Vec<_>>())
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
            assert_eq!(keys.find(given).map(|name| &**name), name, "{given}");
        }
        assert!(keys.has("mail:"));
    }
}
