//! Settings about foreign tokens: their audience, and the addresses of their keys.
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::kind::{items, join};

/// Claims that contain the user's id, in this order, if `JWT_USER_CLAIM` is not set.
pub const USER_CLAIMS: [&str; 8] = ["id", "userId", "sub", "_id", "user_id", "uid", "user.id", "user._id"];

/// The accepted audiences of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Audience {
    /// Not configured: any, unless keys are read from an issuer.
    #[default]
    Unset,
    /// Any, explicitly (`*`).
    Any,
    /// One of these.
    OneOf(Vec<String>),
}

impl FromStr for Audience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(if text == "*" { Self::Any } else { Self::OneOf(items(text).map(str::to_owned).collect()) })
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => Ok(()),
            Self::Any => formatter.write_str("*"),
            Self::OneOf(audiences) => formatter.write_str(&join(audiences)),
        }
    }
}

/// Addresses from which keys are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyAddresses(Vec<String>);

impl KeyAddresses {
    /// Returns the addresses as written.
    pub fn addresses(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for KeyAddresses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        items(text).map(check_key_address).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for KeyAddresses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&join(&self.0))
    }
}

/// Checks an address of keys: TLS, or this machine. On any other way others could replace the keys.
///
/// # Errors
/// A line with the remedy.
pub fn check_key_address(address: &str) -> Result<String, String> {
    let wrong = |what: &str| Err(format!("{address:?} {what}"));
    let Some((scheme, rest)) = address.split_once("://") else {
        return wrong("is no address such as https://login.example.org");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\'));
    if host.is_empty() || host.contains('@') || !is_plain {
        return wrong("is no address such as https://login.example.org");
    }
    match scheme {
        "https" => Ok(address.to_owned()),
        "http" if is_here(host) => Ok(address.to_owned()),
        "http" => wrong("must begin with https://: anybody on the way could give other keys (http:// is for this machine only)"),
        _ => wrong("must begin with https://"),
    }
}

/// Returns whether a host, possibly with a port, is this machine.
fn is_here(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for good in [
            "https://a.example",
            "https://a.example/x?y",
            "http://localhost:8080/realms/x",
            "http://127.0.0.1",
            "http://[::1]:9/",
        ] {
            assert_eq!(check_key_address(good).as_deref(), Ok(good));
        }
        for bad in [
            "a.example",
            "http://a.example",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://localhost@a.example",
            "https://",
            "ftp://a.example",
            "https://a b",
            "file:///etc/keys",
        ] {
            assert!(check_key_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn any_audience_has_to_be_said() {
        assert_eq!("*".parse(), Ok(Audience::Any));
        let both = Audience::OneOf(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!("a, b".parse(), Ok(both.clone()));
        assert_eq!((both.to_string(), Audience::default().to_string()), ("a,b".to_owned(), String::new()));
    }
}
