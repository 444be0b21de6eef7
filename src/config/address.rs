//! Settings that are addresses: hosts, origins, paths, the database, the AI provider.
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::kind::{items, join};

/// The address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Host {
    /// 127.0.0.1 and ::1.
    #[default]
    Localhost,
    /// One address.
    Address(IpAddr),
    /// A name, resolved at the start.
    Name(String),
}

impl Host {
    /// Returns whether only this machine can connect. A name counts as reachable from outside.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Localhost => true,
            Self::Address(address) => address.is_loopback(),
            Self::Name(_) => false,
        }
    }

    /// Returns the name or address by which this machine itself reaches the listener.
    pub fn seen_from_here(&self) -> String {
        match self {
            Self::Address(address) if address.is_unspecified() => Self::Localhost.to_string(),
            _ => self.to_string(),
        }
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("localhost") {
            return Ok(Self::Localhost);
        }
        let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = unbracketed.parse() {
            return Ok(Self::Address(address));
        }
        let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        if is_name { Ok(Self::Name(text.to_owned())) } else { Err(format!("{text:?} is neither an address nor a name")) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => formatter.write_str("localhost"),
            Self::Address(address) => address.fmt(formatter),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

/// Origins of pages that may connect, in addition to the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// These, as browsers write them: `https://example.org`, lower case, without the scheme's own port;
    /// `https://*.example.org` matches all hosts below that name, `null` and `file://` pages without a site.
    Listed(Vec<String>),
    /// All (`*`).
    Any,
}

impl Default for Origins {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        items(text).map(listed_origin).collect::<Result<_, _>>().map(Self::Listed)
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(origins) => formatter.write_str(&join(origins)),
            Self::Any => formatter.write_str("*"),
        }
    }
}

/// Parses an origin, a pattern for all hosts below a name, or an origin without a site (`null`, `file://`).
fn listed_origin(text: &str) -> Result<String, String> {
    if text == "null" || text == "file://" {
        return Ok(text.to_owned());
    }
    let Some((scheme, host)) = text.split_once("://*.") else { return origin_of(text) };
    let below = origin_of(&format!("{scheme}://{host}"))?;
    let (scheme, host) = below.split_once("://").unwrap_or_default();
    // Anybody can have a name below `.com`.
    let name = host.split(':').next().unwrap_or_default();
    if name.contains('.') && name.split('.').all(|label| !label.is_empty()) {
        Ok(format!("{scheme}://*.{host}"))
    } else {
        Err(format!("{text:?} would allow anybody: at least two names stand behind the star, as in https://*.example.app"))
    }
}

/// Returns the origin of a URL, spelt as browsers do in `Origin`.
fn origin_of(url: &str) -> Result<String, String> {
    let wrong = || format!("{url:?} is not an origin such as https://example.org, nor is the whole list *");
    let lower = url.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").ok_or_else(wrong)?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let own_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let host = if own_port.is_empty() { host } else { host.strip_suffix(own_port).unwrap_or(host) };
    let is_plain = |character: char| character.is_ascii_graphic() && character != '@' && character != '*';
    if scheme.is_empty() || host.is_empty() || !scheme.chars().chain(host.chars()).all(is_plain) {
        return Err(wrong());
    }
    Ok(format!("{scheme}://{host}"))
}

/// The address by which browsers reach the server, without a slash at its end; empty: not configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an address such as https://chat.example.org");
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(wrong)?;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@' | b'"' | b'<' | b'>' | b'\\');
        if rest.is_empty() || rest.starts_with('/') || !rest.bytes().all(is_plain) {
            return Err(wrong());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Paths that the server's own routes occupy, with everything below them.
const TAKEN_PATHS: [&str; 8] = ["/admin", "/api", "/app", "/healthz", "/metrics", "/readyz", "/uploads", "/web-chat"];

/// The path of the Engine.IO endpoint, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPath(String);

impl SocketPath {
    /// Returns the path; it begins with a slash and does not end with one.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SocketPath {
    fn default() -> Self {
        Self("/socket.io".to_owned())
    }
}

impl FromStr for SocketPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.trim_end_matches('/');
        let is_of = |taken: &&&str| path.strip_prefix(**taken).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if let Some(taken) = TAKEN_PATHS.iter().find(is_of) {
            return Err(format!("{taken} is taken; of others than {} any may be", TAKEN_PATHS.join(", ")));
        }
        let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'{' | b'}'));
        if path.len() > 1 && path.starts_with('/') && is_plain {
            Ok(Self(path.to_owned()))
        } else {
            Err(format!("{text:?} is not a path such as /socket.io"))
        }
    }
}

