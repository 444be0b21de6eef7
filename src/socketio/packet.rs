//! Socket.IO packets from clients.
use serde_json::value::RawValue;

use super::args::{Args, Items};
use super::error::ProtocolError;
use super::json::{nests_within, unescape};

/// Maximum number of attachments of a packet; clients have the same limit, from the stock library.
pub const MAX_ATTACHMENTS: usize = 10;

/// Maximum depth of a packet's JSON, counting its outermost array or object. It keeps `serde_json`, which stops at 127
/// levels, from failing later when an argument is parsed.
pub const MAX_DEPTH: usize = 128;

/// The content of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

/// A packet split into its parts; its JSON is not parsed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) kind: Kind,
    /// Number of attachments that follow; 0 for the types without attachments.
    pub(super) attachments: usize,
    /// The namespace; `/` if none was given.
    pub(super) namespace: &'a str,
    pub(super) ack_id: Option<u64>,
    payload: &'a str,
}

impl<'a> Packet<'a> {
    /// Splits the text of a packet, without the Engine.IO type digit, exactly where the reference parser does.
    pub(super) fn decode(text: &'a str) -> Result<Self, ProtocolError> {
        let (kind, rest) = text.split_at_checked(1).ok_or(ProtocolError::UnknownType)?;
        let (kind, is_binary) = match kind {
            "0" => (Kind::Connect, false),
            "1" => (Kind::Disconnect, false),
            "2" => (Kind::Event, false),
            "3" => (Kind::Ack, false),
            "4" => (Kind::ConnectError, false),
            "5" => (Kind::Event, true),
            "6" => (Kind::Ack, true),
            _ => return Err(ProtocolError::UnknownType),
        };
        let (attachments, rest) = if is_binary { split_attachments(rest)? } else { (0, rest) };
        let (namespace, rest) = match rest.starts_with('/') {
            true => rest.split_once(',').unwrap_or((rest, "")),
            false => ("/", rest),
        };
        let (digits, payload) = split_digits(rest);
        let ack_id = match digits {
            "" => None,
            digits => Some(digits.parse().map_err(|_| ProtocolError::AckIdOutOfRange)?),
        };
        Ok(Self { kind, attachments, namespace, ack_id, payload })
    }

    /// Parses the payload of a CONNECT: an object or nothing.
    pub(super) fn auth(&self) -> Result<Option<Box<RawValue>>, ProtocolError> {
        if self.payload.is_empty() {
            return Ok(None);
        }
        let auth: &RawValue = serde_json::from_str(self.payload).map_err(|_| ProtocolError::InvalidPayload)?;
        if !auth.get().starts_with('{') {
            return Err(ProtocolError::InvalidPayload);
        }
        self.check_depth()?;
        Ok(Some(auth.to_owned()))
    }

    /// Parses the payload of an event: its name and its arguments.
    pub(super) fn event(&self) -> Result<(String, Args), ProtocolError> {
        let items: Items<'_, true> = serde_json::from_str(self.payload).map_err(|_| ProtocolError::InvalidPayload)?;
        let name = items.name().and_then(decode_name).ok_or(ProtocolError::InvalidPayload)?;
        if is_reserved(&name) {
            return Err(ProtocolError::ReservedName);
        }
        self.check_depth()?;
        Ok((name, items.to_args(self.payload)))
    }

    /// Parses the payload of an ack: its arguments.
    pub(super) fn args(&self) -> Result<Args, ProtocolError> {
        let items: Items<'_, false> = serde_json::from_str(self.payload).map_err(|_| ProtocolError::InvalidPayload)?;
        self.check_depth()?;
        Ok(items.to_args(self.payload))
    }

    /// Checks a packet that may not have a payload.
    pub(super) fn nothing(&self) -> Result<(), ProtocolError> {
        if self.payload.is_empty() { Ok(()) } else { Err(ProtocolError::InvalidPayload) }
    }

    /// Checks the depth; called once the JSON is known to be valid, because validation uses no stack at any depth.
    fn check_depth(&self) -> Result<(), ProtocolError> {
        if nests_within(self.payload, MAX_DEPTH) { Ok(()) } else { Err(ProtocolError::TooDeep) }
    }
}

/// Returns whether the libraries reserve an event name: it is refused when received and never emitted.
pub fn is_reserved(name: &str) -> bool {
    matches!(name, "connect" | "connect_error" | "disconnect" | "disconnecting" | "newListener" | "removeListener")
}

fn split_attachments(text: &str) -> Result<(usize, &str), ProtocolError> {
    let (digits, rest) = split_digits(text);
    let rest = rest.strip_prefix('-').ok_or(ProtocolError::IllegalAttachments)?;
    match digits.trim_start_matches('0') {
        "" => Err(ProtocolError::IllegalAttachments),
        // Digits alone fail to parse only when there are too many.
        number => match number.parse() {
            Ok(attachments @ 1..=MAX_ATTACHMENTS) => Ok((attachments, rest)),
            _ => Err(ProtocolError::TooManyAttachments),
        },
    }
}

