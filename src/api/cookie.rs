//! The cookie `token`.
use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};

use crate::config;
use crate::model::Timestamp;

/// The pages from which browsers send the cookie.
#[derive(Debug, Clone, Copy)]
pub(super) struct CookieReach {
    same_site: SameSite,
    secure: bool,
}

impl CookieReach {
    /// Follows `COOKIE_SAMESITE`; `secure`: this request came over TLS. A cookie for all sites is always `Secure`, because
    /// browsers drop it otherwise.
    pub(super) fn new(same_site: config::SameSite, secure: bool) -> Self {
        match same_site {
            config::SameSite::Lax => Self { same_site: SameSite::Lax, secure },
            config::SameSite::Strict => Self { same_site: SameSite::Strict, secure },
            config::SameSite::None => Self { same_site: SameSite::None, secure: true },
        }
    }
}

/// Returns a cookie with a new token; it expires with the token.
pub(super) fn token_cookie(token: &str, expires_at: Timestamp, now: Timestamp, reach: CookieReach) -> Cookie<'static> {
    let left = expires_at.as_millis().saturating_sub(now.as_millis()) / 1_000;
    cookie(token.to_owned(), CookieDuration::seconds(left.max(0)), reach)
}

/// Returns the cookie that removes the token.
pub(super) fn no_token_cookie(reach: CookieReach) -> Cookie<'static> {
    cookie(String::new(), CookieDuration::ZERO, reach)
}

fn cookie(value: String, max_age: CookieDuration, CookieReach { same_site, secure }: CookieReach) -> Cookie<'static> {
    // Hidden from scripts.
    Cookie::build("token", value).path("/").http_only(true).same_site(same_site).secure(secure).max_age(max_age).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let (now, later) = (Timestamp::from_millis(0), Timestamp::from_millis(90_000));
        let reach = CookieReach::new;
        let lax = token_cookie("t", later, now, reach(config::SameSite::Lax, false));
        assert_eq!(lax.to_string(), "token=t; HttpOnly; SameSite=Lax; Path=/; Max-Age=90");
        let gone = no_token_cookie(reach(config::SameSite::Strict, true));
        assert_eq!(gone.to_string(), "token=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0");
        let none = token_cookie("t", later, now, reach(config::SameSite::None, false));
        assert_eq!(none.to_string(), "token=t; HttpOnly; SameSite=None; Secure; Path=/; Max-Age=90");
    }
}
