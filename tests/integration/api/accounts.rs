//! Registration, login, logout, passwords.
use serde_json::{Value, json};

use super::server::TestApi;

#[actix_web::test]
async fn a_new_user_registers_and_is_known_by_token_and_cookie() {
    let api = TestApi::start().await;
    let body = json!({"username": "Eve", "email": "Eve@example.org", "password": "correct horse", "fullName": "Eve E.", "role": "admin", "x": 1});
    let answer = api.anonymous("POST", "/api/auth/register", body).await;
    let registered = answer.expect(201);
    assert_eq!(registered["success"], true);
    let user = &registered["user"];
    for (field, value) in [
        ("username", json!("Eve")),
        ("fullName", json!("Eve E.")),
        ("avatar", Value::Null),
        ("isOnline", json!(false)),
        ("lastSeen", Value::Null),
        ("email", json!("Eve@example.org")),
        ("role", json!("user")),
    ] {
        assert_eq!(user[field], value, "{field} of {user}");
    }
    assert!(user["id"].is_string() && user["status"].is_string());
    assert!(registered["expiresAt"].as_str().unwrap().ends_with('Z'));
    let token = registered["token"].as_str().unwrap();
    let (cookie, attributes) = answer.cookie().unwrap();
    assert_eq!(cookie, token);
    assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Lax") && attributes.contains("Path=/"));
    assert!(!attributes.contains("Secure"), "no TLS: {attributes}");

    let me = api.with_token(token, "GET", "/api/auth/me", Value::Null).await.expect(200);
    assert_eq!(me["user"]["id"], user["id"]);
    let by_cookie = api.send("GET", "/api/auth/me", &[("cookie", &format!("a=b; token={token}"))], "").await;
    assert_eq!(by_cookie.expect(200)["user"]["id"], user["id"]);
}

#[actix_web::test]
async fn names_are_taken_once() {
    let api = TestApi::start().await;
    api.register("eve").await;
    for (username, email) in [
        ("EVE", "other@example.org"),
        ("other", "EVE@example.org"),
        ("Ann", "x@example.org"),
        (" a\u{200d}nn ", "x@example.org"),
        ("\u{ff41}nn", "x@example.org"),
    ] {
        let body = json!({"username": username, "email": email, "password": "correct horse"});
        api.anonymous("POST", "/api/auth/register", body).await.refused(409, "CONFLICT");
    }
}

#[actix_web::test]
async fn bad_registrations_are_refused_by_field() {
    let api = TestApi::start().await;
    let good = json!({"username": "eve", "email": "eve@example.org", "password": "correct horse"});
    for (field, value) in [
        ("username", json!("")),
        ("username", json!("x".repeat(65))),
        ("username", json!("a\u{0}b")),
        ("username", json!("model")),
        ("username", json!("deleted user")),
        ("username", json!("e\u{200b}ve")),
        ("username", json!("e\u{202e}ve")),
        ("username", json!("other@example.org")),
        ("username", json!(5)),
        ("username", Value::Null),
        ("email", json!("eve")),
        ("email", Value::Null),
        ("password", json!("1234567")),
        ("password", json!("x".repeat(1025))),
        ("password", json!(["a"])),
        ("fullName", json!(7)),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let sentence = api.anonymous("POST", "/api/auth/register", body).await.refused(400, "INVALID_PAYLOAD");
        assert!(sentence.contains(field), "{field} {value}: {sentence}");
    }
    assert!(api.anonymous("POST", "/api/auth/register", good).await.expect(201)["success"] == true);
}

#[actix_web::test]
async fn registration_can_be_closed() {
    let api = TestApi::with(|setup| setup.settings.allow_registration = false).await;
    let body = json!({"username": "eve", "email": "eve@example.org", "password": "correct horse"});
    api.anonymous("POST", "/api/auth/register", body).await.refused(403, "FORBIDDEN");
}

#[actix_web::test]
async fn a_login_takes_the_username_or_the_email() {
    let api = TestApi::start().await;
    api.register("Eve").await;
    for login in ["Eve", "eve", "eve@EXAMPLE.org"] {
        let answer = api.anonymous("POST", "/api/auth/login", json!({"login": login, "password": "correct horse"})).await;
        assert_eq!(answer.expect(200)["user"]["username"], "Eve");
        assert_eq!(answer.cookie().unwrap().0, answer.text("/token"));
    }
    let wrong = api.anonymous("POST", "/api/auth/login", json!({"login": "eve", "password": "wrong horse"})).await;
    let unknown = api.anonymous("POST", "/api/auth/login", json!({"login": "nobody", "password": "wrong horse"})).await;
    let passwordless = api.anonymous("POST", "/api/auth/login", json!({"login": "ann", "password": "wrong horse"})).await;
    wrong.refused(401, "INVALID_CREDENTIALS");
    assert_eq!((wrong.status, &wrong.bytes), (unknown.status, &unknown.bytes));
    assert_eq!((wrong.status, &wrong.bytes), (passwordless.status, &passwordless.bytes));
}

