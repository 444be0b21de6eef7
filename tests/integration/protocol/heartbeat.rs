//! Pings, pongs, and clients that do not answer.
use std::time::{Duration, Instant};

use parlance::engineio::CloseReason;
use parlance::transport::Options;

use super::client::{Frame, Poller, Ws};
use super::server::TestServer;

const INTERVAL: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_millis(200);
/// Delay that a busy machine may add.
const SLACK: Duration = Duration::from_millis(150);

fn short(options: &mut Options) {
    (options.ping_interval, options.ping_timeout) = (INTERVAL, TIMEOUT);
}

#[test]
fn a_polling_client_is_pinged_and_answers() {
    let server = TestServer::with(short);
    let mut poller = Poller::open(server.address);
    for _ in 0..3 {
        assert_eq!(poller.poll().told(), (200, "2"));
        assert_eq!(poller.push("3").told(), (200, "ok"));
    }
}

#[test]
fn a_websocket_client_is_pinged_and_answers() {
    let server = TestServer::with(short);
    let mut ws = Ws::open(server.address);
    for _ in 0..3 {
        assert_eq!(ws.text(), "2");
        ws.send("3");
    }
}

#[test]
fn a_silent_client_is_gone_after_interval_and_timeout() {
    let server = TestServer::with(short);
    let start = Instant::now();
    let mut ws = Ws::open(server.address);
    assert_eq!(ws.text(), "2");
    assert!((INTERVAL..INTERVAL + SLACK).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(ws.next(), Frame::Close(None));
    assert_eq!(ws.next(), Frame::End);
    assert!((INTERVAL + TIMEOUT..INTERVAL + TIMEOUT + SLACK).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(server.closed(), CloseReason::PingTimeout);
}

#[test]
fn a_silent_poller_is_told_by_its_get() {
    let server = TestServer::with(short);
    let mut poller = Poller::open(server.address);
    assert_eq!(poller.poll().told(), (200, "2"));
    assert_eq!(poller.poll().told(), (200, "1"));
    assert!(poller.is_gone());
}

#[test]
fn nothing_but_a_pong_keeps_a_client_alive_for_long() {
    let server = TestServer::with(short);
    let mut ws = Ws::open(server.address);
    let start = Instant::now();
    ws.send("3");
    loop {
        ws.send("4talking");
        match ws.next() {
            // Its time-out restarts four times, because it sends something.
            Frame::Text(_) => assert!(start.elapsed() < INTERVAL + 5 * (TIMEOUT + SLACK)),
            Frame::Close(None) => break,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_heartbeat_goes_on_during_an_upgrade() {
    let server = TestServer::with(short);
    let poller = Poller::open(server.address);
    let mut ws = Ws::for_session(server.address, &poller.sid);
    ws.send("2probe");
    assert_eq!(ws.text(), "3probe");
    assert_eq!(server.closed(), CloseReason::PingTimeout);
    assert_eq!(ws.next(), Frame::Close(None), "both transports are closed");
}

#[test]
fn a_ping_before_the_upgrade_is_enforced_after_it() {
    let server = TestServer::with(short);
    let mut poller = Poller::open(server.address);
    assert_eq!(poller.poll().told(), (200, "2"));
    let mut ws = Ws::for_session(server.address, &poller.sid);
    ws.send("5");
    assert_eq!(server.closed(), CloseReason::PingTimeout);
    assert_eq!(ws.next(), Frame::Close(None));
}

#[test]
fn a_service_is_called_when_it_wants_to_be() {
    let server = TestServer::start();
    let mut ws = Ws::open(server.address);
    let start = Instant::now();
    ws.send("4later 100");
    assert_eq!(ws.text(), "4now");
    assert!((Duration::from_millis(100)..Duration::from_millis(250)).contains(&start.elapsed()), "{:?}", start.elapsed());
}
