//! The gate in front of all routes: origins, unknown addresses and methods, malformed requests.
use serde_json::{Value, json};

use super::server::{Answer, TestApi};

fn cors(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials"))
}

#[actix_web::test]
async fn every_address_and_method_has_an_answer() {
    let api = TestApi::start().await;
    for path in ["/api/nothing", "/api", "/api/", "/nothing", "/", "/api/users/x/y", "/uploads", "/api/auth/../me"] {
        api.call("ann", "GET", path, Value::Null).await.refused(404, "NOT_FOUND");
    }
    for (method, path, allow) in [
        ("GET", "/api/auth/login", "POST"),
        ("DELETE", "/api/users", "GET, HEAD"),
        ("PUT", "/api/conversations/x", "GET, HEAD, PATCH, DELETE"),
        ("POST", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/api/auth/me", "GET, HEAD"),
    ] {
        let answer = api.call("ann", method, path, Value::Null).await;
        answer.refused(405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("allow"), Some(allow));
    }
    let head = api.send("HEAD", "/healthz", &[], "").await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
}

#[actix_web::test]
async fn malformed_requests_are_refused_by_name() {
    let api = TestApi::with(|setup| setup.settings.max_body_bytes = 1_000).await;
    let bearer = format!("Bearer {}", api.token("ann"));
    let post = async |content_type: &str, body: Vec<u8>| {
        let headers = [("authorization", bearer.as_str()), ("content-type", content_type)];
        api.send("POST", "/api/conversations", &headers, body).await
    };
    for body in
        [&b"{"[..], b"[]", b"\"x\"", b"{\"type\":\"\\ud800\"}", b"\xff", b"{}", b"{\"type\":null}", b"{\"type\":\"x\\u0000\"}"]
    {
        post("application/json", body.to_vec()).await.refused(400, "INVALID_PAYLOAD");
    }
    post("application/json; charset=utf-8", b"{\"type\":\"other\"}".to_vec()).await.refused(400, "INVALID_PAYLOAD");
    post("text/plain", b"{\"type\":\"direct\",\"participantId\":\"bob\"}".to_vec()).await.refused(415, "UNSUPPORTED_TYPE");
    post("application/json", vec![b' '; 1_001]).await.refused(413, "TOO_LARGE");
    for path in [
        "/api/users?query=a&limit=0",
        "/api/users?query=a&limit=-1",
        "/api/users?query=a&limit=x",
        "/api/users?query=%ff",
        "/api/users?query=%00",
        "/api/users?query=",
        "/api/users",
        "/api/conversations?before=x",
        "/api/rooms/%ff/messages",
        "/api/rooms/%00/messages",
        &format!("/api/rooms/{}/messages", "x".repeat(201)),
    ] {
        api.get("ann", path).await.refused(400, "INVALID_PAYLOAD");
    }
    for path in ["/api/users/a%20b", "/api/users/%00", "/api/conversations/x", "/api/conversations/x/messages"] {
        api.get("ann", path).await.refused(404, "NOT_FOUND");
    }
}

#[actix_web::test]
async fn pages_of_allowed_origins_see_answers_and_others_may_not_act() {
    let api = TestApi::with(|setup| setup.client_url = vec!["https://app.example".to_owned()]).await;
    let own = format!("http://{}", api.address);
    for origin in ["https://app.example", own.as_str()] {
        for (method, path, status) in [("GET", "/healthz", 200), ("GET", "/api/auth/me", 401), ("POST", "/api/nothing", 404)] {
            let answer = api.send(method, path, &[("origin", origin)], "").await;
            assert_eq!(answer.status, status);
            assert_eq!(cors(&answer), (Some(origin), Some("true")), "{method} {path}");
            assert_eq!(answer.header("vary"), Some("Origin"));
        }
    }
    for origin in ["https://evil.example", "null", "http://app.example", "http://localhost:5173"] {
        let read = api.send("GET", "/healthz", &[("origin", origin)], "").await;
        assert_eq!((read.status, cors(&read)), (200, (None, None)));
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = api.send(method, "/api/auth/login", &[("origin", origin)], "").await;
            answer.refused(403, "FORBIDDEN");
            assert_eq!(cors(&answer), (None, None));
        }
    }
}

