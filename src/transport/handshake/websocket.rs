//! The WebSocket handshake (source: RFC 6455 §4.2).
use actix_http::header::{self, HeaderMap, HeaderName};
use actix_http::{Method, RequestHead, ws};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Fault of a WebSocket handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHandshake {
    /// The method is not GET.
    Method,
    /// It does not ask for an upgrade to a WebSocket.
    Upgrade,
    /// The version is missing or not [`VERSION`].
    Version,
    /// The key is not sixteen bytes in base64.
    Key,
}

/// The supported version.
pub(super) const VERSION: &str = "13";

/// Content of the 101.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    /// Value of `Sec-WebSocket-Accept`.
    pub accept: [u8; 28],
    /// The first subprotocol that the client offers. Clients that offer some fail on a 101 without one, and Engine.IO
    /// is spoken in any case.
    pub protocol: Option<&'a str>,
}

/// Parses a handshake. List headers may occur several times, each with several items.
///
/// # Errors
/// The fault of the request.
pub(super) fn answer(head: &RequestHead) -> Result<Answer<'_>, BadHandshake> {
    if head.method != Method::GET {
        return Err(BadHandshake::Method);
    }
    let has = |name, item: &str| items(&head.headers, name).any(|found| found.eq_ignore_ascii_case(item));
    // A proxy may have added `close`, which means nothing once the connection is a WebSocket.
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(BadHandshake::Upgrade);
    }
    if head.headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        return Err(BadHandshake::Version);
    }
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY).map(|key| key.as_bytes()).unwrap_or_default();
    if STANDARD.decode(key).is_ok_and(|key| key.len() == 16) {
        let protocol = items(&head.headers, header::SEC_WEBSOCKET_PROTOCOL).find(|protocol| protocol.bytes().all(is_token));
        Ok(Answer { accept: ws::hash_key(key), protocol })
    } else {
        Err(BadHandshake::Key)
    }
}

fn items(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty())
}

/// Returns whether a byte may be in a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;

    use super::*;

    const WHOLE: [(HeaderName, &str); 4] = [
        (header::UPGRADE, "websocket"),
        (header::CONNECTION, "Upgrade"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        // The key of RFC 6455 §1.3.
        (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    /// Returns a handshake with these headers, which replace or complete the usual ones.
    fn head(changed: &[(HeaderName, &'static str)]) -> RequestHead {
        let mut head = RequestHead::default();
        for (name, value) in WHOLE {
            head.headers.insert(name, HeaderValue::from_static(value));
        }
        for (name, value) in changed {
            head.headers.insert(name.clone(), HeaderValue::from_static(value));
        }
        head
    }

    #[test]
    fn lists_are_read_as_lists() {
        for connection in ["Upgrade", "upgrade", "keep-alive, Upgrade", "close, Upgrade", "Upgrade,close"] {
            let head = head(&[(header::CONNECTION, connection), (header::UPGRADE, "h2c, WebSocket")]);
            assert!(answer(&head).is_ok(), "{connection}");
        }
        let mut twice = head(&[(header::CONNECTION, "close")]);
        twice.headers.append(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        assert_eq!(answer(&twice).map(|answer| answer.accept), Ok(*b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    #[test]
    fn the_first_subprotocol_that_is_one_is_taken() {
        for (offered, taken) in [("chat", Some("chat")), (" v2 , chat", Some("v2")), ("a\"b, chat", Some("chat")), ("", None)] {
            let head = head(&[(header::SEC_WEBSOCKET_PROTOCOL, offered)]);
            assert_eq!(answer(&head).map(|answer| answer.protocol), Ok(taken), "{offered}");
        }
        assert_eq!(answer(&head(&[])).map(|answer| answer.protocol), Ok(None));
    }

    #[test]
    fn what_is_no_handshake_is_refused_with_the_reason() {
        for (name, value, why) in [
            (header::UPGRADE, "h2c", BadHandshake::Upgrade),
            (header::UPGRADE, "websockets", BadHandshake::Upgrade),
            (header::CONNECTION, "keep-alive", BadHandshake::Upgrade),
            (header::CONNECTION, "upgrades", BadHandshake::Upgrade),
            (header::SEC_WEBSOCKET_VERSION, "12", BadHandshake::Version),
            (header::SEC_WEBSOCKET_KEY, "", BadHandshake::Key),
            (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ", BadHandshake::Key),
            (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZQ==", BadHandshake::Key),
        ] {
            assert_eq!(answer(&head(&[(name, value)])), Err(why), "{value}");
        }
        let mut post = head(&[]);
        post.method = Method::POST;
        assert_eq!(answer(&post), Err(BadHandshake::Method));
    }
}
