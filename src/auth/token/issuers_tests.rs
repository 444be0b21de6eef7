//! Tokens of issuers: every algorithm, every kind of key, every trick.
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::fixtures::{
    ISSUER, NOW, SECRET, keys, payload, payload_with, published, set_of, signers, trust, unread, user, with_file,
};
use super::super::keys::TokenKeys;
use super::super::signers::{SHORT_RSA_N, Signer, pem};
use super::super::trust::{PublicKeyFile, Trust};
use super::*;
use crate::config::Audience;

const ALGORITHMS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

#[test]
fn every_algorithm_is_verified_by_a_key_of_its_kind_and_by_no_other() {
    let signers = signers();
    for algorithm in ALGORITHMS {
        for signer in &signers {
            if signer.sign(algorithm, b"").is_none() {
                continue;
            }
            let token = signer.token(algorithm, &payload());
            assert_eq!(user(&keys(&[signer]), &token), Ok("ann".to_owned()), "{algorithm}, by a set");
            assert_eq!(user(&with_file(signer.pem()), &token), Ok("ann".to_owned()), "{algorithm}, by a file");
            for other in &signers {
                let is_own = other.id == signer.id;
                // Also under the name of the key that signed it.
                let renamed = json!({"keys": [{"kid": signer.id}]});
                let mut jwk = other.jwk();
                jwk["kid"] = renamed["keys"][0]["kid"].clone();
                let keys = unread(&trust());
                keys.issuers_due(NOW);
                keys.issuer_answered(0, Answer::read(&set_of(&[jwk])), NOW);
                assert_eq!(user(&keys, &token).is_ok(), is_own, "{algorithm} with {:?}", other.id);
            }
            let other = if algorithm.starts_with(['R', 'P']) { Signer::rsa_b("rsa") } else { Signer::ec("P-256", "p256") };
            assert!(user(&keys(&[&other]), &token).is_err(), "{algorithm}: another key of its kind");
        }
    }
}

#[test]
fn the_algorithm_follows_from_the_key() {
    let signer = Signer::rsa_a("k");
    for named in ["RS256", "PS512"] {
        let mut jwk = signer.jwk();
        jwk["alg"] = json!(named);
        let keys = unread(&trust());
        keys.issuers_due(NOW);
        keys.issuer_answered(0, Answer::read(&set_of(&[jwk])), NOW);
        for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
            let token = signer.token(algorithm, &payload());
            assert_eq!(user(&keys, &token).is_ok(), algorithm == named, "{algorithm} with a key for {named}");
        }
    }
}

