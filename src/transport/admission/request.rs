//! Decides which requests may open a session, and describes their clients.
use std::borrow::Cow;
use std::sync::atomic::Ordering;

use actix_http::Method;
use actix_http::header::{self, HeaderMap};

use super::node::Node;
use crate::engineio::{HandshakeError, Headers, Opening, Peer, Query, TransportKind};
use crate::http::{Client, OriginVerdict, foreign_origin};
use crate::logging::{ErrorId, RefusalKind, RefusalNote};

/// Reason for not opening a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transport) enum OpenError {
    /// It is not a valid handshake.
    Refused(HandshakeError),
    /// The server is stopping. Clients may take an error for a sign that this is no Engine.IO server, and give up; a
    /// session that ends at once they take for a lost connection, and reconnect.
    Draining,
    /// The server has as many sessions as its open files allow.
    Full,
    /// The address has as many sessions as it may.
    TooMany,
}

impl OpenError {
    /// Returns the name used in logs and metrics.
    fn code(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.name(),
            Self::Draining => "DRAINING",
            Self::Full => "SERVER_FULL",
            Self::TooMany => "TOO_MANY_SOCKETS",
        }
    }

    pub(in crate::transport) fn status(self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::Draining | Self::Full => 503,
            Self::TooMany => 429,
        }
    }

    pub(in crate::transport) fn message(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.message(),
            Self::Draining => "Server is shutting down",
            Self::Full => "Server is full",
            Self::TooMany => "Too many connections",
        }
    }

    /// Returns the number of seconds after which a retry makes sense.
    pub(in crate::transport) fn retry_after(self) -> Option<&'static str> {
        match self {
            Self::Refused(_) => None,
            Self::Draining | Self::Full => Some("5"),
            Self::TooMany => Some("30"),
        }
    }
}

impl From<HandshakeError> for OpenError {
    fn from(refusal: HandshakeError) -> Self {
        Self::Refused(refusal)
    }
}

/// Parts of a request for the log.
#[derive(Clone, Copy)]
pub(in crate::transport) struct Asking<'a> {
    pub(in crate::transport) method: &'a Method,
    /// Without the query, which may hold a token.
    pub(in crate::transport) path: &'a str,
    pub(in crate::transport) headers: &'a HeaderMap,
    pub(in crate::transport) peer: Option<std::net::SocketAddr>,
}

impl Node {
    /// Judges a request's origin; the proxies' headers are parsed only if it has one.
    pub(in crate::transport) fn judge(&self, headers: &HeaderMap, peer: Option<std::net::SocketAddr>) -> OriginVerdict {
        if !headers.contains_key(header::ORIGIN) {
            return OriginVerdict::NoOrigin;
        }
        let client = self.client(headers, peer);
        self.options.origins.judge_headers(headers, client.host.as_deref(), client.secure)
    }

    /// Returns the client behind a request.
    pub(in crate::transport) fn client(&self, headers: &HeaderMap, peer: Option<std::net::SocketAddr>) -> Client {
        self.options.proxies.client(peer.map(|peer| peer.ip()), self.options.tls.is_some(), headers)
    }

    /// Logs a refusal. The protocol fixes the answer's body, so the id goes into a header of its own.
    pub(in crate::transport) fn note(&self, open_error: OpenError, request: &Asking<'_>) -> Option<ErrorId> {
        let Asking { method, path, headers, peer } = *request;
        let (event, address) = (format!("{method} {path}"), self.client(headers, peer).address);
        let (kind, code) = (RefusalKind::Handshake, open_error.code());
        let cause = match headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) {
            Some(origin) if matches!(open_error, OpenError::Refused(HandshakeError::Forbidden)) => {
                Cow::Owned(foreign_origin(origin))
            }
            _ => Cow::Borrowed(open_error.message()),
        };
        let note = RefusalNote { kind, code, cause: &cause, sid: None, user: None, event: Some(&event), address };
        (self.options.note_refusal)(&note)
    }

    /// Admits a handshake. On `Ok`, the session is counted for its address.
    pub(in crate::transport) fn admit(&self, query: &Query<'_>, client: &Client) -> Result<(), OpenError> {
        if !query.is_v4 {
            return Err(HandshakeError::UnsupportedVersion.into());
        }
        if self.is_draining.load(Ordering::Relaxed) {
            return Err(OpenError::Draining);
        }
        if self.open.load(Ordering::Relaxed) >= self.options.max_sessions() {
            return Err(OpenError::Full);
        }
        if !self.addresses.try_enter(client.address) {
            return Err(OpenError::TooMany);
        }
        Ok(())
    }

    /// Returns the description of a request for the service.
    pub(in crate::transport) fn opening(
        &self,
        headers: &HeaderMap,
        query: &str,
        client: &Client,
        verdict: OriginVerdict,
        transport: TransportKind,
    ) -> Opening {
        let kept = kept(headers, &self.options.kept_headers, verdict);
        Opening { headers: kept, ..opening(headers, query, client, verdict, transport) }
    }
}

/// Returns the headers with these names. Cookies are among them only if the request's origin may use them.
fn kept(headers: &HeaderMap, names: &[Box<str>], verdict: OriginVerdict) -> Headers {
    let may_be_kept = |name: &str| name != header::COOKIE.as_str() || verdict.may_use_cookie();
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(Box::from);
    names.iter().filter(|name| may_be_kept(name)).filter_map(|name| Some((name.clone(), value(name)?))).collect()
}

fn opening(headers: &HeaderMap, query: &str, client: &Client, verdict: OriginVerdict, transport: TransportKind) -> Opening {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let cookie_token = if verdict.may_use_cookie() { cookie(headers, "token") } else { None };
    let peer = Peer { address: client.address, secure: client.secure, transport };
    Opening { query: query.to_owned(), authorization, cookie_token, peer, headers: Headers::default() }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut pairs = headers
        .get_all(header::COOKIE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;

    use super::*;

    #[test]
    fn the_cookie_of_a_foreign_origin_is_dropped() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; token=\"x.y.z\"; tokens=no"));
        let client = Client { address: None, secure: false, host: None };
        let token = |verdict: OriginVerdict| opening(&headers, "", &client, verdict, TransportKind::Polling).cookie_token;
        assert_eq!(token(OriginVerdict::NoOrigin).as_deref(), Some("x.y.z"));
        assert_eq!(token(OriginVerdict::Own).as_deref(), Some("x.y.z"));
        assert_eq!(token(OriginVerdict::AnyOrigin), None);
    }

    #[test]
    fn only_named_headers_are_kept_and_cookies_of_a_foreign_origin_are_not() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("sid=1"));
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("de"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer hush"));
        let names: Vec<Box<str>> = ["cookie", "accept-language", "x-none"].map(Into::into).to_vec();
        let of = |verdict| kept(&headers, &names, verdict).iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
        assert_eq!(of(OriginVerdict::Own), ["cookie", "accept-language"]);
        assert_eq!(of(OriginVerdict::AnyOrigin), ["accept-language"]);
    }
}
