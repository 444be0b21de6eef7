//! P1: requests taken from a connection are carried out after its end, at its pace and in order, unless its client was
//! kicked.
use std::time::Duration;

use parlance::chat::{Administer, Command, Drain, LateRequest, LeftBehind, Notice, OwnCopy, ReplayKind, SendTo};
use parlance::engineio::CloseReason;
use parlance::model::RoomId;

use super::broker::{Broker, Socket, direct, message_of};
use super::recovery::{admission, come, resume_session};

const STEP: Duration = Duration::from_millis(100);

fn sends(count: u32) -> Vec<Command> {
    (0..count).map(|number| direct("bob", &number.to_string())).collect()
}

/// Returns the texts that a socket received since the last call.
async fn texts(broker: &mut Broker, socket: Socket) -> Vec<String> {
    let events = broker.events(socket).await;
    events.iter().filter_map(message_of).map(|message| message.content.clone()).collect()
}

#[actix::test]
async fn requests_that_wait_do_not_die_with_their_connection() {
    for on_purpose in [true, false] {
        let mut broker = Broker::new().await;
        let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
        broker.leave_behind(ann, on_purpose, sends(3)).await;
        assert!(texts(&mut broker, bob).await.is_empty(), "not before their time");
        for number in ["0", "1", "2"] {
            broker.pass(STEP).await;
            assert_eq!(texts(&mut broker, bob).await, [number]);
        }
        broker.pass(100 * STEP).await;
        assert!(texts(&mut broker, bob).await.is_empty());
    }
}

#[actix::test]
async fn requests_behind_a_read_do_not_die_with_their_connection() {
    for on_purpose in [true, false] {
        let mut broker = Broker::new().await;
        let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
        let reads = broker.hold_reads().await;
        for command in sends(3) {
            broker.begin(ann, command).await;
        }
        broker.leave_behind(ann, on_purpose, vec![direct("bob", "late")]).await;
        broker.pass(STEP).await;
        drop(reads);
        for expected in ["0", "1", "2", "late"] {
            assert_eq!(broker.message(bob).await.content, expected);
        }
    }
}

#[actix::test]
async fn who_comes_waits_behind_what_an_earlier_socket_left() {
    for is_recovered in [true, false] {
        let mut broker = Broker::new().await;
        let bob = broker.connect("bob").await;
        let (ann, known) = come(&mut broker, "ann").await;
        broker.leave_behind(ann, false, sends(2)).await;
        let ann = match is_recovered {
            true => resume_session(&mut broker, "ann", known).await.0,
            false => broker.connect("ann").await,
        };
        broker.begin(ann, direct("bob", "later")).await;
        broker.begin(ann, direct("bob", "last")).await;
        assert!(texts(&mut broker, bob).await.is_empty());
        broker.pass(STEP).await;
        assert_eq!(texts(&mut broker, bob).await, ["0"]);
        broker.pass(STEP).await;
        assert_eq!(texts(&mut broker, bob).await, ["1", "later", "last"]);
        assert!(broker.ask(ann, direct("bob", "and on")).await.is_ok());
    }
}

#[actix::test]
async fn who_waited_behind_them_and_goes_is_not_forgotten() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.leave_behind(ann, true, sends(1)).await;
    let ann = broker.connect("ann").await;
    broker.begin(ann, direct("bob", "later")).await;
    broker.leave_behind(ann, true, vec![direct("bob", "last")]).await;
    broker.pass(2 * STEP).await;
    assert_eq!(texts(&mut broker, bob).await, ["0", "later", "last"]);
}

#[actix::test]
async fn what_a_connection_brings_after_it_was_taken_over_comes_first() {
    let mut broker = Broker::new().await;
    let bob = broker.connect("bob").await;
    let (old, known) = come(&mut broker, "ann").await;
    broker.hush(old);
    let (ann, _, _) = resume_session(&mut broker, "ann", known).await;
    broker.begin(ann, direct("bob", "later")).await;
    broker.begin(old, direct("bob", "under way")).await;
    let late = LateRequest { after: Duration::ZERO, command: direct("bob", "left"), own_copy: OwnCopy::None };
    broker.disconnect_for(old, false, CloseReason::ForcedClose, LeftBehind::Requests(vec![late])).await;
    assert_eq!(texts(&mut broker, bob).await, ["under way", "left", "later"]);
}

#[actix::test]
async fn own_copies_are_kept_for_a_session_that_may_come_back() {
    let mut broker = Broker::new().await;
    let _bob = broker.connect("bob").await;
    let (ann, known) = come(&mut broker, "ann").await;
    broker.leave_behind(ann, false, sends(3)).await;
    broker.pass(2 * STEP).await;
    broker.settle().await;
    let (ann, admission, missed) = resume_session(&mut broker, "ann", known).await;
    assert_eq!(missed.unwrap(), ["0", "1"]);
    let missed = admission.resume_data.unwrap().missed;
    let copies: Vec<_> = missed.iter().filter(|replay| message_of(replay.event.event()).is_some()).collect();
    assert!(copies.iter().all(|replay| replay.kind == ReplayKind::Own), "{copies:?}");
    broker.pass(STEP).await;
    let held = |notice: &Notice| match notice {
        Notice::Hold(event) => message_of(event.event()).map(|message| message.content.clone()),
        _ => None,
    };
    assert_eq!(broker.notice(ann, held).await, "2");
    broker.notice(ann, |notice| matches!(notice, Notice::Settle { stored: true, .. }).then_some(())).await;
}

