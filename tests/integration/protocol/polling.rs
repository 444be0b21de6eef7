//! Long polling: handshake, exchange, the end of a session.
use std::io::Read as _;
use std::time::Duration;

use parlance::engineio::CloseReason;

use super::client::{Http, Poller};
use super::server::{Order, TestServer};

const SOON: Duration = Duration::from_millis(150);

#[test]
fn a_handshake_opens_a_session() {
    let server = TestServer::start();
    let response = Http::connect(server.address).request("GET", "/engine.io/?EIO=4&transport=polling&t=abc&user=7", &[], b"");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let text = response.text();
    assert!(text.starts_with(r#"0{"sid":""#), "{text}");
    let rest = r#"","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    assert!(text.ends_with(rest) && text.len() == 9 + 20 + rest.len(), "{text}");
    assert_eq!(server.opened().1.query, "EIO=4&transport=polling&t=abc&user=7");
}

#[test]
fn refused_requests_are_told_why() {
    let server = TestServer::start();
    let mut http = Http::connect(server.address);
    let unknown_transport = r#"{"code":0,"message":"Transport unknown"}"#;
    let unknown_session = r#"{"code":1,"message":"Session ID unknown"}"#;
    let bad_method = r#"{"code":2,"message":"Bad handshake method"}"#;
    let bad_request = r#"{"code":3,"message":"Bad request"}"#;
    let bad_version = r#"{"code":5,"message":"Unsupported protocol version"}"#;
    let cases = [
        ("GET", "/engine.io/?EIO=4", unknown_transport),
        ("GET", "/engine.io/?EIO=4&transport=abc", unknown_transport),
        ("GET", "/engine.io/?EIO=4&transport=webtransport", unknown_transport),
        ("GET", "/engine.io/?EIO=4&transport=polling&sid=abc", unknown_session),
        ("GET", "/engine.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA", unknown_session),
        ("POST", "/engine.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA", unknown_session),
        ("POST", "/engine.io/?EIO=4&transport=polling", bad_method),
        ("PUT", "/engine.io/?EIO=4&transport=polling", bad_method),
        ("GET", "/engine.io/?EIO=4&transport=websocket", bad_request),
        ("GET", "/engine.io/?transport=polling", bad_version),
        ("GET", "/engine.io/?EIO=3&transport=polling", bad_version),
        ("GET", "/engine.io/?EIO=abc&transport=polling", bad_version),
    ];
    // one TCP connection for all: it survives a 400
    for (method, target, body) in cases {
        let response = http.request(method, target, &[], b"");
        assert_eq!(response.told(), (400, body), "{method} {target}");
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    for path in ["/engine.iox?EIO=4&transport=polling", "/engine.iox/?EIO=4&transport=polling", "/"] {
        assert_eq!(http.request("GET", path, &[], b"").status, 404, "{path}");
    }
    for path in ["/engine.io/anything?EIO=4&transport=polling", "/engine.io?EIO=4&transport=polling"] {
        assert_eq!(http.request("GET", path, &[], b"").status, 200, "{path}");
    }
}

#[test]
fn messages_come_back_in_order_whatever_they_hold() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    for body in ["4hello", "4one\x1e4two\x1e4three", "4hello\x1ebAQIDBA==", "4€ and 😀\x1e4"] {
        let response = poller.push(body);
        assert_eq!(response.told(), (200, "ok"));
        assert_eq!((response.header("content-type"), response.header("cache-control")), (Some("text/html"), Some("no-store")));
        assert_eq!(poller.poll().told(), (200, body));
    }
    let burst = vec!["4x"; 400].join("\x1e");
    assert_eq!(poller.push(&burst).told(), (200, "ok"), "a burst is limited by bytes, not by packets");
    assert_eq!(poller.poll().text(), burst);
}

#[test]
fn a_get_waits_until_there_is_something() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    let (key, _) = server.opened();
    poller.start_get();
    assert!(poller.get.is_silent(SOON));
    server.order(key, Order::Send("4from inside".to_owned()));
    assert_eq!(poller.get.receive().told(), (200, "4from inside"));
}

#[test]
fn what_the_service_says_first_is_in_the_first_answer() {
    let server = TestServer::start();
    let response = Http::connect(server.address).request("GET", "/engine.io/?EIO=4&transport=polling&greet=1", &[], b"");
    assert!(response.text().ends_with("}\x1e4welcome"), "{}", response.text());
}

#[test]
fn a_malformed_body_ends_the_session() {
    let server = TestServer::start();
    for body in ["abc", "", "4a\x1e", "\x1e4a", "4a\x1e\x1e4b", "7"] {
        let mut poller = Poller::open(server.address);
        poller.start_get();
        assert!(poller.get.is_silent(Duration::from_millis(20)));
        assert_eq!(poller.push(body).status, 400, "{body:?}");
        if !body.starts_with("4") {
            assert_eq!(poller.get.receive().told(), (200, "1"), "{body:?}");
        }
        assert!(poller.is_gone(), "{body:?}");
        assert_eq!(server.closed(), CloseReason::ParseError);
    }
}

#[test]
fn a_client_does_not_ping() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    assert_eq!(poller.push("2").status, 400);
    assert_eq!(server.closed(), CloseReason::TransportError);
    assert!(poller.is_gone());
}

