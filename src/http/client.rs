//! HTTP client: for AI providers, and for the command line's calls to a running server.
use std::net::IpAddr;
use std::ops::Deref;
use std::time::Duration;

use reqwest::redirect::Policy;

pub use reqwest::header;
pub use reqwest::{Client as HttpClient, RequestBuilder, Response, StatusCode};

use self::header::HeaderMap;

/// Certificates that a client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Certificates that this machine trusts.
    Certified,
    /// Any: for a server that is reached without leaving this machine.
    Everybody,
}

/// Route of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Through the proxy of the environment (`HTTPS_PROXY` and the like), if any, except to this machine itself.
    AsTheMachineSays,
    /// Never through a proxy: requests carry one of our keys.
    Direct,
}

/// Makes a client that sends these headers to `address`, and to no other.
///
/// # Errors
/// One line that says what is wrong.
pub fn http_client(
    address: &str,
    (trust, route): (Trust, Route),
    headers: HeaderMap,
    connect_timeout: Duration,
) -> Result<HttpClient, String> {
    // Fails if a cryptography provider is installed already, which is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = HttpClient::builder()
        .default_headers(headers)
        .user_agent(concat!("parlance/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        // Following a redirect would send the key to another address.
        .redirect(Policy::none());
    // Plain HTTP needs no certificates, and a machine may have none.
    let builder = if address.starts_with("http://") { builder.tls_certs_only([]) } else { builder };
    let builder = builder.tls_danger_accept_invalid_certs(trust == Trust::Everybody);
    let builder = if route == Route::Direct || is_here(address) { builder.no_proxy() } else { builder };
    builder.build().map_err(cause_of)
}

/// Returns whether an address is on this machine.
fn is_here(address: &str) -> bool {
    let url = reqwest::Url::parse(address);
    let host = url.as_ref().ok().and_then(reqwest::Url::host_str).unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns the next piece of a body; `None` at its end.
///
/// # Errors
/// The reason why the rest does not come.
pub async fn next_chunk(response: &mut Response) -> Result<Option<impl AsRef<[u8]> + Deref<Target = [u8]> + use<>>, String> {
    response.chunk().await.map_err(cause_of)
}

/// Returns whether the end of the body is explicit. If only the end of the connection marks it, the body may have been
/// cut.
pub fn has_known_end(response: &Response) -> bool {
    let has = |name| response.headers().contains_key(name);
    has(header::TRANSFER_ENCODING) || has(header::CONTENT_LENGTH)
}

/// Reads a whole body.
///
/// # Errors
/// If it breaks off, exceeds `max_bytes`, or is not UTF-8.
pub async fn read_up_to(mut response: Response, max_bytes: usize) -> Result<String, String> {
    let mut body = Vec::new();
    while let Some(chunk) = next_chunk(&mut response).await? {
        body.extend_from_slice(&chunk);
        if body.len() > max_bytes {
            return Err("the body is too long".to_owned());
        }
    }
    String::from_utf8(body).map_err(|_| "the body is no UTF-8".to_owned())
}

/// Describes an error with its causes, without the address.
pub fn cause_of(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::is_here;

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        for address in ["http://localhost:11434/v1", "http://127.0.0.2", "https://[::1]:3000/", "http://a.localhost"] {
            assert!(is_here(address), "{address}");
        }
        for address in ["https://api.example.com", "http://127.example.com", "http://localhost.example.com", "nonsense"] {
            assert!(!is_here(address), "{address}");
        }
    }
}
