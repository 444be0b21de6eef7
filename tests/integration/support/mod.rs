//! Parts shared by the tests.
pub mod database;
pub mod postgres;

use parlance::auth::Claims;
use parlance::model::UserId;

/// Returns the claims of a token of `user`.
pub fn claims_of(user: UserId, login: Option<String>) -> Claims {
    let revocation_key = login.clone().unwrap_or_else(|| "foreign".to_owned()).into();
    Claims {
        user,
        expires_at: None,
        issued_at: None,
        login,
        revocation_key,
        username: None,
        full_name: None,
        email: None,
        role: None,
    }
}
