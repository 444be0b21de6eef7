//! Why somebody is not let in.
use super::token::TokenError;

/// Why a client is not taken for a user. Final: a retry with the same token does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// No token was found.
    #[error("no token")]
    NoToken,
    /// Bad signature, malformed, wrong algorithm, not yet valid, or revoked.
    #[error("invalid token")]
    InvalidToken,
    /// Past its `exp`.
    #[error("token expired")]
    TokenExpired,
    /// There is no such user, and none is made.
    #[error("user not found")]
    UserNotFound,
    /// An administrator disabled the account.
    #[error("account disabled")]
    AccountDisabled,
}

impl Refusal {
    /// Stable name for clients.
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

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Missing => Self::NoToken,
            TokenError::Invalid => Self::InvalidToken,
            TokenError::Expired => Self::TokenExpired,
        }
    }
}
