//! SHA-256 over several texts.
use sha2::{Digest as _, Sha256};

/// SHA-256 of `parts`. Each is preceded by its length, so that different lists cannot have the same bytes.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}
