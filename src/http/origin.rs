//! Origins of web pages that may use this server (source: Fetch standard, "CORS protocol"; RFC 6454).
use std::net::IpAddr;

use actix_http::header::HeaderMap;

/// Methods that a preflight allows.
const METHODS: &str = "GET, POST, PUT, DELETE, PATCH, OPTIONS";
/// Request headers that a preflight always allows.
const HEADERS: [&str; 3] = ["Content-Type", "Authorization", "X-Requested-With"];
/// Seconds for which a browser may keep the answer to a preflight.
const MAX_AGE: &str = "600";
/// Response headers that pages may read, in addition to those always allowed.
const EXPOSED: &str = "Content-Disposition, Content-Range, ETag, Retry-After, X-Error-Id";
/// Origins of pages without a site.
const NO_SITE: [&str; 2] = ["null", "file://"];

/// A text that is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an origin such as https://example.com: {0}")]
pub struct InvalidOrigin(pub String);

/// Relation of a request's origin to this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginVerdict {
    /// No `Origin` header: the request comes from a same-origin page, or not from a browser.
    NoOrigin,
    /// The server's own.
    Own,
    /// Listed in the configuration, or a loopback origin while the server listens on loopback only.
    Allowed,
    /// Listed, and of no site: `null` or `file://`. Cookies are ignored, because pages of anybody can have this origin.
    NoSite,
    /// Not listed, but every origin is allowed; cookies are ignored.
    AnyOrigin,
    /// Not allowed: it may only read, and browsers hide the answer from its page.
    Foreign,
}

impl OriginVerdict {
    /// Returns whether a cookie may authenticate the request.
    pub fn may_use_cookie(self) -> bool {
        !matches!(self, Self::NoSite | Self::AnyOrigin | Self::Foreign)
    }

    /// Returns whether a cookie certainly comes from a page that may use it.
    pub fn is_of_a_known_page(self) -> bool {
        matches!(self, Self::Own | Self::Allowed)
    }

    /// Returns whether the request may do more than read.
    pub fn is_allowed(self) -> bool {
        !matches!(self, Self::Foreign)
    }
}

/// Longest origin shown in the log, in characters.
const SHOWN_MAX: usize = 200;

/// Describes for the log why an origin is refused, and which setting would allow it.
pub fn foreign_origin(origin: &str) -> String {
    let shown: String = origin.chars().take(SHOWN_MAX).collect();
    format!("the page's origin is none of CLIENT_URL: CLIENT_URL={shown} would let it in")
}

/// The origins that may use this server.
#[derive(Debug, Clone)]
pub struct Origins {
    listed: Vec<String>,
    /// Scheme and suffix of hosts.
    patterns: Vec<(String, String)>,
    any: bool,
    loopback: bool,
}

impl Origins {
    /// `client_url` holds origins, URLs (whose origin counts), or `*`. `host_is_loopback`: the server listens on
    /// loopback addresses only.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for the first text that is not an origin.
    pub fn new(client_url: &[String], host_is_loopback: bool) -> Result<Self, InvalidOrigin> {
        let mut origins = Self { listed: Vec::new(), patterns: Vec::new(), any: false, loopback: host_is_loopback };
        for text in client_url {
            if text == "*" {
                origins.any = true;
            } else if NO_SITE.contains(&text.as_str()) {
                origins.listed.push(text.clone());
            } else if let Some((scheme, host)) = text.split_once("://*.") {
                let below = origin_of(&format!("{scheme}://{host}")).ok_or_else(|| InvalidOrigin(text.clone()))?;
                let (scheme, host) = below.split_once("://").unwrap_or_default();
                origins.patterns.push((scheme.to_owned(), format!(".{host}")));
            } else {
                origins.listed.push(origin_of(text).ok_or_else(|| InvalidOrigin(text.clone()))?);
            }
        }
        Ok(origins)
    }

    /// Judges a request. `host` and `secure` are as the client sees the server (see [`super::Client`]).
    pub fn judge(&self, origin: Option<&str>, host: Option<&str>, secure: bool) -> OriginVerdict {
        let Some(origin) = origin else { return OriginVerdict::NoOrigin };
        let otherwise = if self.any { OriginVerdict::AnyOrigin } else { OriginVerdict::Foreign };
        // Sandboxed pages and files send the text `null`, some shells `file://`.
        if NO_SITE.contains(&origin) && self.listed.iter().any(|listed| listed == origin) {
            return OriginVerdict::NoSite;
        }
        // Other texts that are not origins are treated as foreign.
        let Some(origin) = origin_of(origin) else { return otherwise };
        let scheme = if secure { "https" } else { "http" };
        if host.and_then(|host| origin_of(&format!("{scheme}://{host}"))).is_some_and(|own| own == origin) {
            return OriginVerdict::Own;
        }
        if self.listed.contains(&origin)
            || self.is_below_a_pattern(&origin)
            || (self.loopback && !self.any && is_loopback(&origin))
        {
            return OriginVerdict::Allowed;
        }
        otherwise
    }

