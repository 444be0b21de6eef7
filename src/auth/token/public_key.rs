//! Keys that verify tokens, and the sets in which issuers publish them (RFC 7517).
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::pem::{self, Content};

/// Minimum size of an RSA key, in bits (RFC 7518 §3.3).
const RSA_BITS_MIN: usize = 2_048;
/// Maximum number of keys read from a set. Issuers publish a handful.
pub(super) const KEYS_MAX: usize = 100;
/// Maximum number of characters of a key's name in the log.
const SHOWN_MAX: usize = 60;

/// A key that verifies, and everything that follows from the key: a token cannot choose its algorithm.
#[derive(Debug, Clone)]
pub(super) struct VerifyingKey {
    /// The key's id in tokens; `None`: tokens need not name it.
    pub id: Option<String>,
    /// The algorithms of the key. Claims are judged elsewhere.
    pub validation: Validation,
    /// The key.
    pub key: DecodingKey,
}

impl VerifyingKey {
    /// A secret, for any HMAC.
    pub(super) fn secret(secret: &[u8]) -> Self {
        Self::new(None, AlgorithmFamily::Hmac.algorithms(), DecodingKey::from_secret(secret))
    }

    /// Reads all public keys in a PEM file.
    ///
    /// # Errors
    /// The reason in one line.
    pub(super) fn of_pem(text: &str) -> Result<Vec<Self>, String> {
        pem::read(text)?.into_iter().map(|content| Self::of_content(None, content)).collect()
    }

    fn new(id: Option<String>, algorithms: &[Algorithm], key: DecodingKey) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.algorithms = algorithms.to_vec();
        validation.required_spec_claims = HashSet::new();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Self { id, validation, key }
    }

    fn of_content(id: Option<String>, content: Content) -> Result<Self, String> {
        let of_point = |algorithm, point: &[u8], bytes: usize| match point {
            [4, coordinates @ ..] if coordinates.len() == bytes => {
                Ok(Self::new(id.clone(), &[algorithm], DecodingKey::from_ec_der(point)))
            }
            _ => Err("its point is not of its curve".to_owned()),
        };
        match content {
            Content::Rsa { n, e } => {
                let n = without_zeros(&n);
                let bits = (n.len() * 8).saturating_sub(n.first().map_or(0, |first| first.leading_zeros() as usize));
                if bits < RSA_BITS_MIN {
                    return Err(format!("it is RSA of {bits} bits, fewer than {RSA_BITS_MIN}"));
                }
                let key = DecodingKey::from_rsa_raw_components(n, without_zeros(&e));
                Ok(Self::new(id, AlgorithmFamily::Rsa.algorithms(), key))
            }
            Content::P256(point) => of_point(Algorithm::ES256, &point, 64),
            Content::P384(point) => of_point(Algorithm::ES384, &point, 96),
            Content::Ed25519(point) if point.len() == 32 => {
                Ok(Self::new(id, &[Algorithm::EdDSA], DecodingKey::from_ed_der(&point)))
            }
            Content::Ed25519(_) => Err("its point is not of its curve".to_owned()),
        }
    }

    /// Returns whether it verifies tokens of this algorithm.
    pub(super) fn takes(&self, algorithm: Algorithm) -> bool {
        self.validation.algorithms.contains(&algorithm)
    }

    /// Returns whether both are the same key with the same id and algorithms.
    pub(super) fn is(&self, other: &Self) -> bool {
        let is_same = match (self.key.kind(), other.key.kind()) {
            (DecodingKeyKind::SecretOrDer(one), DecodingKeyKind::SecretOrDer(other)) => one == other,
            (DecodingKeyKind::RsaModulusExponent { n, e }, DecodingKeyKind::RsaModulusExponent { n: other_n, e: other_e }) => {
                n == other_n && e == other_e
            }
            _ => false,
        };
        is_same && self.id == other.id && self.validation.algorithms == other.validation.algorithms
    }

    /// Reads a key of a set; `None` if it is not for signatures.
    fn of_jwk(value: &Value) -> Result<Option<Self>, String> {
        // Published private keys let everybody sign.
        if value.get("d").is_some_and(|private| !private.is_null()) {
            return Err("it is a private key, which the issuer has published: everybody can sign with it".to_owned());
        }
        let jwk = Jwk::deserialize(value).map_err(|error| error.to_string())?;
        let is_for_others = jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature)
            || jwk.common.key_operations.as_ref().is_some_and(|uses| !uses.contains(&KeyOperations::Verify));
        if is_for_others {
            return Ok(None);
        }
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "it is not base64url".to_owned());
        let point = |x: &str, y: &str| -> Result<Vec<u8>, String> { Ok([vec![4], bytes(x)?, bytes(y)?].concat()) };
        let content = match &jwk.algorithm {
            AlgorithmParameters::RSA(key) => Content::Rsa { n: bytes(&key.n)?, e: bytes(&key.e)? },
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => Content::P256(point(&key.x, &key.y)?),
                EllipticCurve::P384 => Content::P384(point(&key.x, &key.y)?),
                _ => return Err("it is of a curve other than P-256, P-384 and Ed25519".to_owned()),
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Content::Ed25519(bytes(&key.x)?),
            AlgorithmParameters::OctetKey(_) => {
                return Err("it is a secret, which the issuer has published: everybody can sign with it".to_owned());
            }
            _ => return Err("it is of a kind that no token is signed with here".to_owned()),
        };
        let mut key = Self::of_content(jwk.common.key_id.clone(), content)?;
        if let Some(named) = jwk.common.key_algorithm {
            let named = Algorithm::try_from(named).ok().filter(|algorithm| key.takes(*algorithm));
            let Some(algorithm) = named else { return Err("its algorithm is not one of its kind".to_owned()) };
            key.validation.algorithms = vec![algorithm];
        }
        Ok(Some(key))
    }
}

/// Strips leading zeros, which ring refuses.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The keys that an issuer has published.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    /// The valid ones.
    pub keys: Vec<VerifyingKey>,
    /// Faults of the others, a line each.
    pub complaints: Vec<String>,
}

impl KeySet {
    /// Parses a set. Invalid keys are left out.
    ///
    /// # Errors
    /// Not a set, or a set without a valid key.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys } = serde_json::from_str(text).map_err(|_| "the answer is no set of keys".to_owned())?;
        let mut set = Self::default();
        if keys.len() > KEYS_MAX {
            set.complaints.push(format!("of {} keys the first {KEYS_MAX} are looked at", keys.len()));
        }
        for value in keys.iter().take(KEYS_MAX) {
            match VerifyingKey::of_jwk(value) {
                Ok(key) => set.keys.extend(key),
                Err(reason) => {
                    let id: String =
                        value.get("kid").and_then(Value::as_str).unwrap_or_default().chars().take(SHOWN_MAX).collect();
                    set.complaints.push(format!("key {id:?} is left out: {reason}"));
                }
            }
        }
        match set.complaints.first() {
            _ if !set.keys.is_empty() => Ok(set),
            Some(first) => Err(format!("the set has no key that verifies; {first}")),
            None => Err("the set has no key that verifies".to_owned()),
        }
    }
}
