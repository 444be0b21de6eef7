//! The login of the Admin UI: a name and a bcrypt hash, from the settings.
use std::str::FromStr as _;

use bcrypt::HashParts;
use sha2::{Digest as _, Sha256};

/// bcrypt cost of hashes made here: a quarter of a second.
const COST: u32 = 12;
/// Maximum bcrypt cost: more would delay a login by many seconds.
const COST_MAX: u32 = 15;
/// Maximum number of bytes that bcrypt takes into account.
const PASSWORD_BYTES_MAX: usize = 71;

/// Reason why the settings make no login: one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AdminLoginError(&'static str);

/// The user who may use the Admin UI.
#[derive(Clone)]
pub struct AdminLogin {
    user: [u8; 32],
    hash: String,
}

impl AdminLogin {
    /// Makes a login from a name and a hash (`$2a$`, `$2b$` or `$2y$`).
    ///
    /// # Errors
    /// If the text is not a hash, or is too costly to check.
    pub fn new(user: &str, hash: &str) -> Result<Self, AdminLoginError> {
        let hash = hash.trim();
        if !["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix)) {
            return Err(AdminLoginError(
                "is not a bcrypt hash; make one with `parlance admin-password`, and write it between single quotes: else its $ are lost",
            ));
        }
        let parts = HashParts::from_str(hash)
            .map_err(|_| AdminLoginError("is a damaged bcrypt hash; make a new one with `parlance admin-password`"))?;
        if !(4..=COST_MAX).contains(&parts.get_cost()) {
            return Err(AdminLoginError("is a bcrypt hash of a cost outside 4 to 15; make one with `parlance admin-password`"));
        }
        Ok(Self { user: Sha256::digest(user.as_bytes()).into(), hash: hash.to_owned() })
    }

    /// Returns whether name and password are right. Takes a few tenths of a second, also for a wrong name.
    pub fn verify(&self, user: &str, password: &str) -> bool {
        let is_right = bcrypt::verify(password, &self.hash).unwrap_or(false);
        let user: [u8; 32] = Sha256::digest(user.as_bytes()).into();
        // The hash is checked in any case, so that timing reveals nothing about the name.
        is_right & (user == self.user)
    }
}

/// Hashes a password for [`AdminLogin`].
///
/// # Errors
/// If it is too short, or longer than bcrypt can distinguish.
pub fn hash_admin_password(password: &str) -> Result<String, AdminLoginError> {
    if password.chars().count() < 8 || password.len() > PASSWORD_BYTES_MAX || password.contains('\0') {
        return Err(AdminLoginError("a password has at least 8 characters and at most 71 bytes"));
    }
    bcrypt::hash(password, COST).map_err(|_| AdminLoginError("the machine has no randomness for a hash"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash of `correct horse` at the lowest cost.
    fn hash() -> String {
        bcrypt::hash("correct horse", 4).unwrap()
    }

    #[test]
    fn name_and_password_have_to_be_right() {
        let login = AdminLogin::new("admin", &hash()).unwrap();
        assert!(login.verify("admin", "correct horse"));
        for (user, password) in [("admin", "Correct horse"), ("Admin", "correct horse"), ("", ""), ("admin", "")] {
            assert!(!login.verify(user, password), "{user} {password}");
        }
    }

    #[test]
    fn hashes_of_other_tools_are_taken() {
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let hash = hash().replacen("$2b$", prefix, 1);
            assert!(AdminLogin::new("admin", &hash).unwrap().verify("admin", "correct horse"), "{prefix}");
        }
    }

    #[test]
    fn what_is_no_hash_is_refused_with_a_hint() {
        let too_dear = hash().replacen("$04$", "$16$", 1);
        // The second one is what a shell makes of a hash between double quotes.
        for wrong in ["correct horse", "b2.Kq", "$2b$04$short", "$2x$04$", too_dear.as_str(), ""] {
            let error = AdminLogin::new("admin", wrong).err().unwrap().to_string();
            assert!(error.contains("parlance admin-password"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_password_is_hashed_whole_or_not_at_all() {
        for wrong in ["short", &"x".repeat(72), "with\0nothing behind"] {
            assert!(hash_admin_password(wrong).is_err());
        }
    }
}