#[test]
fn a_header_can_neither_choose_nor_bring_a_key() {
    let (signer, evil) = (Signer::rsa_a("k"), Signer::rsa_b("k"));
    let keys = keys(&[&signer]);
    let header = |more: Value| {
        let mut header = json!({"alg": "RS256", "kid": "k"});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header
    };
    assert!(user(&keys, &signer.token_with(&header(json!({"typ": "at+jwt", "x5t": "AAAA"})), &payload())).is_ok());
    for more in [
        json!({"jku": "https://evil.example/keys"}),
        json!({"x5u": "https://evil.example/certificate"}),
        json!({"jwk": evil.jwk()}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": []}),
    ] {
        for signed_by in [&signer, &evil] {
            assert_eq!(user(&keys, &signed_by.token_with(&header(more.clone()), &payload())), Err(TokenError::Invalid), "{more}");
        }
    }
    let text = signer.token("RS256", &payload());
    let unsigned = |algorithm: &str| {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": algorithm, "kid": "k"}).to_string());
        format!("{header}.{}.", text.split('.').nth(1).unwrap())
    };
    for algorithm in ["none", "None", "HS256", "RS256", "ES256", "EdDSA", ""] {
        assert!(user(&keys, &unsigned(algorithm)).is_err(), "{algorithm}");
    }
}

/// Changes of a header, each with whether a token with it may still be accepted.
fn tricks(evil: &Signer, own_id: &str) -> Vec<(Value, bool)> {
    vec![
        (json!({"kid": own_id}), true),
        (json!({}), true),
        (json!({"kid": own_id, "typ": "at+jwt", "cty": "JWT", "x5t": "AAAA"}), true),
        (json!({"kid": "another"}), false),
        (json!({"kid": "../../dev/null"}), false),
        (json!({"kid": own_id, "jku": "https://evil.example/keys"}), false),
        (json!({"kid": own_id, "x5u": "https://evil.example/certificate"}), false),
        (json!({"kid": own_id, "jwk": evil.jwk()}), false),
        (json!({"kid": own_id, "crit": ["exp"]}), false),
        (json!({"kid": own_id, "crit": ["b64"], "b64": false}), false),
    ]
}

#[test]
fn every_algorithm_with_every_key_and_every_trick_proves_only_the_owner_of_the_key() {
    let (trusted, evil) = (signers(), Signer::rsa_b("evil"));
    let keys = keys(&trusted.iter().collect::<Vec<_>>());
    let text = payload().to_string();
    let token = |header: &Value, signature: &dyn Fn(&[u8]) -> Vec<u8>| {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(&text));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature(message.as_bytes())))
    };
    let mut accepted = 0;
    for signer in trusted.iter().chain([&evil]) {
        let own_id = signer.id.as_deref().unwrap();
        for made_by in ALGORITHMS.into_iter().filter(|algorithm| signer.sign(algorithm, b"").is_some()) {
            for (trick, is_harmless) in tricks(&evil, own_id) {
                for said in ALGORITHMS.into_iter().chain(["HS256", "HS384", "HS512", "none", "rs256", "ES512", ""]) {
                    let mut header = trick.clone();
                    header["alg"] = json!(said);
                    let is_right = is_harmless && said == made_by && own_id != "evil";
                    let found = user(&keys, &token(&header, &|message| signer.sign(made_by, message).unwrap()));
                    assert_eq!(found.is_ok(), is_right, "{own_id} signs by {made_by}, and says {header}");
                    accepted += usize::from(found.is_ok());
                }
            }
        }
        // As a secret, in each of the spellings in which others have it.
        for secret in [signer.pem(), signer.jwk().to_string(), set_of(&[signer.jwk()])] {
            let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
            for (trick, _) in tricks(&evil, own_id) {
                for said in ALGORITHMS.into_iter().chain(["HS256", "HS384", "HS512", "none"]) {
                    let mut header = trick.clone();
                    header["alg"] = json!(said);
                    let sign = |message: &[u8]| {
                        let algorithm = said.parse().ok().filter(|_| said.starts_with("HS")).unwrap_or_default();
                        URL_SAFE_NO_PAD.decode(jsonwebtoken::crypto::sign(message, &key, algorithm).unwrap()).unwrap()
                    };
                    assert!(user(&keys, &token(&header, &sign)).is_err(), "{own_id}'s key as a secret, and says {header}");
                }
            }
        }
    }
    assert_eq!(accepted, 9 * 3, "each algorithm with its own key, and no trick");
}

#[test]
fn a_public_key_is_no_secret() {
    let signer = Signer::rsa_a("k");
    let set = set_of(&[signer.jwk()]);
    let modulus = URL_SAFE_NO_PAD.decode(signer.jwk()["n"].as_str().unwrap()).unwrap();
    for keys in [keys(&[&signer]), with_file(signer.pem())] {
        for secret in [signer.pem().as_bytes(), signer.pem().trim().as_bytes(), set.as_bytes(), &modulus, b""] {
            for algorithm in ["HS256", "HS384", "HS512"] {
                let header = json!({"alg": algorithm, "kid": "k"});
                let message =
                    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload().to_string()));
                let key = jsonwebtoken::EncodingKey::from_secret(secret);
                let signed = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm.parse().unwrap()).unwrap();
                assert_eq!(user(&keys, &format!("{message}.{signed}")), Err(TokenError::Invalid), "{algorithm}");
            }
        }
    }
}