impl fmt::Display for SocketPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Address of the database. It may hold a password, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseAddress(String);

impl DatabaseAddress {
    /// Returns the whole address, including the password.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for DatabaseAddress {
    fn default() -> Self {
        Self("sqlite://parlance.db".to_owned())
    }
}

impl FromStr for DatabaseAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = ["sqlite://", "postgres://", "postgresql://"];
        // The value is not repeated in the error: it may hold a password.
        match known.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            Some("") => Err("names no database".to_owned()),
            Some(_) => Ok(Self(text.to_owned())),
            None => Err("must begin with sqlite:// or postgres://".to_owned()),
        }
    }
}

impl fmt::Display for DatabaseAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = "***";
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        write!(formatter, "{scheme}://")?;
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        if query.is_some_and(|query| query.contains('@')) {
            // If the address cannot be parsed, any part of it may be the password.
            return formatter.write_str(hidden);
        }
        match place.rsplit_once('@') {
            Some((user, host)) => match user.split_once(':') {
                Some((name, _)) => write!(formatter, "{name}:{hidden}@{host}")?,
                None => write!(formatter, "{user}@{host}")?,
            },
            None => formatter.write_str(place)?,
        }
        let Some(query) = query else { return Ok(()) };
        let shown = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("password") => format!("{name}={hidden}"),
            _ => pair.to_owned(),
        });
        write!(formatter, "?{}", shown.collect::<Vec<_>>().join("&"))
    }
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The address of an AI provider, either its base or a method's, without a trailing slash. Empty: the provider's public
/// address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelAddress(String);

impl ModelAddress {
    /// Returns the address, or `default` if none is set.
    pub fn or<'a>(&'a self, default: &'a str) -> &'a str {
        if self.0.is_empty() { default } else { &self.0 }
    }
}

impl FromStr for ModelAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        http_address(text, "is not an address such as http://localhost:8000/v1; a key belongs in AI_API_KEY").map(Self)
    }
}

/// Address of the operator's own server, which is sent signed requests. Empty: none. Shown without its path, which may
/// hold a secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BackendAddress(String);

impl BackendAddress {
    /// Returns the address, if one is set.
    pub fn as_url(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

impl FromStr for BackendAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        http_address(text, "is not an address such as http://localhost:4000/chat; requests are signed, so it needs no key")
            .map(Self)
    }
}

impl fmt::Display for BackendAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        match rest.find(['/', '?']) {
            Some(end) => write!(formatter, "{scheme}://{}/…", rest.get(..end).unwrap_or_default()),
            None => formatter.write_str(&self.0),
        }
    }
}

impl fmt::Debug for BackendAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BackendAddress({self})")
    }
}

/// Reads an address of `http://` or `https://` without credentials; drops slashes at the end of its path.
///
/// # Errors
/// `wrong`, if it is none. The value is not repeated: it may hold a key.
fn http_address(text: &str, wrong: &str) -> Result<String, String> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let rest = rest.ok_or("must begin with http:// or https://")?;
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let host = place.split('/').next().unwrap_or_default();
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\".contains(&byte));
    if host.is_empty() || host.contains('@') || !is_plain || query.is_some_and(may_hold_a_key) {
        return Err(wrong.to_owned());
    }
    let place = text.split_once('?').map_or(text, |(place, _)| place).trim_end_matches('/');
    Ok(query.map_or_else(|| place.to_owned(), |query| format!("{place}?{query}")))
}

/// Returns whether a query parameter has a name that suggests a secret.
fn may_hold_a_key(query: &str) -> bool {
    const NAMES: [&str; 7] = ["key", "token", "secret", "sig", "password", "auth", "code"];
    let mut names = query.split(['&', ';']).filter_map(|pair| pair.split('=').next()).map(str::to_ascii_lowercase);
    // A percent-encoded name may spell anything.
    names.any(|name| name.contains('%') || NAMES.iter().any(|secret| name.contains(secret)))
}

