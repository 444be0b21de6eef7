//! Other users, and a user's own profile.
use serde_json::{Value, json};

use super::server::TestApi;

#[actix_web::test]
async fn users_are_found_by_part_of_their_names() {
    let api = TestApi::start().await;
    for query in ["an", "AN", "nn+ex", "ann%20EXAMPLE"] {
        let found = api.get("bob", &format!("/api/users?query={query}")).await.expect(200);
        let names: Vec<_> = found["users"].as_array().unwrap().iter().map(|user| user["username"].clone()).collect();
        assert_eq!(names, ["ann"], "{query}");
    }
    let all = api.get("bob", "/api/users?query=example&limit=2").await.expect(200);
    assert_eq!(all["users"].as_array().unwrap().len(), 2);
    for nobody in ["zzz", "%25", "_"] {
        let found = api.get("bob", &format!("/api/users?query={nobody}")).await.expect(200);
        assert_eq!(found["users"], json!([]), "{nobody}");
    }
}

#[actix_web::test]
async fn e_mail_addresses_are_shown_to_oneself_and_administrators() {
    let api = TestApi::start().await;
    let other = api.get("bob", "/api/users/ann").await.expect(200);
    let shown: Vec<_> = other["user"].as_object().unwrap().keys().cloned().collect();
    let mut expected = ["id", "username", "fullName", "avatar", "isOnline", "status", "lastSeen"];
    expected.sort_unstable();
    assert_eq!(shown, expected);
    for (requester, found) in [("ann", "/api/users/ann"), ("root", "/api/users/ann")] {
        let user = api.get(requester, found).await.expect(200);
        assert_eq!((&user["user"]["email"], &user["user"]["role"]), (&json!("ann@example.com"), &json!("user")), "{requester}");
    }
    assert!(api.get("bob", "/api/users?query=ann").await.expect(200)["users"][0]["email"].is_null());
    api.get("bob", "/api/users/nobody").await.refused(404, "NOT_FOUND");
}

#[actix_web::test]
async fn one_changes_ones_own_profile() {
    let api = TestApi::start().await;
    let change = async |body: Value| api.call("ann", "PATCH", "/api/users/me", body).await;
    let changed = change(json!({"fullName": "Ann B.", "avatar": "/a.png", "role": "admin"})).await.expect(200);
    assert_eq!((&changed["user"]["fullName"], &changed["user"]["avatar"]), (&json!("Ann B."), &json!("/a.png")));
    assert_eq!(changed["user"]["role"], "user");
    let kept = change(json!({"fullName": null})).await.expect(200);
    assert_eq!((&kept["user"]["fullName"], &kept["user"]["avatar"]), (&json!("Ann B."), &json!("/a.png")));
    let emptied = change(json!({"avatar": ""})).await.expect(200);
    assert_eq!((&emptied["user"]["fullName"], &emptied["user"]["avatar"]), (&json!("Ann B."), &Value::Null));
    for bad in [json!({"fullName": 5}), json!({"fullName": "x".repeat(201)}), json!({"avatar": "x".repeat(3_000)}), json!([])] {
        change(bad).await.refused(400, "INVALID_PAYLOAD");
    }
    let seen = api.get("bob", "/api/users/ann").await.expect(200);
    assert_eq!(seen["user"]["fullName"], "Ann B.");
}

#[actix_web::test]
async fn sockets_are_for_administrators_and_servers() {
    let api = TestApi::start().await;
    api.get("ann", "/api/users/ann/sockets").await.refused(403, "FORBIDDEN");
    api.anonymous("GET", "/api/users/ann/sockets", Value::Null).await.refused(401, "NO_TOKEN");
    assert_eq!(api.get("root", "/api/users/ann/sockets").await.expect(200)["sockets"], json!([]));
    let by_key = async |key: &str| api.send("GET", "/api/users/ann/sockets", &[("x-api-key", key)], "").await;
    assert_eq!(by_key("server-key").await.expect(200)["sockets"], json!([]));
    by_key("wrong").await.refused(401, "INVALID_TOKEN");
    api.get("root", "/api/users/nobody/sockets").await.refused(404, "NOT_FOUND");
    assert_eq!(api.get("ann", "/api/users/online").await.expect(200), json!({"success": true, "users": [], "nextCursor": null}));
}
