//! Deliveries from the server to many connections.
use std::sync::Arc;

use parlance::engineio::{Delivery, Encoded, Slot};
use smallvec::smallvec;

use super::client::{Poller, Ws};
use super::server::TestServer;

#[test]
fn an_event_reaches_those_it_is_for_on_either_transport() {
    let server = TestServer::with(|options| options.workers = 1);
    let mut ws: Vec<Ws> = (0..3).map(|_| Ws::open(server.address)).collect();
    let mut poller = Poller::open(server.address);
    let slots: Vec<Slot> = (0..4).map(|_| server.opened().0.slot).collect();
    let actor = server.actors.lock().unwrap()[&0].clone();
    let say = |text: &str, except: &[Slot]| {
        let event = Arc::new(Encoded::text(text));
        actor.do_send(Delivery::ToMany { event, to: Arc::new(slots.clone()), except: except.into() });
    };
    say("4all", &[]);
    say("4but the first", &slots[..1]);
    actor.do_send(Delivery::ToFew { event: Arc::new(Encoded::text("4few")), to: smallvec![slots[0], slots[3]] });
    assert_eq!((ws[0].text(), ws[0].text()), ("4all".to_owned(), "4few".to_owned()));
    for other in &mut ws[1..] {
        assert_eq!((other.text(), other.text()), ("4all".to_owned(), "4but the first".to_owned()));
    }
    assert_eq!(poller.poll().text(), "4all\x1e4but the first\x1e4few");
}

#[test]
fn words_for_those_who_left_reach_nobody() {
    let server = TestServer::with(|options| options.workers = 1);
    let first = Ws::open(server.address);
    let (gone, _) = server.opened();
    drop(first);
    server.closed();
    let actor = server.actors.lock().unwrap()[&0].clone();
    let mut second = loop {
        let second = Ws::open(server.address);
        let (key, _) = server.opened();
        if key.slot.index == gone.slot.index {
            assert_ne!(key.slot.generation, gone.slot.generation);
            break second;
        }
    };
    actor.do_send(Delivery::ToFew { event: Arc::new(Encoded::text("4for the first")), to: smallvec![gone.slot] });
    second.send("4hello");
    assert_eq!(second.text(), "4hello");
}
