//! Packets to clients, as whole Engine.IO texts starting with the `4` of a message.
//!
//! `args` are JSON values joined by commas, as returned by [`Args::json`](super::Args::json); there may be none.
use std::fmt::Write as _;

use serde::Serialize;

use super::packet::is_reserved;

/// Encodes an event: `42["name",args]`.
pub fn encode_event(namespace: &str, name: &str, args: &str) -> String {
    debug_assert!(!is_reserved(name), "{name} is a reserved event name");
    let mut out = start('2', namespace, None, name.len() + args.len() + 5);
    out.push('[');
    push_json(&mut out, name);
    if !args.is_empty() {
        push_all(&mut out, &[",", args]);
    }
    out.push(']');
    out
}

/// Appends an argument to an encoded event without attachments. `text` must need no JSON escapes.
pub fn push_text_argument(packet: &mut String, text: &str) {
    if packet.pop() == Some(']') {
        push_all(packet, &[",\"", text, "\"]"]);
    }
}

/// Encodes an ack: `43<id>[args]`.
pub fn encode_ack(namespace: &str, id: u64, args: &str) -> String {
    let mut out = start('3', namespace, Some(id), args.len() + 2);
    push_all(&mut out, &["[", args, "]"]);
    out
}

/// Encodes the acceptance of a CONNECT: `40{"sid":"…"}`, with recovery `40{"sid":"…","pid":"…"}`.
pub fn encode_connect(namespace: &str, sid: &str, pid: Option<&str>) -> String {
    let mut out = start('0', namespace, None, sid.len() + pid.map_or(0, |pid| pid.len() + 9) + 10);
    out.push_str("{\"sid\":");
    push_json(&mut out, sid);
    if let Some(pid) = pid {
        out.push_str(",\"pid\":");
        push_json(&mut out, pid);
    }
    out.push('}');
    out
}

/// Encodes the refusal of a CONNECT: `44{"message":"…","data":…}`. `data` is JSON; if `None`, the key is omitted.
pub fn encode_connect_error(namespace: &str, message: &str, data: Option<&str>) -> String {
    let mut out = start('4', namespace, None, message.len() + data.map_or(0, str::len) + 24);
    out.push_str("{\"message\":");
    push_json(&mut out, message);
    if let Some(data) = data {
        push_all(&mut out, &[",\"data\":", data]);
    }
    out.push('}');
    out
}

/// Encodes that the server leaves a namespace: `41`.
pub fn encode_disconnect(namespace: &str) -> String {
    start('1', namespace, None, 0)
}

/// Writes everything before the JSON, and reserves `payload_bytes` for it.
fn start(kind: char, namespace: &str, id: Option<u64>, payload_bytes: usize) -> String {
    let id_bytes = if id.is_some() { 20 } else { 0 };
    let mut out = String::with_capacity(namespace.len() + payload_bytes + id_bytes + 6);
    out.push('4');
    out.push(kind);
    if namespace != "/" {
        push_all(&mut out, &[namespace, ","]);
    }
    if let Some(id) = id {
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{id}");
    }
    out
}

fn push_all(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
}

/// Appends a text as a JSON string.
fn push_json(out: &mut String, text: &str) {
    let plain = !text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    if plain {
        push_all(out, &["\"", text, "\""]);
        return;
    }
    let mut json = Vec::with_capacity(text.len() + 8);
    // Serializing a `str` cannot fail, and JSON is UTF-8.
    if text.serialize(&mut serde_json::Serializer::new(&mut json)).is_ok() {
        out.push_str(std::str::from_utf8(&json).unwrap_or("\"\""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_the_last_argument() {
        for (event, expected) in
            [(encode_event("/", "q", "1,{}"), r#"42["q",1,{},"o.1"]"#), (encode_event("/", "q", ""), r#"42["q","o.1"]"#)]
        {
            let mut packet = event;
            push_text_argument(&mut packet, "o.1");
            assert_eq!(packet, expected);
        }
    }

    #[test]
    fn packets_as_in_the_reference() {
        for (encoded, expected) in [
            (encode_event("/", "q", "1"), r#"42["q",1]"#),
            (encode_event("/", "message", ""), r#"42["message"]"#),
            (encode_event("/chat", "q", "1,{}"), r#"42/chat,["q",1,{}]"#),
            (encode_event("/", "a\"b\n", ""), r#"42["a\"b\n"]"#),
            (encode_ack("/", 12, r#""r""#), r#"4312["r"]"#),
            (encode_ack("/", 12, ""), "4312[]"),
            (encode_ack("/ns", u64::MAX, "1"), "43/ns,18446744073709551615[1]"),
            (encode_connect("/", "w9PNc0M2vJ0qT4KjAAAB", None), r#"40{"sid":"w9PNc0M2vJ0qT4KjAAAB"}"#),
            (encode_connect("/chat", "x", Some("y")), r#"40/chat,{"sid":"x","pid":"y"}"#),
            (encode_connect_error("/nope", "Invalid namespace", None), r#"44/nope,{"message":"Invalid namespace"}"#),
            (
                encode_connect_error("/vip", "not allowed", Some(r#"{"code":7}"#)),
                r#"44/vip,{"message":"not allowed","data":{"code":7}}"#,
            ),
            (encode_disconnect("/"), "41"),
            (encode_disconnect("/chat"), "41/chat,"),
        ] {
            assert_eq!(encoded, expected);
        }
    }
}