#[test]
fn a_key_counts_for_its_issuer_alone() {
    let (ours, theirs) = (Signer::ed("k"), Signer::ed("k"));
    let other = "https://other.example/";
    let trust = Trust { oidc_issuers: vec![ISSUER.to_owned(), other.to_owned()], ..trust() };
    let keys = unread(&trust);
    assert_eq!(keys.issuers_due(NOW).len(), 2);
    keys.issuer_answered(0, published(&[&ours]), NOW);
    keys.issuer_answered(1, published(&[&theirs]), NOW);
    for (signer, issuer, is_fine) in [
        (&ours, Some(ISSUER), true),
        (&ours, Some("https://login.example/"), true),
        (&theirs, Some(other), true),
        (&theirs, Some(ISSUER), false),
        (&ours, Some(other), false),
        (&ours, Some("https://login.example//"), false),
        (&ours, Some("https://login.example.evil"), false),
        (&ours, None, false),
    ] {
        let token = signer.token("EdDSA", &payload_with("iss", json!(issuer)));
        assert_eq!(user(&keys, &token).is_ok(), is_fine, "{issuer:?}");
    }
}

#[test]
fn keys_of_a_file_and_of_an_address_stand_back_behind_an_issuers_own() {
    let (own, file, address) = (Signer::ed("o"), Signer::ed("f"), Signer::ed("a"));
    let files = vec![PublicKeyFile { name: "f.pem".to_owned(), text: file.pem() }];
    let trust = Trust {
        files,
        key_addresses: vec!["https://keys.example".to_owned()],
        issuers: vec!["f".to_owned(), "a".to_owned()],
        ..trust()
    };
    let keys = unread(&trust);
    keys.issuers_due(NOW);
    keys.issuer_answered(1, published(&[&address]), NOW);
    keys.issuer_answered(2, published(&[&own]), NOW);
    for (signer, fine) in [(&own, ISSUER), (&file, "f"), (&address, "a")] {
        for issuer in [ISSUER, "f", "a", "x"] {
            let token = signer.token("EdDSA", &payload_with("iss", json!(issuer)));
            assert_eq!(user(&keys, &token).is_ok(), issuer == fine, "{issuer} by {fine}'s key");
        }
    }
    // A file without a configured issuer does not verify tokens of an issuer that has its own source.
    let files = vec![PublicKeyFile { name: "f.pem".to_owned(), text: file.pem() }];
    let keys = unread(&Trust { files, ..super::super::fixtures::trust() });
    assert!(user(&keys, &file.token("EdDSA", &payload_with("iss", json!("f")))).is_ok());
    assert!(user(&keys, &file.token("EdDSA", &payload())).is_err());
}

#[test]
fn a_token_for_another_app_is_refused() {
    let signer = Signer::ec("P-256", "k");
    let keys = keys(&[&signer]);
    for (audience, is_fine) in [
        (json!("chat"), true),
        (json!(["other", "chat"]), true),
        (json!("other"), false),
        (json!(["other"]), false),
        (json!([]), false),
        (json!("cha"), false),
        (json!({"chat": true}), false),
        (Value::Null, false),
    ] {
        assert_eq!(user(&keys, &signer.token("ES256", &payload_with("aud", audience.clone()))).is_ok(), is_fine, "{audience}");
    }
    let anybodys = unread(&Trust { audience: Audience::Any, ..trust() });
    anybodys.issuers_due(NOW);
    anybodys.issuer_answered(0, published(&[&signer]), NOW);
    assert!(user(&anybodys, &signer.token("ES256", &payload_with("aud", json!("other")))).is_ok());
}

