//! Packets with attachments, which the server itself never sends.
use parlance::socketio::{encode_ack, encode_event};

/// Encodes the text of an event with attachments, `45<attachments>-["name",args]`; they follow as binary messages.
///
/// `args` holds a placeholder for each.
pub(crate) fn encode_binary_event(namespace: &str, name: &str, args: &str, attachments: usize) -> String {
    announced(&encode_event(namespace, name, args), "42", "45", attachments)
}

/// Encodes the text of an ack with attachments, `46<attachments>-<id>[args]`; they follow as binary messages.
pub(crate) fn encode_binary_ack(namespace: &str, id: u64, args: &str, attachments: usize) -> String {
    announced(&encode_ack(namespace, id, args), "43", "46", attachments)
}

/// Returns the packet with the type for attachments and their number.
fn announced(packet: &str, plain: &str, binary: &str, attachments: usize) -> String {
    format!("{binary}{attachments}-{}", packet.strip_prefix(plain).unwrap_or(packet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_as_in_the_reference() {
        for (encoded, expected) in [
            (encode_binary_event("/", "u", r#"{"_placeholder":true,"num":0}"#, 1), r#"451-["u",{"_placeholder":true,"num":0}]"#),
            (encode_binary_event("/chat", "u", "", 10), r#"4510-/chat,["u"]"#),
            (encode_binary_ack("/", 12, r#"{"_placeholder":true,"num":0}"#, 1), r#"461-12[{"_placeholder":true,"num":0}]"#),
        ] {
            assert_eq!(encoded, expected);
        }
    }
}
