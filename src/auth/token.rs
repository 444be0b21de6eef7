//! JSON Web Tokens, HS256 only.
use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::limits::INTEGER_MAX;
use crate::model::{Timestamp, UserId, UserRole};

/// Longest token accepted, in bytes. Browsers and proxies cut headers at 8–16 KB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The content of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The user: `id`, else `userId`, else `sub`.
    pub user: UserId,
    /// Time of expiry; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Time of issue; `None` if the token does not say.
    pub issued_at: Option<Timestamp>,
    /// The login that it belongs to, if we issued it; a logout revokes all tokens of a login.
    pub login: Option<String>,
    /// Key under which it is revoked: the login, or for a foreign token the SHA-256 of the whole token in hex.
    pub revocation_key: Box<str>,
    /// `username` or `name`, for provisioning.
    pub username: Option<String>,
    /// `fullName`, for provisioning.
    pub full_name: Option<String>,
    /// `email`, for provisioning.
    pub email: Option<String>,
    /// `role`, for provisioning.
    pub role: Option<String>,
}

impl Claims {
    /// Returns whether the token is past its `exp`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// Returns the time until which a revocation of this token's key must be kept.
    ///
    /// Refreshed tokens of the same login may outlive this one, by up to `ttl` from `now`.
    pub fn revoked_until(&self, now: Timestamp, ttl: Duration) -> Timestamp {
        let refreshed = self.login.as_ref().map(|_| now.plus_millis(millis_of(ttl)));
        self.expires_at.map_or(FOR_EVER, |expires_at| refreshed.map_or(expires_at, |refreshed| expires_at.max(refreshed)))
    }
}

/// 9999-12-31T23:59:59.999Z: later than any token.
const FOR_EVER: Timestamp = Timestamp::from_millis(253_402_300_799_999);

/// Reason for not accepting a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no token, or it is empty.
    #[error("no token")]
    Missing,
    /// Malformed, not signed by us, not HS256, not yet valid, or without a required claim.
    #[error("invalid token")]
    Invalid,
    /// Past its `exp`.
    #[error("token expired")]
    Expired,
}

/// Returns a fresh id of a login; its tokens, and those refreshed from them, carry it.
pub fn new_login_id() -> String {
    Uuid::now_v7().to_string()
}

/// Returns the time of a login, which its id contains.
fn login_time(login: &str) -> Option<Timestamp> {
    let (seconds, nanos) = Uuid::try_parse(login).ok().filter(|id| id.get_version_num() == 7)?.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(Timestamp::from_millis(millis))
}

/// The content of a token, authentic or not.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Its header.
    pub header: serde_json::Map<String, Value>,
    /// Its claims.
    pub payload: serde_json::Map<String, Value>,
    /// Index of the secret that signed it, if it is one of ours.
    pub signed_by: Option<usize>,
}

/// The keys with which tokens are verified and signed.
pub struct TokenKeys {
    verifying: Vec<DecodingKey>,
    signing: EncodingKey,
    validation: Validation,
    header: Header,
    require_exp: bool,
    ttl: Duration,
    max_age: Option<Duration>,
}

impl TokenKeys {
    /// All of `secrets` verify, the first one signs; `ttl` is the lifetime of issued tokens.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S], require_exp: bool, ttl: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are checked by us, against a given clock; front ends do not use `aud`.
        validation.required_spec_claims = HashSet::new();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let first = secrets.first().map(AsRef::as_ref).unwrap_or_default();
        Self {
            verifying: secrets.iter().map(|secret| DecodingKey::from_secret(secret.as_ref())).collect(),
            signing: EncodingKey::from_secret(first),
            validation,
            header: Header::new(Algorithm::HS256),
            require_exp,
            ttl,
            max_age: None,
        }
    }

    /// Limits the age of logins: their tokens expire by then, however often they are refreshed.
    pub fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age: (!max_age.is_zero()).then_some(max_age), ..self }
    }

    /// Returns the time at which the tokens of a login expire for good; `None`: never.
    pub fn end_of(&self, login: &str) -> Option<Timestamp> {
        let max_age = self.max_age?;
        let begun = login_time(login)?;
        Some(begun.plus_millis(millis_of(max_age)))
    }

    /// Returns the lifetime of issued tokens.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Verifies a token's form, signature and times. Blanks, quotes and `Bearer` around the token, which front ends
    /// add, are ignored.
    ///
    /// # Errors
    /// [`TokenError::Expired`] only if nothing else is wrong.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let claims = self.verify_all_but_expiry(token, now)?;
        if claims.is_expired(now) { Err(TokenError::Expired) } else { Ok(claims) }
    }

    /// Verifies a token as [`TokenKeys::verify`] does, but accepts an expired one.
    ///
    /// # Errors
    /// Never [`TokenError::Expired`].
    pub fn verify_all_but_expiry(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let token = bare_token(token);
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let payload = self.decode(token)?;
        if payload.nbf.is_some_and(|nbf| nbf.0 > now) || (self.require_exp && payload.exp.is_none()) {
            return Err(TokenError::Invalid);
        }
        payload.into_claims(token)
    }

    /// Reads a token without believing it, and finds the secret that signed it; for diagnosis.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] if it is not a JSON Web Token.
    pub fn examine(&self, token: &str) -> Result<Examined, TokenError> {
        let token = bare_token(token);
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(TokenError::Invalid);
        };
        let read = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes).ok()
        };
        let is_signed_by = |key: &DecodingKey| jsonwebtoken::decode::<Value>(token, key, &self.validation).is_ok();
        Ok(Examined {
            header: read(header).ok_or(TokenError::Invalid)?,
            payload: read(payload).ok_or(TokenError::Invalid)?,
            signed_by: self.verifying.iter().position(is_signed_by),
        })
    }

    /// Issues a token for the login `login`, an id from [`new_login_id`] whose end is not reached; returns the token
    /// and its expiry.
    pub fn issue(&self, user: &UserId, login: &str, role: UserRole, email: Option<&str>, now: Timestamp) -> (String, Timestamp) {
        // `exp` is in whole seconds; rounded up, so that the token lives as long as promised.
        let expires_at = now.plus_millis(millis_of(self.ttl));
        let expires_at = self.end_of(login).map_or(expires_at, |end| expires_at.min(end));
        let exp = expires_at.as_millis().saturating_add(999).div_euclid(1000);
        let claims = Issued {
            id: user.as_str(),
            user_id: user.as_str(),
            sub: user.as_str(),
            login,
            role: role.as_str(),
            email,
            iat: now.as_millis().div_euclid(1000),
            issued_at_ms: now.as_millis(),
            exp,
            jti: Uuid::now_v7().to_string(),
        };
        // Serializing texts and numbers and signing with HMAC cannot fail; an empty token would never verify.
        let token = jsonwebtoken::encode(&self.header, &claims, &self.signing).unwrap_or_default();
        (token, Timestamp::from_millis(exp.saturating_mul(1000)))
    }

    /// Returns the payload, if one of the keys signed it.
    fn decode(&self, token: &str) -> Result<Payload, TokenError> {
        for key in &self.verifying {
            match jsonwebtoken::decode::<Payload>(token, key, &self.validation) {
                // RFC 7515 §4.1.11: we understand none of the critical extensions.
                Ok(data) if data.header.crit.is_some() => return Err(TokenError::Invalid),
                Ok(data) => return Ok(data.claims),
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => {}
                Err(_) => return Err(TokenError::Invalid),
            }
        }
        Err(TokenError::Invalid)
    }
}

