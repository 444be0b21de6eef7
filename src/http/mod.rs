//! What every HTTP request is asked first, whatever it is for: where it comes from and whether its origin may ask. No I/O.
mod origin;
mod proxy;

pub use self::origin::{InvalidOrigin, OriginVerdict, Origins};
pub use self::proxy::{Client, TrustedProxies};

/// The header with a refusal's id in the log.
pub const ERROR_ID: &str = "x-error-id";
