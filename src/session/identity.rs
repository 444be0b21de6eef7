//! Finds out whose a client is: a token's user, or a guest.
use super::call_context::Now;
use super::credentials::{Keys, find_guest_token, find_name};
use super::guests::Guests;
use super::rules::Rules;
use super::state::Session;
use crate::auth::{Claims, FoundToken, TokenError, TokenPlace, check_username};
use crate::chat::GuestPass;
use crate::model::{UserId, limits::USERNAME_MAX};

/// Name of a guest who gives none that an account could have.
const NAMELESS: &str = "Guest";

/// Claims of a client, the place of its token, and a guest's token for its next CONNECT.
pub(super) type Identity = (Claims, TokenPlace, Option<Box<GuestPass>>);

impl Session {
    /// Finds out whose the client is: a token's user, or a guest.
    ///
    /// # Errors
    /// Reason for which a token is not accepted.
    pub(super) fn identify(
        &self,
        found: Result<FoundToken, TokenError>,
        keys: &Keys<'_>,
        rules: &Rules,
        now: Now,
    ) -> Result<Identity, TokenError> {
        let Some(guests) = &rules.guests else {
            let found = found?;
            return (rules.verify)(&found.text, now.wall).map(|claims| (claims, found.place, None));
        };
        match found.or_else(|error| find_guest_token(keys).ok_or(error)) {
            Ok(found) => {
                let claims = (rules.verify)(&found.text, now.wall)?;
                let pass = pass_of(guests, &claims, now);
                Ok((claims, found.place, pass))
            }
            Err(TokenError::Missing) => self.new_guest(guests, keys, rules, now),
            Err(error) => Err(error),
        }
    }

    /// Makes a guest of a client without a token.
    ///
    /// # Errors
    /// [`TokenError::Missing`] if the id or the token cannot be made.
    fn new_guest(&self, guests: &Guests, keys: &Keys<'_>, rules: &Rules, now: Now) -> Result<Identity, TokenError> {
        let user = UserId::of_guest(&(rules.random_ids)()).map_err(|_| TokenError::Missing)?;
        let token = (guests.issue)(&user, now.wall);
        let claims = (rules.verify)(&token, now.wall)?;
        let username = find_name(keys, &self.handshake).and_then(|name| usable(&name)).unwrap_or_else(|| NAMELESS.to_owned());
        let pass = Box::new(GuestPass { token: token.into(), is_new: true });
        Ok((Claims { username: Some(username), ..claims }, TokenPlace::Auth, Some(pass)))
    }
}

/// Returns a token for the next CONNECT of a guest who comes back; `None` for anybody else.
fn pass_of(guests: &Guests, claims: &Claims, now: Now) -> Option<Box<GuestPass>> {
    let token = claims.user.is_guest().then(|| (guests.issue)(&claims.user, now.wall))?;
    Some(Box::new(GuestPass { token: token.into(), is_new: false }))
}

/// Returns a name as an account could have it, cut to the length of names; `None` if none could.
fn usable(name: &str) -> Option<String> {
    let cut: String = name.trim().chars().take(USERNAME_MAX).collect();
    check_username(&cut, None).is_ok().then(|| cut.trim().to_owned())
}
