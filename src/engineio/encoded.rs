//! Packets encoded once for both transports.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};

/// Separates the packets of a polling payload.
pub const RECORD_SEPARATOR: u8 = 0x1e;

/// One or more Engine.IO packets that are sent together, ready to be written to any number of clients.
///
/// Server-to-client frames are unmasked (RFC 6455 §5.1), so the same bytes serve every WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    frames: Bytes,
    payload: Bytes,
    packets: u32,
    has_binary: bool,
}

impl Encoded {
    /// Encodes one text packet with its type digit, such as `42["x"]`.
    pub fn text(packet: &str) -> Self {
        let mut frames = BytesMut::with_capacity(packet.len() + 10);
        put_frame(Opcode::Text, packet.as_bytes(), &mut frames);
        let frames = frames.freeze();
        let payload = frames.slice(frames.len() - packet.len()..);
        Self { frames, payload, packets: 1, has_binary: false }
    }

    /// Encodes several text packets into one buffer.
    pub fn batch<'a>(packets: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut frames, mut payload, mut count) = (BytesMut::new(), BytesMut::new(), 0);
        for packet in packets {
            put_frame(Opcode::Text, packet.as_bytes(), &mut frames);
            put_entry(packet.as_bytes(), &mut payload);
            count += 1;
        }
        Self { frames: frames.freeze(), payload: payload.freeze(), packets: count, has_binary: false }
    }

    /// Encodes a text packet followed by its binary messages; nothing can come between them.
    pub fn with_attachments(packet: &str, attachments: &[Bytes]) -> Self {
        if attachments.is_empty() {
            return Self::text(packet);
        }
        let (mut frames, mut payload) = (BytesMut::new(), BytesMut::new());
        put_frame(Opcode::Text, packet.as_bytes(), &mut frames);
        put_entry(packet.as_bytes(), &mut payload);
        for attachment in attachments {
            put_binary(attachment, &mut frames, &mut payload);
        }
        let packets = u32::try_from(attachments.len()).unwrap_or(u32::MAX).saturating_add(1);
        Self { frames: frames.freeze(), payload: payload.freeze(), packets, has_binary: true }
    }

    /// Encodes one binary message.
    pub fn binary(data: &Bytes) -> Self {
        let (mut frames, mut payload) = (BytesMut::new(), BytesMut::new());
        put_binary(data, &mut frames, &mut payload);
        Self { frames: frames.freeze(), payload: payload.freeze(), packets: 1, has_binary: true }
    }

    /// Returns the WebSocket frames, one after the other.
    pub fn frames(&self) -> &Bytes {
        &self.frames
    }

    /// Returns the packets as a polling payload: joined by [`RECORD_SEPARATOR`], binary ones as `b` and base64.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Returns the packets with binary messages as `b` and base64 in text frames, for WebSocket clients that asked for
    /// that; `None` if there are no binary messages.
    pub fn as_text_frames(&self) -> Option<Self> {
        if !self.has_binary {
            return None;
        }
        let mut frames = BytesMut::new();
        for entry in self.payload.split(|byte| *byte == RECORD_SEPARATOR) {
            put_frame(Opcode::Text, entry, &mut frames);
        }
        Some(Self { frames: frames.freeze(), payload: self.payload.clone(), packets: self.packets, has_binary: false })
    }

    /// Returns the packets with each frame's payload compressed if `compress` makes it shorter (RFC 7692 §6); `None` if
    /// it shortens none.
    pub fn deflated(&self, compress: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Self> {
        let mut frames = BytesMut::with_capacity(self.frames.len());
        let mut is_shorter = false;
        let mut rest = &self.frames[..];
        while let Some((first, payload, after)) = split_frame(rest) {
            match compress(payload) {
                Some(compressed) => {
                    put_frame_of(first | COMPRESSED, &compressed, &mut frames);
                    is_shorter = true;
                }
                None => put_frame_of(first, payload, &mut frames),
            }
            rest = after;
        }
        is_shorter.then(|| Self { frames: frames.freeze(), payload: self.payload.clone(), ..*self })
    }

    /// Returns the number of packets.
    pub fn packets(&self) -> usize {
        self.packets as usize
    }
}

enum Opcode {
    Text = 0x1,
    Binary = 0x2,
}

/// The bit that marks a compressed message (RFC 7692 §6).
const COMPRESSED: u8 = 0x40;

/// Appends an unfragmented, unmasked frame (RFC 6455 §5.2).
fn put_frame(opcode: Opcode, data: &[u8], out: &mut BytesMut) {
    put_frame_of(0x80 | opcode as u8, data, out);
}

/// Splits off the first frame made by [`put_frame`]: its first byte, its payload, and the rest.
fn split_frame(frames: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[first, short], rest) = frames.split_first_chunk()?;
    let (length, rest) = match short {
        126 => rest.split_first_chunk().map(|(length, rest)| (u64::from(u16::from_be_bytes(*length)), rest))?,
        127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
        short => (u64::from(short), rest),
    };
    let (payload, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((first, payload, after))
}

fn put_frame_of(first: u8, data: &[u8], out: &mut BytesMut) {
    out.put_u8(first);
    match data.len() {
        length @ 0..=125 => out.put_u8(length as u8),
        length @ 126..=0xffff => {
            out.put_u8(126);
            out.put_u16(length as u16);
        }
        length => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
    out.put_slice(data);
}

fn put_entry(packet: &[u8], payload: &mut BytesMut) {
    if !payload.is_empty() {
        payload.put_u8(RECORD_SEPARATOR);
    }
    payload.put_slice(packet);
}

fn put_binary(data: &Bytes, frames: &mut BytesMut, payload: &mut BytesMut) {
    put_frame(Opcode::Binary, data, frames);
    put_entry(b"b", payload);
    payload.put_slice(STANDARD.encode(data).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_serves_both_transports_from_one_buffer() {
        let encoded = Encoded::text("42[\"x\"]");
        assert_eq!(&encoded.frames()[..], b"\x81\x0742[\"x\"]");
        assert_eq!(&encoded.payload()[..], b"42[\"x\"]");
        assert_eq!(encoded.packets(), 1);
    }

    #[test]
    fn attachments_follow_their_packet() {
        let encoded = Encoded::with_attachments("451-[\"u\",{\"_placeholder\":true,\"num\":0}]", &[Bytes::from_static(&[1, 2])]);
        assert!(encoded.payload().ends_with(b"]\x1ebAQI="));
        assert!(encoded.frames().ends_with(&[0x82, 2, 1, 2]));
        assert_eq!(encoded.packets(), 2);
    }

    #[test]
    fn only_what_gets_shorter_is_compressed() {
        let packets = Encoded::batch(["4aaaa", "4b"]);
        let deflated = packets.deflated(|payload| (payload.len() > 2).then(|| b"z".to_vec())).unwrap();
        assert_eq!(&deflated.frames()[..], b"\xc1\x01z\x81\x024b");
        assert_eq!((deflated.payload(), deflated.packets()), (packets.payload(), 2));
        assert_eq!(packets.deflated(|_| None), None);
        for length in [125, 126, 65_535, 65_536] {
            let long = Encoded::text(&"x".repeat(length)).deflated(|payload| Some(payload.to_vec())).unwrap();
            assert_eq!(long.frames().len(), Encoded::text(&"x".repeat(length)).frames().len());
        }
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, header) in
            [(125, vec![0x81, 125]), (126, vec![0x81, 126, 0, 126]), (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0])]
        {
            assert_eq!(&Encoded::text(&"x".repeat(length)).frames()[..header.len()], &header[..]);
        }
    }
}
