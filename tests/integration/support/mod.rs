//! Parts shared by the tests.
pub mod database;
pub mod postgres;

use parlance::auth::Claims;
use parlance::model::UserId;

/// Returns the claims of a token of `user`.
pub fn claims_of(user: UserId, login: Option<String>) -> Claims {
    let revocation_key = login.clone().unwrap_or_else(|| "foreign".to_owned());
    Claims { login, ..Claims::of(user, revocation_key) }
}
