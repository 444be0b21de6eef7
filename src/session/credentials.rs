//! Credentials of a client in its handshake and its CONNECT.
use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use crate::auth::{FoundToken, RequestTokens, TokenPlace};
use crate::dialect::DialectSet;
use crate::engineio::{Headers, Opening};
use crate::model::{Offset, PrivateId, UserId};

/// A pin that is malformed, or names a dialect that is not enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadPin;

/// A wish for recovery that is neither true nor false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadWish;

/// Keys of a CONNECT's `auth`; none if it has none.
pub(super) type Keys<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// Keys of `auth` and parameters of the query that hold a guest's name, in the words of public front ends.
const NAMES: [&str; 5] = ["username", "name", "userName", "nickname", "user"];
/// Keys of `auth` that hold a guest's token, beside `token`.
const GUEST_TOKENS: [&str; 2] = ["sessionID", "sessionId"];

/// Reads the keys of `auth`.
pub(super) fn keys_of(auth: Option<&RawValue>) -> Keys<'_> {
    auth.and_then(|auth| serde_json::from_str(auth.get()).ok()).unwrap_or_default()
}

/// Parts of a handshake that apply to every CONNECT on its connection. Most have none, and use no memory.
#[derive(Debug)]
pub(super) struct Handshake(Option<Box<Parts>>);

/// Parts of a handshake, of which at least one is there.
#[derive(Debug, PartialEq)]
struct Parts {
    token: Option<FoundToken>,
    pin: Result<DialectSet, BadPin>,
    headers: Headers,
    recovery: Result<bool, BadWish>,
    name: Option<Box<str>>,
}

/// Parts of a handshake that says nothing.
const NO_PARTS: Parts = Parts { token: None, pin: Ok(DialectSet::EMPTY), headers: Headers::NONE, recovery: Ok(true), name: None };

impl Handshake {
    /// Reads the request that opened the connection.
    pub(super) fn of(opening: &Opening, enabled: DialectSet, allow_query_token: bool, has_guests: bool) -> Self {
        let cookie = opening.cookie_token.as_deref().filter(|token| !token.is_empty());
        let in_header = RequestTokens { authorization: opening.authorization.as_deref(), cookie: None, query: None };
        let in_query = RequestTokens { query: allow_query_token.then_some(opening.query.as_str()), ..RequestTokens::default() };
        let token = in_header
            .find()
            .or_else(|| cookie.map(|text| FoundToken { text: text.into(), place: TokenPlace::Cookie }))
            .or_else(|| in_query.find());
        let (pin, recovery) = (query_pin(&opening.query, enabled), query_recovery(&opening.query));
        let name = has_guests.then(|| name_in_query(&opening.query)).flatten();
        let parts = Parts { token, pin, headers: opening.headers.clone(), recovery, name };
        Self((parts != NO_PARTS).then(|| Box::new(parts)))
    }

    /// Returns the token from header, cookie or query.
    pub(super) fn token(&self) -> Option<&FoundToken> {
        self.0.as_ref()?.token.as_ref()
    }

    /// Returns the headers that the operator's hook is shown.
    pub(super) fn headers(&self) -> Headers {
        self.0.as_ref().map_or(Headers::NONE, |parts| parts.headers.clone())
    }

    /// Returns the dialects pinned by `?dialect=`; empty if none.
    fn pin(&self) -> Result<DialectSet, BadPin> {
        self.0.as_ref().map_or(NO_PARTS.pin, |parts| parts.pin)
    }

    /// Returns `?recovery=`; true if absent.
    fn recovery(&self) -> Result<bool, BadWish> {
        self.0.as_ref().map_or(NO_PARTS.recovery, |parts| parts.recovery)
    }

    /// Returns the name in the query, where guests may come.
    fn name(&self) -> Option<&str> {
        self.0.as_ref()?.name.as_deref()
    }
}

/// Returns the dialects pinned by a CONNECT: `auth` wins over the query; empty if none.
///
/// # Errors
/// [`BadPin`] if the pin is malformed, or names a dialect that is not enabled.
pub(super) fn find_pin(keys: &Keys<'_>, handshake: &Handshake, enabled: DialectSet) -> Result<DialectSet, BadPin> {
    match given(keys, "dialect") {
        Some(pin) => enabled.pick_json(pin).ok_or(BadPin),
        None => handshake.pin(),
    }
}

