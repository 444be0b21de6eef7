//! Tokens, passwords, and the users that tokens prove.
//!
//! All functions are pure, except [`token_secrets`] and [`Trust::of`]. Hashing a password takes tens of milliseconds and
//! belongs on a thread that may block.
mod admin_login;
mod api_key;
mod error;
mod identity;
mod password;
mod registration;
mod revocation;
mod secret_file;
mod token;

pub use self::admin_login::{AdminLogin, AdminLoginError, hash_admin_password};
pub use self::api_key::{ApiKeys, KnownKey};
pub use self::error::AuthError;
pub use self::identity::{FoundToken, RequestTokens, TokenPlace, check, find_connect_token};
pub use self::password::{PasswordError, check_password_hash, hash_password, is_foreign_hash, verify_password};
pub use self::registration::{InvalidField, check_email, check_full_name, check_password, check_username, description};
pub use self::revocation::Revocations;
pub use self::secret_file::{ADVISED_SECRET_BYTES, KeptSecret, SecretError, find_kept_secret, token_secrets};
pub use self::token::{
    Answer, Asking, Claims, Examined, IssuerFigures, MAX_TOKEN_BYTES, News, TokenError, TokenKeys, Trust, TrustError,
    new_login_id,
};
