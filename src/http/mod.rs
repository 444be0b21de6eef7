//! Questions that every HTTP request has to answer first: who sent it, and may its origin use the server. No I/O. Also
//! the HTTP client for other servers.
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

/// Header with a refusal's id in the log.
pub const ERROR_ID: &str = "x-error-id";
