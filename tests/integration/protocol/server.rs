//! A server whose service obeys its clients.
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use actix::System;
use bytes::Bytes;
use parlance::engineio::{CloseReason, ConnectionKey, Delivery, Encoded, Opening, Output, Service};
use parlance::http::Origins;
use parlance::meter::Counted;
use parlance::transport::{Listeners, Options, Running, Stopper, serve};

/// Something that the service reported to the test.
#[derive(Debug)]
pub enum Seen {
    Opened(ConnectionKey, Opening),
    Closed(CloseReason),
    Drained,
    VolatileDropped,
}

/// Addresses for deliveries to connections, by worker.
pub type WorkerActors = Arc<Mutex<HashMap<u16, Counted<Delivery<Encoded, Order>>>>>;

/// An order to one connection.
#[derive(Debug)]
pub enum Order {
    Send(String),
    Panic,
}

#[derive(Clone)]
pub struct Shared {
    seen: mpsc::Sender<Seen>,
}

/// Echoes, except for a few commands: `close`, `panic`, `flood N BYTES`, `trickle N` (volatile packets).
pub struct Scripted {
    shared: Shared,
    deadline: Option<Instant>,
}

impl Service for Scripted {
    type Context = Shared;
    type Shared = Encoded;
    type Notice = Order;

    fn open(context: &Shared, key: ConnectionKey, opening: &Opening, _: Instant, out: &mut dyn Output) -> Self {
        let _ = context.seen.send(Seen::Opened(key, opening.clone()));
        if opening.query.contains("greet=") {
            out.send(&Encoded::text("4welcome"));
        }
        if opening.query.contains("refuse=") {
            out.close(CloseReason::Unavailable);
        }
        assert!(!opening.query.contains("crash="), "as the test wants it");
        Self { shared: context.clone(), deadline: None }
    }

    fn on_text(&mut self, text: &str, now: Instant, out: &mut dyn Output) {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["close"] => out.close(CloseReason::ForcedClose),
            ["goodbye"] => {
                out.send(&Encoded::text("4goodbye"));
                out.close(CloseReason::ForcedClose);
            }
            ["panic"] => panic!("as the test wants it"),
            ["flood", packets, bytes] => {
                let packet = Encoded::text(&format!("4{}", "x".repeat(bytes.parse().unwrap())));
                (0..packets.parse().unwrap()).for_each(|_| out.send(&packet));
            }
            ["trickle", packets] => {
                for _ in 0..packets.parse().unwrap() {
                    if !out.send_volatile(&Encoded::text("4drop")) {
                        let _ = self.shared.seen.send(Seen::VolatileDropped);
                    }
                }
            }
            ["later", milliseconds] => self.deadline = Some(now + Duration::from_millis(milliseconds.parse().unwrap())),
            _ => out.send(&Encoded::text(&format!("4{text}"))),
        }
    }

    fn on_binary(&mut self, data: Bytes, _: Instant, out: &mut dyn Output) {
        out.send(&Encoded::binary(&data));
    }

    fn on_shared(&mut self, event: &Arc<Encoded>, _: Instant, out: &mut dyn Output) {
        out.send(event);
    }

    fn on_notice(&mut self, notice: Order, _: Instant, out: &mut dyn Output) {
        match notice {
            Order::Send(text) => out.send(&Encoded::text(&text)),
            Order::Panic => panic!("as the test wants it"),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn on_deadline(&mut self, _: Instant, out: &mut dyn Output) {
        self.deadline = None;
        out.send(&Encoded::text("4now"));
    }

    fn on_drained(&mut self, _: Instant, _: &mut dyn Output) {
        let _ = self.shared.seen.send(Seen::Drained);
    }

    fn on_close(&mut self, reason: CloseReason, _: Instant) {
        let _ = self.shared.seen.send(Seen::Closed(reason));
    }
}

/// A running server, stopped when dropped.
pub struct TestServer {
    pub address: SocketAddr,
    pub stopper: Stopper,
    pub actors: WorkerActors,
    seen: mpsc::Receiver<Seen>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl TestServer {
    /// Starts with two workers, so that requests of one session arrive on both.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::with_origins(&[], change)
    }

    pub fn with_origins(client_urls: &[&str], change: impl FnOnce(&mut Options)) -> Self {
        let urls: Vec<String> = client_urls.iter().map(|url| (*url).to_owned()).collect();
        let origins = Origins::new(&urls, client_urls.is_empty()).unwrap();
        let mut options = Options { workers: 2, path: "/engine.io".to_owned(), ..Options::new(Arc::new(origins)) };
        change(&mut options);
        let (send_seen, seen) = mpsc::channel();
        let (send_started, started) = mpsc::channel();
        let actors = WorkerActors::default();
        let their_actors = actors.clone();
        let thread = std::thread::spawn(move || {
            System::new().block_on(async {
                let context = move |worker, actor| {
                    their_actors.lock().unwrap().insert(worker, actor);
                    Shared { seen: send_seen.clone() }
                };
                let listeners = Listeners::bind("127.0.0.1", 0, false).unwrap();
                let Running { server, addresses, stopper } =
                    serve::<Scripted, _, _>(options, listeners, context, |_| {}).unwrap();
                send_started.send((addresses[0], stopper)).unwrap();
                server.await.unwrap();
            });
        });
        let (address, stopper) = started.recv_timeout(Duration::from_secs(10)).unwrap();
        Self { address, stopper, actors, seen, thread: Some(thread) }
    }

    /// Returns the service's next report, within a limit.
    pub fn next_seen(&self) -> Seen {
        self.seen.recv_timeout(Duration::from_secs(10)).expect("the service was not called")
    }

    /// Waits for a connection to open.
    pub fn opened(&self) -> (ConnectionKey, Opening) {
        loop {
            if let Seen::Opened(key, opening) = self.next_seen() {
                return (key, opening);
            }
        }
    }

    /// Waits for a connection to close.
    pub fn closed(&self) -> CloseReason {
        loop {
            if let Seen::Closed(reason) = self.next_seen() {
                return reason;
            }
        }
    }

    /// Returns the reason for a connection's end, if one has ended.
    pub fn try_closed(&self) -> Option<CloseReason> {
        self.seen.try_iter().find_map(|seen| if let Seen::Closed(reason) = seen { Some(reason) } else { None })
    }

    /// Queues packets from the server's side, and waits until they are queued.
    pub fn queue(&self, key: ConnectionKey, packets: &[&str]) {
        let queued = || self.stopper.stats().iter().map(|stats| stats.packets_out.get()).sum::<u64>();
        let before = queued();
        for packet in packets {
            self.order(key, Order::Send((*packet).to_owned()));
        }
        let give_up = Instant::now() + Duration::from_secs(10);
        while queued() < before + packets.len() as u64 {
            assert!(Instant::now() < give_up, "not queued");
            std::thread::yield_now();
        }
    }

    /// Sends a notice to a connection from the server's side.
    pub fn order(&self, key: ConnectionKey, notice: Order) {
        self.actors.lock().unwrap()[&key.worker].do_send(Delivery::ToOne { to: key.slot, notice });
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let stopper = self.stopper.clone();
        System::new().block_on(async move { stopper.stop(false).await });
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
