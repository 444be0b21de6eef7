//! JSON Web Tokens: signed and verified with secrets, and verified with public keys of other issuers.
//!
//! Nothing here does I/O: the caller reads keys, and passes them to [`TokenKeys::issuer_answered`].
mod bare;
mod cache;
mod claims;
mod crypto;
mod examine;
#[cfg(test)]
mod fixtures;
mod issuers;
mod keys;
mod pem;
mod public_key;
#[cfg(test)]
mod signers;
mod trust;

pub use self::bare::MAX_TOKEN_BYTES;
pub(super) use self::bare::bare_token;
pub use self::claims::{Claims, TokenError};
pub use self::examine::Examined;
pub use self::issuers::{Answer, Asking, IssuerFigures, News};
pub use self::keys::{TokenKeys, new_login_id};
pub use self::trust::{Trust, TrustError};
