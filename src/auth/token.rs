//! JSON Web Tokens: HS256 and nothing else.
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

/// Longest token that is looked at, in bytes. Browsers and proxies cut headers at 8–16 KB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The content of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who it is for: `id`, else `userId`, else `sub`.
    pub user: UserId,
    /// Until when it counts; `None`: for ever.
    pub expires_at: Option<Timestamp>,
    /// When it was made; `None` where it does not say.
    pub issued_at: Option<Timestamp>,
    /// The login that it belongs to, for tokens of ours; a logout revokes all tokens of a login.
    pub login: Option<String>,
    /// The name under which it is revoked: the login, for a token made elsewhere the SHA-256 of the whole token in hex.
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
    /// Tells whether the token is past its `exp`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// Until when a revocation of this token's key must be kept.
    ///
    /// A login's refreshed tokens may outlive this one, by up to `ttl` from `now`.
    pub fn revoked_until(&self, now: Timestamp, ttl: Duration) -> Timestamp {
        let refreshed = self.login.as_ref().map(|_| now.plus_millis(millis_of(ttl)));
        self.expires_at.map_or(FOR_EVER, |expires_at| refreshed.map_or(expires_at, |refreshed| expires_at.max(refreshed)))
    }
}

/// 9999-12-31T23:59:59.999Z: later than any token.
const FOR_EVER: Timestamp = Timestamp::from_millis(253_402_300_799_999);

/// Why a token proves nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none, or it is empty.
    #[error("no token")]
    Missing,
    /// Malformed, not signed by us or with HS256, not valid yet, or without what it must say.
    #[error("invalid token")]
    Invalid,
    /// Past its `exp`.
    #[error("token expired")]
    Expired,
}

/// A fresh id for a login; its tokens and those refreshed from them carry it.
pub fn new_login_id() -> String {
    Uuid::now_v7().to_string()
}

/// When a login was, by its id.
fn login_time(login: &str) -> Option<Timestamp> {
    let (seconds, nanos) = Uuid::try_parse(login).ok().filter(|id| id.get_version_num() == 7)?.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(Timestamp::from_millis(millis))
}

/// The content of a token, be it true or not.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Its header.
    pub header: serde_json::Map<String, Value>,
    /// Its claims.
    pub payload: serde_json::Map<String, Value>,
    /// The place of the secret that signed it, among those that verify.
    pub signed_by: Option<usize>,
}

/// The keys that tokens are checked and made with.
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
    /// All of `secrets` verify, the first signs; `ttl` is how long the tokens that are made are valid.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S], require_exp: bool, ttl: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are checked here, against the given clock; `aud` is nobody's business in the front ends.
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

    /// Has the tokens of a login end so long after it, however often they are refreshed.
    pub fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age: (!max_age.is_zero()).then_some(max_age), ..self }
    }

    /// When the tokens of a login end for good; `None`: never.
    pub fn end_of(&self, login: &str) -> Option<Timestamp> {
        let max_age = self.max_age?;
        let begun = login_time(login)?;
        Some(begun.plus_millis(millis_of(max_age)))
    }

    /// Sets how long the tokens that are made are valid.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Checks a token's form, signature and times. What front ends put around a token, blanks, quotes, `Bearer`, does not count.
    ///
    /// # Errors
    /// [`TokenError::Expired`] only for a token that is right in all else.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let claims = self.verify_all_but_expiry(token, now)?;
        if claims.is_expired(now) { Err(TokenError::Expired) } else { Ok(claims) }
    }

    /// Checks a token as [`TokenKeys::verify`] does, but takes one that is past its time.
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

    /// Reads what a token says without believing it, and by which of the secrets it is signed; for people who look into it.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] if it is no JSON Web Token.
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

    /// Makes a token of the login `login`, which must be of [`new_login_id`] and not at its end; answers when it expires, too.
    pub fn issue(&self, user: &UserId, login: &str, role: UserRole, email: Option<&str>, now: Timestamp) -> (String, Timestamp) {
        // `exp` is in whole seconds, rounded up, so that the token lives as long as promised.
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
        // Serializing texts and numbers and signing with HMAC cannot fail; an empty token would verify nowhere.
        let token = jsonwebtoken::encode(&self.header, &claims, &self.signing).unwrap_or_default();
        (token, Timestamp::from_millis(exp.saturating_mul(1000)))
    }

    /// The payload, if one of the keys signed it.
    fn decode(&self, token: &str) -> Result<Payload, TokenError> {
        for key in &self.verifying {
            match jsonwebtoken::decode::<Payload>(token, key, &self.validation) {
                // RFC 7515 §4.1.11: extensions that must be understood, and none is.
                Ok(data) if data.header.crit.is_some() => return Err(TokenError::Invalid),
                Ok(data) => return Ok(data.claims),
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => {}
                Err(_) => return Err(TokenError::Invalid),
            }
        }
        Err(TokenError::Invalid)
    }
}

/// The content of a token of ours.
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
    /// `iat` to the millisecond: a login in the very second of a changed password is valid.
    #[serde(rename = "iatMs")]
    issued_at_ms: i64,
    exp: i64,
    jti: String,
}

/// The content that any token may have.
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
        // Elsewhere `login` may be a user's name; ours is a UUID with its time.
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

/// Seconds since the epoch, perhaps with a fraction (RFC 7519 §2).
#[derive(Clone, Copy)]
struct NumericDate(Timestamp);

impl NumericDate {
    /// Rounded to milliseconds; what is out of range is the nearest that is not.
    fn from_seconds(seconds: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
        let millis = (seconds * 1000.0).round() as i64;
        Self(Timestamp::from_millis(millis))
    }
}

/// Takes a number; unlike for other claims, `null` is malformed: it must not make a token eternal.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<NumericDate>, D::Error> {
    f64::deserialize(deserializer).map(|seconds| Some(NumericDate::from_seconds(seconds)))
}

/// A text as it is; an integer from 0 to 2^53 − 1 as its decimal text.
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

/// SHA-256 in hex. One token has one spelling: base64 with stray bits is refused, header and payload are signed as text.
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

/// A token without what front ends put around it: blanks, quotes, the scheme `Bearer`.
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
