//! Tokens, passwords and who a token proves.
mod token;

pub use self::token::Claims;
