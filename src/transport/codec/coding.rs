//! Compression of polling bodies.
use std::io::Write as _;

use actix_http::header::{self, HeaderMap};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// Minimum size of bodies that are compressed, in bytes.
const THRESHOLD_BYTES: usize = 1024;

/// A content coding that both the client and we support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transport) enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// Chooses a coding by `Accept-Encoding`: gzip, else deflate.
    pub(in crate::transport) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
        let accepts = |name: &str| {
            accepted.split(',').any(|item| {
                let mut parts = item.split(';').map(str::trim);
                let is_named = parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case(name) || coding == "*");
                is_named && !parts.any(|parameter| parameter.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0))
            })
        };
        if accepts("gzip") {
            Some(Self::Gzip)
        } else if accepts("deflate") {
            Some(Self::Deflate)
        } else {
            None
        }
    }

    /// Returns the name for `Content-Encoding`.
    pub(in crate::transport) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Compresses a body; `None` if it is too short to be worth it.
    pub(in crate::transport) fn compress(self, body: &[u8]) -> Option<Bytes> {
        if body.len() < THRESHOLD_BYTES {
            return None;
        }
        let room = Vec::with_capacity(body.len() / 2);
        let compressed = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(room, Compression::fast());
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(room, Compression::fast());
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
        };
        compressed.ok().map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use actix_http::header::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_preferred_and_nothing_is_forced() {
        let cases = [
            ("gzip, deflate, br", Some(Coding::Gzip)),
            ("deflate", Some(Coding::Deflate)),
            ("gzip;q=0, deflate", Some(Coding::Deflate)),
            ("br", None),
            ("identity", None),
            ("*", Some(Coding::Gzip)),
            ("GZIP;q=0.5", Some(Coding::Gzip)),
        ];
        for (accepted, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(Coding::accepted(&headers), expected, "{accepted}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), None);
    }

    #[test]
    fn bodies_from_the_threshold_on_are_compressed() {
        let body = vec![b'a'; THRESHOLD_BYTES];
        assert_eq!(Coding::Gzip.compress(&body[1..]), None);
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&Coding::Gzip.compress(&body).unwrap()[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, body);
        text.clear();
        flate2::read::ZlibDecoder::new(&Coding::Deflate.compress(&body).unwrap()[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, body);
    }
}
