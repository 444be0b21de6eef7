//! WebSocket: handshake, exchange, the end of a session.
use parlance::engineio::CloseReason;

use super::client::{Frame, Http, UPGRADE, Ws, frame};
use super::server::TestServer;

const TARGET: &str = "/engine.io/?EIO=4&transport=websocket";

#[test]
fn the_open_packet_comes_first() {
    let server = TestServer::start();
    let mut ws = Ws::connect(server.address, &format!("{TARGET}&greet=1"));
    let open = ws.text();
    assert!(open.contains(r#","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#), "{open}");
    assert_eq!(ws.text(), "4welcome");
}

#[test]
fn messages_come_back_in_order_whatever_they_hold() {
    let server = TestServer::start();
    let mut ws = Ws::open(server.address);
    for length in [0, 1, 125, 126, 65535, 65536, 200_000] {
        let text = format!("4{}", "é".repeat(length / 2));
        ws.send(&text);
        assert_eq!(ws.text(), text);
        ws.send_binary(&vec![7; length]);
        assert_eq!(ws.next(), Frame::Binary(vec![7; length]));
    }
    ws.send("bAQIDBA==");
    assert_eq!(ws.next(), Frame::Binary(vec![1, 2, 3, 4]));
    for packet in ["0{}", "5", "6", "3"] {
        ws.send(packet);
    }
    ws.send("4still here");
    assert_eq!(ws.text(), "4still here");
}

#[test]
fn a_client_that_wants_base64_gets_it() {
    let server = TestServer::start();
    let mut ws = Ws::connect(server.address, &format!("{TARGET}&b64=1"));
    ws.text();
    ws.send_binary(&[1]);
    assert_eq!(ws.text(), "bAQ==");
}

#[test]
fn fragments_and_control_frames_interleave() {
    let server = TestServer::start();
    let mut ws = Ws::open(server.address);
    for part in [frame(0x01, b"4he"), frame(0x89, b"hi"), frame(0x00, b"ll"), frame(0x8a, b""), frame(0x80, b"o")] {
        ws.http.write(&part);
    }
    assert_eq!(ws.next(), Frame::Pong(b"hi".to_vec()));
    assert_eq!(ws.text(), "4hello");
}

#[test]
fn bytes_may_come_one_by_one_or_all_at_once() {
    let server = TestServer::start();
    let mut http = Http::connect(server.address);
    // the first frames come with the handshake
    let mut request = format!("GET {TARGET} HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", UPGRADE.join("\r\n")).into_bytes();
    request.extend(frame(0x81, b"4early"));
    request.extend(frame(0x81, b"4bird"));
    http.write(&request);
    assert_eq!(http.receive().status, 101);
    let mut ws = Ws { http };
    assert!(ws.text().starts_with("0{"));
    assert_eq!((ws.text(), ws.text()), ("4early".to_owned(), "4bird".to_owned()));
    for byte in frame(0x81, "4€ by €".as_bytes()) {
        ws.http.write(&[byte]);
    }
    assert_eq!(ws.text(), "4€ by €");
}

#[test]
fn refused_handshakes_get_the_bare_message() {
    let server = TestServer::with_origins(&["https://app.example"], |_| {});
    let plain = |target: &str| (target.to_owned(), UPGRADE.to_vec());
    let without = |name: &str| (TARGET.to_owned(), UPGRADE.into_iter().filter(|line| !line.contains(name)).collect::<Vec<_>>());
    let mut foreign = UPGRADE.to_vec();
    foreign.push("Origin: https://evil.example");
    let mut old_version = without("Version").1;
    old_version.push("Sec-WebSocket-Version: 8");
    let cases = [
        (plain("/engine.io/?EIO=4"), 400, "Transport unknown"),
        (plain("/engine.io/?EIO=4&transport=abc"), 400, "Transport unknown"),
        (plain("/engine.io/?transport=websocket"), 400, "Unsupported protocol version"),
        (plain("/engine.io/?EIO=3&transport=websocket"), 400, "Unsupported protocol version"),
        (plain("/engine.io/?EIO=4&transport=polling"), 400, "Bad request"),
        (plain("/engine.io/?EIO=4&transport=websocket&sid=abc"), 400, "Session ID unknown"),
        (plain("/other?EIO=4&transport=websocket"), 404, "Not found"),
        (plain("/engine.iox/?EIO=4&transport=websocket"), 404, "Not found"),
        ((TARGET.to_owned(), foreign), 403, "Forbidden"),
        (without("Key"), 400, "Missing or invalid Sec-WebSocket-Key header"),
        ((TARGET.to_owned(), old_version), 400, "Missing or invalid Sec-WebSocket-Version header"),
    ];
    for ((target, headers), status, message) in cases {
        let mut http = Http::connect(server.address);
        let response = http.request("GET", &target, &headers, b"");
        assert_eq!(response.told(), (status, message), "{target}");
        assert_eq!(response.header("connection"), Some("close"));
        assert_eq!(response.header("content-type"), Some("text/html"));
        let spoken = message.contains("Version").then_some("13");
        assert_eq!(response.header("sec-websocket-version"), spoken, "who speaks another one is told which we do");
        assert!(http.is_closed());
    }
    let mut http = Http::connect(server.address);
    http.send("POST", TARGET, &UPGRADE, b"");
    assert_eq!(http.receive().told(), (400, "Bad handshake method"));
}

#[test]
fn what_proxies_and_clients_add_to_a_handshake_is_no_reason_to_refuse_it() {
    let server = TestServer::start();
    let connection = |line: &'static str| {
        UPGRADE.into_iter().map(|own| if own.starts_with("Connection") { line } else { own }).collect::<Vec<_>>()
    };
    let open = |target: &str, headers: &[&str]| {
        let mut http = Http::connect(server.address);
        let response = http.request("GET", target, headers, b"");
        assert_eq!(response.status, 101, "{target} {headers:?}");
        assert!(Ws { http }.text().starts_with("0{"));
        response.header("sec-websocket-protocol").map(str::to_owned)
    };
    for line in ["Connection: close, Upgrade", "Connection: Upgrade, close", "connection: upgrade"] {
        assert_eq!(open(TARGET, &connection(line)), None);
    }
    // Browsers refuse a 101 that names none of the subprotocols their page offered.
    let offering = [&UPGRADE[..], &["Sec-WebSocket-Protocol: chat, v2"]].concat();
    assert_eq!(open(TARGET, &offering).as_deref(), Some("chat"));
    assert_eq!(open(&TARGET.replace("/?", "?"), &UPGRADE), None, "the last slash may be missing");
}

#[test]
fn what_the_request_said_reaches_the_service() {
    let server = TestServer::with(|options| {
        options.proxies = std::sync::Arc::new(parlance::http::TrustedProxies::parse(&["127.0.0.0/8".to_owned()]).unwrap());
    });
    let mut headers = UPGRADE.to_vec();
    headers.extend([
        "Authorization: Bearer abc",
        "Cookie: a=b; token=def",
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Proto: https",
    ]);
    let response = Http::connect(server.address).request("GET", &format!("{TARGET}&a=%20b"), &headers, b"");
    assert_eq!(response.status, 101);
    let (_, opening) = server.opened();
    assert_eq!(opening.query, "EIO=4&transport=websocket&a=%20b");
    assert_eq!(opening.authorization.as_deref(), Some("Bearer abc"));
    assert_eq!(opening.cookie_token.as_deref(), Some("def"));
    assert_eq!(opening.peer.address, Some([203, 0, 113, 9].into()));
    assert!(opening.peer.secure);
}

#[test]
fn every_way_to_leave_closes_the_session_at_once() {
    let server = TestServer::start();
    let mut ws = Ws::open(server.address);
    ws.send("1");
    assert_eq!((ws.next(), ws.next()), (Frame::Close(None), Frame::End));
    assert_eq!(server.closed(), CloseReason::TransportClose);

    let mut ws = Ws::open(server.address);
    ws.http.write(&frame(0x88, &1000_u16.to_be_bytes()));
    assert_eq!((ws.next(), ws.next()), (Frame::Close(Some(1000)), Frame::End));
    assert_eq!(server.closed(), CloseReason::TransportClose);

    drop(Ws::open(server.address));
    assert_eq!(server.closed(), CloseReason::TransportClose);
}

#[test]
fn the_server_closes_without_a_code_after_what_is_queued() {
    let server = TestServer::start();
    let mut ws = Ws::open(server.address);
    ws.send("4goodbye");
    assert_eq!(ws.text(), "4goodbye");
    assert_eq!((ws.next(), ws.next()), (Frame::Close(None), Frame::End));
    assert_eq!(server.closed(), CloseReason::ForcedClose);

    let mut ws = Ws::connect(server.address, &format!("{TARGET}&refuse=1"));
    assert!(ws.text().starts_with("0{"));
    assert_eq!(ws.next(), Frame::Close(None));
}

#[test]
fn packets_that_are_none_close_the_session_without_a_code() {
    let server = TestServer::start();
    for (packet, reason) in [("abc", CloseReason::ParseError), ("", CloseReason::ParseError), ("2", CloseReason::TransportError)]
    {
        let mut ws = Ws::open(server.address);
        ws.send(packet);
        assert_eq!((ws.next(), ws.next()), (Frame::Close(None), Frame::End), "{packet:?}");
        assert_eq!(server.closed(), reason);
    }
}