#[test]
fn a_second_get_ends_the_session() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    poller.start_get();
    assert!(poller.get.is_silent(Duration::from_millis(50)));
    let target = poller.target();
    assert_eq!(poller.post.request("GET", &target, &[], b"").told(), (400, ""));
    assert_eq!(poller.get.receive().told(), (200, "1"));
    assert!(poller.is_gone());
    assert_eq!(server.closed(), CloseReason::TransportError);
}

#[test]
fn a_second_post_ends_the_session() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    poller.start_get();
    let mut slow = Http::connect(server.address);
    slow.write(format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n4half", poller.target()).as_bytes());
    assert!(slow.is_silent(SOON));
    assert_eq!(poller.push("4whole").told(), (400, ""));
    assert_eq!(poller.get.receive().told(), (200, "1"));
    assert!(poller.is_gone());
    assert!(slow.is_closed(), "the first one is dropped");
}

#[test]
fn an_aborted_get_ends_the_session_at_once() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    poller.start_get();
    assert!(poller.get.is_silent(Duration::from_millis(50)));
    poller.get = Http::connect(server.address);
    assert_eq!(server.closed(), CloseReason::TransportError);
    assert!(poller.is_gone());
}

#[test]
fn an_aborted_post_ends_the_session_at_once() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    let mut slow = Http::connect(server.address);
    slow.write(format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n4half", poller.target()).as_bytes());
    assert!(slow.is_silent(SOON));
    drop(slow);
    assert_eq!(server.closed(), CloseReason::TransportError);
    assert!(poller.is_gone());
}

#[test]
fn a_body_may_come_in_pieces_and_in_chunks() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", poller.target());
    poller.post.write(head.as_bytes());
    // a separate write each, the euro sign cut in two
    for piece in [&b"2\r\n4a\r\n"[..], b"2\r\n\xe2\x82\r\n", b"2\r\n\xac\x1e\r\n", b"2\r\n4b\r\n", b"0\r\n\r\n"] {
        assert!(poller.post.is_silent(Duration::from_millis(20)));
        poller.post.write(piece);
    }
    assert_eq!(poller.post.receive().told(), (200, "ok"));
    assert_eq!(poller.poll().told(), (200, "4a€\x1e4b"));
}

#[test]
fn a_client_that_leaves_gets_a_noop() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    poller.start_get();
    assert!(poller.get.is_silent(Duration::from_millis(50)));
    assert_eq!(poller.push("1\x1e4after the end").told(), (200, "ok"));
    assert_eq!(poller.get.receive().told(), (200, "6"));
    assert_eq!(server.closed(), CloseReason::TransportClose);
    assert!(poller.is_gone());
}

