//! Conditions for the demo.
use super::address::{DatabaseAddress, Origins};
use super::settings::Config;
use super::word::WebChat;

impl Config {
    /// Returns whether the demo may stand at `/`: only if `HOST` is loopback; and unless `WEB_CHAT` asks for it, only if
    /// the settings of store, accounts and origins have their defaults.
    pub fn offers_demo(&self) -> bool {
        self.host.is_loopback()
            && match self.web_chat {
                WebChat::Off => false,
                WebChat::Demo => true,
                WebChat::On => self.is_untouched(),
            }
    }

    fn is_untouched(&self) -> bool {
        self.database_url.as_str() == DatabaseAddress::default().as_str()
            && self.named_jwt_secrets().is_empty()
            && self.jwt_public_key.is_empty()
            && self.jwks_url.addresses().is_empty()
            && self.oidc_issuer.addresses().is_empty()
            && self.api_keys.is_empty()
            && self.allow_registration
            && !self.auto_provision_users
            && self.client_url == Origins::default()
            && self.trusted_proxies.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::config::settings::Found;

    #[test]
    fn it_is_offered_where_nothing_is_set() {
        let offers = |settings: &[(&str, &str)]| {
            let find = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
            Config::load(|name| find(name).map(|value| Found { value, source: "environment" })).unwrap().offers_demo()
        };
        for settings in [&[][..], &[("HOST", "::1")], &[("PORT", "80")], &[("WEB_CHAT", "demo"), ("JWT_SECRET", "s")]] {
            assert!(offers(settings), "{settings:?}");
        }
        for setting in [
            ("HOST", "0.0.0.0"),
            ("HOST", "chat.internal"),
            ("WEB_CHAT", "off"),
            ("DATABASE_URL", "postgres://db/chat"),
            ("JWT_SECRETE", "s"),
            ("JWT_PUBLIC_KEY", "key.pem"),
            ("JWKS_URL", "https://id.example.org/keys"),
            ("OIDC_ISSUER", "https://id.example.org"),
            ("AUTO_PROVISION_USERS", "true"),
            ("ALLOW_REGISTRATION", "false"),
            ("API_KEYS", "shop:0123456789abcdef"),
            ("CLIENT_URL", "*"),
            ("TRUSTED_PROXIES", "10.0.0.1"),
        ] {
            assert!(!offers(&[setting]), "{setting:?}");
        }
        assert!(!offers(&[("WEB_CHAT", "demo"), ("HOST", "0.0.0.0")]));
    }
}
