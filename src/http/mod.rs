//! What every HTTP request is asked first, whatever it is for: where it comes from and whether its origin may ask. No I/O.
//! And the other way round: how others are asked.
mod client;
mod origin;
mod proxy;
mod sse;

pub use self::client::{
    HttpClient, RequestBuilder, Response, Route, StatusCode, Trust, cause_of, has_known_end, header, http_client, next_chunk,
    read_up_to,
};
pub use self::origin::{InvalidOrigin, OriginVerdict, Origins, foreign_origin};
pub use self::proxy::{Client, TrustedProxies, counted_address};
pub use self::sse::{Events, SseEvent, TooLong};

/// The header with a refusal's id in the log.
pub const ERROR_ID: &str = "x-error-id";
