//! Issuers for tests, and keys that trust them.
use std::time::Duration;

use serde_json::{Value, json};

use super::claims::TokenError;
use super::issuers::Answer;
use super::keys::TokenKeys;
use super::signers::Signer;
use super::trust::{PublicKeyFile, Trust};
use crate::config::Audience;
use crate::model::Timestamp;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_500);
pub(super) const ISSUER: &str = "https://login.example";
pub(super) const SECRET: &str = "a secret of thirty-two bytes ...";

pub(super) fn signers() -> Vec<Signer> {
    vec![Signer::rsa_a("rsa"), Signer::ec("P-256", "p256"), Signer::ec("P-384", "p384"), Signer::ed("ed")]
}

pub(super) fn set_of(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

pub(super) fn published(signers: &[&Signer]) -> Result<Answer, String> {
    Answer::read(&set_of(&signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()))
}

pub(super) fn payload() -> Value {
    json!({"sub": "ann", "iss": ISSUER, "aud": "chat", "exp": NOW.as_millis() / 1000 + 600})
}

pub(super) fn payload_with(name: &str, value: Value) -> Value {
    let mut payload = payload();
    payload[name] = value;
    payload
}

pub(super) fn trust() -> Trust {
    Trust { oidc_issuers: vec![ISSUER.to_owned()], audience: Audience::OneOf(vec!["chat".to_owned()]), ..Trust::default() }
}

pub(super) fn unread(trust: &Trust) -> TokenKeys {
    TokenKeys::new(&[SECRET], false, Duration::from_secs(3_600)).trusting(trust).unwrap()
}

/// Keys that trust this issuer and know its keys.
pub(super) fn keys(signers: &[&Signer]) -> TokenKeys {
    let keys = unread(&trust());
    assert_eq!(keys.issuers_due(NOW).len(), 1);
    keys.issuer_answered(0, published(signers), NOW);
    keys
}

pub(super) fn user(keys: &TokenKeys, token: &str) -> Result<String, TokenError> {
    keys.verify(token, NOW).map(|claims| claims.user.to_string())
}

pub(super) fn with_file(text: String) -> TokenKeys {
    unread(&Trust { files: vec![PublicKeyFile { name: "a.pem".to_owned(), text }], ..Trust::default() })
}
