//! Long polling: exceeded limits and broken requests.
use std::time::Duration;

use parlance::engineio::CloseReason;

use super::client::{Http, Poller};
use super::server::{Order, TestServer};

#[test]
fn a_body_that_is_too_large_is_refused_and_the_session_stays() {
    let server = TestServer::with(|options| options.max_packet_bytes = 100);
    let mut poller = Poller::open(server.address);
    let fits = format!("4{}", "a".repeat(99));
    assert_eq!(poller.push(&fits).told(), (200, "ok"), "the limit is inclusive");
    assert_eq!(poller.poll().text(), fits);
    assert_eq!(poller.push(&format!("{fits}b")).told(), (413, ""));
    poller.post = Http::connect(server.address);
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", poller.target());
    poller.post.write(head.as_bytes());
    assert!(poller.post.is_silent(Duration::from_millis(50)));
    poller.post.write(format!("65\r\n{fits}b\r\n").as_bytes());
    assert_eq!(poller.post.receive().told(), (413, ""));
    poller.post = Http::connect(server.address);
    assert_eq!(poller.push("4still here").told(), (200, "ok"));
    assert_eq!(poller.poll().told(), (200, "4still here"));
}

#[test]
fn a_client_that_is_busy_with_an_upload_is_not_cut() {
    let server = TestServer::with(|options| {
        options.ping_interval = Duration::from_millis(200);
        options.ping_timeout = Duration::from_millis(300);
    });
    let mut poller = Poller::open(server.address);
    assert_eq!(poller.poll().told(), (200, "2"));
    // Its pong is queued behind the upload, which takes longer than the time-out.
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n4", poller.target());
    poller.post.write(head.as_bytes());
    for digit in b"12345678" {
        assert!(poller.post.is_silent(Duration::from_millis(120)));
        poller.post.write(&[*digit]);
    }
    poller.post.write(b"\x1e3");
    assert_eq!(poller.post.receive().told(), (200, "ok"));
    assert_eq!(server.try_closed(), None);
    assert_eq!(poller.poll().told(), (200, "412345678"));
}

#[test]
fn binary_bodies_are_refused() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    let target = poller.target();
    let response = poller.post.request("POST", &target, &["Content-Type: application/octet-stream"], b"4a");
    assert_eq!(response.told(), (400, ""));
    assert_eq!(server.closed(), CloseReason::TransportError);
    poller.post = Http::connect(server.address);
    assert!(poller.is_gone());
}

#[test]
fn an_address_has_its_share_of_sessions() {
    // Two sessions, and the connections that they and one more need.
    let server = TestServer::with(|options| options.max_sockets_per_address = 7);
    let mut first = Poller::open(server.address);
    let mut second = Poller::open(server.address);
    // A connection counts once its worker has it, which an answer on it proves.
    assert_eq!((first.push("4a").told(), second.push("4b").told()), ((200, "ok"), (200, "ok")));
    let mut http = Http::connect(server.address);
    let refused = http.request("GET", "/engine.io/?EIO=4&transport=polling", &[], b"");
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(first.push("1").told(), (200, "ok"));
    let give_up = std::time::Instant::now() + Duration::from_secs(10);
    while http.request("GET", "/engine.io/?EIO=4&transport=polling", &[], b"").status != 200 {
        assert!(std::time::Instant::now() < give_up, "the place was not given back");
    }
}

#[test]
fn a_session_whose_client_does_not_poll_is_cut() {
    let server = TestServer::with(|options| options.outbox_packets = 10);
    let mut poller = Poller::open(server.address);
    let (key, _) = server.opened();
    for _ in 0..12 {
        server.order(key, Order::Send("4x".to_owned()));
    }
    assert_eq!(server.closed(), CloseReason::SlowConsumer);
    assert!(poller.is_gone());
}

#[test]
fn a_panic_ends_its_own_session_only() {
    let server = TestServer::start();
    let mut victim = Poller::open(server.address);
    let mut other = Poller::open(server.address);
    assert_eq!(victim.push("4panic").status, 200);
    assert_eq!(server.closed(), CloseReason::Internal);
    assert_eq!(victim.poll().told(), (200, "6\x1e1"));
    assert_eq!(other.push("4a").told(), (200, "ok"));
    assert_eq!(other.poll().told(), (200, "4a"));
}

#[test]
fn a_panic_while_a_session_opens_ends_it() {
    let server = TestServer::start();
    let mut poller = Poller::open_with(server.address, "&crash=1");
    assert_eq!(poller.poll().told(), (200, "6\x1e1"));
    assert!(poller.is_gone());
}
