//! Engine.IO packets from clients (source: engine.io-protocol v4, "Packet encoding").
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

/// One packet from a client; texts exclude the type digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`, meaningless from a client.
    Open,
    /// `1`: the client is leaving.
    Close,
    /// `2`: only `2probe` on an upgrading transport is allowed.
    Ping(&'a str),
    /// `3`: answers a heartbeat.
    Pong(&'a str),
    /// `4`: a text message.
    Message(&'a str),
    /// A binary message: a binary frame, or `b` and base64 in a text.
    Binary(Bytes),
    /// `5`: the client has moved to this transport.
    Upgrade,
    /// `6`, meaningless from a client.
    Noop,
}

/// A text that is not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Engine.IO packet")]
pub struct PacketError;

/// Reads a text frame or an entry of a payload.
///
/// # Errors
/// [`PacketError`] if the text is empty or its first character is not one of `0`..`6` and `b`.
pub fn decode_packet(text: &str) -> Result<Packet<'_>, PacketError> {
    let mut characters = text.chars();
    let kind = characters.next().ok_or(PacketError)?;
    let data = characters.as_str();
    Ok(match kind {
        '0' => Packet::Open,
        '1' => Packet::Close,
        '2' => Packet::Ping(data),
        '3' => Packet::Pong(data),
        '4' => Packet::Message(data),
        '5' => Packet::Upgrade,
        '6' => Packet::Noop,
        'b' => Packet::Binary(decode_base64(data)),
        _ => return Err(PacketError),
    })
}

/// Decodes base64 as Node does: either alphabet, padding optional, other characters skipped, the first `=` ends it.
fn decode_base64(text: &str) -> Bytes {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    if let Ok(data) = LENIENT.decode(text) {
        return Bytes::from(data);
    }
    let mut digits: Vec<u8> = text
        .bytes()
        .take_while(|byte| *byte != b'=')
        .filter_map(|byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            b'+' | b'/' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => Some(byte),
            _ => None,
        })
        .collect();
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    Bytes::from(LENIENT.decode(&digits).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_character_decides() {
        let cases = [
            ("0{}", Ok(Packet::Open)),
            ("1", Ok(Packet::Close)),
            ("2probe", Ok(Packet::Ping("probe"))),
            ("3", Ok(Packet::Pong(""))),
            ("4hello", Ok(Packet::Message("hello"))),
            ("4", Ok(Packet::Message(""))),
            ("4€", Ok(Packet::Message("€"))),
            ("5", Ok(Packet::Upgrade)),
            ("6", Ok(Packet::Noop)),
            ("bAQIDBA==", Ok(Packet::Binary(Bytes::from_static(&[1, 2, 3, 4])))),
            ("b", Ok(Packet::Binary(Bytes::new()))),
            ("", Err(PacketError)),
            ("7", Err(PacketError)),
            ("abc", Err(PacketError)),
            ("€", Err(PacketError)),
        ];
        for (text, expected) in cases {
            assert_eq!(decode_packet(text), expected, "{text}");
        }
    }

    #[test]
    fn base64_is_read_as_leniently_as_by_node() {
        for text in ["AQIDBA==", "AQIDBA", "AQIDBA=", "AQ ID\nBA==", "AQIDBB==", "AQIDBA==AQID", "AQ!ID%BA"] {
            assert_eq!(decode_base64(text), Bytes::from_static(&[1, 2, 3, 4]), "{text}");
        }
        assert_eq!(decode_base64("-_-_"), decode_base64("+/+/"));
        assert_eq!(decode_base64("A"), Bytes::new());
        assert_eq!(decode_base64("4AAA"), Bytes::from_static(&[0xe0, 0, 0]), "no type digit after the b");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_text_is_a_packet_or_an_error(text in "[0-7b]?.{0,40}") {
            if let Ok(Packet::Message(data)) = decode_packet(&text) {
                prop_assert_eq!(format!("4{data}"), text);
            }
        }

        #[test]
        fn base64_comes_back(data in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = base64::engine::general_purpose::STANDARD.encode(&data);
            prop_assert_eq!(decode_base64(&text), Bytes::from(data));
        }
    }
}