impl fmt::Display for ModelAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_back_end_only_the_origin_is_shown() {
        for (address, shown) in [
            ("", ""),
            ("http://localhost:4000", "http://localhost:4000"),
            ("http://localhost:4000/", "http://localhost:4000"),
            ("https://hooks.example.org/T0/B1/hush?room=hush", "https://hooks.example.org/…"),
            ("https://hooks.example.org?room=hush", "https://hooks.example.org/…"),
        ] {
            let address: BackendAddress = address.parse().unwrap_or_default();
            assert_eq!((address.to_string(), format!("{address:?}")), (shown.to_owned(), format!("BackendAddress({shown})")));
        }
    }

    #[test]
    fn hosts() {
        for (text, host, loopback) in [
            ("localhost", Host::Localhost, true),
            ("127.0.0.1", Host::Address("127.0.0.1".parse().unwrap()), true),
            ("[::1]", Host::Address("::1".parse().unwrap()), true),
            ("0.0.0.0", Host::Address("0.0.0.0".parse().unwrap()), false),
            ("chat.internal", Host::Name("chat.internal".to_owned()), false),
        ] {
            let parsed: Host = text.parse().unwrap();
            assert_eq!((&parsed, parsed.is_loopback()), (&host, loopback), "{text}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_do() {
        let parsed: Origins = "HTTPS://Example.org:443/, http://localhost:5173/app?x, http://a:80".parse().unwrap();
        let expected = ["https://example.org", "http://localhost:5173", "http://a"];
        assert_eq!(parsed, Origins::Listed(expected.map(str::to_owned).to_vec()));
        assert_eq!("*".parse(), Ok(Origins::Any));
        let wide: Origins = "https://*.Example.app:443/,null,file://".parse().unwrap();
        assert_eq!(wide.to_string(), "https://*.example.app,null,file://");
        for wrong in [
            "example.org",
            "://a",
            "http://",
            "http://u:p@a",
            "http://*.org",
            "http://a.*.example.org",
            "https://*",
            "*.a.example",
        ] {
            assert!(wrong.parse::<Origins>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_database_password_is_hidden_wherever_it_stands() {
        for (text, shown) in [
            ("sqlite:///var/lib/chat.db", "sqlite:///var/lib/chat.db"),
            ("postgres://ann@db/chat", "postgres://ann@db/chat"),
            ("postgres://ann:a@b/c@db:5432/chat", "postgres://ann:***@db:5432/chat"),
            ("postgres:///chat?user=ann&password=x", "postgres:///chat?user=ann&password=***"),
            ("postgres:///chat?password=a@b", "postgres://***"),
            ("postgres://ann:a?b@db/chat", "postgres://***"),
        ] {
            assert_eq!(text.parse::<DatabaseAddress>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_model_address_holds_no_key() {
        for (text, kept) in [
            ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
            ("https://[::1]:1", "https://[::1]:1"),
            ("https://a/m:streamGenerateContent?alt=sse", "https://a/m:streamGenerateContent?alt=sse"),
            ("https://a/chat/completions/?api-version=1", "https://a/chat/completions?api-version=1"),
        ] {
            assert_eq!(text.parse::<ModelAddress>().unwrap().or("default"), kept);
        }
        assert_eq!(ModelAddress::default().or("default"), "default");
        for wrong in [
            "",
            "localhost:8000",
            "ftp://a",
            "http://",
            "http:///v1",
            "http://u:hush@a",
            "http://a/?key=hush",
            "http://a b",
            "http://a?alt=sse&api-Key=hush",
            "http://a?k%65y=hush",
            "http://?a",
        ] {
            let error = wrong.parse::<ModelAddress>().unwrap_err();
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_socket_path_has_no_slash_at_its_end() {
        assert_eq!("/chat/io/".parse::<SocketPath>().unwrap().as_str(), "/chat/io");
        assert!("/".parse::<SocketPath>().is_err());
        assert_eq!("/apis".parse::<SocketPath>().unwrap().as_str(), "/apis");
        assert!("/api".parse::<SocketPath>().unwrap_err().contains("/uploads"), "all that are taken");
    }
}
