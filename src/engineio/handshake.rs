//! Requests that open a connection, and answers to refused ones (source: engine.io-protocol v4, "Handshake").
use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::sid::Sid;

/// The Engine.IO v4 transports served here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransportKind {
    /// HTTP long polling.
    #[default]
    Polling,
    /// WebSocket.
    Websocket,
}

impl TransportKind {
    /// Returns the name used in query strings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::Websocket => "websocket",
        }
    }
}

/// The keys of a query string that Engine.IO defines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query<'a> {
    /// `transport`, if it names one that is served.
    pub transport: Option<TransportKind>,
    /// `sid`, even if malformed.
    pub sid: Option<Cow<'a, str>>,
    /// `EIO` is exactly `4`.
    pub is_v4: bool,
    /// Binary messages go to the client as base64 (`b64` with any non-empty value).
    pub wants_base64: bool,
}

impl<'a> Query<'a> {
    /// Reads a query string; the last value of a repeated key counts.
    pub fn parse(query: &'a str) -> Self {
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy();
            match percent_decode_str(key).decode_utf8_lossy().as_ref() {
                "EIO" => parsed.is_v4 = value == "4",
                "transport" => {
                    parsed.transport = match value.as_ref() {
                        "polling" => Some(TransportKind::Polling),
                        "websocket" => Some(TransportKind::Websocket),
                        _ => None,
                    }
                }
                "sid" => parsed.sid = (!value.is_empty()).then_some(value),
                "b64" => parsed.wants_base64 = !value.is_empty(),
                _ => {}
            }
        }
        parsed
    }
}

/// Reason for refusing a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeError {
    /// `transport` is missing, unknown or not served.
    TransportUnknown,
    /// No session has that id, or has it any more.
    SessionUnknown,
    /// A handshake by another method than GET.
    BadHandshakeMethod,
    /// The transport is not the session's, or the request contradicts itself.
    BadRequest,
    /// The origin is not allowed.
    Forbidden,
    /// `EIO` is not 4.
    UnsupportedVersion,
}

impl HandshakeError {
    /// Returns the code in the answer's JSON.
    pub fn code(self) -> u8 {
        match self {
            Self::TransportUnknown => 0,
            Self::SessionUnknown => 1,
            Self::BadHandshakeMethod => 2,
            Self::BadRequest => 3,
            Self::Forbidden => 4,
            Self::UnsupportedVersion => 5,
        }
    }

    /// Returns the name used in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::TransportUnknown => "TRANSPORT_UNKNOWN",
            Self::SessionUnknown => "SESSION_UNKNOWN",
            Self::BadHandshakeMethod => "BAD_HANDSHAKE_METHOD",
            Self::BadRequest => "BAD_REQUEST",
            Self::Forbidden => "FORBIDDEN",
            Self::UnsupportedVersion => "UNSUPPORTED_VERSION",
        }
    }

    /// Returns the message; it is the whole body if the request was an upgrade.
    pub fn message(self) -> &'static str {
        match self {
            Self::TransportUnknown => "Transport unknown",
            Self::SessionUnknown => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedVersion => "Unsupported protocol version",
        }
    }

    /// Returns the HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            _ => 400,
        }
    }

    /// Returns the body for plain HTTP, `{"code":N,"message":"..."}`.
    pub fn json(self) -> String {
        format!(r#"{{"code":{},"message":"{}"}}"#, self.code(), self.message())
    }
}

/// Returns the text of the open packet.
///
/// `can_upgrade` is whether the client may move from polling to a WebSocket; `max_payload` is in bytes.
pub fn open_packet(sid: &Sid, can_upgrade: bool, ping_interval: Duration, ping_timeout: Duration, max_payload: usize) -> String {
    let upgrades = if can_upgrade { "\"websocket\"" } else { "" };
    format!(
        r#"0{{"sid":"{}","upgrades":[{upgrades}],"pingInterval":{},"pingTimeout":{},"maxPayload":{max_payload}}}"#,
        sid.as_str(),
        ping_interval.as_millis(),
        ping_timeout.as_millis(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_node_reads_them() {
        let polling = Query { transport: Some(TransportKind::Polling), is_v4: true, ..Query::default() };
        let cases = [
            ("EIO=4&transport=polling", polling.clone()),
            ("transport=polling&EIO=4&t=abc&userId=1", polling.clone()),
            ("EIO=3&EIO=4&transport=websocket&transport=polling", polling.clone()),
            ("%45IO=%34&transport=poll%69ng", polling.clone()),
            ("EIO=4&transport=polling&sid=", polling.clone()),
            ("EIO=4&transport=polling&b64=", polling.clone()),
            ("EIO=4&transport=polling&b64=1", Query { wants_base64: true, ..polling.clone() }),
            ("EIO=4&transport=polling&sid=a%2Fb", Query { sid: Some("a/b".into()), ..polling.clone() }),
            ("EIO=04&transport=polling", Query { is_v4: false, ..polling.clone() }),
            ("EIO=4&transport=webtransport", Query { transport: None, ..polling.clone() }),
            ("EIO=4&transport=", Query { transport: None, ..polling }),
            ("", Query::default()),
            ("&&=&%ff", Query::default()),
        ];
        for (query, expected) in cases {
            assert_eq!(Query::parse(query), expected, "{query}");
        }
    }

    #[test]
    fn refusals_have_nodes_codes_in_nodes_order() {
        assert_eq!(HandshakeError::TransportUnknown.json(), r#"{"code":0,"message":"Transport unknown"}"#);
        assert_eq!(HandshakeError::SessionUnknown.json(), r#"{"code":1,"message":"Session ID unknown"}"#);
        assert_eq!(HandshakeError::BadHandshakeMethod.json(), r#"{"code":2,"message":"Bad handshake method"}"#);
        assert_eq!(HandshakeError::BadRequest.json(), r#"{"code":3,"message":"Bad request"}"#);
        assert_eq!(
            (HandshakeError::Forbidden.json().as_str(), HandshakeError::Forbidden.status()),
            (r#"{"code":4,"message":"Forbidden"}"#, 403)
        );
        assert_eq!(HandshakeError::UnsupportedVersion.json(), r#"{"code":5,"message":"Unsupported protocol version"}"#);
    }

    #[test]
    fn the_open_packet_has_nodes_keys_in_nodes_order() {
        let sid = Sid::from_random([0; 15]);
        let text = open_packet(&sid, true, Duration::from_secs(25), Duration::from_secs(20), 1_000_000);
        assert_eq!(
            text,
            r#"0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        );
        assert!(open_packet(&sid, false, Duration::ZERO, Duration::ZERO, 1).contains(r#""upgrades":[],"#));
    }
}
