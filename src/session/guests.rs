//! Guests: users without an account, by a name of their choice.
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use percent_encoding::percent_decode_str;

use super::call_context::Now;
use super::credentials::{Keys, last_of};
use super::rules::Rules;
use super::state::Session;
use crate::auth::{Claims, FoundToken, TokenError, TokenPlace, check_username};
use crate::chat::GuestPass;
use crate::model::{Timestamp, UserId, limits::USERNAME_MAX};

/// Keys of `auth` and parameters of the query that hold a name, in the words of public front ends.
const NAMES: [&str; 5] = ["username", "name", "userName", "nickname", "user"];
/// Keys of `auth` that hold the token, beside `token`.
const TOKENS: [&str; 2] = ["sessionID", "sessionId"];
/// Name of a guest who gives none that an account could have.
const NAMELESS: &str = "Guest";

/// Whose a client is: what its token says, where that was, and a guest's token for the next time.
pub(super) type Identified = (Claims, TokenPlace, Option<Box<GuestPass>>);

/// Functions that make guests.
#[derive(Clone)]
pub struct Guests {
    /// Counts a new guest of an address; returns whether there are not too many.
    pub may_come: Arc<dyn Fn(Option<IpAddr>, Instant) -> bool + Send + Sync>,
    /// Issues a token.
    pub issue: Arc<dyn Fn(&UserId, Timestamp) -> String + Send + Sync>,
}

impl Guests {
    /// Returns the token that a guest gives in words of its front end.
    pub(super) fn find_token(keys: &Keys<'_>) -> Option<FoundToken> {
        FoundToken::of_auth(&TOKENS.iter().find_map(|key| text_of(keys, key))?)
    }

    /// Returns a token for the next CONNECT of a guest who comes back; `None` for anybody else.
    pub(super) fn pass_of(&self, claims: &Claims, now: Now) -> Option<Box<GuestPass>> {
        let token = claims.user.is_guest().then(|| (self.issue)(&claims.user, now.wall))?;
        Some(Box::new(GuestPass { token: token.into(), is_new: false }))
    }
}

impl Session {
    /// Makes a guest of a client without a token.
    ///
    /// # Errors
    /// [`TokenError::Missing`] if the id or the token cannot be made.
    pub(super) fn new_guest(&self, guests: &Guests, keys: &Keys<'_>, rules: &Rules, now: Now) -> Result<Identified, TokenError> {
        let user = UserId::of_guest(&(rules.random_ids)()).map_err(|_| TokenError::Missing)?;
        let token = (guests.issue)(&user, now.wall);
        let claims = (rules.verify)(&token, now.wall)?;
        let given = NAMES.iter().find_map(|key| text_of(keys, key)).map(Cow::into_owned);
        let name = given.or_else(|| self.handshake.name.as_deref().map(str::to_owned));
        let username = name.and_then(|name| usable(&name)).unwrap_or_else(|| NAMELESS.to_owned());
        let pass = Box::new(GuestPass { token: token.into(), is_new: true });
        Ok((Claims { username: Some(username), ..claims }, TokenPlace::Auth, Some(pass)))
    }
}

/// Returns the name that the query of a handshake gives.
pub(super) fn name_in_query(query: &str) -> Option<Box<str>> {
    let value = NAMES.iter().find_map(|name| last_of(query, name))?;
    let spaced = value.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|name| name.as_ref().into())
}

/// Returns a name as an account could have it, cut to the length of names; `None` if none could.
fn usable(name: &str) -> Option<String> {
    let cut: String = name.trim().chars().take(USERNAME_MAX).collect();
    check_username(&cut, None).is_ok().then(|| cut.trim().to_owned())
}

fn text_of<'a>(keys: &Keys<'a>, key: &str) -> Option<Cow<'a, str>> {
    serde_json::from_str::<Cow<'a, str>>(keys.get(key)?.get()).ok().filter(|text| !text.trim().is_empty())
}
