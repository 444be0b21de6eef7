//! The move from polling to a WebSocket, without loss and in order.
use std::time::{Duration, Instant};

use parlance::engineio::CloseReason;

use super::client::{Frame, Poller, Ws};
use super::server::TestServer;

const SOON: Duration = Duration::from_millis(50);

#[test]
fn polling_upgrade_keeps_queued_packets() {
    let server = TestServer::start();
    // several, so that session and socket meet on one thread and on two
    for _ in 0..4 {
        let mut poller = Poller::open(server.address);
        let (key, _) = server.opened();
        let mut ws = Ws::for_session(server.address, &poller.sid);
        ws.send("2probe");
        assert_eq!(ws.text(), "3probe");
        server.queue(key, &["4one", "4two"]);
        assert_eq!(poller.push("4three").told(), (200, "ok"));
        assert!(ws.http.is_silent(SOON), "nothing but the answer to the probe comes before the 5");
        ws.send("5");
        ws.send("4four");
        for text in ["4one", "4two", "4three", "4four"] {
            assert_eq!(ws.text(), text);
        }
        let bad_request = (400, r#"{"code":3,"message":"Bad request"}"#);
        assert_eq!(poller.poll().told(), bad_request, "polling is over");
        assert_eq!(poller.push("4a").told(), bad_request);
    }
}

#[test]
fn every_get_after_the_probe_gets_a_noop() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    poller.start_get();
    assert!(poller.get.is_silent(SOON));
    let mut ws = Ws::for_session(server.address, &poller.sid);
    assert!(poller.get.is_silent(SOON), "the 101 alone changes nothing");
    ws.send("2probe");
    assert_eq!(ws.text(), "3probe");
    assert_eq!(poller.get.receive().told(), (200, "6"));
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(poller.poll().told(), (200, "6"));
    }
    assert!(start.elapsed() >= Duration::from_millis(300), "repeats are held");
    assert_eq!(poller.push("4a").told(), (200, "ok"));
    assert_eq!(poller.poll().told(), (200, "4a"), "until the 5 messages go by polling");
    ws.send("5");
    ws.send("4b");
    assert_eq!(ws.text(), "4b");
}

#[test]
fn a_get_that_waits_when_the_5_comes_is_let_go() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    poller.start_get();
    assert!(poller.get.is_silent(SOON));
    let mut ws = Ws::for_session(server.address, &poller.sid);
    ws.send("5");
    assert_eq!(poller.get.receive().told(), (200, "6"));
    ws.send("4a");
    assert_eq!(ws.text(), "4a");
}

#[test]
fn a_failed_probe_leaves_the_session_on_polling() {
    let server = TestServer::with(|options| options.upgrade_timeout = Duration::from_millis(300));
    let mut poller = Poller::open(server.address);
    for attempt in ["4hello", "2", "abc", "binary", "timeout", "drop"] {
        let mut ws = Ws::for_session(server.address, &poller.sid);
        ws.send("2probe");
        assert_eq!(ws.text(), "3probe");
        match attempt {
            "binary" => ws.send_binary(&[1]),
            "timeout" | "drop" => {}
            text => ws.send(text),
        }
        if attempt == "drop" {
            drop(ws);
        } else {
            assert_eq!((ws.next(), ws.next()), (Frame::Close(None), Frame::End), "{attempt}");
        }
        assert_eq!(poller.push("4a").told(), (200, "ok"));
        assert_eq!(poller.poll().told(), (200, "4a"));
    }
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        // the dropped one may not have been noticed yet
        let mut ws = Ws::for_session(server.address, &poller.sid);
        ws.send("2probe");
        if ws.next() == Frame::Text("3probe".to_owned()) {
            ws.send("5");
            ws.send("4a");
            return assert_eq!(ws.text(), "4a");
        }
        assert!(Instant::now() < give_up);
    }
}

#[test]
fn a_session_is_upgraded_once() {
    let server = TestServer::start();
    let poller = Poller::open(server.address);
    let mut ws = Ws::for_session(server.address, &poller.sid);
    let mut second = Ws::for_session(server.address, &poller.sid);
    assert_eq!((second.next(), second.next()), (Frame::Close(None), Frame::End), "one is on its way");
    ws.send("2probe");
    assert_eq!(ws.text(), "3probe");
    ws.send("5");
    ws.send("4a");
    assert_eq!(ws.text(), "4a");
    let mut third = Ws::for_session(server.address, &poller.sid);
    assert_eq!((third.next(), third.next()), (Frame::Close(None), Frame::End), "it is done");
    ws.send("4b");
    assert_eq!(ws.text(), "4b");
}

#[test]
fn an_end_during_the_upgrade_closes_both_transports() {
    let server = TestServer::start();
    let mut poller = Poller::open(server.address);
    let mut ws = Ws::for_session(server.address, &poller.sid);
    ws.send("2probe");
    assert_eq!(ws.text(), "3probe");
    assert_eq!(poller.push("1").told(), (200, "ok"));
    assert_eq!((ws.next(), ws.next()), (Frame::Close(None), Frame::End));
    assert_eq!(server.closed(), CloseReason::TransportClose);
    assert!(poller.is_gone());
}
