//! Signatures of requests.
use std::fmt;

use standardwebhooks::Webhook;

use crate::config::Secret;
use crate::model::Timestamp;

/// Smallest secret, in bytes (source: Standard Webhooks, "Signature scheme").
const SECRET_MIN_BYTES: usize = 24;
/// Largest secret, in bytes.
const SECRET_MAX_BYTES: usize = 64;

/// Signs requests with a secret shared with their receiver.
pub(super) struct Signer(Webhook);

impl Signer {
    /// Makes a signer of `whsec_` and the base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// A sentence that says what would be right, without the secret.
    pub(super) fn new(secret: &Secret) -> Result<Self, String> {
        use base64::Engine as _;

        let text = secret.expose().trim();
        let encoded = text.strip_prefix("whsec_").unwrap_or(text);
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok();
        let bytes = bytes.filter(|bytes| (SECRET_MIN_BYTES..=SECRET_MAX_BYTES).contains(&bytes.len()));
        let webhook = bytes.and_then(|bytes| Webhook::from_bytes(bytes).ok());
        webhook.map(Self).ok_or_else(|| {
            let (least, most) = (SECRET_MIN_BYTES, SECRET_MAX_BYTES);
            format!("is not whsec_ and the base64 of {least} to {most} bytes, such as `openssl rand -base64 32` writes")
        })
    }

    /// Returns the signature of a request, for the header `webhook-signature`.
    ///
    /// # Errors
    /// If the request cannot be signed.
    pub(super) fn sign(&self, id: &str, at: Timestamp, body: &str) -> Result<String, String> {
        self.0.sign(id, seconds(at), body.as_bytes()).map_err(|error| error.to_string())
    }
}

/// Returns the seconds since the epoch, for the header `webhook-timestamp`.
pub(super) fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1_000)
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Signer(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_specification_does() {
        // Source: test vectors of the reference libraries of Standard Webhooks.
        let signer = Signer::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let at = Timestamp::from_millis(1_614_265_330_999);
        let signature = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, r#"{"test": 2432232314}"#).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{signer:?}"), "Signer(redacted)");
    }

    #[test]
    fn a_secret_is_long_enough_and_base64() {
        use base64::Engine as _;

        let of = |bytes: usize| base64::engine::general_purpose::STANDARD.encode(vec![7; bytes]);
        for (secret, is_right) in [
            (of(24), true),
            (format!("whsec_{}", of(64)), true),
            (format!(" {}\n", of(32)), true),
            (of(23), false),
            (of(65), false),
            ("hush, this is no base64 at all!!".to_owned(), false),
            (String::new(), false),
        ] {
            let signer = Signer::new(&Secret::new(secret.as_str()));
            assert_eq!(signer.is_ok(), is_right, "{secret}");
            assert!(signer.err().is_none_or(|error| !error.contains("hush")));
        }
    }
}
