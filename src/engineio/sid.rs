//! Engine.IO session ids.
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A session's id: 20 characters of URL-safe base64. It is a bearer secret, so `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sid([u8; 20]);

impl Sid {
    /// Makes an id from 15 random bytes.
    pub fn from_random(random: [u8; 15]) -> Self {
        let mut text = [b'A'; 20];
        // 15 bytes are exactly 20 base64 digits, so this cannot fail
        let _ = URL_SAFE_NO_PAD.encode_slice(random, &mut text);
        Self(text)
    }

    /// Reads an id; `None` if malformed.
    pub fn parse(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().map(Self)
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sid(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_twenty_url_safe_characters() {
        let sid = Sid::from_random([0xff; 15]);
        assert_eq!(sid.as_str(), "____________________");
        assert_eq!(Sid::parse(sid.as_str()), Some(sid));
        assert_eq!(Sid::parse("short"), None);
        assert!(!format!("{sid:?}").contains('_'));
    }
}
