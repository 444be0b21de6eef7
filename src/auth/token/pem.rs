//! Public keys in PEM files (RFC 7468): `PUBLIC KEY` and `RSA PUBLIC KEY`.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The content of one public key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Modulus and exponent.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A point on P-256, uncompressed.
    P256(Vec<u8>),
    /// A point on P-384, uncompressed.
    P384(Vec<u8>),
    /// A point on Curve25519, for signatures.
    Ed25519(Vec<u8>),
}

/// Object identifiers, encoded (RFC 8017 A.1, RFC 5480 §2.1.1, RFC 8410 §3).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// Tags of DER.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// Reads all keys of a PEM file.
///
/// # Errors
/// The reason in one line; also for a file without keys.
pub(super) fn read(text: &str) -> Result<Vec<Content>, String> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, begun) = begun.split_once("-----").ok_or("breaks off within a line")?;
        let end = format!("-----END {label}-----");
        let (body, behind) = begun.split_once(&end).ok_or_else(|| format!("has no line {end}"))?;
        let bare: String = body.split_ascii_whitespace().collect();
        let der = || STANDARD.decode(&bare).map_err(|_| format!("{label}: is no base64"));
        keys.push(match label {
            "PUBLIC KEY" => subject_public_key(&der()?).ok_or("PUBLIC KEY: is none of RSA, P-256, P-384 or Ed25519")?,
            "RSA PUBLIC KEY" => rsa_public_key(&der()?).ok_or("RSA PUBLIC KEY: is damaged")?,
            "CERTIFICATE" => {
                return Err("has a certificate; its key alone is wanted: `openssl x509 -pubkey -noout -in FILE`".to_owned());
            }
            label if label.contains("PRIVATE KEY") => {
                return Err(
                    "has a private key, which nobody but the issuer should have; its public one is wanted: `openssl pkey -pubout -in FILE`"
                        .to_owned(),
                );
            }
            other => return Err(format!("has {other:?}; a PUBLIC KEY is wanted")),
        });
        rest = behind;
    }
    if keys.is_empty() { Err("has no -----BEGIN PUBLIC KEY-----".to_owned()) } else { Ok(keys) }
}

/// `SubjectPublicKeyInfo` (RFC 5280 §4.1).
fn subject_public_key(der: &[u8]) -> Option<Content> {
    let info = only(der, SEQUENCE)?;
    let (algorithm, rest) = take(info, SEQUENCE)?;
    let key = only(rest, BIT_STRING)?.strip_prefix(&[0])?;
    let (object, parameters) = take(algorithm, OBJECT)?;
    match object {
        RSA => rsa_public_key(key),
        EC => match only(parameters, OBJECT)? {
            P256 => Some(Content::P256(key.to_vec())),
            P384 => Some(Content::P384(key.to_vec())),
            _ => None,
        },
        ED25519 => Some(Content::Ed25519(key.to_vec())),
        _ => None,
    }
}

/// `RSAPublicKey` (RFC 8017 A.1.1).
fn rsa_public_key(der: &[u8]) -> Option<Content> {
    let numbers = only(der, SEQUENCE)?;
    let (n, rest) = take(numbers, INTEGER)?;
    let e = only(rest, INTEGER)?;
    Some(Content::Rsa { n: n.to_vec(), e: e.to_vec() })
}

/// Returns the only value in `der`.
fn only(der: &[u8], tag: u8) -> Option<&[u8]> {
    take(der, tag).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// Splits `der` into its first value and the rest.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().try_fold(0_usize, |length, byte| length.checked_mul(256)?.checked_add(usize::from(*byte)))?, rest)
        }
        _ => return None,
    };
    if found == tag { rest.split_at_checked(length) } else { None }
}
