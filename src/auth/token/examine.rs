//! Diagnosis of a token: all its faults, in sentences.
use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Map, Value};

use super::bare::{MAX_TOKEN_BYTES, bare_token};
use super::claims::{Maker, Payload, TokenError, millis_of, timestamp_of};
use super::issuers::Source;
use super::keys::{TokenKeys, decode};
use super::public_key::VerifyingKey;
use crate::model::Timestamp;

/// The content of a token, authentic or not.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Its header.
    pub header: Map<String, Value>,
    /// Its claims.
    pub payload: Map<String, Value>,
    /// Name of the key that signed it, or of the key's source, even if that key is not accepted for this token.
    pub signed_by: Option<String>,
    /// Name of the claim that contains the user's id.
    pub user_claim: Option<String>,
    /// Its faults, except for those of time.
    pub faults: Vec<String>,
    /// Start of its validity, including `JWT_LEEWAY`.
    pub begins_at: Option<Timestamp>,
    /// End of its validity, including `JWT_LEEWAY`.
    pub expires_at: Option<Timestamp>,
}

impl TokenKeys {
    /// Reads a token without believing it, finds the key that signed it, and lists its faults. `secret_names` are the
    /// names of the secrets, in their order.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] if it is not a JSON Web Token.
    pub fn examine(&self, token: &str, secret_names: &[String], now: Timestamp) -> Result<Examined, TokenError> {
        let token = bare_token(token);
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(TokenError::Invalid);
        };
        let read = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice::<Map<String, Value>>(&bytes).ok()
        };
        let header = read(header).ok_or(TokenError::Invalid)?;
        let payload = Payload(read(payload).ok_or(TokenError::Invalid)?);
        let mut faults = Vec::new();
        if token.len() > MAX_TOKEN_BYTES {
            faults.push(format!("it is longer than {MAX_TOKEN_BYTES} bytes"));
        }
        for (name, why) in [
            ("crit", "has extensions that must be understood, and none is"),
            ("jku", "says where its keys are, which only the settings may"),
            ("x5u", "says where its certificate is, which only the settings may"),
            ("jwk", "brings its own key along, with which anybody can sign"),
        ] {
            if header.contains_key(name) {
                faults.push(format!("its header {why} ({name}): have its maker leave that out"));
            }
        }
        let (signed_by, maker) = match jsonwebtoken::decode_header(token) {
            Ok(known) => self.find_signer(token, &known, &payload, secret_names, now, &mut faults),
            Err(_) => {
                let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or("none");
                faults.push(format!(
                    "it is signed by {algorithm}, which counts nowhere: HS, RS, PS or ES with 256, 384 or 512, or EdDSA do"
                ));
                (None, None)
            }
        };
        self.judge_claims(&payload, maker, &mut faults);
        let leeway_ms = if is_ours(&payload, maker) { 0 } else { millis_of(self.rules.leeway) };
        let date = |name: &str| payload.0.get(name).and_then(Value::as_f64).map(timestamp_of);
        Ok(Examined {
            signed_by,
            user_claim: payload.user_claim(&self.rules.user_claims).map(|(name, _)| name.to_owned()),
            begins_at: date("nbf").map(|at| at.plus_millis(-leeway_ms)),
            expires_at: date("exp").map(|at| at.plus_millis(leeway_ms)),
            header,
            payload: payload.0,
            faults,
        })
    }

    fn find_signer(
        &self,
        token: &str,
        header: &Header,
        payload: &Payload,
        secret_names: &[String],
        now: Timestamp,
        faults: &mut Vec<String>,
    ) -> (Option<String>, Option<Maker>) {
        if let Some(place) = self.secrets.iter().position(|secret| decode(token, secret).is_some()) {
            return (secret_names.get(place).cloned(), Some(Maker::Secret));
        }
        let issuers = self.issuers();
        let signed_by = issuers.all().find_map(|source| {
            let key = source.good_keys(now).iter().find(|key| has_signed(key, token, header.alg))?;
            Some((source, key))
        });
        let issuer = payload.issuer();
        let Some((source, key)) = signed_by else {
            faults.push(unknown_signer(header, issuer, &issuers.of(issuer).map(|(_, source)| source).collect::<Vec<_>>(), now));
            return (None, None);
        };
        if !key.takes(header.alg) {
            let algorithms = list(key.validation.algorithms.iter().map(|algorithm| format!("{algorithm:?}")));
            faults.push(format!("it is signed by {:?}, and its key is for {algorithms}", header.alg));
        }
        if key.id.is_some() && header.kid.is_some() && key.id != header.kid {
            faults.push(format!(
                "its header names another key than the one that signed it ({})",
                key.id.as_deref().unwrap_or_default()
            ));
        }
        if !issuers.of(issuer).any(|(_, other)| other.name == source.name) {
            let own = list(source.issuers.iter());
            let own = if own.is_empty() { "issuers without a place of their own".to_owned() } else { own };
            faults.push(format!(
                "it is of {}, and signed by a key of {}, which counts for {own}",
                issuer.unwrap_or("no issuer (iss)"),
                source.name
            ));
        }
        (Some(source.name.clone()), Some(Maker::Issuer))
    }

    fn judge_claims(&self, payload: &Payload, maker: Option<Maker>, faults: &mut Vec<String>) {
        let is_ours = is_ours(payload, maker);
        if !is_ours && !payload.is_for(&self.rules) {
            let wanted = list(self.rules.audience.iter().flatten());
            match payload.0.get("aud") {
                Some(audience) => faults.push(format!("it is for {audience} (aud), and JWT_AUDIENCE is {wanted}")),
                None => faults.push(format!("it says not for whom it is (aud), and JWT_AUDIENCE is {wanted}")),
            }
        }
        if !is_ours && maker == Some(Maker::Secret) && !payload.is_by_one_of(&self.rules.issuers) {
            let wanted = list(self.rules.issuers.iter());
            faults.push(format!("it is of {} (iss), and JWT_ISSUER is {wanted}", payload.issuer().unwrap_or("no issuer")));
        }
        match payload.user_claim(&self.rules.user_claims) {
            Some((name, value)) if crate::model::UserId::parse(value.as_str().unwrap_or("0")).is_err() => {
                faults.push(format!("its {name} is no id of a user: 1 to 200 bytes that can be printed"));
            }
            Some(_) => {}
            None => faults.push(format!("it names no user: one of {} must", list(self.rules.user_claims.iter()))),
        }
        if self.rules.require_exp && !payload.0.contains_key("exp") {
            faults.push("it never expires, and REQUIRE_EXP wants an exp".to_owned());
        }
    }
}

