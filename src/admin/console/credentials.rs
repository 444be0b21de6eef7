//! Credentials of a client of the Admin UI.
use serde_json::Value;
use serde_json::value::RawValue;

/// Longest credential, in bytes; anything longer cannot be right.
const TEXT_MAX: usize = 1_024;

/// Credentials in a CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// The session id of an earlier login.
    SessionId(String),
    /// A name and a password.
    Password(String, String),
    /// None that could be right.
    None,
}

impl Credentials {
    /// Reads the credentials from the `auth` of a CONNECT.
    pub(super) fn of(auth: Option<&RawValue>) -> Self {
        let Some(Value::Object(auth)) = auth.and_then(|auth| serde_json::from_str(auth.get()).ok()) else { return Self::None };
        let text = |key| match auth.get(key) {
            Some(Value::String(text)) if (1..=TEXT_MAX).contains(&text.len()) => Some(text.clone()),
            _ => None,
        };
        if let Some(id) = text("sessionId") {
            return Self::SessionId(id);
        }
        text("username").zip(text("password")).map_or(Self::None, |(user, password)| Self::Password(user, password))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_proves_nothing() {
        let password = |user: &str, password: &str| Credentials::Password(user.to_owned(), password.to_owned());
        let long = format!(r#"{{"sessionId":"{}"}}"#, "x".repeat(TEXT_MAX + 1));
        for (auth, expected) in [
            (r#"{"sessionId":"a"}"#, Credentials::SessionId("a".to_owned())),
            (r#"{"sessionId":null,"username":"a","password":"b"}"#, password("a", "b")),
            (r#"{"sessionId":"","username":"a","password":"b"}"#, password("a", "b")),
            (r#"{"sessionId":{"a":1}}"#, Credentials::None),
            (r#"{"username":"a"}"#, Credentials::None),
            (r#"{"username":"a","password":["b"]}"#, Credentials::None),
            (r#"{"username":null,"password":null}"#, Credentials::None),
            ("{}", Credentials::None),
            (long.as_str(), Credentials::None),
        ] {
            let raw = RawValue::from_string(auth.to_owned()).unwrap();
            assert_eq!(Credentials::of(Some(&raw)), expected, "{auth}");
        }
        assert_eq!(Credentials::of(None), Credentials::None);
    }
}
