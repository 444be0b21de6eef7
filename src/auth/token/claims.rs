//! Claims of a token, and the rules for accepting them.
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::model::limits::INTEGER_MAX;
use crate::model::{Timestamp, UserId};

/// The content of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The user: the first claim of `JWT_USER_CLAIM` that is present.
    pub user: UserId,
    /// Time of expiry, including `JWT_LEEWAY` for foreign tokens; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Time of issue; `None` if the token does not say.
    pub issued_at: Option<Timestamp>,
    /// The login that it belongs to, if we issued it; a logout revokes all tokens of a login.
    pub login: Option<String>,
    /// Key under which it is revoked: the login, or for a foreign token the SHA-256 of the whole token in hex.
    pub revocation_key: Box<str>,
    /// `username`, `preferred_username` or `name`, for provisioning.
    pub username: Option<String>,
    /// `fullName`, or `name` where that is not the username, for provisioning.
    pub full_name: Option<String>,
    /// `email`, for provisioning.
    pub email: Option<String>,
    /// `role`, for provisioning.
    pub role: Option<String>,
}

impl Claims {
    /// Makes claims that tell nothing but whose they are; `revocation_key`: see the field.
    pub fn of(user: UserId, revocation_key: impl Into<Box<str>>) -> Self {
        Self {
            user,
            expires_at: None,
            issued_at: None,
            login: None,
            revocation_key: revocation_key.into(),
            username: None,
            full_name: None,
            email: None,
            role: None,
        }
    }

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
pub(super) const FOR_EVER: Timestamp = Timestamp::from_millis(253_402_300_799_999);

/// Reason for not accepting a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no token, or it is empty.
    #[error("no token")]
    Missing,
    /// Malformed, not signed by a key of its issuer, for another audience, not yet valid, or without a required claim.
    #[error("invalid token")]
    Invalid,
    /// Past its `exp`.
    #[error("token expired")]
    Expired,
    /// Signed by an unknown key, which its issuer may have; to be verified again once the issuer was asked.
    #[error("key not known yet")]
    KeyUnknown,
}

/// The signer of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// A holder of one of our secrets: this server, or another one that has it, too.
    Secret,
    /// A holder of the private key to one of our public keys.
    Issuer,
}

/// Settings for judging claims.
#[derive(Debug, Clone)]
pub(super) struct ClaimRules {
    /// `REQUIRE_EXP`
    pub require_exp: bool,
    /// `JWT_AUDIENCE`; `None`: any.
    pub audience: Option<Vec<String>>,
    /// `JWT_ISSUER`, for tokens signed by a secret; empty: any.
    pub issuers: Vec<String>,
    /// `JWT_LEEWAY`
    pub leeway: Duration,
    /// `JWT_USER_CLAIM`
    pub user_claims: Vec<String>,
    /// `ANONYMOUS_USERS`: then nobody else's token may name a guest.
    pub has_guests: bool,
}

impl ClaimRules {
    /// Rules that accept any audience and any issuer, without leeway.
    pub(super) fn new(require_exp: bool) -> Self {
        let user_claims = crate::config::USER_CLAIMS.iter().map(|name| (*name).to_owned()).collect();
        Self { require_exp, audience: None, issuers: Vec::new(), leeway: Duration::ZERO, user_claims, has_guests: false }
    }
}

/// Returns whether two names mean the same issuer; providers and settings differ in a final slash.
pub(super) fn is_same_issuer(one: &str, other: &str) -> bool {
    one.strip_suffix('/').unwrap_or(one) == other.strip_suffix('/').unwrap_or(other)
}

/// The claims of any token. Duplicate claims are refused, because readers differ in which one they take.
#[derive(Debug, Clone, Default)]
pub(super) struct Payload(pub Map<String, Value>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;

        impl<'de> Visitor<'de> for Once {
            type Value = Payload;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Payload, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = entries.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("a claim stands twice"));
                    }
                }
                Ok(Payload(claims))
            }
        }

        deserializer.deserialize_map(Once)
    }
}

