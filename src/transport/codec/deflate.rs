//! Compressed messages (source: RFC 7692, permessage-deflate), if `PERMESSAGE_DEFLATE` is on.
//!
//! Neither side keeps its window for the next message. So a broadcast is compressed once for all clients with the same
//! parameters, and an idle connection has no window in memory.
use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::message::FrameError;

/// End of every flush, which is not sent (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Minimum size of messages that are compressed, in bytes.
const THRESHOLD_BYTES: usize = 1024;
const MAX_WINDOW_BITS: u8 = 15;
/// Smallest window of zlib's raw deflate; 8 bits are not supported.
const MIN_WINDOW_BITS: u8 = 9;

/// Parameters agreed on with one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// Binary logarithm of the window that the client keeps for our messages.
    window_bits: u8,
}

impl Deflate {
    /// Accepts the first acceptable offer; also returns the value of our `Sec-WebSocket-Extensions`.
    pub fn negotiate<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<(Self, String)> {
        headers.into_iter().flat_map(|header| header.split(',')).find_map(Self::accept)
    }

    fn accept(offer: &str) -> Option<(Self, String)> {
        let mut parameters = offer.split(';').map(str::trim);
        if parameters.next() != Some("permessage-deflate") {
            return None;
        }
        let (mut server_bits, mut seen) = (None, Vec::new());
        for parameter in parameters {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                None => (parameter, None),
            };
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name, value) {
                ("server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(bits)) if parse_bits(bits, 8).is_some() => {}
                ("server_max_window_bits", Some(bits)) => server_bits = Some(parse_bits(bits, MIN_WINDOW_BITS)?),
                _ => return None,
            }
        }
        let mut answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover".to_owned();
        if let Some(bits) = server_bits {
            answer.push_str(&format!("; server_max_window_bits={bits}"));
        }
        Some((Self { window_bits: server_bits.unwrap_or(MAX_WINDOW_BITS) }, answer))
    }
}

fn parse_bits(text: &str, least: u8) -> Option<u8> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|bits| is_plain && (least..=MAX_WINDOW_BITS).contains(bits))
}

/// Compressor of one thread for the usual window: takes a quarter of a megabyte. It is reused only after a success,
/// because zlib-rs 0.6 panics when a compressor with pending output is reset.
#[derive(Default)]
pub struct Compressor(RefCell<Option<Compress>>);

impl Compressor {
    /// Returns the payload of a compressed message; `None` if it would not be shorter.
    pub fn compress(&self, deflate: Deflate, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() < THRESHOLD_BYTES {
            return None;
        }
        let new = || Compress::new_with_window_bits(Compression::fast(), false, deflate.window_bits);
        let is_usual = deflate.window_bits == MAX_WINDOW_BITS;
        let mut compressor = self.0.take().filter(|_| is_usual).unwrap_or_else(new);
        let compressed = compress(&mut compressor, payload)?;
        if is_usual {
            compressor.reset();
            self.0.replace(Some(compressor));
        }
        (compressed.len() < payload.len()).then_some(compressed)
    }
}

fn compress(compressor: &mut Compress, payload: &[u8]) -> Option<Vec<u8>> {
    // Greater than any output of deflate, which stores incompressible data in plain blocks.
    let mut compressed = Vec::with_capacity(payload.len() + payload.len() / 8 + 64);
    compressor.compress_vec(payload, &mut compressed, FlushCompress::Sync).ok()?;
    let is_whole = compressor.total_in() == payload.len() as u64 && compressed.len() < compressed.capacity();
    if !is_whole || !compressed.ends_with(&TAIL) {
        return None;
    }
    compressed.truncate(compressed.len() - TAIL.len());
    Some(compressed)
}

