//! Keys with which other servers act as administrators.
use sha2::{Digest, Sha256};

/// The server keys, as hashes.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<[u8; 32]>);

impl ApiKeys {
    /// Takes the keys of `API_KEYS`.
    pub fn new<S: AsRef<[u8]>>(keys: &[S]) -> Self {
        Self(keys.iter().map(|key| Sha256::digest(key.as_ref()).into()).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `given` is one of the keys. Hashes are compared, so that the time taken tells nothing about a key.
    pub fn has(&self, given: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(given.as_bytes()).into();
        self.0.contains(&hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_keys_count() {
        let keys = ApiKeys::new(&["alpha", "beta"]);
        assert!(keys.has("alpha") && keys.has("beta"));
        assert!(!keys.has("") && !keys.has("alph") && !keys.has("alpha,beta") && !keys.has("Alpha"));
        assert!(!ApiKeys::default().has(""));
    }
}