impl Payload {
    /// Returns the issuer, as spelt in the token.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// Judges all claims except the expiry; `fingerprint` is the token's SHA-256 in hex.
    ///
    /// # Errors
    /// [`TokenError::Invalid`]
    pub(super) fn judge(
        &self,
        rules: &ClaimRules,
        maker: Maker,
        fingerprint: impl FnOnce() -> Box<str>,
        now: Timestamp,
    ) -> Result<Claims, TokenError> {
        let login = self.login(maker);
        let leeway_ms = if login.is_some() { 0 } else { millis_of(rules.leeway) };
        let (expires_at, begins_at) = (self.date("exp")?, self.date("nbf")?);
        if begins_at.is_some_and(|begins_at| begins_at > now.plus_millis(leeway_ms))
            || (rules.require_exp && expires_at.is_none())
        {
            return Err(TokenError::Invalid);
        }
        // Tokens that we issue contain neither.
        if login.is_none() && !(self.is_for(rules) && (maker == Maker::Issuer || self.is_by_one_of(&rules.issuers))) {
            return Err(TokenError::Invalid);
        }
        let user = self.user(&rules.user_claims)?;
        let is_refused = if rules.has_guests { user.begins_as_guest() && login.is_none() } else { user.is_guest() };
        if is_refused {
            return Err(TokenError::Invalid);
        }
        let exact_ms = login.and_then(|_| self.0.get("iatMs")?.as_i64());
        let issued_at = || self.0.get("iat")?.as_f64().map(timestamp_of);
        let named = self.text("username").or_else(|| self.text("preferred_username"));
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Claims {
            user,
            expires_at: expires_at.map(|expires_at| expires_at.plus_millis(leeway_ms)),
            issued_at: exact_ms.map(Timestamp::from_millis).or_else(issued_at),
            revocation_key: login.map_or_else(fingerprint, Box::from),
            login: owned(login),
            username: owned(named.or_else(|| self.text("name"))),
            full_name: owned(self.text("fullName").or_else(|| named.and_then(|_| self.text("name")))),
            email: owned(self.text("email")),
            role: owned(self.text("role")),
        })
    }

    /// Returns whether it names an accepted audience.
    pub(super) fn is_for(&self, rules: &ClaimRules) -> bool {
        let Some(wanted) = &rules.audience else { return true };
        let is_wanted =
            |audience: &Value| audience.as_str().is_some_and(|audience| wanted.iter().any(|wanted| wanted == audience));
        match self.0.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_wanted),
            Some(audience) => is_wanted(audience),
            None => false,
        }
    }

    /// Returns whether it names one of these issuers; an empty list accepts any.
    pub(super) fn is_by_one_of(&self, issuers: &[String]) -> bool {
        issuers.is_empty() || self.issuer().is_some_and(|issuer| issuers.iter().any(|known| is_same_issuer(known, issuer)))
    }

    /// Returns the login of a token that we issued. In foreign tokens `login` may be a user's name; ours is a UUID with
    /// its time, in tokens signed by a secret.
    pub(super) fn login(&self, maker: Maker) -> Option<&str> {
        self.text("login").filter(|login| maker == Maker::Secret && login_time(login).is_some())
    }

    /// Finds the first present claim of these names, with its name.
    pub(super) fn user_claim<'a>(&self, names: &'a [String]) -> Option<(&'a str, &Value)> {
        names.iter().find_map(|name| Some((name.as_str(), self.find(name).filter(|value| !value.is_null())?)))
    }

    fn user(&self, names: &[String]) -> Result<UserId, TokenError> {
        self.user_claim(names).and_then(|(_, value)| user_of(value)).ok_or(TokenError::Invalid)
    }

    /// Finds a claim by name. If there is none, a dot leads into an object: `user.id`.
    fn find(&self, name: &str) -> Option<&Value> {
        self.0.get(name).or_else(|| {
            let (object, below) = name.split_once('.')?;
            self.0.get(object)?.get(below)
        })
    }

    /// Finds a text that is not empty.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Parses seconds since the epoch, possibly fractional (RFC 7519 §2). Unlike in other claims, `null` is malformed:
    /// it must not make a token eternal.
    fn date(&self, name: &str) -> Result<Option<Timestamp>, TokenError> {
        let date = |value: &Value| value.as_f64().map(timestamp_of).ok_or(TokenError::Invalid);
        self.0.get(name).map(date).transpose()
    }
}

/// Returns the time of a login, which its id contains.
pub(super) fn login_time(login: &str) -> Option<Timestamp> {
    let (seconds, nanos) = Uuid::try_parse(login).ok().filter(|id| id.get_version_num() == 7)?.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(Timestamp::from_millis(millis))
}

/// Rounds to milliseconds; out-of-range values become the nearest one in range.
pub(super) fn timestamp_of(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
    let millis = (seconds * 1000.0).round() as i64;
    Timestamp::from_millis(millis)
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

pub(super) fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
