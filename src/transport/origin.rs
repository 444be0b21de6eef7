//! Which origins may use the server, and the CORS headers that say so.
use actix_http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Methods that a preflight is told.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE, PATCH, OPTIONS");
/// Headers that every client may send, asked for or not.
const HEADERS: [&str; 3] = ["Content-Type", "Authorization", "X-Requested-With"];
/// How long a browser may keep a preflight's answer, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that are allowed besides the server's own.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    allows_all: bool,
    allows_loopback: bool,
    listed: Vec<String>,
}

/// What a request's origin may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginVerdict {
    /// The request names no origin: it is served.
    Absent,
    /// The server's own origin, a listed one, or a loopback one on a loopback server.
    Allowed(HeaderValue),
    /// Allowed because all are: without credentials.
    AnyOf,
    /// Allowed because all are, and it is the server's own, so that its cookie counts.
    OwnOfAny,
    /// Any other.
    Foreign,
}

impl Origins {
    /// `client_urls` are origins, or `*`; `host` is what the server listens on.
    pub fn new(client_urls: &[String], host: &str) -> Self {
        Self {
            allows_all: client_urls.iter().any(|url| url == "*"),
            allows_loopback: is_loopback(host),
            listed: client_urls.iter().filter_map(|url| normalize(url)).collect(),
        }
    }

    /// Judges the `Origin` header; `is_secure` and `host` are the request's, as far as trusted proxies tell.
    pub fn judge(&self, headers: &HeaderMap, is_secure: bool, host: Option<&str>) -> OriginVerdict {
        let Some(value) = headers.get(header::ORIGIN) else { return OriginVerdict::Absent };
        let origin = value.to_str().ok().and_then(normalize);
        let own = host.and_then(|host| normalize(&format!("{}://{host}", if is_secure { "https" } else { "http" })));
        let is_own = origin.is_some() && origin == own;
        if self.allows_all {
            return if is_own { OriginVerdict::OwnOfAny } else { OriginVerdict::AnyOf };
        }
        match origin {
            Some(origin) if is_own || self.listed.contains(&origin) || self.allows_loopback && is_loopback(host_of(&origin)) => {
                OriginVerdict::Allowed(value.clone())
            }
            _ => OriginVerdict::Foreign,
        }
    }
}

impl OriginVerdict {
    /// Whether handshakes, polling requests and other methods than GET and HEAD are refused.
    pub fn is_foreign(&self) -> bool {
        *self == Self::Foreign
    }

    /// Whether the cookie `token` may be used.
    pub fn may_use_cookie(&self) -> bool {
        !matches!(self, Self::Foreign | Self::AnyOf)
    }

    /// The headers of every answer, errors too.
    pub fn cors_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Self::Absent | Self::Foreign => Vec::new(),
            Self::AnyOf | Self::OwnOfAny => vec![(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))],
            Self::Allowed(origin) => vec![
                (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
                (header::VARY, HeaderValue::from_static("Origin")),
                (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")),
            ],
        }
    }

    /// The headers of a preflight's answer, which is 204; none for a foreign origin.
    pub fn preflight_headers(&self, request: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = self.cors_headers();
        if headers.is_empty() {
            return headers;
        }
        let asked = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|asked| asked.to_str().ok()).unwrap_or_default();
        let mut allowed: Vec<&str> = asked.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        for name in HEADERS {
            if !allowed.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                allowed.push(name);
            }
        }
        if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
            headers.push((header::ACCESS_CONTROL_ALLOW_HEADERS, allowed));
        }
        headers.push((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS));
        headers.push((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE));
        headers
    }
}

/// `scheme://host[:port]` in lower case, without the scheme's own port and without what follows; `None` for other texts.
fn normalize(url: &str) -> Option<String> {
    let url = url.trim().to_ascii_lowercase();
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    if scheme.is_empty() || authority.is_empty() {
        return None;
    }
    let standard_port = match scheme {
        "http" | "ws" => ":80",
        "https" | "wss" => ":443",
        _ => "",
    };
    let authority = match authority.strip_suffix(standard_port) {
        // an IPv6 address without brackets is no authority, so the rest is whole
        Some(host) if !standard_port.is_empty() => host,
        _ => authority,
    };
    Some(format!("{scheme}://{authority}"))
}

/// The host of a normalized origin.
fn host_of(origin: &str) -> &str {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or(authority),
    }
}

/// Whether a host is this machine by any of its loopback names.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(origins: &Origins, origin: &str, is_secure: bool, host: &str) -> OriginVerdict {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        origins.judge(&headers, is_secure, Some(host))
    }

    fn names(headers: &[(HeaderName, HeaderValue)]) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn own_listed_and_loopback_origins_are_allowed() {
        let public = Origins::new(&["https://app.example".to_owned(), "http://other.example:8080/".to_owned()], "0.0.0.0");
        let local = Origins::new(&[], "localhost");
        let cases = [
            (&public, "https://app.example", false, "chat.example", true),
            (&public, "https://APP.example:443", false, "chat.example", true),
            (&public, "http://other.example:8080", false, "chat.example", true),
            (&public, "http://app.example", false, "chat.example", false),
            (&public, "https://app.example.evil.example", false, "chat.example", false),
            (&public, "http://chat.example", false, "chat.example", true),
            (&public, "http://chat.example", false, "chat.example:80", true),
            (&public, "https://chat.example", true, "chat.example", true),
            (&public, "https://chat.example", false, "chat.example", false),
            (&public, "http://localhost:5173", false, "chat.example", false),
            (&public, "null", false, "chat.example", false),
            (&local, "http://localhost:5173", false, "localhost:3000", true),
            (&local, "http://127.0.0.1:5173", false, "localhost:3000", true),
            (&local, "http://[::1]:5173", false, "localhost:3000", true),
            (&local, "http://localhost.evil.example", false, "localhost:3000", false),
            (&local, "http://evil.example", false, "localhost:3000", false),
        ];
        for (origins, origin, is_secure, host, is_allowed) in cases {
            assert_eq!(!judge(origins, origin, is_secure, host).is_foreign(), is_allowed, "{origin} at {host}");
        }
        assert_eq!(public.judge(&HeaderMap::new(), false, None), OriginVerdict::Absent);
    }

    #[test]
    fn a_star_allows_all_without_credentials() {
        let origins = Origins::new(&["*".to_owned()], "localhost");
        let foreign = judge(&origins, "http://evil.example", false, "localhost:3000");
        assert_eq!(names(&foreign.cors_headers()), ["access-control-allow-origin: *"]);
        assert!(!foreign.may_use_cookie());
        assert!(judge(&origins, "http://localhost:3000", false, "localhost:3000").may_use_cookie());
    }

    #[test]
    fn a_preflight_echoes_what_was_asked_and_names_what_is_always_allowed() {
        let verdict = judge(&Origins::new(&[], "localhost"), "http://localhost:5173", false, "localhost:3000");
        let mut request = HeaderMap::new();
        request.insert(header::ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("x-one, content-type"));
        assert_eq!(
            names(&verdict.preflight_headers(&request)),
            [
                "access-control-allow-origin: http://localhost:5173",
                "vary: Origin",
                "access-control-allow-credentials: true",
                "access-control-allow-headers: x-one, content-type, Authorization, X-Requested-With",
                "access-control-allow-methods: GET, POST, PUT, DELETE, PATCH, OPTIONS",
                "access-control-max-age: 600",
            ]
        );
        assert!(OriginVerdict::Foreign.preflight_headers(&request).is_empty());
    }
}