/// Returns whether a client understands connection state recovery: `auth` wins over the query; true if neither says so.
///
/// # Errors
/// [`BadWish`] if it says anything but true or false.
pub(super) fn find_recovery(keys: &Keys<'_>, handshake: &Handshake) -> Result<bool, BadWish> {
    match given(keys, "recovery") {
        // Some clients can put nothing but texts into `auth`.
        Some(wish) => read_wish(wish.get().trim_matches('"')),
        None => handshake.recovery(),
    }
}

/// Returns the private id of the session to resume and the offset, if a CONNECT of `user` has them. Values that we
/// cannot have issued count as absent, and so does the offset beside an id of another user: a page that logs in anew on
/// the same socket object sends the one that it has, and would be taken for a device that has all that `user` was sent.
pub(super) fn find_return(keys: &Keys<'_>, user: &UserId) -> (Option<PrivateId>, Option<Offset>) {
    let text = |key| serde_json::from_str::<Cow<'_, str>>(keys.get(key)?.get()).ok();
    let back_to = text("pid").and_then(|pid| PrivateId::parse(&pid).ok());
    let is_own = back_to.is_none_or(|pid| pid.is_of(user));
    (back_to, text("offset").filter(|_| is_own).and_then(|offset| Offset::parse(&offset)))
}

/// Returns the token that a guest gives in words of its front end.
pub(super) fn find_guest_token(keys: &Keys<'_>) -> Option<FoundToken> {
    FoundToken::of_auth(&GUEST_TOKENS.iter().find_map(|key| text_of(keys, key))?)
}

/// Returns the name that a guest gives: `auth` wins over the query.
pub(super) fn find_name(keys: &Keys<'_>, handshake: &Handshake) -> Option<String> {
    let given = NAMES.iter().find_map(|key| text_of(keys, key)).map(Cow::into_owned);
    given.or_else(|| handshake.name().map(str::to_owned))
}

/// Returns the name that a query gives.
fn name_in_query(query: &str) -> Option<Box<str>> {
    let value = NAMES.iter().find_map(|name| last_of(query, name))?;
    let spaced = value.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|name| name.as_ref().into())
}

fn text_of<'a>(keys: &Keys<'a>, key: &str) -> Option<Cow<'a, str>> {
    serde_json::from_str::<Cow<'a, str>>(keys.get(key)?.get()).ok().filter(|text| !text.trim().is_empty())
}

/// Returns a key's value, unless that is null.
fn given<'a>(keys: &Keys<'a>, key: &str) -> Option<&'a RawValue> {
    keys.get(key).copied().filter(|value| value.get() != "null")
}

fn read_wish(text: &str) -> Result<bool, BadWish> {
    text.parse().map_err(|_| BadWish)
}

/// Returns the last value of a parameter of the query, as it stands there.
fn last_of<'a>(query: &'a str, parameter: &str) -> Option<&'a str> {
    let mut pairs = query.rsplit('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| *name == parameter).map(|(_, value)| value)
}

fn query_recovery(query: &str) -> Result<bool, BadWish> {
    last_of(query, "recovery").map_or(Ok(true), read_wish)
}