#[test]
fn clocks_may_differ_by_the_leeway() {
    let signer = Signer::ed("k");
    let keys = unread(&Trust { leeway: Duration::from_secs(10), ..trust() });
    keys.issuers_due(NOW);
    keys.issuer_answered(0, published(&[&signer]), NOW);
    let now = NOW.as_millis() / 1_000;
    for (name, at, expected) in [
        ("exp", now - 9, Ok(())),
        ("exp", now - 10, Err(TokenError::Expired)),
        ("nbf", now + 10, Ok(())),
        ("nbf", now + 11, Err(TokenError::Invalid)),
    ] {
        let token = signer.token("EdDSA", &payload_with(name, json!(at)));
        assert_eq!(keys.verify(&token, NOW).map(drop), expected, "{name} {}", at - now);
    }
}

#[test]
fn users_are_named_by_the_claim_that_the_settings_say() {
    let signer = Signer::ed("k");
    let of = |claims: &[&str]| {
        let keys = unread(&Trust {
            user_claims: claims.iter().map(|name| (*name).to_owned()).collect(),
            audience: Audience::Any,
            ..trust()
        });
        keys.issuers_due(NOW);
        keys.issuer_answered(0, published(&[&signer]), NOW);
        keys
    };
    let token = |more: Value| {
        let mut claims = json!({"iss": ISSUER});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        signer.token("EdDSA", &claims)
    };
    let always = of(&[]);
    for (claims, expected) in [
        (json!({"_id": "a", "user_id": "b"}), Some("a")),
        (json!({"user_id": "b", "uid": "c"}), Some("b")),
        (json!({"uid": "c", "user": {"id": "d"}}), Some("c")),
        (json!({"user": {"id": "d", "_id": "e"}}), Some("d")),
        (json!({"user": {"_id": "e"}}), Some("e")),
        (json!({"user.id": "f", "user": {"id": "d"}}), Some("f")),
        (json!({"user": "g"}), None),
        (json!({}), None),
    ] {
        assert_eq!(user(&always, &token(claims.clone())).ok().as_deref(), expected, "{claims}");
    }
    let named = of(&["https://app.example/id", "oid"]);
    for (claims, expected) in [
        (json!({"https://app.example/id": "a", "sub": "s"}), Some("a")),
        (json!({"oid": "b", "sub": "s"}), Some("b")),
        (json!({"sub": "s"}), None),
    ] {
        assert_eq!(user(&named, &token(claims.clone())).ok().as_deref(), expected, "{claims}");
    }
}

#[test]
fn tokens_that_a_secret_signed_are_asked_for_issuer_and_audience_too_but_not_ours() {
    let keys = unread(&Trust { issuers: vec!["https://backend.example".to_owned()], ..trust() });
    let (token, _) =
        keys.issue(&crate::model::UserId::parse("ann").unwrap(), &super::super::new_login_id(), Default::default(), None, NOW);
    assert!(keys.verify(&token, NOW).is_ok(), "ours");
    let sign = |claims: Value| {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
    };
    for (issuer, audience, is_fine) in
        [("https://backend.example", "chat", true), ("https://backend.example", "other", false), (ISSUER, "chat", false)]
    {
        let token = sign(json!({"id": "ann", "iss": issuer, "aud": audience}));
        assert_eq!(keys.verify(&token, NOW).is_ok(), is_fine, "{issuer} {audience}");
    }
    // An issuer's `login` must not count as ours: ours can be revoked, refreshed, and has no leeway.
    let signer = Signer::ed("k");
    let keys = super::super::fixtures::keys(&[&signer]);
    let claims = keys.verify(&signer.token("EdDSA", &payload_with("login", json!(super::super::new_login_id()))), NOW).unwrap();
    assert_eq!((claims.login, claims.revocation_key.len()), (None, 64));
}

