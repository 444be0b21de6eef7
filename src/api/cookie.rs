//! The cookie `token`.
use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};

use crate::model::Timestamp;

/// Returns a cookie with a new token; it expires with the token.
pub fn token_cookie(token: &str, expires_at: Timestamp, now: Timestamp, secure: bool) -> Cookie<'static> {
    let left = expires_at.as_millis().saturating_sub(now.as_millis()) / 1_000;
    cookie(token.to_owned(), CookieDuration::seconds(left.max(0)), secure)
}

/// Returns the cookie that removes the token.
pub fn no_token_cookie(secure: bool) -> Cookie<'static> {
    cookie(String::new(), CookieDuration::ZERO, secure)
}

fn cookie(value: String, max_age: CookieDuration, secure: bool) -> Cookie<'static> {
    // Browsers send it to this site only, links from elsewhere included, and hide it from scripts.
    Cookie::build("token", value).path("/").http_only(true).same_site(SameSite::Lax).secure(secure).max_age(max_age).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let (now, later) = (Timestamp::from_millis(0), Timestamp::from_millis(90_000));
        assert_eq!(token_cookie("t", later, now, false).to_string(), "token=t; HttpOnly; SameSite=Lax; Path=/; Max-Age=90");
        assert_eq!(no_token_cookie(true).to_string(), "token=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0");
    }
}
