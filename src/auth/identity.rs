//! Finds tokens in requests, and decides whether their users are let in.
use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::error::AuthError;
use super::revocation::Revocations;
use super::token::bare_token;
use super::token::{Claims, TokenError};
use crate::model::{Account, Timestamp};

/// Part of a request that held a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenPlace {
    /// The `token` key of the CONNECT packet's `auth`.
    Auth,
    /// `Authorization: Bearer …`
    Bearer,
    /// The cookie `token`.
    Cookie,
    /// `?token=`
    Query,
}

/// A token that is not verified yet.
#[derive(Clone, PartialEq, Eq)]
pub struct FoundToken {
    /// The token; never empty.
    pub text: Box<str>,
    /// The part of the request that held it.
    pub place: TokenPlace,
}

impl std::fmt::Debug for FoundToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FoundToken").field("place", &self.place).finish_non_exhaustive()
    }
}

impl FoundToken {
    /// Makes a token of a text of `auth`; `None` if it is empty.
    pub fn of_auth(text: &str) -> Option<Self> {
        Self::new(text, TokenPlace::Auth)
    }

    fn new(text: &str, place: TokenPlace) -> Option<Self> {
        let text = bare_token(text);
        (!text.is_empty()).then(|| Self { text: text.into(), place })
    }
}

/// Parts of an HTTP request that can hold a token, be it an API call or a socket's handshake.
#[derive(Clone, Copy, Default)]
pub struct RequestTokens<'a> {
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The header `Cookie`; `None` if the origin may not use cookies.
    pub cookie: Option<&'a str>,
    /// The query string; `None` unless `ALLOW_QUERY_TOKEN`.
    pub query: Option<&'a str>,
}

impl RequestTokens<'_> {
    /// Returns the first token: bearer, cookie, query. Empty ones and other authorization schemes are skipped.
    pub fn find(&self) -> Option<FoundToken> {
        let bearer = self.authorization.and_then(bearer_of);
        bearer
            .and_then(|text| FoundToken::new(text, TokenPlace::Bearer))
            .or_else(|| FoundToken::new(&self.cookie.and_then(cookie_token)?, TokenPlace::Cookie))
            .or_else(|| FoundToken::new(&self.query.and_then(query_token)?, TokenPlace::Query))
    }
}

/// Returns the token of a CONNECT packet: the `token` key of `auth` if there is one, else the token of the handshake.
///
/// # Errors
/// [`TokenError::Missing`] if the key is `null` or empty, or there is no token at all; [`TokenError::Invalid`] if it is
/// not a string.
pub fn find_connect_token(auth: Option<&RawValue>, handshake: Option<&FoundToken>) -> Result<FoundToken, TokenError> {
    // Without an object there is no key. The last of repeated keys counts, as in JavaScript.
    let keys = auth.and_then(|auth| serde_json::from_str::<HashMap<Cow<'_, str>, &RawValue>>(auth.get()).ok());
    match keys.as_ref().and_then(|keys| keys.get("token")) {
        Some(value) => match serde_json::from_str::<Option<String>>(value.get()) {
            Ok(text) => FoundToken::new(&text.unwrap_or_default(), TokenPlace::Auth).ok_or(TokenError::Missing),
            Err(_) => Err(TokenError::Invalid),
        },
        None => handshake.cloned().ok_or(TokenError::Missing),
    }
}

/// Checks whether the user of a verified token may connect, or stay connected.
///
/// # Errors
/// [`AuthError::TokenExpired`] past `exp`; [`AuthError::InvalidToken`] after its logout or a later change of the password
/// (a token without `iat` counts as older); [`AuthError::UserNotFound`] if the account was deleted;
/// [`AuthError::AccountDisabled`].
pub fn check(claims: &Claims, account: &Account, revoked: &Revocations, now: Timestamp) -> Result<(), AuthError> {
    if account.is_deleted {
        return Err(AuthError::UserNotFound);
    }
    if claims.is_expired(now) {
        return Err(AuthError::TokenExpired);
    }
    if revoked.has(claims) || is_older_than_password(claims, account) {
        return Err(AuthError::InvalidToken);
    }
    if account.disabled { Err(AuthError::AccountDisabled) } else { Ok(()) }
}

fn is_older_than_password(claims: &Claims, account: &Account) -> bool {
    let Some(valid_from) = account.tokens_valid_from else { return false };
    let is_kept = claims.login.is_some() && claims.login == account.kept_login;
    !is_kept && claims.issued_at.is_none_or(|issued_at| issued_at < valid_from)
}

/// Returns the credentials of `Bearer …`; the scheme is case-insensitive (RFC 9110 §11.1).
fn bearer_of(authorization: &str) -> Option<&str> {
    let (scheme, credentials) = authorization.trim_start().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credentials.trim())
}