#[test]
fn keys_that_are_no_good_are_left_out_with_a_line() {
    let good = Signer::rsa_a("good");
    let mut private = Signer::ec("P-256", "private").jwk();
    private["d"] = json!("AAAA");
    let mut for_encryption = Signer::ec("P-256", "encryption").jwk();
    for_encryption["use"] = json!("enc");
    let mut confused = Signer::ec("P-256", "confused").jwk();
    confused["alg"] = json!("RS256");
    let mut cut = Signer::ec("P-384", "cut").jwk();
    cut["x"] = json!("AAAA");
    for (key, word) in [
        (json!({"kty": "RSA", "kid": "short", "e": "AQAB", "n": SHORT_RSA_N}), "1024 bits"),
        (json!({"kty": "RSA", "kid": "zeros", "e": "AQAB", "n": format!("{}{SHORT_RSA_N}", "A".repeat(172))}), "1024 bits"),
        (json!({"kty": "oct", "kid": "secret", "k": "AAAA"}), "a secret"),
        (private, "private key"),
        (confused, "algorithm"),
        (cut, "curve"),
        (json!({"kty": "EC", "crv": "P-521", "x": "AAAA", "y": "AAAA"}), "curve"),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}), "curve"),
        (json!({"kty": "AKP", "kid": "odd"}), "kind"),
        (json!("text"), ""),
    ] {
        let set = KeySet::parse(&set_of(&[key.clone(), good.jwk()])).unwrap();
        assert_eq!(set.keys.len(), 1, "{key}");
        let [complaint] = &set.complaints[..] else { panic!("{key}: {:?}", set.complaints) };
        assert!(complaint.contains(word) && complaint.lines().count() == 1, "{complaint}");
        assert!(KeySet::parse(&set_of(&[key])).is_err(), "alone it makes no set");
    }
    let set = KeySet::parse(&set_of(&[for_encryption, good.jwk()])).unwrap();
    assert_eq!((set.keys.len(), set.complaints.len()), (1, 0), "of what is not for signatures nobody speaks");
    for garbage in ["", "null", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, "<html>", &"[".repeat(100_000)] {
        assert!(KeySet::parse(garbage).is_err());
    }
}

