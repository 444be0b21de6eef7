//! Passwords: argon2id, stored in PHC format.
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// Hashing failed: no randomness, or not enough memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot hash the password: {0}")]
pub struct PasswordError(String);

/// A hash of no password, with the parameters of new hashes: checking against it takes as long as against a real one.
const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes a password with a fresh salt. Takes 19 MiB and tens of milliseconds.
///
/// # Errors
/// [`PasswordError`] if the machine lacks randomness or memory.
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| PasswordError(error.to_string()))
}

/// Returns whether the password matches the hash. Without a hash it takes the same time and returns `false`.
pub fn verify_password(password: &str, hash: Option<&str>) -> bool {
    let matches = Argon2::default().verify_password(password.as_bytes(), hash.unwrap_or(NOBODYS_HASH)).is_ok();
    matches && hash.is_some()
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify_password("correct horse", Some(&hash)));
        assert!(!verify_password("Correct horse", Some(&hash)));
        assert!(!verify_password("correct horse", None));
        assert!(!verify_password("correct horse", Some("not a hash")));
    }

    #[test]
    fn nobodys_hash_costs_what_a_real_one_does() {
        let real = PasswordHash::new(&hash_password("whatever").unwrap()).unwrap();
        let nobodys = PasswordHash::new(NOBODYS_HASH).unwrap();
        assert_eq!(real.algorithm, nobodys.algorithm);
        assert_eq!(real.version, nobodys.version);
        assert_eq!(real.params.to_string(), nobodys.params.to_string());
        assert_eq!(real.salt.unwrap().len(), nobodys.salt.unwrap().len());
        assert_eq!(real.hash.unwrap().len(), nobodys.hash.unwrap().len());
    }
}