/// Inflates the payload of a compressed message.
///
/// # Errors
/// [`FrameError::TooLarge`] as soon as the message exceeds `max_bytes`; [`FrameError::BadDeflate`] if the payload is
/// malformed.
pub fn inflate(payload: &[u8], max_bytes: usize) -> Result<Vec<u8>, FrameError> {
    let mut inflater = Decompress::new(false);
    let mut message = Vec::new();
    for mut input in [payload, &TAIL] {
        loop {
            if message.len() == message.capacity() {
                let more = message.len().max(input.len() * 2).max(256).min(max_bytes.saturating_sub(message.len()) + 1);
                message.reserve_exact(more);
            }
            let before = (inflater.total_in(), message.len());
            let status =
                inflater.decompress_vec(input, &mut message, FlushDecompress::Sync).map_err(|_| FrameError::BadDeflate)?;
            let taken = usize::try_from(inflater.total_in() - before.0).unwrap_or(usize::MAX);
            input = input.get(taken..).unwrap_or_default();
            if message.len() > max_bytes {
                return Err(FrameError::TooLarge);
            }
            let has_room = message.len() < message.capacity();
            if status == Status::StreamEnd || (has_room && (input.is_empty() || (taken, message.len()) == (0, before.1))) {
                break;
            }
        }
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::*;

    fn answer(offers: &[&str]) -> Option<String> {
        Deflate::negotiate(offers.iter().copied()).map(|(_, answer)| answer)
    }

    #[test]
    fn the_first_acceptable_offer_is_taken() {
        let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        for offers in [
            &["permessage-deflate"][..],
            &["permessage-deflate; client_max_window_bits"],
            &["permessage-deflate; server_no_context_takeover; client_no_context_takeover"],
            &["permessage-deflate;client_max_window_bits=\"10\""],
            &["x-webkit-deflate-frame, permessage-deflate"],
            &["x-webkit-deflate-frame", "permessage-deflate; unknown, permessage-deflate"],
            &["permessage-deflate; server_max_window_bits=8, permessage-deflate"],
        ] {
            assert_eq!(answer(offers).as_deref(), Some(plain), "{offers:?}");
        }
        let narrow = format!("{plain}; server_max_window_bits=10");
        assert_eq!(answer(&["permessage-deflate; server_max_window_bits=10; client_max_window_bits"]), Some(narrow));
    }

    #[test]
    fn what_cannot_be_kept_to_is_declined() {
        for offer in [
            "",
            "deflate",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        ] {
            assert_eq!(answer(&[offer]), None, "{offer}");
        }
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let compressor = Compressor::default();
        let deflate = Deflate { window_bits: MAX_WINDOW_BITS };
        let bomb = compressor.compress(deflate, &vec![b'x'; 10_000_000]).unwrap();
        assert!(bomb.len() < 100_000);
        assert_eq!(inflate(&bomb, 1_000_000), Err(FrameError::TooLarge));
        assert_eq!(inflate(&bomb, 10_000_000).map(|message| message.len()), Ok(10_000_000));
        assert_eq!(inflate(&bomb, 9_999_999), Err(FrameError::TooLarge));
    }

    #[test]
    fn what_is_no_deflate_is_refused() {
        assert_eq!(inflate(&[0xff; 100], 1_000), Err(FrameError::BadDeflate));
        assert_eq!(inflate(&[], 1_000), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_made_shorter_leaves_the_compressor_whole() {
        let mut random = SmallRng::seed_from_u64(31);
        let compressor = Compressor::default();
        let deflate = Deflate { window_bits: MAX_WINDOW_BITS };
        for round in 0..64 {
            let text: String = (0..4_000).map(|_| random.random_range('\u{4e00}'..'\u{9fff}')).collect();
            if let Some(compressed) = compressor.compress(deflate, text.as_bytes()) {
                assert_eq!(inflate(&compressed, text.len()).as_deref(), Ok(text.as_bytes()), "{round}");
            }
            let noise: Vec<u8> = (0..random.random_range(1_024..70_000)).map(|_| random.random()).collect();
            assert_eq!(compressor.compress(deflate, &noise), None, "{round}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_compressed_comes_out_again(
            words in prop::collection::vec(prop::sample::select(vec!["alpha", "beta", "\u{1f600}", "0", " "]), 300..3_000),
            window_bits in MIN_WINDOW_BITS..=MAX_WINDOW_BITS,
        ) {
            let text = words.concat();
            let compressor = Compressor::default();
            for _ in 0..2 {
                if let Some(compressed) = compressor.compress(Deflate { window_bits }, text.as_bytes()) {
                    prop_assert!(compressed.len() < text.len());
                    prop_assert_eq!(inflate(&compressed, text.len()).unwrap(), text.as_bytes());
                }
            }
        }

        #[test]
        fn rubbish_is_refused_or_bounded(rubbish in prop::collection::vec(any::<u8>(), 0..500), max in 0usize..10_000) {
            if let Ok(message) = inflate(&rubbish, max) {
                prop_assert!(message.len() <= max);
            }
        }
    }
}
