//! Deliveries from the server to many connections.
use std::sync::Arc;

use parlance::engineio::{CloseReason, Delivery, Encoded, Slot};
use smallvec::smallvec;

use super::client::{Frame, Poller, Ws};
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

/// Number of connections of one worker: more than it writes to before it reads again.
const CROWD: usize = 100;
const ROUNDS: usize = 300;
/// Number of messages that each client sends meanwhile.
const ECHOES: usize = 3;

fn open_crowd(server: &TestServer) -> (Vec<Ws>, Vec<Slot>) {
    let crowd = (0..CROWD).map(|_| Ws::open(server.address)).collect();
    (crowd, (0..CROWD).map(|_| server.opened().0.slot).collect())
}

/// Returns the text of a round.
fn round(number: usize) -> String {
    format!("4round {number}")
}

/// Returns something that tells all of them a round.
fn teller(server: &TestServer, slots: Vec<Slot>) -> impl Fn(usize) {
    let (actor, to) = (server.actors.lock().unwrap()[&0].clone(), Arc::new(slots));
    move |number| {
        let event = Arc::new(Encoded::text(&round(number)));
        actor.do_send(Delivery::ToMany { event, to: to.clone(), except: smallvec![] });
    }
}

/// Returns all that comes, with the connection; some of it is the client's own, by way of its connection's task.
fn read_and_echo(mut ws: Ws) -> (Ws, Vec<String>) {
    let texts = (0..ROUNDS + ECHOES)
        .map(|number| {
            if number % (ROUNDS / ECHOES) == 0 && number < ROUNDS {
                ws.send("4echo");
            }
            ws.text()
        })
        .collect();
    (ws, texts)
}

#[test]
fn who_is_told_again_while_others_are_written_to_gets_all_once_and_in_order() {
    let server = TestServer::with(|options| {
        options.workers = 1;
        // So few that only a client that does not read may be full.
        options.outbox_packets = 16;
    });
    let (crowd, slots) = open_crowd(&server);
    let readers: Vec<_> = crowd.into_iter().map(|ws| std::thread::spawn(move || read_and_echo(ws))).collect();
    let tell = teller(&server, slots);
    (0..ROUNDS).for_each(tell);
    let read: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert_eq!(server.try_closed(), None, "nobody is too slow who reads");
    for (_ws, texts) in read {
        let (echoes, rounds): (Vec<_>, Vec<_>) = texts.into_iter().partition(|text| text == "4echo");
        assert_eq!(echoes.len(), ECHOES);
        assert_eq!(rounds, (0..ROUNDS).map(round).collect::<Vec<_>>());
    }
}

#[test]
fn who_is_closed_while_others_are_written_to_gets_what_came_before_and_no_more() {
    let server = TestServer::with(|options| options.workers = 1);
    let (mut crowd, slots) = open_crowd(&server);
    let tell = teller(&server, slots);
    for number in 0..ROUNDS {
        tell(number);
        if number % 3 == 0 {
            crowd[number / 3].send("4goodbye");
        }
    }
    for (place, mut ws) in crowd.into_iter().enumerate() {
        let mut seen = Vec::new();
        while let Frame::Text(text) = ws.next() {
            seen.push(text);
        }
        assert_eq!(seen.pop().as_deref(), Some("4goodbye"), "the last word of {place}");
        assert_eq!(seen, (0..seen.len()).map(round).collect::<Vec<_>>());
        assert_eq!(server.closed(), CloseReason::ForcedClose);
    }
    let mut another = Ws::open(server.address);
    tell(ROUNDS);
    another.send("4hello");
    assert_eq!(another.text(), "4hello", "whoever has the place of one who left hears nothing of it");
}

#[test]
fn who_moves_to_a_web_socket_while_others_are_written_to_loses_nothing() {
    let server = TestServer::with(|options| options.workers = 1);
    let pollers: Vec<Poller> = (0..CROWD / 2).map(|_| Poller::open(server.address)).collect();
    let mut slots: Vec<Slot> = pollers.iter().map(|_| server.opened().0.slot).collect();
    let (mut crowd, others) = open_crowd(&server);
    slots.extend(others);
    let tell = teller(&server, slots);
    let mut moving: Vec<Ws> = pollers.iter().map(|poller| Ws::for_session(server.address, &poller.sid)).collect();
    for ws in &mut moving {
        ws.send("2probe");
        assert_eq!(ws.text(), "3probe");
    }
    for number in 0..ROUNDS {
        tell(number);
        if number % 4 == 0
            && let Some(ws) = moving.get_mut(number / 4)
        {
            ws.send("5");
        }
    }
    for ws in moving.iter_mut().chain(&mut crowd) {
        assert_eq!((0..ROUNDS).map(|_| ws.text()).collect::<Vec<_>>(), (0..ROUNDS).map(round).collect::<Vec<_>>());
    }
}