#[actix::test]
async fn a_room_that_waits_is_entered_by_the_session_that_comes_back() {
    let mut broker = Broker::new().await;
    let (ann, known) = come(&mut broker, "ann").await;
    let bob = broker.connect("bob").await;
    let room = RoomId::parse("1").unwrap();
    broker.leave_behind(ann, false, vec![Command::JoinRoom { room: room.clone() }]).await;
    broker.pass(STEP).await;
    let say = |content| Command::Send {
        to: SendTo::Room { room: room.clone(), shown_as: "1".into() },
        draft: super::broker::text(content),
    };
    broker.ask(bob, say("missed")).await.unwrap();
    let (ann, _, missed) = resume_session(&mut broker, "ann", known).await;
    assert_eq!(missed.unwrap(), ["missed"]);
    broker.ask(bob, say("new")).await.unwrap();
    assert_eq!(broker.message(ann).await.content, "new");
}

#[actix::test]
async fn who_is_kicked_loses_what_waits() {
    let mut broker = Broker::new().await;
    let bob = broker.connect("bob").await;
    // While it is connected.
    let ann = broker.connect("ann").await;
    let reads = broker.hold_reads().await;
    for command in sends(3) {
        broker.begin(ann, command).await;
    }
    let socket = admitted_as(ann);
    assert!(broker.addr.send(Administer::Kick { socket }).await.unwrap().unwrap());
    drop(reads);
    broker.release_reads();
    assert!(texts(&mut broker, bob).await.is_empty());
    // And after it has gone.
    for is_disabled in [false, true] {
        let ann = broker.connect("ann").await;
        broker.leave_behind(ann, true, sends(3)).await;
        if is_disabled {
            broker.set_disabled("ann", true).await;
        } else {
            let kick = Administer::Kick { socket: admitted_as(ann) };
            assert!(broker.addr.send(kick).await.unwrap().unwrap());
        }
        broker.pass(100 * STEP).await;
        assert!(texts(&mut broker, bob).await.is_empty());
    }
}

#[actix::test]
async fn the_end_of_a_session_that_was_kicked_drops_what_an_earlier_connection_of_it_left() {
    let mut broker = Broker::new().await;
    let bob = broker.connect("bob").await;
    let (ann, known) = come(&mut broker, "ann").await;
    broker.leave_behind(ann, false, sends(3)).await;
    let (ann, _, _) = resume_session(&mut broker, "ann", known).await;
    broker.begin(ann, direct("bob", "later")).await;
    broker.disconnect_for(ann, true, CloseReason::Disconnected, LeftBehind::Dropped).await;
    broker.pass(100 * STEP).await;
    assert!(texts(&mut broker, bob).await.is_empty());
    let ann = broker.connect("ann").await;
    assert!(broker.ask(ann, direct("bob", "anew")).await.is_ok());
}

#[actix::test]
async fn a_token_that_expires_meanwhile_ends_what_waits() {
    let mut broker = Broker::new().await;
    let bob = broker.connect("bob").await;
    let expires_at = Some(parlance::model::Timestamp::from_millis(1_767_225_600_000 + 150));
    let ann = broker
        .return_with("ann", |mut connect| {
            connect.claims.expires_at = expires_at;
            connect
        })
        .await;
    admission(&mut broker, ann).await;
    broker.leave_behind(ann, true, sends(3)).await;
    broker.pass(STEP).await;
    broker.pass(STEP).await;
    broker.pass(STEP).await;
    assert_eq!(texts(&mut broker, bob).await, ["0"]);
}

#[actix::test]
async fn a_stop_waits_for_what_waits() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let cid = broker.connect("cid").await;
    broker.leave_behind(cid, true, sends(2)).await;
    let reads = broker.hold_reads().await;
    let tickets = [broker.begin(ann, direct("bob", "one")).await, broker.begin(ann, direct("bob", "two")).await];
    let drained = actix_rt::spawn(broker.addr.send(Drain));
    let late = broker.begin(ann, direct("bob", "refused")).await;
    assert_eq!(broker.reply(ann, late).await.unwrap_err().code(), "DRAINING");
    assert!(!drained.is_finished());
    drop(reads);
    drained.await.unwrap().unwrap();
    for ticket in tickets {
        assert!(broker.reply(ann, ticket).await.is_ok());
    }
    let mut heard = texts(&mut broker, bob).await;
    heard.sort();
    assert_eq!(heard, ["0", "1", "one", "two"]);
}

#[actix::test]
async fn what_may_be_left_behind_is_bounded() {
    let mut broker = Broker::new().await;
    let bob = broker.connect("bob").await;
    let room = RoomId::parse("1").unwrap();
    let many = |count| std::iter::repeat_n(Command::JoinRoom { room: room.clone() }, count).collect::<Vec<_>>();
    for _ in 0..3 {
        let ann = broker.connect("ann").await;
        broker.leave_behind(ann, true, many(1_050)).await;
    }
    let ann = broker.connect("ann").await;
    broker.leave_behind(ann, true, vec![direct("bob", "too many")]).await;
    let cid = broker.connect("cid").await;
    broker.leave_behind(cid, true, vec![direct("bob", "of another")]).await;
    broker.pass(1_100 * STEP).await;
    assert_eq!(texts(&mut broker, bob).await, ["of another"]);
    let ann = broker.connect("ann").await;
    assert!(broker.ask(ann, direct("bob", "and on")).await.is_ok());
}

/// Returns the id of the socket that `Broker` admitted.
fn admitted_as(socket: Socket) -> parlance::model::SocketId {
    parlance::model::SocketId::parse(&format!("{:020}", socket.0.slot.index)).unwrap()
}