/// Splits off the ASCII digits at the start.
fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Returns an event name: a string decoded, a number as its text; `None` for anything else.
fn decode_name(json: &str) -> Option<String> {
    if let Some(inner) = json.strip_prefix('"') {
        return inner.strip_suffix('"').map(unescape);
    }
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit()).then(|| json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::ProtocolError::*;
    use super::*;

    #[test]
    fn headers() {
        for (text, kind, attachments, namespace, ack_id, payload) in [
            ("0", Kind::Connect, 0, "/", None, ""),
            ("0{}", Kind::Connect, 0, "/", None, "{}"),
            ("0/chat", Kind::Connect, 0, "/chat", None, ""),
            ("0/chat,{\"a\":\",\"}", Kind::Connect, 0, "/chat", None, "{\"a\":\",\"}"),
            ("0/chat?x=1,{}", Kind::Connect, 0, "/chat?x=1", None, "{}"),
            ("0/,{}", Kind::Connect, 0, "/", None, "{}"),
            ("1/chat,", Kind::Disconnect, 0, "/chat", None, ""),
            ("2[\"a/b,c\"]", Kind::Event, 0, "/", None, "[\"a/b,c\"]"),
            ("212[\"a\"]", Kind::Event, 0, "/", Some(12), "[\"a\"]"),
            ("2/12,34[\"a\"]", Kind::Event, 0, "/12", Some(34), "[\"a\"]"),
            ("39007199254740991[]", Kind::Ack, 0, "/", Some(9_007_199_254_740_991), "[]"),
            ("318446744073709551615[]", Kind::Ack, 0, "/", Some(u64::MAX), "[]"),
            ("51-[\"u\"]", Kind::Event, 1, "/", None, "[\"u\"]"),
            ("510-/chat,7[\"u\"]", Kind::Event, 10, "/chat", Some(7), "[\"u\"]"),
            ("61-12[]", Kind::Ack, 1, "/", Some(12), "[]"),
        ] {
            assert_eq!(Packet::decode(text), Ok(Packet { kind, attachments, namespace, ack_id, payload }), "{text}");
        }
    }

    #[test]
    fn bad_headers() {
        for (text, error) in [
            ("", UnknownType),
            ("7", UnknownType),
            ("x", UnknownType),
            ("é", UnknownType),
            ("-1", UnknownType),
            ("5[\"a\"]", IllegalAttachments),
            ("5-[\"a\"]", IllegalAttachments),
            ("50-[\"a\"]", IllegalAttachments),
            ("51[\"a\"]", IllegalAttachments),
            ("51.5-[\"a\"]", IllegalAttachments),
            ("5+1-[\"a\"]", IllegalAttachments),
            ("5/chat,[\"a\"]", IllegalAttachments),
            ("511-[\"a\"]", TooManyAttachments),
            ("699999999999999999999999-[]", TooManyAttachments),
            ("218446744073709551616[\"a\"]", AckIdOutOfRange),
        ] {
            assert_eq!(Packet::decode(text), Err(error), "{text}");
        }
        assert_eq!(Packet::decode(&format!("3{}[]", "9".repeat(100_000))), Err(AckIdOutOfRange));
    }

    #[test]
    fn names() {
        for (payload, name) in [
            ("[\"a\"]", "a"),
            (" [ \"\" ] ", ""),
            ("[1]", "1"),
            ("[-1.50e2,true]", "-1.50e2"),
            ("[\"\\u0061\\n\"]", "a\n"),
            ("[\"\\ud800\"]", "\u{fffd}"),
            ("[\"connection\"]", "connection"),
            ("[\"__proto__\",{\"__proto__\":1}]", "__proto__"),
        ] {
            let packet = format!("2{payload}");
            assert_eq!(Packet::decode(&packet).unwrap().event().unwrap().0, name, "{payload}");
        }
    }

    #[test]
    fn payloads_have_to_fit_the_type() {
        let deep = |levels: usize| format!("2[\"a\",{}{}]", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert_eq!(Packet::decode(&deep(128)).unwrap().event().unwrap().1.len(), 1);
        assert!(Packet::decode(&deep(128)).unwrap().event().unwrap().1.parse::<serde_json::Value>(0).is_ok());
        assert_eq!(Packet::decode(&deep(129)).unwrap().event().unwrap_err(), TooDeep);
        assert_eq!(Packet::decode(&deep(400_000)).unwrap().event().unwrap_err(), TooDeep);
        for text in [
            "2",
            "2{}",
            "2[]",
            "2[true]",
            "2[null,\"a\"]",
            "2[[\"a\"]]",
            "2[{}]",
            "21.5[\"a\"]",
            "2abc[\"x\"]",
            "2[\"a\"]x",
            "2[\"a\",]",
            "2[\"a\"",
            "2[\"a]",
            "2[\"\\x\"]",
            "2[\"a\",01]",
            "2[\"a\",NaN]",
            "2\"a\"",
            "2/chat,",
            "2/chat[\"a\"]",
            "2 ",
            "21",
            "2\u{feff}[\"a\"]",
        ] {
            assert_eq!(Packet::decode(text).unwrap().event().unwrap_err(), InvalidPayload, "{text}");
        }
        for name in ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "\\u0063onnect"]
        {
            let text = format!("2[\"{name}\",1]");
            assert_eq!(Packet::decode(&text).unwrap().event().unwrap_err(), ReservedName, "{text}");
        }
        for text in ["0[]", "0null", "0\"x\"", "01x", "0{", "0{}{}"] {
            assert_eq!(Packet::decode(text).unwrap().auth().unwrap_err(), InvalidPayload, "{text}");
        }
        for text in ["3", "31", "31{}", "31[", "31\"a\"", "31null"] {
            assert_eq!(Packet::decode(text).unwrap().args().unwrap_err(), InvalidPayload, "{text}");
        }
        assert_eq!(Packet::decode("1{}").unwrap().nothing(), Err(InvalidPayload));
    }
}