#[actix_web::test]
async fn wrong_logins_are_limited_per_account_over_all_addresses() {
    let api = TestApi::with(|setup| {
        setup.settings.logins_per_minute = 3;
        setup.trusted_proxies = vec!["127.0.0.1".to_owned()];
    })
    .await;
    api.register("eve").await;
    let login = async |login: &str, address: &str| {
        let body = serde_json::to_vec(&json!({"login": login, "password": "wrong horse"})).unwrap();
        api.send("POST", "/api/auth/login", &[("x-forwarded-for", address)], body).await
    };
    for name in ["eve", "eve@example.org", "EVE"] {
        login(name, "192.0.2.1").await.refused(401, "INVALID_CREDENTIALS");
    }
    let refused = login("eve", "192.0.2.1").await;
    refused.refused(429, "RATE_LIMITED");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    assert!(refused.json()["retryAfterMs"].as_u64().unwrap() <= 60_000);
    login("eve", "192.0.2.2").await.refused(429, "RATE_LIMITED");
    login("ann", "192.0.2.1").await.refused(401, "INVALID_CREDENTIALS");
    for _ in 0..3 {
        login("nobody", "192.0.2.1").await.refused(401, "INVALID_CREDENTIALS");
    }
    login("Nobody", "192.0.2.1").await.refused(429, "RATE_LIMITED");
}

#[actix_web::test]
async fn a_logout_revokes_the_login_and_its_refreshed_tokens() {
    let api = TestApi::start().await;
    let first = api.register("eve").await;
    let refreshed = api.with_token(&first, "POST", "/api/auth/refresh", Value::Null).await;
    refreshed.expect(200);
    assert!(refreshed.cookie().is_none());
    let second = refreshed.text("/token");
    assert_ne!(first, second);
    let login = api.anonymous("POST", "/api/auth/login", json!({"login": "eve", "password": "correct horse"})).await;
    let other = login.text("/token");

    let out = api.with_token(&second, "POST", "/api/auth/logout", Value::Null).await;
    out.expect(200);
    let (cookie, attributes) = out.cookie().unwrap();
    assert!(cookie.is_empty() && attributes.contains("Max-Age=0") && attributes.contains("Path=/"));
    for token in [&first, &second] {
        let answer = api.with_token(token, "GET", "/api/auth/me", Value::Null).await;
        assert_eq!(answer.refused(401, "INVALID_TOKEN"), "Invalid token");
    }
    api.with_token(&other, "GET", "/api/auth/me", Value::Null).await.expect(200);
}

#[actix_web::test]
async fn a_cookie_is_renewed_where_it_was_used() {
    let api = TestApi::start().await;
    let token = api.register("eve").await;
    let answer = api.send("POST", "/api/auth/refresh", &[("cookie", &format!("token={token}"))], "").await;
    answer.expect(200);
    assert_eq!(answer.cookie().unwrap().0, answer.text("/token"));
}

#[actix_web::test]
async fn a_new_password_ends_all_other_logins() {
    let api = TestApi::with(|setup| setup.settings.logins_per_minute = 3).await;
    let old = api.register("eve").await;
    let login =
        async |password: &str| api.anonymous("POST", "/api/auth/login", json!({"login": "eve", "password": password})).await;
    let current = login("correct horse").await.text("/token");
    let change = async |old: &str, new: &str| {
        api.with_token(&current, "POST", "/api/auth/password", json!({"oldPassword": old, "newPassword": new})).await
    };
    change("correct horse", "short").await.refused(400, "INVALID_PAYLOAD");
    change("wrong", "battery staple").await.refused(401, "INVALID_CREDENTIALS");
    change("correct horse", "battery staple").await.expect(200);
    api.with_token(&old, "GET", "/api/auth/me", Value::Null).await.refused(401, "INVALID_TOKEN");
    api.with_token(&current, "GET", "/api/auth/me", Value::Null).await.expect(200);
    let fresh = login("battery staple").await;
    fresh.expect(200);
    api.with_token(&fresh.text("/token"), "GET", "/api/auth/me", Value::Null).await.expect(200);
    // With the wrong old password above, these make three; right ones do not count.
    for _ in 0..2 {
        change("wrong", "battery staple").await.refused(401, "INVALID_CREDENTIALS");
    }
    change("wrong", "battery staple").await.refused(429, "RATE_LIMITED");
    login("correct horse").await.refused(429, "RATE_LIMITED");
}

#[actix_web::test]
async fn tokens_are_refused_by_name() {
    let api = TestApi::start().await;
    assert_eq!(api.anonymous("GET", "/api/auth/me", Value::Null).await.refused(401, "NO_TOKEN"), "No token");
    for bad in ["x", "a.b.c", &"x".repeat(7_000)] {
        let answer = api.with_token(bad, "GET", "/api/auth/me", Value::Null).await;
        assert_eq!(answer.refused(401, "INVALID_TOKEN"), "Invalid token");
    }
    let long_ago = parlance::model::Timestamp::from_millis(1_000_000);
    let id = parlance::model::UserId::parse("ann").unwrap();
    let (expired, _) = api.tokens.issue(&id, &parlance::auth::new_login_id(), parlance::model::UserRole::User, None, long_ago);
    assert_eq!(api.with_token(&expired, "GET", "/api/auth/me", Value::Null).await.refused(401, "TOKEN_EXPIRED"), "Invalid token");
    assert_eq!(api.get("stranger", "/api/auth/me").await.refused(401, "USER_NOT_FOUND"), "User not found");
}
