//! Polling bodies (source: engine.io-protocol v4, "HTTP long-polling").
use bytes::{BufMut as _, Bytes, BytesMut};

use super::encoded::RECORD_SEPARATOR;
use super::packet::{Packet, PacketError, decode_packet};

/// Reads the packets of a POST's body, one by one.
///
/// `body` is UTF-8; packets are separated by U+001E. An empty body, or a separator at either end, means an empty
/// packet, which is an error. Items after an error are meaningless.
///
/// # Errors
/// [`PacketError`] if the body is not UTF-8; as an item, if that entry is not a packet.
pub fn decode_payload(body: &[u8]) -> Result<impl Iterator<Item = Result<Packet<'_>, PacketError>>, PacketError> {
    let text = std::str::from_utf8(body).map_err(|_| PacketError)?;
    Ok(text.split(char::from(RECORD_SEPARATOR)).map(decode_packet))
}

/// Joins payloads into the body of one answer; a single one is not copied.
pub fn join_payloads<'a>(payloads: impl ExactSizeIterator<Item = &'a Bytes> + Clone) -> Bytes {
    if payloads.len() == 1 {
        return payloads.into_iter().next().cloned().unwrap_or_default();
    }
    let length = payloads.clone().map(|payload| payload.len() + 1).sum();
    let mut body = BytesMut::with_capacity(length);
    for payload in payloads {
        if !body.is_empty() {
            body.put_u8(RECORD_SEPARATOR);
        }
        body.put_slice(payload);
    }
    body.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(body: &[u8]) -> Result<Vec<Packet<'_>>, PacketError> {
        decode_payload(body)?.collect()
    }

    #[test]
    fn packets_are_separated_by_record_separators() {
        let binary = Packet::Binary(Bytes::from_static(&[1, 2]));
        assert_eq!(decode(b"4a"), Ok(vec![Packet::Message("a")]));
        assert_eq!(decode("4€\u{1e}bAQI=\u{1e}3".as_bytes()), Ok(vec![Packet::Message("€"), binary, Packet::Pong("")]));
        for body in [&b""[..], b"\x1e", b"4a\x1e", b"\x1e4a", b"4a\x1e\x1e4b", b"4\xff", b"4a\x1eabc"] {
            assert_eq!(decode(body), Err(PacketError), "{body:?}");
        }
    }

    #[test]
    fn a_single_payload_is_not_copied() {
        let payload = Bytes::from_static(b"4a");
        assert_eq!(join_payloads([&payload].into_iter()).as_ptr(), payload.as_ptr());
        assert_eq!(&join_payloads([&payload, &payload].into_iter())[..], b"4a\x1e4a");
        assert!(join_payloads([].into_iter()).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_body_is_packets_or_an_error(body in proptest::collection::vec(prop_oneof![Just(0x1e), Just(b'4'), Just(b'b'), any::<u8>()], 0..64)) {
            let _ = decode(&body);
        }

        #[test]
        fn messages_come_back(messages in proptest::collection::vec("[^\u{1e}]{0,20}", 1..8)) {
            let payloads: Vec<Bytes> = messages.iter().map(|message| Bytes::from(format!("4{message}"))).collect();
            let body = join_payloads(payloads.iter());
            let expected: Vec<Packet<'_>> = messages.iter().map(|message| Packet::Message(message)).collect();
            prop_assert_eq!(decode(&body), Ok(expected));
        }
    }
}
