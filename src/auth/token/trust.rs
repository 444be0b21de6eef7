//! Issuers that are trusted beside the holders of our secrets, by the settings.
use std::fs;
use std::time::Duration;

use super::issuers::Source;
use super::public_key::VerifyingKey;
use crate::config::{Audience, Config};

/// An impossible setting about tokens: its name, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TrustError(String);

/// The content of a file of `JWT_PUBLIC_KEY`.
#[derive(Debug, Clone)]
pub struct PublicKeyFile {
    /// Its path.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Settings about foreign tokens.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// `JWT_PUBLIC_KEY`
    pub files: Vec<PublicKeyFile>,
    /// `JWKS_URL`
    pub key_addresses: Vec<String>,
    /// `OIDC_ISSUER`
    pub oidc_issuers: Vec<String>,
    /// `JWT_AUDIENCE`
    pub audience: Audience,
    /// `JWT_ISSUER`
    pub issuers: Vec<String>,
    /// `JWT_LEEWAY`
    pub leeway: Duration,
    /// `JWT_USER_CLAIM`; empty: the default.
    pub user_claims: Vec<String>,
}

impl Trust {
    /// Reads the settings, and the files they name.
    ///
    /// # Errors
    /// An unreadable file of `JWT_PUBLIC_KEY`, or a public key instead of a secret.
    pub fn of(config: &Config) -> Result<Self, TrustError> {
        for (name, secret) in config.named_jwt_secrets() {
            let text = secret.expose();
            if text.contains("-----BEGIN ") || (text.trim_start().starts_with('{') && text.contains("\"kty\"")) {
                return Err(TrustError(format!(
                    "{name}: is a key and no secret: whoever has its public part could sign tokens; write it to a PEM file, and name that as \
                     JWT_PUBLIC_KEY"
                )));
            }
        }
        let read = |path: &std::path::PathBuf| {
            let name = path.display().to_string();
            let text = fs::read_to_string(path).map_err(|error| TrustError(format!("JWT_PUBLIC_KEY: {name}: {error}")))?;
            Ok(PublicKeyFile { name, text })
        };
        Ok(Self {
            files: config.jwt_public_key.iter().map(read).collect::<Result<_, _>>()?,
            key_addresses: config.jwks_url.addresses().to_vec(),
            oidc_issuers: config.oidc_issuer.addresses().to_vec(),
            audience: config.jwt_audience.clone(),
            issuers: config.jwt_issuer.clone(),
            leeway: config.jwt_leeway,
            user_claims: config.jwt_user_claim.clone(),
        })
    }

    /// Lists the sources of keys, each with its issuer's names.
    ///
    /// # Errors
    /// Settings that leave open which tokens are for this app, or whose they are.
    pub(super) fn sources(&self) -> Result<Vec<Source>, TrustError> {
        let asks = !self.key_addresses.is_empty() || !self.oidc_issuers.is_empty();
        if asks && self.audience == Audience::Unset {
            let setting = if self.oidc_issuers.is_empty() { "JWKS_URL" } else { "OIDC_ISSUER" };
            return Err(TrustError(format!(
                "JWT_AUDIENCE: must be set where {setting} is, to the `aud` of tokens for this app: a token for another app of that \
                 issuer would do as well; * says that this is meant"
            )));
        }
        let places = self.files.len() + self.key_addresses.len();
        if self.issuers.len() > 1 && places > 1 && self.issuers.len() != places {
            return Err(TrustError(format!(
                "JWT_ISSUER: has {} names for {places} places that keys come from (JWT_PUBLIC_KEY, then JWKS_URL): give one for all, or one \
                 for each in their order",
                self.issuers.len()
            )));
        }
        let others = self.key_addresses.len() + self.oidc_issuers.len();
        if self.issuers.is_empty() && !self.key_addresses.is_empty() && others + self.files.len() > 1 {
            return Err(TrustError(
                "JWT_ISSUER: must be set where keys come from several places: else a key of one would verify tokens of another"
                    .to_owned(),
            ));
        }
        let is_paired = places > 1 && self.issuers.len() == places;
        let names = |place: usize| match self.issuers.get(place).filter(|_| is_paired) {
            Some(name) => vec![name.clone()],
            None => self.issuers.clone(),
        };
        let mut sources = Vec::new();
        for (place, file) in self.files.iter().enumerate() {
            let keys = VerifyingKey::of_pem(&file.text);
            let keys = keys.map_err(|reason| TrustError(format!("JWT_PUBLIC_KEY: {}: {reason}", file.name)))?;
            sources.push(Source::file(file.name.clone(), names(place), keys));
        }
        for (place, address) in self.key_addresses.iter().enumerate() {
            sources.push(Source::keys(address.clone(), names(self.files.len() + place)));
        }
        sources.extend(self.oidc_issuers.iter().map(|issuer| Source::issuer(issuer.clone())));
        Ok(sources)
    }
}
