//! The client's address, as far as trusted proxies report it.
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_http::header::HeaderMap;
use ipnet::IpNet;

/// Returns the address under which limits are counted: an IPv6 network (/64) counts as one, since a single household or
/// attacker has all of it.
pub fn counted_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

/// Proxies whose `X-Forwarded-*` headers are believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// The client's end of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address; `None` if the peer has none.
    pub address: Option<IpAddr>,
    /// Set if the client's connection uses TLS.
    pub secure: bool,
    /// The host, perhaps with a port, that it asked for.
    pub host: Option<String>,
}

impl TrustedProxies {
    /// Trusts proxies in these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Parses an address or a CIDR range, such as `10.0.0.0/8`.
    pub fn parse_network(text: &str) -> Option<IpNet> {
        text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    }

    /// Parses `TRUSTED_PROXIES`.
    ///
    /// # Errors
    /// The first text that is neither an address nor a range.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let read = |text: &String| Self::parse_network(text).ok_or_else(|| format!("not an address or CIDR range: {text}"));
        texts.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the client behind a request from `peer`; `tls` says whether that connection uses TLS.
    ///
    /// `X-Forwarded-For` is read from the right, because each trusted proxy vouches only for the address before its
    /// own.
    pub fn client(&self, peer: Option<IpAddr>, tls: bool, headers: &HeaderMap) -> Client {
        let peer = peer.map(|address| address.to_canonical());
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut client = Client { address: peer, secure: tls, host: text("host").map(str::to_owned) };
        if !peer.is_some_and(|peer| self.trusts(peer)) {
            return client;
        }
        let forwarded: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .flat_map(|value| value.to_str().unwrap_or_default().split(','))
            .map(str::trim)
            .collect();
        for entry in forwarded.into_iter().rev() {
            let Some(address) = parse_address(entry) else { break };
            client.address = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        let first =
            |name: &str| text(name).and_then(|list| list.split(',').next()).map(str::trim).filter(|value| !value.is_empty());
        if let Some(scheme) = first("x-forwarded-proto") {
            client.secure = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss");
        }
        if let Some(host) = first("x-forwarded-host") {
            client.host = Some(host.to_owned());
        }
        if let (Some(port), Some(host)) = (first("x-forwarded-port"), &mut client.host) {
            complete(host, port, client.secure);
        }
        client
    }

    /// Returns whether the address is a trusted proxy's.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Appends a port to a host without one, unless it is the scheme's default.
fn complete(host: &mut String, port: &str, secure: bool) {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let default_port = if secure { 443 } else { 80 };
    if let Some(port) = port.parse::<u16>().ok().filter(|port| *port != default_port && !has_port) {
        host.push_str(&format!(":{port}"));
    }
}

/// Parses an address as proxies write it: plain, in brackets, or with a port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn address_of(peer: &str, forwarded: &[(&'static str, &'static str)]) -> String {
        let proxies = TrustedProxies::parse(&["10.0.0.0/8".to_owned(), "::1".to_owned()]).unwrap();
        proxies.client(Some(peer.parse().unwrap()), false, &headers(forwarded)).address.unwrap().to_string()
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        for (peer, forwarded, address) in [
            ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
            ("10.1.1.1", "203.0.113.9", "203.0.113.9"),
            ("::ffff:10.1.1.1", "203.0.113.9", "203.0.113.9"),
            ("::1", "203.0.113.9:4711", "203.0.113.9"),
            ("::1", "[2001:db8::1]:4711", "2001:db8::1"),
            ("10.1.1.1", "198.51.100.1, 203.0.113.9, 10.2.2.2", "203.0.113.9"),
            ("10.1.1.1", "203.0.113.9, unknown, 10.2.2.2", "10.2.2.2"),
            ("10.1.1.1", "", "10.1.1.1"),
        ] {
            assert_eq!(address_of(peer, &[("x-forwarded-for", forwarded)]), address, "{peer} {forwarded}");
        }
        assert_eq!(address_of("10.1.1.1", &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2")]), "2.2.2.2");
    }

    #[test]
    fn scheme_and_host_come_from_the_proxy_too() {
        let proxies = TrustedProxies::parse(&["10.0.0.1".to_owned()]).unwrap();
        let headers = headers(&[("host", "inner:3000"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "chat.example")]);
        let trusted = proxies.client("10.0.0.1".parse().ok(), false, &headers);
        assert_eq!((trusted.secure, trusted.host.as_deref()), (true, Some("chat.example")));
        let other = proxies.client("10.0.0.2".parse().ok(), false, &headers);
        assert_eq!((other.secure, other.host.as_deref()), (false, Some("inner:3000")));
    }

    #[test]
    fn a_port_completes_a_host_that_has_none() {
        let proxies = TrustedProxies::parse(&["10.0.0.1".to_owned()]).unwrap();
        for (peer, proto, host, port, expected) in [
            ("10.0.0.1", "https", "chat.example", "8443", "chat.example:8443"),
            ("10.0.0.1", "https", "chat.example", "443", "chat.example"),
            ("10.0.0.1", "http", "chat.example", "443", "chat.example:443"),
            ("10.0.0.1", "https", "chat.example:444", "8443", "chat.example:444"),
            ("10.0.0.1", "https", "[2001:db8::1]", "8443", "[2001:db8::1]:8443"),
            ("10.0.0.1", "https", "chat.example", "8443x", "chat.example"),
            ("10.0.0.1", "https", "chat.example", "99999", "chat.example"),
            ("10.0.0.2", "https", "chat.example", "8443", "chat.example"),
        ] {
            let headers = headers(&[("host", host), ("x-forwarded-proto", proto), ("x-forwarded-port", port)]);
            let client = proxies.client(peer.parse().ok(), false, &headers);
            assert_eq!(client.host.as_deref(), Some(expected), "{peer} {proto} {host} {port}");
        }
    }

    #[test]
    fn a_setting_that_is_no_network_is_named() {
        assert!(TrustedProxies::parse(&["10.0.0.0/33".to_owned()]).is_err());
        assert!(TrustedProxies::parse(&["proxy.example".to_owned()]).is_err());
    }
}