/// The payload of a token that we issue.
#[derive(Serialize)]
struct Issued<'a> {
    id: &'a str,
    #[serde(rename = "userId")]
    user_id: &'a str,
    sub: &'a str,
    login: &'a str,
    role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    iat: i64,
    /// `iat` in milliseconds: a login within the same second as a password change must stay valid.
    #[serde(rename = "iatMs")]
    issued_at_ms: i64,
    exp: i64,
    jti: String,
}

/// The payload of any token.
#[derive(Deserialize)]
struct Payload {
    id: Option<Value>,
    #[serde(rename = "userId")]
    user_id: Option<Value>,
    sub: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    exp: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    iat: Option<Value>,
    #[serde(rename = "iatMs")]
    issued_at_ms: Option<Value>,
    login: Option<Value>,
    username: Option<Value>,
    name: Option<Value>,
    #[serde(rename = "fullName")]
    full_name: Option<Value>,
    email: Option<Value>,
    role: Option<Value>,
}

impl Payload {
    fn into_claims(self, token: &str) -> Result<Claims, TokenError> {
        let Self { id, user_id, sub, exp, nbf: _, iat, issued_at_ms, login, username, name, full_name, email, role } = self;
        let user = id.or(user_id).or(sub).as_ref().and_then(user_of).ok_or(TokenError::Invalid)?;
        // In foreign tokens `login` may be a user's name; ours is a UUID with its time.
        let login = text_of(login).filter(|text| login_time(text).is_some());
        let exact_ms = issued_at_ms.filter(|_| login.is_some()).and_then(|value| value.as_i64());
        Ok(Claims {
            user,
            expires_at: exp.map(|exp| exp.0),
            issued_at: exact_ms
                .map(Timestamp::from_millis)
                .or_else(|| iat.and_then(|iat| iat.as_f64()).map(|seconds| NumericDate::from_seconds(seconds).0)),
            revocation_key: login.as_deref().map_or_else(|| fingerprint_of(token), Box::from),
            login,
            username: text_of(username).or_else(|| text_of(name)),
            full_name: text_of(full_name),
            email: text_of(email),
            role: text_of(role),
        })
    }
}

/// Seconds since the epoch, possibly fractional (RFC 7519 §2).
#[derive(Clone, Copy)]
struct NumericDate(Timestamp);

impl NumericDate {
    /// Rounds to milliseconds; out-of-range values become the nearest one in range.
    fn from_seconds(seconds: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
        let millis = (seconds * 1000.0).round() as i64;
        Self(Timestamp::from_millis(millis))
    }
}

/// Parses a number. Unlike in other claims, `null` is malformed: it must not make a token eternal.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<NumericDate>, D::Error> {
    f64::deserialize(deserializer).map(|seconds| Some(NumericDate::from_seconds(seconds)))
}

/// Returns a text as it is; an integer from 0 to 2^53 − 1 as decimal text.
fn user_of(value: &Value) -> Option<UserId> {
    match value {
        Value::String(text) => UserId::parse(text).ok(),
        Value::Number(number) => {
            let integer = number.as_u64().filter(|integer| *integer <= INTEGER_MAX)?;
            UserId::parse(&integer.to_string()).ok()
        }
        _ => None,
    }
}

fn text_of(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Returns the SHA-256 in hex. A token has only one spelling: stray bits in base64 are refused, and header and payload
/// are signed as text.
fn fingerprint_of(token: &str) -> Box<str> {
    let digest = Sha256::digest(token.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in digest {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.into_boxed_str()
}

fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Strips what front ends put around a token: blanks, quotes, the scheme `Bearer`.
pub(super) fn bare_token(text: &str) -> &str {
    let mut bare = text.trim();
    loop {
        let unquoted = bare.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let credentials = bare.get(.."bearer ".len()).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        let inner = unquoted.or_else(|| bare.get(credentials?.len()..));
        match inner {
            Some(inner) => bare = inner.trim(),
            None => return bare,
        }
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
