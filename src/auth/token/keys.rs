//! Signing and verifying tokens.
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::bare::{MAX_TOKEN_BYTES, bare_token};
use super::cache::{Fingerprint, Verified};
use super::claims::{ClaimRules, Claims, Maker, Payload, TokenError, login_time, millis_of};
use super::crypto;
use super::issuers::{Answer, Asking, IssuerFigures, Issuers, News, Source};
use super::public_key::VerifyingKey;
use super::trust::{Trust, TrustError};
use crate::config::Audience;
use crate::model::{Timestamp, UserId, UserRole};

/// Returns a fresh id of a login; its tokens, and those refreshed from them, carry it.
pub fn new_login_id() -> String {
    Uuid::now_v7().to_string()
}

/// The keys with which tokens are verified and signed, and the rules for their claims.
pub struct TokenKeys {
    pub(super) secrets: Vec<VerifyingKey>,
    pub(super) rules: ClaimRules,
    issuers: RwLock<Issuers>,
    /// Tokens verified by public keys. Not those of secrets: a fingerprint costs as much as their signature.
    verified: Mutex<Verified>,
    signing: EncodingKey,
    header: Header,
    ttl: Duration,
    max_age: Option<Duration>,
}

impl TokenKeys {
    /// All of `secrets` verify, the first one signs; `ttl` is the lifetime of issued tokens.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S], require_exp: bool, ttl: Duration) -> Self {
        crypto::install();
        let first = secrets.first().map(AsRef::as_ref).unwrap_or_default();
        Self {
            secrets: secrets.iter().map(|secret| VerifyingKey::secret(secret.as_ref())).collect(),
            rules: ClaimRules::new(require_exp),
            issuers: RwLock::default(),
            verified: Mutex::default(),
            signing: EncodingKey::from_secret(first),
            header: Header::new(Algorithm::HS256),
            ttl,
            max_age: None,
        }
    }

    /// Trusts other issuers, too.
    ///
    /// # Errors
    /// Settings that are impossible, or that leave open which tokens are for this app.
    pub fn trusting(mut self, trust: &Trust) -> Result<Self, TrustError> {
        self.issuers = RwLock::new(Issuers::new(trust.sources()?));
        let user_claims = if trust.user_claims.is_empty() { self.rules.user_claims } else { trust.user_claims.clone() };
        let audience = match &trust.audience {
            Audience::Unset | Audience::Any => None,
            Audience::OneOf(audiences) => Some(audiences.clone()),
        };
        let (issuers, leeway) = (trust.issuers.clone(), trust.leeway);
        self.rules = ClaimRules { audience, issuers, leeway, user_claims, ..self.rules };
        Ok(self)
    }

    /// Limits the age of logins: their tokens expire by then, however often they are refreshed.
    pub fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age: (!max_age.is_zero()).then_some(max_age), ..self }
    }

    /// Accepts our tokens of guests, and no other of an id that begins like theirs.
    pub fn with_guests(mut self, has_guests: bool) -> Self {
        self.rules.has_guests = has_guests;
        self
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

    /// Verifies a token's form, signature, claims and times. Blanks, quotes and `Bearer` around the token, which front
    /// ends add, are ignored.
    ///
    /// # Errors
    /// [`TokenError::Expired`] only if nothing else is wrong; [`TokenError::KeyUnknown`] if an issuer must be asked
    /// first ([`TokenKeys::issuers_due`]).
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
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        if has_tricks(&header) {
            return Err(TokenError::Invalid);
        }
        match header.alg.family() {
            AlgorithmFamily::Hmac => self.verify_by_secret(token, now),
            _ => self.verify_by_issuer(token, &header, now),
        }
    }

    fn verify_by_secret(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let payload = self.secrets.iter().find_map(|secret| decode(token, secret)).ok_or(TokenError::Invalid)?;
        payload.judge(&self.rules, Maker::Secret, || hex(&fingerprint_of(token)), now)
    }

    fn verify_by_issuer(&self, token: &str, header: &Header, now: Timestamp) -> Result<Claims, TokenError> {
        let issuers = self.issuers();
        if issuers.is_empty() {
            return Err(TokenError::Invalid);
        }
        let fingerprint = fingerprint_of(token);
        if let Some((source, claims)) = self.verified().find(&fingerprint)
            && issuers.is_good(source, now)
        {
            return Ok(claims);
        }
        // Not verified yet: used only to select the keys to try.
        let claimed = unverified(token).ok_or(TokenError::Invalid)?;
        let (source, payload) = issuers.verify(header, claimed.issuer(), now, |key| decode(token, key))?;
        let claims = payload.judge(&self.rules, Maker::Issuer, || hex(&fingerprint), now)?;
        self.verified().keep(fingerprint, source, claims.clone());
        Ok(claims)
    }

    /// Returns whether any keys must be read while the server runs.
    pub fn asks_issuers(&self) -> bool {
        self.issuers().all().any(Source::is_asked_for_keys)
    }

    /// Lists the sources of keys that must be read now; each waits for [`TokenKeys::issuer_answered`].
    pub fn issuers_due(&self, now: Timestamp) -> Vec<Asking> {
        self.issuers.write().unwrap_or_else(PoisonError::into_inner).due(now)
    }

    /// Takes the answer of a source that was due; returns its news.
    pub fn issuer_answered(&self, source: usize, answer: Result<Answer, String>, now: Timestamp) -> News {
        let news = self.issuers.write().unwrap_or_else(PoisonError::into_inner).answered(source, answer, now);
        if let News::Changed { .. } = news {
            self.verified().forget(source);
        }
        news
    }

    /// Returns whether any keys are being read.
    pub fn is_asking_issuers(&self) -> bool {
        self.issuers().is_asking()
    }

    /// Returns figures of the sources of keys.
    pub fn issuer_figures(&self, now: Timestamp) -> Vec<IssuerFigures> {
        self.issuers().figures(now)
    }

    pub(super) fn issuers(&self) -> RwLockReadGuard<'_, Issuers> {
        self.issuers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn verified(&self) -> MutexGuard<'_, Verified> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
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
}

/// Returns whether a header refers to a key elsewhere, contains its own key, or has critical extensions, of which we
/// understand none (RFC 7515 §4.1).
fn has_tricks(header: &Header) -> bool {
    header.crit.is_some() || header.jku.is_some() || header.x5u.is_some() || header.jwk.is_some()
}

/// Returns the payload of a token, if this key signed it with one of the key's own algorithms.
pub(super) fn decode(token: &str, key: &VerifyingKey) -> Option<Payload> {
    jsonwebtoken::decode::<Payload>(token, &key.key, &key.validation).ok().map(|data| data.claims)
}

/// Returns the payload of a token, authentic or not.
pub(super) fn unverified(token: &str) -> Option<Payload> {
    let mut parts = token.split('.');
    let (_, payload) = (parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
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

fn fingerprint_of(token: &str) -> Fingerprint {
    Sha256::digest(token.as_bytes()).into()
}

fn hex(digest: &[u8]) -> Box<str> {
    let mut hex = String::with_capacity(64);
    for byte in digest {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.into_boxed_str()
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
