//! Reasons for refusing authentication.
use super::token::TokenError;

/// Reason for not accepting a client as a user. Final: retrying with the same token does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthError {
    /// No token was found.
    #[error("no token")]
    NoToken,
    /// Bad signature, malformed, wrong algorithm, not yet valid, or revoked.
    #[error("invalid token")]
    InvalidToken,
    /// Past its `exp`.
    #[error("token expired")]
    TokenExpired,
    /// The user does not exist and is not created.
    #[error("user not found")]
    UserNotFound,
    /// An administrator disabled the account.
    #[error("account disabled")]
    AccountDisabled,
}

impl AuthError {
    /// Returns the stable code for clients.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoToken => "NO_TOKEN",
            Self::InvalidToken => "INVALID_TOKEN",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::UserNotFound => "USER_NOT_FOUND",
            Self::AccountDisabled => "ACCOUNT_DISABLED",
        }
    }
}

impl From<TokenError> for AuthError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Missing => Self::NoToken,
            TokenError::Invalid | TokenError::KeyUnknown => Self::InvalidToken,
            TokenError::Expired => Self::TokenExpired,
        }
    }
}
