//! What a new account may look like.

/// A field of a registration that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct InvalidField {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A name that belongs to the AI model.
const RESERVED: &str = "model";

/// Checks a username: 1–64 characters, none of them a control character, not reserved.
///
/// # Errors
/// Says what is wrong.
pub fn check_username(username: &str) -> Result<(), InvalidField> {
    let refuse = |reason| Err(InvalidField { field: "username", reason });
    if username.chars().any(char::is_control) {
        return refuse("has a control character");
    }
    if username.trim().is_empty() || username.chars().count() > 64 {
        return refuse("must have 1 to 64 characters");
    }
    if username.trim().eq_ignore_ascii_case(RESERVED) { refuse("is reserved") } else { Ok(()) }
}

/// Checks an e-mail address: has an `@` with something on both sides, at most 254 characters.
///
/// # Errors
/// Says what is wrong.
pub fn check_email(email: &str) -> Result<(), InvalidField> {
    let refuse = |reason| Err(InvalidField { field: "email", reason });
    if email.chars().count() > 254 || email.chars().any(|character| character.is_control() || character.is_whitespace()) {
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
/// Says what is wrong.
pub fn check_password(password: &str) -> Result<(), InvalidField> {
    let refuse = |reason| Err(InvalidField { field: "password", reason });
    match password.chars().count() {
        8..=1024 if password.contains('\0') => refuse("has a U+0000"),
        8..=1024 => Ok(()),
        _ => refuse("must have 8 to 1024 characters"),
    }
}

/// Checks a name to show: 1–200 characters, none of them a control character.
///
/// # Errors
/// Says what is wrong.
pub fn check_full_name(full_name: &str) -> Result<(), InvalidField> {
    let refuse = |reason| Err(InvalidField { field: "fullName", reason });
    if full_name.chars().any(char::is_control) {
        return refuse("has a control character");
    }
    if (1..=200).contains(&full_name.chars().count()) { Ok(()) } else { refuse("must have 1 to 200 characters") }
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
        ] {
            assert_eq!(check(check_username(username)), fine, "{username:?}");
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
