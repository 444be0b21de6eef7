use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;

use super::super::claims::FOR_EVER;
use super::super::fixtures;
use super::super::signers::Signer;
use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_500);
const NOW_SECONDS: i64 = 1_767_225_600;
const SECRET: &str = "a secret of thirty-two bytes ...";

fn keys(secrets: &[&str]) -> TokenKeys {
    TokenKeys::new(secrets, false, Duration::from_secs(3600))
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Signs any header and payload, as another library might.
fn signed(secret: &str, header: &str, payload: &str) -> String {
    crypto::install();
    let message = format!("{}.{}", encode(header), encode(payload));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn token(payload: &serde_json::Value) -> String {
    signed(SECRET, r#"{"alg":"HS256","typ":"JWT"}"#, &payload.to_string())
}

fn verify(token: &str) -> Result<Claims, TokenError> {
    keys(&[SECRET]).verify(token, NOW)
}

#[test]
fn the_user_is_id_else_user_id_else_sub() {
    for (payload, user) in [
        (json!({"id": "a", "userId": "b", "sub": "c"}), Some("a")),
        (json!({"userId": "b", "sub": "c"}), Some("b")),
        (json!({"id": null, "sub": "c"}), Some("c")),
        (json!({"id": 42}), Some("42")),
        (json!({"id": 0}), Some("0")),
        (json!({"id": 9_007_199_254_740_991_u64}), Some("9007199254740991")),
        (json!({"id": 9_007_199_254_740_992_u64}), None),
        (json!({"id": -1}), None),
        (json!({"id": 1.5}), None),
        (json!({"id": true, "sub": "c"}), None),
        (json!({"id": {"a": 1}}), None),
        (json!({"id": ""}), None),
        (json!({"id": "a\tb"}), None),
        (json!({"id": "x".repeat(201)}), None),
        (json!({"name": "ann"}), None),
        (json!([1]), None),
    ] {
        let claims = verify(&token(&payload));
        assert_eq!(claims.as_ref().ok().map(|claims| claims.user.as_str()), user, "{payload}");
        assert!(claims.is_ok() || claims == Err(TokenError::Invalid));
    }
}

#[test]
fn times_are_honoured_without_leeway() {
    for (payload, expected) in [
        (json!({"exp": NOW_SECONDS + 1}), Ok(())),
        (json!({"exp": NOW_SECONDS}), Err(TokenError::Expired)),
        (json!({"exp": NOW_SECONDS as f64 + 0.6}), Ok(())),
        (json!({"exp": NOW_SECONDS as f64 + 0.5}), Err(TokenError::Expired)),
        (json!({"exp": -5}), Err(TokenError::Expired)),
        (json!({"exp": 1e300}), Ok(())),
        (json!({"exp": null}), Err(TokenError::Invalid)),
        (json!({"exp": "2030"}), Err(TokenError::Invalid)),
        (json!({"nbf": NOW_SECONDS}), Ok(())),
        (json!({"nbf": NOW_SECONDS + 1}), Err(TokenError::Invalid)),
        (json!({"nbf": NOW_SECONDS + 1, "exp": 1}), Err(TokenError::Invalid)),
        (json!({"nbf": "soon"}), Err(TokenError::Invalid)),
        (json!({"iat": NOW_SECONDS + 1000}), Ok(())),
        (json!({"iat": "x", "aud": "others", "iss": 5}), Ok(())),
    ] {
        let mut with_user = payload.clone();
        with_user["id"] = json!("ann");
        assert_eq!(verify(&token(&with_user)).map(drop), expected, "{payload}");
    }
}

#[test]
fn require_exp_refuses_eternal_tokens() {
    let keys = TokenKeys::new(&[SECRET], true, Duration::from_secs(1));
    assert_eq!(keys.verify(&token(&json!({"id": "a"})), NOW), Err(TokenError::Invalid));
    assert!(keys.verify(&token(&json!({"id": "a", "exp": NOW_SECONDS + 9})), NOW).is_ok());
}

#[test]
fn every_secret_verifies_and_the_first_signs() {
    let (ann, login) = (UserId::parse("ann").unwrap(), new_login_id());
    let both = keys(&["one", "two"]);
    let (by_one, _) = both.issue(&ann, &login, UserRole::User, None, NOW);
    let (by_two, _) = keys(&["two"]).issue(&ann, &login, UserRole::User, None, NOW);
    assert!(both.verify(&by_one, NOW).is_ok() && both.verify(&by_two, NOW).is_ok());
    assert!(keys(&["one"]).verify(&by_one, NOW).is_ok());
    assert_eq!(keys(&["two"]).verify(&by_one, NOW), Err(TokenError::Invalid));
    assert_eq!(keys(&[]).verify(&by_one, NOW), Err(TokenError::Invalid));
    assert_eq!(keys(&[]).verify(&keys(&[""]).issue(&ann, &login, UserRole::User, None, NOW).0, NOW), Err(TokenError::Invalid));
}

#[test]
fn our_tokens_say_what_front_ends_read() {
    let (ann, login) = (UserId::parse("ann").unwrap(), new_login_id());
    let keys = keys(&[SECRET]);
    let (text, expires_at) = keys.issue(&ann, &login, UserRole::Admin, Some("ann@example.org"), NOW);
    let claims = keys.verify(&text, NOW).unwrap();
    assert_eq!(claims.user, ann);
    assert_eq!(claims.login.as_deref(), Some(&*login));
    assert_eq!(&*claims.revocation_key, &*login);
    assert_eq!(claims.issued_at, Some(NOW), "to the millisecond");
    assert_eq!(claims.expires_at, Some(expires_at));
    assert!(expires_at >= NOW.plus_millis(3_600_000) && expires_at < NOW.plus_millis(3_601_000));
    assert_eq!((claims.email.as_deref(), claims.role.as_deref()), (Some("ann@example.org"), Some("admin")));
    let payload = URL_SAFE_NO_PAD.decode(text.split('.').nth(1).unwrap()).unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    for name in ["id", "userId", "sub", "email", "role", "iat", "exp", "jti", "login"] {
        assert!(!payload[name].is_null(), "{name}");
    }
    assert_ne!(keys.issue(&ann, &login, UserRole::User, None, NOW).0, keys.issue(&ann, &login, UserRole::User, None, NOW).0);
    assert_eq!(keys.verify(&text, expires_at), Err(TokenError::Expired));
}

#[test]
fn foreign_tokens_are_revoked_by_their_hash() {
    let text = token(&json!({"id": "ann", "login": "octocat", "name": "Ann", "username": 5, "iat": 7, "iatMs": 9, "exp": 1e10}));
    let claims = verify(&text).unwrap();
    assert_eq!(claims.login, None, "another system's word");
    assert_eq!(claims.revocation_key.len(), 64);
    assert_eq!(claims.issued_at, Some(Timestamp::from_millis(7_000)));
    assert_eq!(claims.username.as_deref(), Some("Ann"));
    let hour = Duration::from_secs(3600);
    assert_eq!(Some(claims.revoked_until(NOW, hour)), claims.expires_at);
    let eternal = verify(&token(&json!({"id": "ann"}))).unwrap();
    assert_eq!(eternal.revoked_until(NOW, hour), FOR_EVER);
}

#[test]
fn tricks_are_refused() {
    let payload = json!({"id": "ann"}).to_string();
    let good = r#"{"alg":"HS256","typ":"JWT"}"#;
    let jwk = r#"{"alg":"HS256","jwk":{"kty":"oct","alg":"HS256","k":"ZXZpbA"}}"#;
    crypto::install();
    let sign_as = |algorithm: Algorithm, name: &str| {
        let message = format!("{}.{}", encode(&format!(r#"{{"alg":"{name}"}}"#)), encode(&payload));
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        format!("{message}.{}", jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap())
    };
    let unsigned = |header: &str| format!("{}.{}.", encode(header), encode(&payload));
    let whole = signed(SECRET, good, &payload);
    for (name, text) in [
        ("none", unsigned(r#"{"alg":"none"}"#)),
        ("None", unsigned(r#"{"alg":"None"}"#)),
        ("none with a signature", signed(SECRET, r#"{"alg":"none"}"#, &payload)),
        ("no algorithm", signed(SECRET, r#"{"typ":"JWT"}"#, &payload)),
        ("HS384 signed as HS512", sign_as(Algorithm::HS512, "HS384")),
        ("HS512 signed as HS256", sign_as(Algorithm::HS256, "HS512")),
        ("RS256 signed as HS256", signed(SECRET, r#"{"alg":"RS256"}"#, &payload)),
        ("ES256 signed as HS256", signed(SECRET, r#"{"alg":"ES256"}"#, &payload)),
        ("EdDSA signed as HS256", signed(SECRET, r#"{"alg":"EdDSA"}"#, &payload)),
        ("lower case", signed(SECRET, r#"{"alg":"hs256"}"#, &payload)),
        ("algorithm twice", signed(SECRET, r#"{"alg":"HS256","alg":"HS256"}"#, &payload)),
        ("its own key", signed("evil", jwk, &payload)),
        ("a file as key", signed("", r#"{"alg":"HS256","kid":"/dev/null"}"#, &payload)),
        ("foreign key", signed("another", good, &payload)),
        ("empty key", signed("", good, &payload)),
        ("unknown extension", signed(SECRET, r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, &payload)),
        ("no signature", format!("{}.{}.", encode(good), encode(&payload))),
        ("two parts", format!("{}.{}", encode(good), encode(&payload))),
        ("four parts", format!("{whole}.x")),
        ("padded", format!("{whole}=")),
        ("white space within", whole.replacen('.', ". ", 1)),
        ("half a quote", format!("\"{whole}")),
        ("another scheme", format!("Basic {whole}")),
        ("no JSON", signed(SECRET, good, "id=ann")),
        ("deep JSON", signed(SECRET, good, &format!(r#"{{"id":{}"#, "[".repeat(5000)))),
        ("id twice", signed(SECRET, good, r#"{"id":"ann","id":"bob"}"#)),
        ("only dots", "..".to_owned()),
        ("not ASCII", "ä.ö.ü".to_owned()),
        ("huge", signed(SECRET, good, &json!({"id": "ann", "x": "x".repeat(MAX_TOKEN_BYTES)}).to_string())),
        ("huge nonsense", "a".repeat(10_000_000)),
    ] {
        assert_eq!(verify(&text), Err(TokenError::Invalid), "{name}");
    }
    assert!(verify(&whole).is_ok());
    assert!(verify(&sign_as(Algorithm::HS384, "HS384")).is_ok() && verify(&sign_as(Algorithm::HS512, "HS512")).is_ok());
    assert!(verify(&signed(SECRET, r#"{"alg":"HS256","kid":"k1"}"#, &payload)).is_ok(), "a `kid` chooses nothing");
    assert_eq!(verify(""), Err(TokenError::Missing));
}

#[test]
fn what_front_ends_put_around_a_token_does_not_count() {
    let text = token(&json!({"id": "ann"}));
    let bare = verify(&text).unwrap();
    for around in [
        format!(" {text}\n"),
        format!("Bearer {text}"),
        format!("bearer  {text} "),
        format!("\"{text}\""),
        format!("\"Bearer {text}\""),
        format!("Bearer \"{text}\""),
        format!("Bearer Bearer {text}"),
    ] {
        assert_eq!(verify(&around), Ok(bare.clone()), "{around}: the same, also for a revocation");
    }
    for nothing in ["", " ", "\"\"", "Bearer ", "Bearer"] {
        assert!(verify(nothing).is_err(), "{nothing:?}");
    }
}

#[test]
fn a_token_has_one_spelling() {
    let text = token(&json!({"id": "ann"}));
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (body, last) = text.split_at(text.len() - 1);
    let accepted: Vec<_> = alphabet.chars().filter(|end| verify(&format!("{body}{end}")).is_ok()).collect();
    assert_eq!(accepted, last.chars().collect::<Vec<_>>(), "stray bits at the end would escape a revocation");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_mutated_token_proves_nobody(at in 0_usize..1000, with in any::<u8>(), how in 0_u8..4) {
        let text = token(&json!({"id": "ann", "exp": NOW_SECONDS + 60}));
        let mut bytes = text.clone().into_bytes();
        let at = at % bytes.len();
        match how {
            0 => bytes[at] = with & 0x7f,
            1 => bytes.insert(at, with & 0x7f),
            2 => { bytes.remove(at); }
            _ => bytes.truncate(at),
        }
        let mutated = String::from_utf8(bytes).unwrap();
        if mutated.trim() != text {
            prop_assert!(verify(&mutated).is_err());
        }
    }

    #[test]
    fn nonsense_proves_nobody(text in "\\PC{0,80}", parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        prop_assert!(verify(&text).is_err());
        prop_assert!(verify(&parts.join(".")).is_err());
    }

    #[test]
    fn a_signed_payload_of_any_shape_is_an_answer(payload in "\\PC{0,60}", number in any::<f64>()) {
        let header = r#"{"alg":"HS256"}"#;
        let _ = verify(&signed(SECRET, header, &payload));
        let _ = verify(&signed(SECRET, header, &json!({"id": "a", "exp": number, "nbf": -number, "iat": number}).to_string()));
    }
}

#[test]
fn a_token_that_was_verified_costs_no_second_signature() {
    let signer = Signer::rsa_a("k");
    let keys = fixtures::keys(&[&signer]);
    let token = signer.token("RS256", &fixtures::payload());
    let claims = keys.verify(&token, NOW).unwrap();
    // Only the cache knows this name.
    let marked = Claims { username: Some("remembered".to_owned()), ..claims };
    keys.verified().keep(fingerprint_of(&token), 0, marked.clone());
    assert_eq!(keys.verify(&token, NOW), Ok(marked));
}

#[test]
#[ignore = "a measurement: cargo test --release --lib first_verifications -- --ignored --nocapture"]
fn first_verifications_are_five_thousand_a_second() {
    let signer = Signer::rsa_a("k");
    let keys = fixtures::keys(&[&signer]);
    let tokens: Vec<_> = (0..4_000).map(|id| signer.token("RS256", &fixtures::payload_with("jti", json!(id)))).collect();
    let begun = Instant::now();
    let verified = tokens.iter().filter(|token| keys.verify(token, NOW).is_ok()).count();
    let per_second = (verified as f64 / begun.elapsed().as_secs_f64()).round();
    println!("{per_second} first verifications of RS256 in a second, on one core");
    assert!(verified == tokens.len() && per_second >= 5_000.0, "{verified} tokens, {per_second} in a second");
}
