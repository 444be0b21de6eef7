//! Changed keys, and issuers that are away.
use serde_json::json;

use super::super::claims::TokenError;
use super::super::fixtures::{ISSUER, NOW, keys, payload, payload_with, published};
use super::super::signers::Signer;
use super::News;
use crate::model::Timestamp;

fn later(seconds: i64) -> Timestamp {
    NOW.plus_millis(seconds * 1_000)
}

#[test]
fn a_rotated_key_is_asked_for_once_and_nobody_is_refused() {
    let (old, new) = (Signer::ed("old"), Signer::ed("new"));
    let keys = keys(&[&old]);
    assert!(keys.issuers_due(later(60)).is_empty());
    let token = |signer: &Signer, user: usize| signer.token("EdDSA", &payload_with("sub", json!(format!("user{user}"))));
    let mut asked = 0;
    for user in 0..1_000 {
        assert_eq!(
            keys.verify(&token(&new, user), later(60)).map(drop),
            Err(TokenError::KeyUnknown),
            "waits, and is not refused"
        );
        assert!(keys.verify(&token(&old, user), later(60)).is_ok(), "known keys wait for nothing");
        asked += keys.issuers_due(later(60)).len();
    }
    assert_eq!(asked, 1);
    assert_eq!(keys.issuer_answered(0, published(&[&old, &new]), later(61)), News::Changed { keys: 2, complaints: vec![] });
    for user in 0..1_000 {
        assert!(keys.verify(&token(&new, user), later(61)).is_ok() && keys.verify(&token(&old, user), later(61)).is_ok());
    }
    // Made-up ids of keys make the server ask the issuer every half minute at most.
    let evil = Signer::ed("evil");
    assert_eq!(keys.verify(&token(&evil, 0), later(62)).map(drop), Err(TokenError::Invalid));
    assert!(keys.issuers_due(later(62)).is_empty());
    assert_eq!(keys.verify(&token(&evil, 0), later(90)).map(drop), Err(TokenError::KeyUnknown));
    assert_eq!(keys.issuers_due(later(90)).len(), 1);
    keys.issuer_answered(0, published(&[&old, &new]), later(91));
    assert_eq!(keys.verify(&token(&evil, 0), later(91)).map(drop), Err(TokenError::Invalid));
    // Tokens of an unknown issuer cause no questions.
    assert_eq!(
        keys.verify(&evil.token("EdDSA", &payload_with("iss", json!("https://evil.example"))), later(200)).map(drop),
        Err(TokenError::Invalid)
    );
    assert!(keys.issuers_due(later(200)).is_empty());
}

#[test]
fn a_key_that_is_asked_for_while_the_hour_is_up_is_waited_for() {
    let (old, new) = (Signer::ed("old"), Signer::ed("new"));
    let keys = keys(&[&old]);
    let token = new.token("EdDSA", &payload());
    assert_eq!(keys.issuers_due(later(3_600)).len(), 1, "by the hour");
    assert_eq!(keys.verify_all_but_expiry(&token, later(3_600)).map(drop), Err(TokenError::KeyUnknown));
    // This answer was on its way before the key was changed.
    assert_eq!(keys.issuer_answered(0, published(&[&old]), later(3_601)), News::Nothing);
    assert_eq!(keys.verify_all_but_expiry(&token, later(3_601)).map(drop), Err(TokenError::KeyUnknown));
    assert_eq!(keys.issuers_due(later(3_601)).len(), 1, "for the key");
    keys.issuer_answered(0, published(&[&new]), later(3_602));
    assert!(keys.verify_all_but_expiry(&token, later(3_602)).is_ok());
}

#[test]
fn an_issuer_that_is_away_leaves_its_keys_good_for_a_day() {
    let signer = Signer::ed("k");
    let keys = keys(&[&signer]);
    let token = signer.token("EdDSA", &json!({"sub": "ann", "iss": ISSUER, "aud": "chat"}));
    let (mut lines, mut asked) = (0, 0);
    // Every ten seconds of an hour, from when the keys are due.
    for at in (3_600..7_200).step_by(10) {
        for asking in keys.issuers_due(later(at)) {
            asked += 1;
            lines += usize::from(matches!(keys.issuer_answered(asking.source, Err("away".to_owned()), later(at)), News::Away(_)));
        }
        assert!(keys.verify(&token, later(at)).is_ok(), "after {at} s");
    }
    assert_eq!((lines, asked), (1, 120), "one line, and a try every half minute");
    let [figures] = &keys.issuer_figures(later(7_200))[..] else { panic!("one issuer") };
    assert_eq!((figures.keys, figures.age_seconds, figures.reads, figures.failures), (1, Some(7_200), 121, 120));
    assert!(keys.verify(&token, later(86_399)).is_ok());
    assert_eq!(keys.verify(&token, later(86_400)).map(drop), Err(TokenError::KeyUnknown), "also where it was verified before");
    assert_eq!(keys.issuer_figures(later(86_400))[0].keys, 0);
    assert_eq!(keys.issuers_due(later(86_401)).len(), 1);
    assert_eq!(keys.issuer_answered(0, published(&[&signer]), later(86_401)), News::Back);
    assert!(keys.verify(&token, later(86_402)).is_ok());
}

#[test]
fn a_withdrawn_key_verifies_nothing_any_more_also_what_it_verified_before() {
    let (old, new) = (Signer::ed("old"), Signer::ed("new"));
    let keys = keys(&[&old]);
    let token = old.token("EdDSA", &payload());
    assert!(keys.verify(&token, NOW).is_ok() && keys.verify(&token, NOW).is_ok());
    assert_eq!(
        keys.verify(&token, later(700)).map(drop),
        Err(TokenError::Expired),
        "its end counts also where it was verified before"
    );
    keys.issuers_due(later(3_600));
    keys.issuer_answered(0, published(&[&new]), later(3_600));
    assert!(keys.verify_all_but_expiry(&token, later(3_600)).is_err());
}