fn is_ours(payload: &Payload, maker: Option<Maker>) -> bool {
    maker.is_some_and(|maker| payload.login(maker).is_some())
}

/// Returns whether a key signed a token, by any algorithm of its kind.
fn has_signed(key: &VerifyingKey, token: &str, algorithm: Algorithm) -> bool {
    let mut key = key.clone();
    key.validation.algorithms = vec![algorithm];
    decode(token, &key).is_some()
}

fn unknown_signer(header: &Header, issuer: Option<&str>, sources: &[&Source], now: Timestamp) -> String {
    let secret = "no secret of this configuration signed it: JWT_SECRET must be that of its maker (`parlance config` shows where it is set)";
    if format!("{:?}", header.alg).starts_with("HS") {
        return secret.to_owned();
    }
    let (algorithm, issuer) = (header.alg, issuer.unwrap_or("no issuer (iss)"));
    if sources.is_empty() {
        return format!(
            "it is signed by {algorithm:?} and of {issuer}, whose keys are not known here: OIDC_ISSUER, JWKS_URL or JWT_PUBLIC_KEY name \
             them, and JWT_ISSUER whose they are"
        );
    }
    let places = list(sources.iter().map(|source| &source.name));
    let knows = |id: &String| sources.iter().any(|source| source.good_keys(now).iter().any(|key| key.id.as_ref() == Some(id)));
    match &header.kid {
        _ if sources.iter().all(|source| source.good_keys(now).is_empty()) => format!("no keys of {places} are known"),
        Some(id) if !knows(id) => format!("its key {id:?} is none of those of {places}"),
        _ => format!("no key of {places} signed it, or the one that did is not for {algorithm:?}"),
    }
}

fn list(items: impl Iterator<Item = impl Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
