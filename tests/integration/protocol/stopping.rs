//! Stopping in order.
use std::time::Duration;

use actix::System;
use parlance::engineio::CloseReason;

use super::client::{Frame, Http, Poller, Ws};
use super::server::TestServer;

#[test]
fn connections_are_told_and_new_ones_end_at_once() {
    let server = TestServer::start();
    let mut http = Http::connect(server.address);
    assert_eq!(http.request("GET", "/", &[], b"").status, 404);
    let mut ws = Ws::open(server.address);
    let mut poller = Poller::open(server.address);
    poller.start_get();
    assert!(poller.get.is_silent(Duration::from_millis(50)));
    let stopper = server.stopper.clone();
    let closing = std::thread::spawn(move || {
        System::new().block_on(async move {
            stopper.stop_accepting().await;
            stopper.close_sessions(Duration::from_secs(5)).await;
        });
    });
    assert_eq!(ws.next(), Frame::Close(None));
    assert_eq!(poller.get.receive().told(), (200, "1"));
    assert_eq!((server.closed(), server.closed()), (CloseReason::Shutdown, CloseReason::Shutdown));
    drop(ws);
    closing.join().unwrap();
    // Clients give up when they are refused; a session that ends they take for a lost connection.
    let ended = http.request("GET", "/engine.io/?EIO=4&transport=polling", &[], b"");
    let (status, packets) = ended.told();
    assert_eq!(status, 200);
    assert!(packets.starts_with("0{\"sid\":") && packets.ends_with("}\x1e1"), "{packets}");
    assert_eq!(ended.header("connection"), Some("close"), "the next request finds the next server");
}

#[test]
fn figures_say_what_was_carried() {
    let server = TestServer::with(|options| options.workers = 1);
    let mut ws = Ws::open(server.address);
    ws.send("4a");
    assert_eq!(ws.text(), "4a");
    let stats = &server.stopper.stats()[0];
    assert_eq!((stats.websocket_sessions.get(), stats.polling_sessions.get(), stats.messages_in.get()), (1, 0, 1));
    ws.send("1");
    assert_eq!((ws.next(), ws.next()), (Frame::Close(None), Frame::End));
    assert_eq!(stats.closed().find(|(reason, _)| *reason == CloseReason::TransportClose).unwrap().1, 1);
}
