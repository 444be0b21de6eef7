//! Passwords: argon2id, stored in PHC format; bcrypt hashes of other systems are accepted until the next login.
use std::str::FromStr as _;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use bcrypt::HashParts;

use super::registration::InvalidField;

/// Prefixes of bcrypt hashes.
const BCRYPT: [&str; 3] = ["$2a$", "$2b$", "$2y$"];
/// Minimum cost of bcrypt.
const BCRYPT_COST_MIN: u32 = 4;
/// Maximum accepted cost; a higher one would delay a login by many seconds.
const BCRYPT_COST_MAX: u32 = 15;

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
    if let Some(hash) = hash.filter(|hash| is_foreign_hash(hash)) {
        // As in the system of origin: bcrypt ignores all bytes after the 72nd.
        return bcrypt::verify(password, hash).unwrap_or(false);
    }
    let matches = Argon2::default().verify_password(password.as_bytes(), hash.unwrap_or(NOBODYS_HASH)).is_ok();
    matches && hash.is_some()
}

/// Returns whether a hash is another system's, to be replaced at the next login.
pub fn is_foreign_hash(hash: &str) -> bool {
    BCRYPT.iter().any(|prefix| hash.starts_with(prefix))
}

/// Checks a hash from another system.
///
/// # Errors
/// The fault, in words for an administrator.
pub fn check_password_hash(hash: &str) -> Result<(), InvalidField> {
    let refuse = |reason| Err(InvalidField { field: "passwordHash", reason });
    if !is_foreign_hash(hash) {
        return refuse("is no bcrypt hash ($2a$, $2b$ or $2y$)");
    }
    match HashParts::from_str(hash).map(|parts| parts.get_cost()) {
        Ok(BCRYPT_COST_MIN..=BCRYPT_COST_MAX) => Ok(()),
        Ok(_) => refuse("is a bcrypt hash of a cost outside 4 to 15"),
        Err(_) => refuse("is a damaged bcrypt hash"),
    }
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

    #[test]
    fn hashes_of_bcrypt_are_taken_along() {
        let ours = bcrypt::hash("correct horse", 4).unwrap();
        for prefix in BCRYPT {
            let hash = ours.replacen("$2b$", prefix, 1);
            assert_eq!(check_password_hash(&hash), Ok(()));
            assert!(is_foreign_hash(&hash) && verify_password("correct horse", Some(&hash)));
            assert!(!verify_password("Correct horse", Some(&hash)) && !verify_password("", Some(&hash)));
        }
        let too_dear = ours.replacen("$04$", "$16$", 1);
        for wrong in [too_dear.as_str(), "$2b$04$short", "$2x$04$", "", "correct horse", NOBODYS_HASH] {
            assert!(check_password_hash(wrong).is_err(), "{wrong}");
        }
        assert!(!is_foreign_hash(&hash_password("whatever").unwrap()));
    }
}
