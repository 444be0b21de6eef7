//! Recently verified tokens: a second CONNECT with the same token costs no signature.
use std::mem;

use super::claims::Claims;
use crate::hash::HashMap;

/// The SHA-256 of a whole token. A token has only one spelling: stray bits in base64 are refused, and header and
/// payload are signed as text.
pub(super) type Fingerprint = [u8; 32];

/// Maximum number of tokens of a generation: some ten megabytes at most. There are two generations.
const GENERATION: usize = 16_384;

/// Claims by their token's fingerprint, each with the index of the key's source.
///
/// When the young generation is full it becomes the old one, and the old one is dropped, except for tokens used
/// meanwhile.
#[derive(Debug, Default)]
pub(super) struct Verified {
    young: HashMap<Fingerprint, (usize, Claims)>,
    old: HashMap<Fingerprint, (usize, Claims)>,
}

impl Verified {
    /// Finds the claims of a token that was verified before, and the source of its key.
    pub(super) fn find(&mut self, fingerprint: &Fingerprint) -> Option<(usize, Claims)> {
        if let Some(found) = self.young.get(fingerprint) {
            return Some(found.clone());
        }
        let found = self.old.remove(fingerprint)?;
        self.keep(*fingerprint, found.0, found.1.clone());
        Some(found)
    }

    /// Stores a verified token.
    pub(super) fn keep(&mut self, fingerprint: Fingerprint, source: usize, claims: Claims) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(fingerprint, (source, claims));
    }

    /// Removes all tokens signed by keys of this source, after these have changed.
    pub(super) fn forget(&mut self, source: usize) {
        self.young.retain(|_, (signed_by, _)| *signed_by != source);
        self.old.retain(|_, (signed_by, _)| *signed_by != source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserId;

    fn claims() -> Claims {
        Claims::of(UserId::parse("ann").unwrap(), "")
    }

    fn fingerprint(number: usize) -> Fingerprint {
        std::array::from_fn(|place| number.to_be_bytes().get(place).copied().unwrap_or_default())
    }

    #[test]
    fn many_tokens_take_bounded_memory_and_what_is_asked_for_stays() {
        let mut verified = Verified::default();
        verified.keep(fingerprint(0), 0, claims());
        for number in 1..=5 * GENERATION {
            verified.keep(fingerprint(number), 0, claims());
            assert!(verified.find(&fingerprint(0)).is_some());
        }
        assert!(verified.young.len() + verified.old.len() <= 2 * GENERATION + 1);
        assert!(verified.find(&fingerprint(1)).is_none());
    }

    #[test]
    fn tokens_go_with_the_keys_of_their_source() {
        let mut verified = Verified::default();
        verified.keep(fingerprint(1), 0, claims());
        verified.keep(fingerprint(2), 1, claims());
        verified.forget(0);
        assert!(verified.find(&fingerprint(1)).is_none() && verified.find(&fingerprint(2)).is_some());
    }
}
