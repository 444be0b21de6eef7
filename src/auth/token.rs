//! JSON Web Tokens.
use crate::model::{Timestamp, UserId};

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who it is for: `id`, else `userId`, else `sub`.
    pub user: UserId,
    /// Until when it counts; `None`: for ever.
    pub expires_at: Option<Timestamp>,
    /// When it was made; `None` where it does not say.
    pub issued_at: Option<Timestamp>,
    /// The login that it belongs to, for tokens of ours; a logout revokes all tokens of a login.
    pub login: Option<String>,
    /// SHA-256 of the whole token: what is revoked where there is no login.
    pub fingerprint: [u8; 32],
    /// `username` or `name`, for provisioning.
    pub username: Option<String>,
    /// `fullName`, for provisioning.
    pub full_name: Option<String>,
    /// `email`, for provisioning.
    pub email: Option<String>,
    /// `role`, for provisioning.
    pub role: Option<String>,
}
