//! Settings that leave something open to anybody who can reach the server.
use super::settings::Config;

/// Minimum length of an API key in characters; shorter ones can be guessed by trying.
pub const KEY_CHARS_MIN: usize = 16;

/// Something that anybody who reaches the server may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// The setting that allows it.
    pub setting: &'static str,
    /// The thing that is open.
    pub found: &'static str,
    /// The remedy.
    pub advice: &'static str,
}

impl Config {
    /// Lists what is open to anybody, if the server is reachable from other machines.
    pub fn exposures(&self) -> Vec<Exposure> {
        if self.host.is_loopback() {
            return Vec::new();
        }
        let is_plain = !self.speaks_tls() && self.trusted_proxies.is_empty();
        let known = [
            (
                is_plain,
                Exposure {
                    setting: "TLS_CERT",
                    found: "passwords and tokens travel in plain HTTP",
                    advice: "set TLS_CERT and TLS_KEY, or TRUSTED_PROXIES if a proxy in front speaks TLS",
                },
            ),
            (
                self.allow_registration,
                Exposure {
                    setting: "ALLOW_REGISTRATION",
                    found: "anybody can make an account",
                    advice: "set it to false, unless that is meant",
                },
            ),
            (
                self.metrics_token.is_none(),
                Exposure {
                    setting: "METRICS_TOKEN",
                    found: "/metrics is shown to anybody",
                    advice: "set a token for who scrapes it",
                },
            ),
        ];
        known.into_iter().filter(|(is_open, _)| *is_open).map(|(_, exposure)| exposure).collect()
    }

    /// Returns a name in `API_KEY_SCOPES` that no key of `API_KEYS` has.
    pub fn unknown_key(&self) -> Option<String> {
        let has_key = |name: &&str| self.api_keys.iter().any(|key| key.name.as_deref() == Some(*name));
        self.api_key_scopes.names().find(|name| !has_key(name)).map(str::to_owned)
    }

    /// Returns the names of API keys that are too short for a server reachable from other machines.
    pub fn short_keys(&self) -> Vec<String> {
        let short = self.api_keys.iter().filter(|key| key.secret.expose().chars().count() < KEY_CHARS_MIN);
        short.map(|key| key.name.clone().unwrap_or_else(|| "without a name".to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::config::settings::Found;

    fn config(settings: &[(&str, &str)]) -> Config {
        let find = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        Config::load(|name| find(name).map(|value| Found { value, source: "environment" })).unwrap()
    }

    #[test]
    fn on_this_machine_nothing_is_exposed() {
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(config(&[("HOST", host)]).exposures(), []);
        }
        let found = config(&[("HOST", "0.0.0.0")]).exposures();
        let settings: Vec<_> = found.iter().map(|exposure| exposure.setting).collect();
        assert_eq!(settings, ["TLS_CERT", "ALLOW_REGISTRATION", "METRICS_TOKEN"]);
        let closed =
            [("HOST", "0.0.0.0"), ("TRUSTED_PROXIES", "10.0.0.1"), ("ALLOW_REGISTRATION", "false"), ("METRICS_TOKEN", "m")];
        assert_eq!(config(&closed).exposures(), []);
    }

    #[test]
    fn short_keys_are_named() {
        assert_eq!(
            config(&[("API_KEYS", "try-it,shop:123456789012345,mail:1234567890123456")]).short_keys(),
            ["without a name", "shop"]
        );
    }
}