#[test]
fn of_ten_thousand_keys_a_hundred_are_looked_at() {
    let many: Vec<_> = (0..10_000)
        .map(|number| json!({"kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43), "kid": format!("k{number}")}))
        .collect();
    let set = KeySet::parse(&set_of(&many)).unwrap();
    assert_eq!(set.keys.len(), 100);
    assert!(set.complaints.iter().any(|line| line.contains("10000")), "{:?}", set.complaints);
}

#[test]
fn files_without_a_good_key_end_the_start() {
    let signer = Signer::rsa_a("k");
    let twice = signer.pem() + &Signer::ed("e").pem();
    assert!(with_file(twice).verify(&signer.token("RS256", &payload()), NOW).is_ok(), "a file may have several");
    for (text, word) in [
        ("".to_owned(), "BEGIN PUBLIC KEY"),
        ("-----BEGIN PUBLIC KEY-----\n****\n-----END PUBLIC KEY-----\n".to_owned(), "base64"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n".to_owned(), "END PUBLIC KEY"),
        (pem("PUBLIC KEY", &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), "none of RSA"),
        (pem("PRIVATE KEY", b"x"), "private key"),
        (pem("RSA PRIVATE KEY", b"x"), "private key"),
        (pem("CERTIFICATE", b"x"), "openssl x509"),
        (pem("RSA PUBLIC KEY", b"x"), "damaged"),
    ] {
        let trust = Trust { files: vec![PublicKeyFile { name: "a.pem".to_owned(), text }], ..Trust::default() };
        let error = TokenKeys::new(&[SECRET], false, Duration::ZERO).trusting(&trust).err().unwrap().to_string();
        assert!(error.starts_with("JWT_PUBLIC_KEY: a.pem: ") && error.contains(word), "{error}");
    }
}

#[test]
fn settings_that_leave_open_whose_tokens_count_end_the_start() {
    let address = || vec!["https://keys.example".to_owned()];
    let any = Audience::Any;
    for (trust, word) in [
        (Trust { audience: Audience::Unset, ..trust() }, "JWT_AUDIENCE: must be set where OIDC_ISSUER is"),
        (Trust { key_addresses: address(), ..Trust::default() }, "JWT_AUDIENCE: must be set where JWKS_URL is"),
        (
            Trust { key_addresses: [address(), address()].concat(), audience: any.clone(), ..Trust::default() },
            "JWT_ISSUER: must be set",
        ),
        (Trust { key_addresses: address(), ..trust() }, "JWT_ISSUER: must be set"),
        (
            Trust {
                key_addresses: [address(), address(), address()].concat(),
                issuers: vec!["a".to_owned(), "b".to_owned()],
                audience: any,
                ..Trust::default()
            },
            "2 names for 3 places",
        ),
    ] {
        let error = TokenKeys::new(&[SECRET], false, Duration::ZERO).trusting(&trust).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_document_of_discovery_leads_to_keys_of_its_issuer_only() {
    let keys = unread(&Trust { oidc_issuers: vec!["https://login.example/realms/a/".to_owned()], ..trust() });
    let [asking] = &keys.issuers_due(NOW)[..] else { panic!("one issuer") };
    assert_eq!(asking.address, "https://login.example/realms/a/.well-known/openid-configuration");
    let document =
        |issuer: &str, address: &str| json!({"issuer": issuer, "jwks_uri": address, "scopes_supported": []}).to_string();
    let fine = document("https://login.example/realms/a", "https://cdn.example/keys");
    assert_eq!(asking.discover(&fine).as_deref(), Ok("https://cdn.example/keys"));
    for (text, word) in [
        (document("https://evil.example", "https://cdn.example/keys"), "another issuer"),
        (document("https://login.example/realms/a", "http://cdn.example/keys"), "https://"),
        (document("https://login.example/realms/a", "file:///etc/passwd"), "https://"),
        (r#"{"issuer":"https://login.example/realms/a"}"#.to_owned(), "jwks_uri"),
        ("<html>".to_owned(), "no document"),
    ] {
        let error = asking.discover(&text).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn looking_into_a_token_names_what_is_wrong_with_it() {
    let (signer, other) = (Signer::rsa_a("k"), Signer::rsa_b("other"));
    let mut jwk = signer.jwk();
    jwk["alg"] = json!("RS256");
    let keys = unread(&Trust { oidc_issuers: vec![ISSUER.to_owned(), "https://b.example".to_owned()], ..trust() });
    keys.issuers_due(NOW);
    keys.issuer_answered(0, Answer::read(&set_of(&[jwk])), NOW);
    for (token, word) in [
        (signer.token("RS256", &payload()), ""),
        (signer.token("PS256", &payload()), "its key is for RS256"),
        (signer.token("RS256", &payload_with("aud", json!("other"))), "JWT_AUDIENCE is chat"),
        (signer.token("RS256", &payload_with("aud", Value::Null)), "JWT_AUDIENCE is chat"),
        (signer.token("RS256", &payload_with("iss", json!("https://b.example"))), "which counts for https://login.example"),
        (signer.token("RS256", &payload_with("sub", json!("a\nb"))), "its sub is no id"),
        (signer.token("RS256", &json!({"iss": ISSUER, "aud": "chat"})), "it names no user"),
        (signer.token_with(&json!({"alg": "RS256", "jku": "https://x.example"}), &payload()), "(jku)"),
        (other.token("RS256", &payload()), "its key \"other\" is none of those of https://login.example"),
        (other.token("RS256", &payload_with("iss", json!("https://c.example"))), "whose keys are not known here"),
        (other.token("RS256", &payload_with("iss", json!("https://b.example"))), "no keys of https://b.example are known"),
    ] {
        let examined = keys.examine(&token, &[], NOW).unwrap();
        assert_eq!(examined.faults.is_empty(), keys.verify(&token, NOW).is_ok(), "{:?}", examined.faults);
        match word {
            "" => assert_eq!(examined.faults, [""; 0]),
            word => assert!(matches!(&examined.faults[..], [fault] if fault.contains(word)), "{word}: {:?}", examined.faults),
        }
    }
}