    fn is_below_a_pattern(&self, origin: &str) -> bool {
        let Some((scheme, host)) = origin.split_once("://") else { return false };
        let fits = |(known, end): &(String, String)| {
            known == scheme && host.strip_suffix(end.as_str()).is_some_and(|below| !below.is_empty() && !below.contains(':'))
        };
        self.patterns.iter().any(fits)
    }

    /// Judges a request by its headers, as [`Origins::judge`] does. Several `Origin` headers count as foreign.
    pub fn judge_headers(&self, headers: &HeaderMap, host: Option<&str>, secure: bool) -> OriginVerdict {
        let mut origins = headers.get_all("origin");
        let origin = match (origins.next(), origins.next()) {
            (None, _) => None,
            (Some(origin), None) => Some(origin.to_str().unwrap_or_default()),
            (Some(_), Some(_)) => Some(""),
        };
        self.judge(origin, host, secure)
    }

    /// Returns the CORS headers of an answer, success or error.
    pub fn cors_headers(&self, verdict: OriginVerdict, origin: Option<&str>) -> Vec<(&'static str, String)> {
        if self.any {
            return vec![("access-control-allow-origin", "*".to_owned()), exposed()];
        }
        // Answers without CORS headers vary, too: a cache must not serve them to an allowed page.
        let mut headers = vec![("vary", "Origin".to_owned())];
        if let (OriginVerdict::Own | OriginVerdict::Allowed, Some(origin)) = (verdict, origin) {
            headers.push(("access-control-allow-origin", origin.to_owned()));
            headers.push(("access-control-allow-credentials", "true".to_owned()));
            headers.push(exposed());
        }
        if let (OriginVerdict::NoSite, Some(origin)) = (verdict, origin) {
            headers.push(("access-control-allow-origin", origin.to_owned()));
            headers.push(exposed());
        }
        headers
    }

    /// Returns the headers of the answer to a preflight (204, no body). `asked` is its
    /// `Access-Control-Request-Headers`.
    pub fn preflight_headers(
        &self,
        verdict: OriginVerdict,
        origin: Option<&str>,
        asked: Option<&str>,
    ) -> Vec<(&'static str, String)> {
        let mut headers = self.cors_headers(verdict, origin);
        if verdict.is_allowed() {
            headers.push(("access-control-allow-methods", METHODS.to_owned()));
            headers.push(("access-control-allow-headers", allowed_headers(asked)));
            headers.push(("access-control-max-age", MAX_AGE.to_owned()));
        }
        headers
    }
}

fn exposed() -> (&'static str, String) {
    ("access-control-expose-headers", EXPOSED.to_owned())
}

