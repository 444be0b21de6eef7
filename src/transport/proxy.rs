//! Who is behind a request, as far as trusted proxies tell.
use std::net::{IpAddr, SocketAddr};

use actix_http::header::{self, HeaderMap};
use ipnet::IpNet;

/// The client's side of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Whether it speaks TLS, to us or to a trusted proxy.
    pub is_secure: bool,
    /// The host that it asked for, with the port where it named one.
    pub host: Option<String>,
}

impl Client {
    /// Looks through the proxies of `trusted`: `X-Forwarded-*` counts only where the peer is one of them.
    ///
    /// Of the addresses in `X-Forwarded-For` the last that is no trusted proxy is the client; what stands before it
    /// may be made up.
    pub fn of(peer: Option<SocketAddr>, headers: &HeaderMap, is_tls: bool, trusted: &[IpNet]) -> Self {
        let peer = peer.map(|peer| peer.ip().to_canonical());
        let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(&address));
        let host = text(headers, &header::HOST).map(str::to_owned);
        if !peer.is_some_and(is_trusted) {
            return Self { address: peer, is_secure: is_tls, host };
        }
        let mut address = peer;
        let forwarded: Vec<&str> = headers
            .get_all(header::X_FORWARDED_FOR)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        for entry in forwarded.into_iter().rev() {
            let Some(entry) = parse_address(entry) else { break };
            address = Some(entry);
            if !is_trusted(entry) {
                break;
            }
        }
        let is_secure = match first(headers, &header::X_FORWARDED_PROTO) {
            Some(scheme) => scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss"),
            None => is_tls,
        };
        Self { address, is_secure, host: first(headers, &header::X_FORWARDED_HOST).map(str::to_owned).or(host) }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The first of the values that proxies appended to each other.
fn first<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    text(headers, name)?.split(',').next().map(str::trim).filter(|value| !value.is_empty())
}

/// An address, with a port or without.
fn parse_address(entry: &str) -> Option<IpAddr> {
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().or_else(|_| entry.parse().map(|with_port: SocketAddr| with_port.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;

    use super::*;

    fn client(peer: &str, forwarded_for: &str, trusted: &[&str]) -> Client {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("inner:3000"));
        headers.insert(header::X_FORWARDED_FOR, HeaderValue::from_str(forwarded_for).unwrap());
        headers.insert(header::X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        headers.insert(header::X_FORWARDED_HOST, HeaderValue::from_static("chat.example"));
        let trusted: Vec<IpNet> = trusted.iter().map(|range| range.parse().unwrap()).collect();
        Client::of(Some(SocketAddr::new(peer.parse().unwrap(), 1)), &headers, false, &trusted)
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let cases = [
            ("192.0.2.1", "198.51.100.7", &[][..], "192.0.2.1", false),
            ("10.0.0.1", "198.51.100.7", &["10.0.0.0/8"][..], "198.51.100.7", true),
            ("::ffff:10.0.0.1", "198.51.100.7", &["10.0.0.0/8"][..], "198.51.100.7", true),
            ("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2", &["10.0.0.0/8"][..], "198.51.100.7", true),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", &["10.0.0.0/8"][..], "10.0.0.3", true),
            ("10.0.0.1", "203.0.113.9, nonsense", &["10.0.0.0/8"][..], "10.0.0.1", true),
            ("10.0.0.1", "198.51.100.7:4711", &["10.0.0.0/8"][..], "198.51.100.7", true),
            ("10.0.0.1", "[2001:db8::1]:4711", &["10.0.0.0/8"][..], "2001:db8::1", true),
        ];
        for (peer, forwarded_for, trusted, address, is_secure) in cases {
            let client = client(peer, forwarded_for, trusted);
            assert_eq!(client.address, Some(address.parse().unwrap()), "{peer} {forwarded_for}");
            assert_eq!(client.is_secure, is_secure);
            assert_eq!(client.host.as_deref(), Some(if is_secure { "chat.example" } else { "inner:3000" }));
        }
    }
}
