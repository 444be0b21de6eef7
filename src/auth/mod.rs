//! Tokens, passwords and who a token proves.
mod stub;
mod token;
pub use self::stub::*;

pub use self::token::Claims;