/// Returns the requested headers together with those that are always allowed.
fn allowed_headers(asked: Option<&str>) -> String {
    let asked = asked.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut names: Vec<&str> = asked.collect();
    for name in HEADERS {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// Returns scheme, host and port of a URL in one spelling: lower case, without the scheme's default port.
fn origin_of(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if scheme.is_empty() || !scheme.bytes().all(allowed) || authority.is_empty() || authority.contains(['@', ' ', '\\']) {
        return None;
    }
    let (scheme, mut authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let default_port = match scheme.as_str() {
        "http" | "ws" => ":80",
        "https" | "wss" => ":443",
        _ => "",
    };
    if let Some(host) = authority.strip_suffix(default_port) {
        authority = host.to_owned();
    }
    (!authority.is_empty()).then(|| format!("{scheme}://{authority}"))
}

fn is_loopback(origin: &str) -> bool {
    let Some(authority) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else { return false };
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let named = host == "localhost" || host.ends_with(".localhost");
    named || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::OriginVerdict::{Allowed, AnyOrigin, Foreign, NoOrigin, NoSite, Own};
    use super::*;

    fn origins(list: &[&str], loopback: bool) -> Origins {
        Origins::new(&list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), loopback).unwrap()
    }

    #[test]
    fn an_origin_is_own_listed_loopback_or_foreign() {
        let listed = origins(&["https://app.example.com/", "HTTPS://Other.example:443"], false);
        let local = origins(&[], true);
        let any = origins(&["*"], true);
        let below = origins(&["https://*.example.app", "null"], false);
        for (rule, origin, host, secure, verdict) in [
            (&listed, None, "chat.example", true, NoOrigin),
            (&listed, Some("https://chat.example"), "chat.example", true, Own),
            (&listed, Some("https://chat.example"), "Chat.Example:443", true, Own),
            (&listed, Some("http://chat.example"), "chat.example", true, Foreign),
            (&listed, Some("https://chat.example:8443"), "chat.example", true, Foreign),
            (&listed, Some("https://app.example.com"), "chat.example", true, Allowed),
            (&listed, Some("https://other.example"), "chat.example", true, Allowed),
            (&listed, Some("https://app.example.com.evil.example"), "chat.example", true, Foreign),
            (&listed, Some("http://localhost:5173"), "chat.example", true, Foreign),
            (&listed, Some("null"), "chat.example", true, Foreign),
            (&listed, Some(""), "chat.example", true, Foreign),
            (&local, Some("http://localhost:5173"), "127.0.0.1:3000", false, Allowed),
            (&local, Some("https://app.localhost"), "127.0.0.1:3000", false, Allowed),
            (&local, Some("http://127.1.2.3:1"), "localhost:3000", false, Allowed),
            (&local, Some("http://[::1]:5173"), "localhost:3000", false, Allowed),
            (&local, Some("http://localhost:3000"), "localhost:3000", false, Own),
            (&local, Some("http://127.0.0.1.evil.example"), "localhost:3000", false, Foreign),
            (&local, Some("http://localhost@evil.example"), "localhost:3000", false, Foreign),
            (&local, Some("http://evil.example"), "localhost:3000", false, Foreign),
            (&any, Some("http://evil.example"), "localhost:3000", false, AnyOrigin),
            (&any, Some("http://localhost:5173"), "localhost:3000", false, AnyOrigin),
            (&any, Some("http://localhost:3000"), "localhost:3000", false, Own),
            (&any, Some("null"), "localhost:3000", false, AnyOrigin),
            (&below, Some("https://a.example.app"), "chat.example", true, Allowed),
            (&below, Some("https://a.b.example.app"), "chat.example", true, Allowed),
            (&below, Some("https://A.Example.App:443"), "chat.example", true, Allowed),
            (&below, Some("https://example.app"), "chat.example", true, Foreign),
            (&below, Some("https://.example.app"), "chat.example", true, Foreign),
            (&below, Some("https://evilexample.app"), "chat.example", true, Foreign),
            (&below, Some("https://a.example.app.evil.example"), "chat.example", true, Foreign),
            (&below, Some("https://a.example.app:8443"), "chat.example", true, Foreign),
            (&below, Some("https://evil.example:1.example.app"), "chat.example", true, Foreign),
            (&below, Some("http://a.example.app"), "chat.example", true, Foreign),
            (&below, Some("null"), "chat.example", true, NoSite),
            (&below, Some("file://"), "chat.example", true, Foreign),
        ] {
            assert_eq!(rule.judge(origin, Some(host), secure), verdict, "{origin:?} at {host}");
        }
    }

    #[test]
    fn foreign_pages_get_no_cors_headers() {
        let origins = origins(&["http://a.example"], false);
        assert_eq!(origins.preflight_headers(Foreign, Some("http://b.example"), Some("x")), [("vary", "Origin".to_owned())]);
        let names = |headers: Vec<(&'static str, String)>| headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(
            names(origins.cors_headers(Allowed, Some("http://a.example"))),
            ["vary", "access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"]
        );
    }

    #[test]
    fn any_origin_is_a_star_without_credentials() {
        let origins = origins(&["*"], false);
        let headers = origins.cors_headers(AnyOrigin, Some("http://b.example"));
        assert_eq!(headers, [("access-control-allow-origin", "*".to_owned()), exposed()]);
        assert!(!NoSite.may_use_cookie() && NoSite.is_allowed());
        assert!(!AnyOrigin.may_use_cookie() && Own.may_use_cookie() && NoOrigin.may_use_cookie());
    }

    #[test]
    fn asked_headers_are_echoed_beside_those_always_allowed() {
        assert_eq!(allowed_headers(Some("x-one, content-type")), "x-one, content-type, Authorization, X-Requested-With");
        assert_eq!(allowed_headers(None), "Content-Type, Authorization, X-Requested-With");
    }

    #[test]
    fn a_setting_that_is_no_origin_is_named() {
        for text in ["example.com", "", "http://", "://x", "http://user@host"] {
            assert_eq!(Origins::new(&[text.to_owned()], false).unwrap_err(), InvalidOrigin(text.to_owned()));
        }
    }
}