/// Returns the cookie `token`: the first non-empty one, unquoted and percent-decoded, as browsers' libraries encode it.
fn cookie_token(header: &str) -> Option<Cow<'_, str>> {
    header.split(';').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| name.trim() == "token").find_map(|(_, value)| {
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        percent_decode_str(unquoted).decode_utf8().ok().filter(|text| !text.is_empty())
    })
}

/// Returns the query's `token`. Tokens have no spaces, so `+` needs no decoding.
fn query_token(query: &str) -> Option<Cow<'_, str>> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == "token").find_map(|(_, value)| percent_decode_str(value).decode_utf8().ok())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{ChosenStatus, Profile, UserId, UserRole};

    fn found(authorization: Option<&str>, cookie: Option<&str>, query: Option<&str>) -> Option<(String, TokenPlace)> {
        let token = RequestTokens { authorization, cookie, query }.find()?;
        Some((token.text.into(), token.place))
    }

    #[test]
    fn requests_are_searched_in_order() {
        use TokenPlace::{Bearer, Cookie, Query};
        for (authorization, cookie, query, expected) in [
            (Some("Bearer a"), Some("token=b"), Some("token=c"), Some(("a", Bearer))),
            (Some("bearer   a "), None, None, Some(("a", Bearer))),
            (Some("Basic eDp5"), Some("token=b"), None, Some(("b", Cookie))),
            (Some("Bearer "), Some("token=b"), None, Some(("b", Cookie))),
            (Some("Bearer"), None, Some("x=1&token=c"), Some(("c", Query))),
            (None, Some("a=1; token=b%2Ec; c=2"), None, Some(("b.c", Cookie))),
            (None, Some("token=\"b\""), None, Some(("b", Cookie))),
            (None, Some("token=; token=b"), None, Some(("b", Cookie))),
            (None, Some("xtoken=b; Token=b; token"), None, None),
            (None, Some("token=%ff"), None, None),
            (None, None, Some("token=&tokens=1"), None),
            (None, None, None, None),
        ] {
            let expected = expected.map(|(text, place)| (text.to_owned(), place));
            assert_eq!(found(authorization, cookie, query), expected, "{authorization:?} {cookie:?} {query:?}");
        }
    }

    #[test]
    fn the_key_of_a_connect_packet_is_final() {
        let handshake = FoundToken::new("h", TokenPlace::Cookie);
        for (auth, expected) in [
            (None, Ok("h")),
            (Some("{}"), Ok("h")),
            (Some("null"), Ok("h")),
            (Some("[1]"), Ok("h")),
            (Some("\"token\""), Ok("h")),
            (Some(r#"{"Token":"x"}"#), Ok("h")),
            (Some(r#"{"token":"a","dialect":"messenger"}"#), Ok("a")),
            (Some(r#"{"tok\u0065n":"\u0061"}"#), Ok("a")),
            (Some(r#"{"token":"a","token":"b"}"#), Ok("b")),
            (Some(r#"{"token":null}"#), Err(TokenError::Missing)),
            (Some(r#"{"token":""}"#), Err(TokenError::Missing)),
            (Some(r#"{"token":5}"#), Err(TokenError::Invalid)),
            (Some(r#"{"token":{"a":1}}"#), Err(TokenError::Invalid)),
            (Some(r#"{"token":["a"]}"#), Err(TokenError::Invalid)),
        ] {
            let auth = auth.map(|text| RawValue::from_string(text.to_owned()).unwrap());
            let token = find_connect_token(auth.as_deref(), handshake.as_ref());
            assert_eq!(token.as_ref().map(|token| &*token.text).map_err(|error| *error), expected, "{auth:?}");
        }
        assert_eq!(find_connect_token(None, None), Err(TokenError::Missing));
    }

    fn claims(login: Option<&str>, issued_at: Option<i64>) -> Claims {
        Claims {
            expires_at: Some(Timestamp::from_millis(10_000)),
            issued_at: issued_at.map(Timestamp::from_millis),
            login: login.map(str::to_owned),
            ..Claims::of(UserId::parse("ann").unwrap(), login.unwrap_or("fingerprint"))
        }
    }

    fn account(disabled: bool, valid_from: Option<i64>, kept_login: Option<&str>) -> Account {
        Account {
            profile: Arc::new(Profile {
                id: UserId::parse("ann").unwrap(),
                username: "ann".to_owned(),
                full_name: None,
                avatar: None,
                email: None,
                role: UserRole::User,
            }),
            status: ChosenStatus::Online,
            last_seen: None,
            disabled,
            is_deleted: false,
            tokens_valid_from: valid_from.map(Timestamp::from_millis),
            kept_login: kept_login.map(str::to_owned),
            described_at: None,
            created_at: Timestamp::default(),
        }
    }

    #[test]
    fn a_user_is_let_in_unless_something_forbids_it() {
        let none = Revocations::default();
        let mut revoked = Revocations::default();
        revoked.revoke("l1", Timestamp::from_millis(1));
        revoked.revoke("fingerprint", Timestamp::from_millis(1));
        let fresh = || account(false, None, None);
        let changed = || account(false, Some(5_000), Some("l1"));
        for (name, claims, account, revoked, now, expected) in [
            ("plain", claims(Some("l1"), Some(1)), fresh(), &none, 1, Ok(())),
            ("expired", claims(Some("l1"), Some(1)), fresh(), &none, 10_000, Err(AuthError::TokenExpired)),
            ("logged out", claims(Some("l1"), Some(1)), fresh(), &revoked, 1, Err(AuthError::InvalidToken)),
            ("another login", claims(Some("l2"), Some(1)), fresh(), &revoked, 1, Ok(())),
            ("foreign, revoked", claims(None, Some(1)), fresh(), &revoked, 1, Err(AuthError::InvalidToken)),
            ("disabled", claims(None, None), account(true, None, None), &none, 1, Err(AuthError::AccountDisabled)),
            ("before the new password", claims(Some("l2"), Some(4_999)), changed(), &none, 1, Err(AuthError::InvalidToken)),
            ("that changed it", claims(Some("l1"), Some(4_999)), changed(), &none, 1, Ok(())),
            ("after the new password", claims(Some("l2"), Some(5_000)), changed(), &none, 1, Ok(())),
            ("foreign, undated", claims(None, None), changed(), &none, 1, Err(AuthError::InvalidToken)),
            ("undated, no kept login", claims(None, None), account(false, Some(1), None), &none, 1, Err(AuthError::InvalidToken)),
        ] {
            assert_eq!(check(&claims, &account, revoked, Timestamp::from_millis(now)), expected, "{name}");
        }
    }

    #[test]
    fn revocations_are_kept_as_long_as_needed() {
        let mut revoked = Revocations::new([("l1".to_owned(), Timestamp::from_millis(5))]);
        revoked.revoke("l1", Timestamp::from_millis(3));
        revoked.forget_expired(Timestamp::from_millis(5));
        assert!(revoked.has(&claims(Some("l1"), None)));
        revoked.forget_expired(Timestamp::from_millis(6));
        assert!(revoked.is_empty());
    }
}
