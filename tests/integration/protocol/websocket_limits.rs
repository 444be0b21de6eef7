//! WebSocket: exceeded limits and broken frames.
use std::time::{Duration, Instant};

use parlance::engineio::CloseReason;

use super::client::{Frame, Ws, frame};
use super::server::{Order, Seen, TestServer};

#[test]
fn malformed_frames_are_refused_with_their_code() {
    let server = TestServer::with(|options| options.max_packet_bytes = 1000);
    let mut huge = vec![0x82, 0x80 | 127];
    huge.extend((1_u64 << 40).to_be_bytes());
    huge.extend([0; 4]);
    let mut fragments = frame(0x02, &[0; 600]);
    fragments.extend(frame(0x80, &[0; 600]));
    let cases = [
        (frame(0x82, &[0; 1001]), 1009),
        (huge, 1009),
        (fragments, 1009),
        (frame(0xc1, b"4a"), 1002),
        (frame(0x83, b"4a"), 1002),
        (frame(0x80, b"4a"), 1002),
        (vec![0x81, 2, b'4', b'a'], 1002),
        (frame(0x89, &[0; 126]), 1002),
        (frame(0x81, b"4\xff"), 1007),
        (frame(0x88, &[3]), 1002),
    ];
    for (bytes, code) in cases {
        let mut ws = Ws::open(server.address);
        ws.http.write(&bytes);
        assert_eq!((ws.next(), ws.next()), (Frame::Close(Some(code)), Frame::End), "{:?}", &bytes[..2]);
        assert_eq!(server.closed(), CloseReason::TransportError);
    }
    let mut ws = Ws::open(server.address);
    ws.send_binary(&[0; 1000]);
    assert_eq!(ws.next(), Frame::Binary(vec![0; 1000]), "the limit is inclusive");
}

#[test]
fn a_stuck_reader_is_cut_and_others_are_not() {
    let server = TestServer::with(|options| (options.outbox_bytes, options.workers) = (100_000, 1));
    let stuck = Ws::open(server.address);
    let (stuck_key, _) = server.opened();
    let mut other = Ws::open(server.address);
    let (other_key, _) = server.opened();
    let text = format!("4{}", "x".repeat(50_000));
    let give_up = Instant::now() + Duration::from_secs(10);
    let mut rounds = 0;
    let closed = loop {
        assert!(Instant::now() < give_up, "never cut");
        server.order(stuck_key, Order::Send(text.clone()));
        server.order(other_key, Order::Send(text.clone()));
        rounds += 1;
        assert_eq!(other.text(), text);
        // notified by the hub before the packet that the other one has just read
        if let Some(reason) = server.try_closed() {
            break reason;
        }
    };
    assert_eq!(closed, CloseReason::SlowConsumer);
    assert!(rounds > 2);
    drop(stuck);
}

#[test]
fn a_burst_from_inside_cuts_no_client_that_reads() {
    let server = TestServer::with(|options| options.outbox_packets = 100);
    let mut ws = Ws::open(server.address);
    let (key, _) = server.opened();
    for number in 0..5_000 {
        server.order(key, Order::Send(format!("4{number}")));
    }
    for number in 0..5_000 {
        assert_eq!(ws.text(), format!("4{number}"));
    }
}

#[test]
fn an_event_of_any_size_fits_into_an_empty_outbox() {
    let server = TestServer::with(|options| (options.outbox_packets, options.outbox_bytes) = (10, 1000));
    let mut ws = Ws::open(server.address);
    ws.send("4flood 200 5000");
    for _ in 0..200 {
        assert_eq!(ws.text().len(), 5001);
    }
}

#[test]
fn volatile_packets_are_dropped_first() {
    let server = TestServer::with(|options| options.outbox_bytes = 200_000);
    let mut ws = Ws::open(server.address);
    // more than the kernel takes, so that some of it waits
    ws.send("4flood 100 100000");
    ws.send("4trickle 3");
    loop {
        match server.next_seen() {
            Seen::VolatileDropped => break,
            Seen::Closed(reason) => panic!("{reason:?}"),
            _ => {}
        }
    }
    for _ in 0..100 {
        assert_eq!(ws.text().len(), 100_001);
    }
}

#[test]
fn a_blocked_write_has_its_time() {
    let server = TestServer::with(|options| options.write_timeout = Duration::from_millis(200));
    let mut ws = Ws::open(server.address);
    ws.send("4flood 100 100000");
    assert_eq!(server.closed(), CloseReason::SlowConsumer);
}

#[test]
fn pings_that_are_never_read_cut_the_client() {
    let server = TestServer::with(|options| options.write_timeout = Duration::from_secs(60));
    let mut ws = Ws::open(server.address);
    ws.send("4flood 100 100000");
    let pings = frame(0x89, &[0; 100]).repeat(1000);
    for _ in 0..3 {
        ws.http.write(&pings);
    }
    assert_eq!(server.closed(), CloseReason::SlowConsumer);
}

#[test]
fn a_panic_ends_its_own_connection_only() {
    let server = TestServer::with(|options| options.workers = 1);
    let mut other = Ws::open(server.address);
    for from_inside in [false, true] {
        let mut victim = Ws::open(server.address);
        let key = loop {
            let (key, _) = server.opened();
            if key.slot.index > 0 {
                break key;
            }
        };
        if from_inside {
            server.order(key, Order::Panic);
        } else {
            victim.send("4panic");
        }
        assert_eq!((victim.next(), victim.next()), (Frame::Close(None), Frame::End));
        assert_eq!(server.closed(), CloseReason::Internal);
        other.send("4a");
        assert_eq!(other.text(), "4a");
    }
}