#[test]
fn a_graceful_close_reaches_the_get_that_waits() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    poller.start_get();
    assert!(poller.get.is_silent(Duration::from_millis(50)));
    assert_eq!(poller.push("4close").told(), (200, "ok"));
    assert_eq!(poller.get.receive().told(), (200, "1"));
    assert_eq!(server.closed(), CloseReason::ForcedClose);
    assert!(poller.is_gone());
}

#[test]
fn a_graceful_close_lingers_for_the_gets_to_come() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    assert_eq!(poller.push("4goodbye").told(), (200, "ok"));
    assert_eq!(server.closed(), CloseReason::ForcedClose);
    assert_eq!(poller.poll().told(), (200, "4goodbye"));
    assert_eq!(poller.poll().told(), (200, "6\x1e1"));
    assert!(poller.is_gone());
}

#[test]
fn other_methods_are_errors_without_a_body() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    let target = poller.target();
    assert_eq!(poller.post.request("PUT", &target, &[], b"").told(), (500, ""));
    assert_eq!(poller.push("4a").told(), (200, "ok"));
}

#[test]
fn long_answers_are_compressed_and_short_ones_are_not() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    let target = poller.target();
    let long = format!("4{}", "a".repeat(1023));
    for (message, accepted, coding) in [
        (long.as_str(), "Accept-Encoding: gzip, deflate, br", Some("gzip")),
        (&long, "Accept-Encoding: deflate", Some("deflate")),
        (&long, "Accept-Encoding: identity", None),
        (&long[..1023], "Accept-Encoding: gzip", None),
    ] {
        assert_eq!(poller.push(message).header("content-encoding"), None);
        let response = poller.get.request("GET", &target, &[accepted], b"");
        assert_eq!(response.header("content-encoding"), coding, "{accepted}");
        let mut text = String::new();
        match coding {
            Some("gzip") => flate2::read::GzDecoder::new(&response.body[..]).read_to_string(&mut text).unwrap(),
            Some(_) => flate2::read::ZlibDecoder::new(&response.body[..]).read_to_string(&mut text).unwrap(),
            None => (&response.body[..]).read_to_string(&mut text).unwrap(),
        };
        assert_eq!(text, message);
    }
}

#[test]
fn foreign_origins_are_refused_and_allowed_ones_are_told_so() {
    let server = TestServer::with_origins(&["https://app.example"], |_| {});
    let target = "/engine.io/?EIO=4&transport=polling";
    let mut http = Http::connect(server.address);
    let foreign = http.request("GET", target, &["Origin: https://evil.example"], b"");
    assert_eq!(foreign.told(), (403, r#"{"code":4,"message":"Forbidden"}"#));
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    for (target, status) in [(target, 200), ("/engine.io/?EIO=4&transport=abc", 400)] {
        let allowed = http.request("GET", target, &["Origin: https://app.example", "Cookie: token=abc"], b"");
        assert_eq!(allowed.status, status);
        assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
        assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(allowed.header("vary"), Some("Origin"));
    }
    assert_eq!(server.opened().1.cookie_token.as_deref(), Some("abc"));
    let preflight = ["Origin: https://app.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-a"];
    let answer = http.request("OPTIONS", target, &preflight, b"");
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-headers"), Some("x-a, Content-Type, Authorization, X-Requested-With"));
    let answer = http.request("OPTIONS", target, &["Origin: https://evil.example", preflight[1]], b"");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, None));
    // each further request of a session as well
    let mut poller = Poller::open(server.address);
    let target = poller.target();
    assert_eq!(poller.get.request("GET", &target, &["Origin: https://evil.example"], b"").status, 403);
    assert_eq!(poller.push("4a").told(), (200, "ok"));
}

#[test]
fn a_star_takes_no_cookie_from_elsewhere() {
    let server = TestServer::with_origins(&["*"], |_| {});
    let headers = ["Origin: https://evil.example", "Cookie: token=abc"];
    let response = Http::connect(server.address).request("GET", "/engine.io/?EIO=4&transport=polling", &headers, b"");
    assert_eq!((response.status, response.header("access-control-allow-origin")), (200, Some("*")));
    assert_eq!(response.header("access-control-allow-credentials"), None);
    assert_eq!(server.opened().1.cookie_token, None);
}