#[actix_web::test]
async fn preflights_are_answered_for_every_path() {
    let api = TestApi::with(|setup| setup.client_url = vec!["https://app.example".to_owned()]).await;
    let ask = async |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "x-mine, authorization"),
        ];
        api.send("OPTIONS", "/api/users/me", &headers, "").await
    };
    let allowed = ask("https://app.example").await;
    assert_eq!((allowed.status, allowed.bytes.len()), (204, 0));
    assert_eq!(cors(&allowed), (Some("https://app.example"), Some("true")));
    for (name, value) in [
        ("access-control-allow-methods", "GET, POST, PUT, DELETE, PATCH, OPTIONS"),
        ("access-control-allow-headers", "x-mine, authorization, Content-Type, X-Requested-With"),
        ("access-control-max-age", "600"),
        ("vary", "Origin"),
    ] {
        assert_eq!(allowed.header(name), Some(value));
    }
    let foreign = ask("https://evil.example").await;
    assert_eq!(foreign.status, 204);
    assert!(foreign.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{:?}", foreign.headers);
}

#[actix_web::test]
async fn any_origin_may_ask_but_not_by_cookie() {
    let api = TestApi::with(|setup| setup.client_url = vec!["*".to_owned()]).await;
    let token = api.token("ann");
    let (cookie, bearer) = (format!("token={token}"), format!("Bearer {token}"));
    let by_bearer = api.send("GET", "/api/auth/me", &[("origin", "https://x.example"), ("authorization", &bearer)], "").await;
    by_bearer.expect(200);
    assert_eq!(cors(&by_bearer), (Some("*"), None));
    let by_cookie = api.send("GET", "/api/auth/me", &[("origin", "https://x.example"), ("cookie", &cookie)], "").await;
    by_cookie.refused(401, "NO_TOKEN");
    api.send("POST", "/api/auth/refresh", &[("origin", "https://x.example"), ("cookie", &cookie)], "")
        .await
        .refused(401, "NO_TOKEN");
    api.send("GET", "/api/auth/me", &[("cookie", &cookie)], "").await.expect(200);
}

#[actix_web::test]
async fn loopback_pages_may_ask_while_the_server_is_on_loopback() {
    let api = TestApi::with(|setup| setup.host_is_loopback = true).await;
    let answer = api.send("POST", "/api/auth/login", &[("origin", "http://localhost:5173")], "{}").await;
    answer.refused(400, "INVALID_PAYLOAD");
    assert_eq!(cors(&answer), (Some("http://localhost:5173"), Some("true")));
}

#[actix_web::test]
async fn behind_a_trusted_proxy_the_cookie_is_secure_and_the_origin_its_own() {
    let api = TestApi::with(|setup| setup.trusted_proxies = vec!["127.0.0.0/8".to_owned()]).await;
    let headers = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "chat.example"),
        ("origin", "https://chat.example"),
        ("content-type", "application/json"),
    ];
    let body = serde_json::to_vec(&json!({"username": "eve", "email": "eve@example.org", "password": "correct horse"})).unwrap();
    let answer = api.send("POST", "/api/auth/register", &headers, body).await;
    answer.expect(201);
    assert!(answer.cookie().unwrap().1.contains("Secure"));
}

#[actix_web::test]
async fn a_stopping_server_says_so() {
    let api = TestApi::start().await;
    api.drain();
    api.get("ann", "/api/users?query=a").await.refused(503, "DRAINING");
    api.send("GET", "/healthz", &[], "").await.expect(200);
}

#[actix_web::test]
async fn a_panic_ends_its_own_request() {
    let api = TestApi::with(|setup| setup.client_url = vec!["https://app.example".to_owned()]).await;
    let answer = api.send("GET", "/api/test/panic", &[("origin", "https://app.example")], "").await;
    answer.refused(500, "INTERNAL");
    assert!(answer.json()["errorId"].is_string());
    assert_eq!(cors(&answer).0, Some("https://app.example"));
    api.get("ann", "/api/auth/me").await.expect(200);
}
