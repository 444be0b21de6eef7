//! Rules for new accounts.
use super::token::Claims;
use crate::model::limits::{EMAIL_MAX, FULL_NAME_MAX, PASSWORD_MAX, PASSWORD_MIN, USERNAME_MAX};
use crate::model::{DELETED_NAME, Description, MODEL_USER, UserRole, is_plain, name_key};

/// An invalid field of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct InvalidField {
    /// The field.
    pub field: &'static str,
    /// The reason.
    pub reason: &'static str,
}

/// Reason for a name that does not look like what it is.
const HIDDEN: &str = "has a character that cannot be seen, ends the line or turns the direction of writing";

/// Checks a username: 1–64 visible characters, not reserved; an e-mail address is allowed only if it is the user's own.
///
/// # Errors
/// Names the fault.
pub fn check_username(username: &str, email: Option<&str>) -> Result<(), InvalidField> {
    let refuse = |reason| Err(InvalidField { field: "username", reason });
    let key = name_key(username);
    if !is_plain(username.trim()) {
        return refuse(HIDDEN);
    }
    if key.is_empty() || username.trim().chars().count() > USERNAME_MAX {
        return refuse("must have 1 to 64 characters");
    }
    if [MODEL_USER, DELETED_NAME].iter().any(|reserved| name_key(reserved) == key) {
        return refuse("is reserved");
    }
    if check_email(username.trim()).is_ok() && email.is_none_or(|email| name_key(email) != key) {
        return refuse("is an e-mail address, and not that of this account");
    }
    Ok(())
}

/// Returns a token's statements about its user, restricted to what a registration could have said.
pub fn description(claims: &Claims) -> Description {
    let Claims { username, full_name, email, role, issued_at, .. } = claims;
    let email = email.clone().filter(|email| check_email(email).is_ok());
    let is_taken = |name: &String| check_username(name, email.as_deref()).is_ok();
    Description {
        username: username.clone().filter(is_taken).map(|name| name.trim().to_owned()),
        full_name: full_name.clone().filter(|name| check_full_name(name).is_ok()),
        role: role.as_deref().and_then(UserRole::parse),
        said_at: *issued_at,
        email,
    }
}

/// Checks an e-mail address: has an `@` with something on both sides, at most 254 characters.
///
/// # Errors
/// Names the fault.
pub fn check_email(email: &str) -> Result<(), InvalidField> {
    let refuse = |reason| Err(InvalidField { field: "email", reason });
    if email.chars().count() > EMAIL_MAX || email.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return refuse("is not an e-mail address");
    }
    match email.rsplit_once('@') {
        Some((name, host)) if !name.is_empty() && !host.is_empty() => Ok(()),
        _ => refuse("must have an @"),
    }
}

/// Checks a new password: 8–1 024 characters.
///
/// # Errors
/// Names the fault.
pub fn check_password(password: &str) -> Result<(), InvalidField> {
    let refuse = |reason| Err(InvalidField { field: "password", reason });
    match password.chars().count() {
        PASSWORD_MIN..=PASSWORD_MAX if password.contains('\0') => refuse("has a U+0000"),
        PASSWORD_MIN..=PASSWORD_MAX => Ok(()),
        _ => refuse("must have 8 to 1024 characters"),
    }
}

/// Checks a display name: 1–200 visible characters.
///
/// # Errors
/// Names the fault.
pub fn check_full_name(full_name: &str) -> Result<(), InvalidField> {
    let refuse = |reason| Err(InvalidField { field: "fullName", reason });
    if !is_plain(full_name) {
        return refuse(HIDDEN);
    }
    if name_key(full_name) == name_key(DELETED_NAME) {
        return refuse("is reserved");
    }
    if (1..=FULL_NAME_MAX).contains(&full_name.chars().count()) { Ok(()) } else { refuse("must have 1 to 200 characters") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let check = |result: Result<(), InvalidField>| result.is_ok();
        for (username, fine) in [
            ("a", true),
            ("Ann Lee", true),
            (&*"ä".repeat(64), true),
            (&*"a".repeat(65), false),
            ("", false),
            ("  ", false),
            ("a\0", false),
            ("Model", false),
            (" mo\u{200d}del", false),
            ("Deleted  user", false),
            ("a\u{202e}b", false),
            ("\u{2003}", false),
            ("ann@example.org", false),
        ] {
            assert_eq!(check(check_username(username, None)), fine, "{username:?}");
        }
        for (email, fine) in
            [("a@b", true), ("ann@example.org", true), ("ann", false), ("@b", false), ("a@", false), ("a b@c", false)]
        {
            assert_eq!(check(check_email(email)), fine, "{email:?}");
        }
        for (password, fine) in [("12345678", true), ("1234567", false), (&*"x".repeat(1024), true), (&*"x".repeat(1025), false)]
        {
            assert_eq!(check(check_password(password)), fine, "{} characters", password.len());
        }
        assert!(check(check_full_name("Ann Lee")) && !check(check_full_name("")));
    }
}