fn query_pin(query: &str, enabled: DialectSet) -> Result<DialectSet, BadPin> {
    let Some(value) = last_of(query, "dialect") else { return Ok(DialectSet::EMPTY) };
    let name = percent_decode_str(value).decode_utf8().map_err(|_| BadPin)?;
    enabled.pick_name(&name).ok_or(BadPin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(query: &str, authorization: Option<&str>, cookie: Option<&str>) -> Opening {
        Opening {
            query: query.to_owned(),
            authorization: authorization.map(str::to_owned),
            cookie_token: cookie.map(str::to_owned),
            ..Opening::default()
        }
    }

    #[test]
    fn tokens_are_looked_for_in_order() {
        use TokenPlace::{Bearer, Cookie, Query};
        for (query, authorization, cookie, allowed, expected) in [
            ("token=q", Some("Bearer b"), Some("c"), true, Some(("b", Bearer))),
            ("token=q", Some("Basic b"), Some("c"), true, Some(("c", Cookie))),
            ("token=q", None, Some(""), true, Some(("q", Query))),
            ("token=q", None, None, false, None),
        ] {
            let handshake = Handshake::of(&opening(query, authorization, cookie), DialectSet::all(), allowed, false);
            let expected = expected.map(|(text, place)| FoundToken { text: text.into(), place });
            assert_eq!(handshake.token(), expected.as_ref());
        }
    }

    #[test]
    fn who_was_here_before_says_so() {
        let [ann, bob] = ["ann", "bob"].map(|name| UserId::parse(name).unwrap());
        let pid = PrivateId::parse(&"p".repeat(20)).unwrap().of_user(&ann);
        let (pid, offset) = (pid.expose(), "c1.2.3.40");
        for (auth, has_pid, has_offset) in [
            (format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#), true, true),
            (format!(r#"{{"pid":"{pid}"}}"#), true, false),
            (format!(r#"{{"offset":"{offset}"}}"#), false, true),
            (format!(r#"{{"pid":7,"offset":"{offset}x"}}"#), false, false),
            (r#"{"pid":"","offset":null}"#.to_owned(), false, false),
            ("[]".to_owned(), false, false),
        ] {
            let raw = RawValue::from_string(auth.clone()).unwrap();
            let keys = keys_of(Some(&raw));
            let (found, place) = find_return(&keys, &ann);
            assert_eq!((found.is_some(), place.is_some()), (has_pid, has_offset), "{auth}");
            if has_pid {
                assert_eq!(find_return(&keys, &bob), (found, None), "another user's: {auth}");
            }
        }
        assert_eq!(find_return(&keys_of(None), &ann), (None, None));
    }

    #[test]
    fn a_client_may_decline_recovery() {
        for (query, auth, expected) in [
            ("EIO=4", None, Ok(true)),
            ("EIO=4", Some("{}"), Ok(true)),
            ("EIO=4", Some(r#"{"recovery":false}"#), Ok(false)),
            ("EIO=4", Some(r#"{"recovery":"false"}"#), Ok(false)),
            ("recovery=false", None, Ok(false)),
            ("recovery=false", Some(r#"{"recovery":null}"#), Ok(false)),
            ("recovery=false", Some(r#"{"recovery":true}"#), Ok(true)),
            ("recovery=off", Some(r#"{"recovery":false}"#), Ok(false)),
            ("recovery=off", None, Err(BadWish)),
            ("recovery=", None, Err(BadWish)),
            ("", Some(r#"{"recovery":0}"#), Err(BadWish)),
            ("", Some(r#"{"recovery":"no"}"#), Err(BadWish)),
            ("", Some(r#"{"recovery":{}}"#), Err(BadWish)),
        ] {
            let auth = auth.map(|text| RawValue::from_string(text.to_owned()).unwrap());
            let handshake = Handshake::of(&opening(query, None, None), DialectSet::all(), false, false);
            assert_eq!(find_recovery(&keys_of(auth.as_deref()), &handshake), expected, "{query} {auth:?}");
        }
    }

    #[test]
    fn a_pin_in_auth_wins_over_the_query() {
        let all = DialectSet::all();
        let pin = |name| all.pick_name(name).ok_or(BadPin);
        for (query, auth, expected) in [
            ("EIO=4", None, Ok(DialectSet::EMPTY)),
            ("EIO=4&dialect=messenger", None, pin("messenger")),
            ("dialect=messen%67er", Some("{}"), pin("messenger")),
            ("dialect=listing", Some(r#"{"dialect":null}"#), pin("listing")),
            ("dialect=listing", Some(r#"{"dialect":"messenger"}"#), pin("messenger")),
            ("dialect=nope", Some(r#"{"dialect":"messenger"}"#), pin("messenger")),
            ("dialect=listing", Some(r#"{"dialect":"nope"}"#), Err(BadPin)),
            ("dialect=nope", None, Err(BadPin)),
            ("dialect=nope&dialect=listing", None, pin("listing")),
            ("dialect=listing&dialect=nope", None, Err(BadPin)),
            ("dialect=", None, Err(BadPin)),
            ("dialect=listing,messenger", None, Err(BadPin)),
            ("dialect=%ff", None, Err(BadPin)),
            ("", Some(r#"{"dialect":7}"#), Err(BadPin)),
        ] {
            let auth = auth.map(|text| RawValue::from_string(text.to_owned()).unwrap());
            let handshake = Handshake::of(&opening(query, None, None), all, false, false);
            assert_eq!(find_pin(&keys_of(auth.as_deref()), &handshake, all), expected, "{query} {auth:?}");
        }
    }
}
