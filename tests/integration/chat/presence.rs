//! Presence and typing, with a clock that the tests move.
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use parlance::chat::{Command, Event, Notice, Options, PresenceChange, PresenceOf};
use parlance::config::PresenceScope;
use parlance::model::{ChosenStatus, Timestamp};
use parlance::store::{AnyConnection, QueryResult, find_account};

use super::broker::{Broker, Socket, direct, user};

async fn presence(broker: &mut Broker, socket: Socket) -> Vec<String> {
    let changes = broker.events(socket).await.into_iter().filter_map(|event| match event {
        Event::Presence(changes) => Some(changes),
        _ => None,
    });
    changes
        .flatten()
        .map(|change| match change {
            PresenceChange::Online { user, status, .. } => format!("{} {}", user.username, status.as_str()),
            PresenceChange::Offline { user, .. } => format!("{user} gone"),
        })
        .collect()
}

#[actix::test]
async fn the_first_socket_is_announced_and_a_further_one_to_itself_only() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    assert_eq!(presence(&mut broker, ann).await, ["ann online"]);
    broker.pass(Duration::from_secs(1)).await;
    let bob = broker.connect("bob").await;
    assert_eq!(presence(&mut broker, ann).await, ["bob online"]);
    let second = broker.connect("bob").await;
    assert_eq!(presence(&mut broker, second).await, ["bob online"]);
    assert_eq!(presence(&mut broker, bob).await, ["bob online"]);
    assert!(presence(&mut broker, ann).await.is_empty());
}

#[actix::test]
async fn devices_that_come_together_are_told_once() {
    let mut broker = Broker::new().await;
    broker.connect("ann").await;
    // Others have just connected, so this is announced a moment later.
    let (bob, bob_too) = (broker.connect("bob").await, broker.connect("bob").await);
    broker.pass(Duration::from_secs(1)).await;
    for device in [bob, bob_too] {
        assert_eq!(presence(&mut broker, device).await, ["bob online"]);
    }
}

#[actix::test]
async fn the_last_socket_counts_at_once_when_it_left_on_purpose_and_after_a_grace_else() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let bob = broker.connect("bob").await;
    broker.pass(Duration::from_secs(1)).await;
    broker.all(ann).await;
    broker.disconnect(bob, false).await;
    broker.pass(Duration::from_millis(4_999)).await;
    assert!(presence(&mut broker, ann).await.is_empty());
    let bob = broker.connect("bob").await;
    broker.pass(Duration::from_secs(10)).await;
    assert!(presence(&mut broker, ann).await.is_empty(), "he was back in time");
    broker.disconnect(bob, false).await;
    broker.pass(Duration::from_secs(5)).await;
    assert_eq!(presence(&mut broker, ann).await, ["bob gone"]);
    let bob = broker.connect("bob").await;
    broker.pass(Duration::from_secs(1)).await;
    broker.all(ann).await;
    broker.disconnect(bob, true).await;
    broker.pass(Duration::from_secs(1)).await;
    assert_eq!(presence(&mut broker, ann).await, ["bob gone"]);
    for _ in 0..5 {
        let bob = broker.connect("bob").await;
        broker.disconnect(bob, true).await;
    }
    broker.pass(Duration::from_millis(900)).await;
    assert!(presence(&mut broker, ann).await.is_empty(), "of one user once a second");
    broker.pass(Duration::from_millis(200)).await;
    assert_eq!(presence(&mut broker, ann).await, ["bob gone"]);
}

#[actix::test]
async fn who_appears_offline_is_offline_to_all_but_himself() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.pass(Duration::from_secs(1)).await;
    broker.all(ann).await;
    broker.ask(bob, Command::SetStatus { status: ChosenStatus::Offline }).await.unwrap();
    broker.pass(Duration::from_secs(1)).await;
    assert_eq!(presence(&mut broker, ann).await, ["bob gone"]);
    broker.disconnect(bob, true).await;
    let bob = broker.connect("bob").await;
    broker.pass(Duration::from_secs(1)).await;
    assert!(presence(&mut broker, ann).await.is_empty());
    broker.ask(bob, Command::SetStatus { status: ChosenStatus::Busy }).await.unwrap();
    broker.pass(Duration::from_secs(1)).await;
    assert_eq!(presence(&mut broker, ann).await, ["bob busy"]);
}

#[actix::test]
async fn who_chooses_to_appear_offline_sees_it_on_every_device_and_is_online_to_himself() {
    for options in [Options::default(), Options { presence_scope: PresenceScope::Contacts, ..Options::default() }] {
        let mut broker = Broker::with(options).await;
        let (ann, bob, bob_too) = (broker.connect("ann").await, broker.connect("bob").await, broker.connect("bob").await);
        broker.ask(ann, direct("bob", "we know each other")).await.unwrap();
        broker.pass(Duration::from_secs(1)).await;
        for socket in [ann, bob, bob_too] {
            broker.all(socket).await;
        }
        broker.ask(bob, Command::SetStatus { status: ChosenStatus::Offline }).await.unwrap();
        broker.pass(Duration::from_secs(1)).await;
        assert_eq!(presence(&mut broker, ann).await, ["bob gone"]);
        for device in [bob, bob_too] {
            assert_eq!(presence(&mut broker, device).await, ["bob offline"]);
        }
        let third = broker.connect("bob").await;
        broker.pass(Duration::from_secs(1)).await;
        assert_eq!(presence(&mut broker, third).await, ["bob offline"]);
        assert!(presence(&mut broker, ann).await.is_empty());
        let of_bob = |requester: &str| PresenceOf { requester: user(requester), users: vec![user("bob")] };
        let (seen, own) = (broker.addr.send(of_bob("ann")).await.unwrap(), broker.addr.send(of_bob("bob")).await.unwrap());
        assert_eq!((seen[0].is_online, own[0].is_online), (false, true));
        assert_eq!(seen[0].last_seen, own[0].last_seen);
        assert!(seen[0].last_seen.is_some(), "that moment is when he was seen last");
        broker.ask(bob, Command::SetStatus { status: ChosenStatus::Offline }).await.unwrap();
        let later = broker.addr.send(of_bob("ann")).await.unwrap();
        assert_eq!(later[0].last_seen, seen[0].last_seen, "and no later one");
    }
}

#[actix::test]
async fn a_chosen_status_stays_over_reconnects_and_restarts() {
    let mut broker = Broker::new().await;
    let bob = broker.connect("bob").await;
    broker.ask(bob, Command::SetStatus { status: ChosenStatus::Busy }).await.unwrap();
    broker.disconnect(bob, true).await;
    broker.pass(Duration::from_secs(1)).await;
    let ann = broker.connect("ann").await;
    broker.pass(Duration::from_secs(1)).await;
    broker.all(ann).await;
    broker.connect("bob").await;
    broker.pass(Duration::from_secs(1)).await;
    assert_eq!(presence(&mut broker, ann).await, ["bob busy"]);
    let mut broker = Broker::on(broker.database, Options::default()).await;
    let ann = broker.connect("ann").await;
    broker.pass(Duration::from_secs(1)).await;
    broker.all(ann).await;
    broker.connect("bob").await;
    broker.pass(Duration::from_secs(1)).await;
    assert_eq!(presence(&mut broker, ann).await, ["bob busy"]);
}

#[actix::test]
async fn a_status_is_told_apart_from_coming() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.pass(Duration::from_secs(1)).await;
    broker.all(ann).await;
    for (status, expected) in [
        (ChosenStatus::Away, "away, came: false"),
        (ChosenStatus::Busy, "busy, came: false"),
        (ChosenStatus::Online, "online, came: false"),
        (ChosenStatus::Offline, "gone"),
        (ChosenStatus::Away, "away, came: true"),
    ] {
        for _ in 0..2 {
            broker.ask(bob, Command::SetStatus { status }).await.unwrap();
            broker.pass(Duration::from_secs(1)).await;
        }
        let heard = broker.events(ann).await.into_iter().filter_map(|event| match event {
            Event::Presence(changes) => Some(changes),
            _ => None,
        });
        let heard: Vec<_> = heard
            .flatten()
            .map(|change| match change {
                PresenceChange::Online { status, came, .. } => format!("{}, came: {came}", status.as_str()),
                PresenceChange::Offline { .. } => "gone".to_owned(),
            })
            .collect();
        assert_eq!(heard, [expected], "once");
    }
}

#[actix::test]
async fn a_status_takes_effect_when_it_is_stored() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.pass(Duration::from_secs(1)).await;
    broker.all(ann).await;
    let outage = broker.database.hold_writes().await;
    let ticket = broker.begin(bob, Command::SetStatus { status: ChosenStatus::Away }).await;
    let told = |event: &Event| matches!(event, Event::Presence(_));
    assert!(!broker.events_so_far(ann).await.iter().any(told));
    drop(outage);
    broker.reply(bob, ticket).await.unwrap();
    broker.pass(Duration::from_secs(1)).await;
    assert_eq!(presence(&mut broker, ann).await, ["bob away"]);
}

#[actix::test]
async fn above_the_limit_presence_goes_to_contacts_only() {
    for options in [
        Options { presence_scope: PresenceScope::Contacts, ..Options::default() },
        Options { presence_everyone_max: 1, ..Options::default() },
    ] {
        let mut broker = Broker::with(options).await;
        let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
        broker.ask(ann, direct("dan", "we know each other")).await.unwrap();
        broker.pass(Duration::from_secs(1)).await;
        broker.all(ann).await;
        broker.all(bob).await;
        broker.connect("dan").await;
        broker.pass(Duration::from_secs(1)).await;
        assert_eq!(presence(&mut broker, ann).await, ["dan online"]);
        assert!(presence(&mut broker, bob).await.is_empty());
    }
}

#[actix::test]
async fn typing_reaches_the_others_and_lapses() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let (ann, ann_too, bob) = (broker.connect("ann").await, broker.connect("ann").await, broker.connect("bob").await);
    let cid = broker.connect("cid").await;
    let start = Command::Typing { conversation: group, active: true };
    let typing = |event: &Event| if let Event::Typing { active, .. } = event { Some(*active) } else { None };
    broker.ask(ann, start.clone()).await.unwrap();
    broker.ask(ann, start.clone()).await.unwrap();
    assert_eq!(broker.events(bob).await.iter().filter_map(typing).collect::<Vec<_>>(), [true]);
    assert!(broker.events(ann_too).await.iter().all(|event| typing(event).is_none()), "not to oneself");
    broker.pass(Duration::from_secs(31)).await;
    assert_eq!(broker.events(bob).await.iter().filter_map(typing).collect::<Vec<_>>(), [false]);
    assert_eq!(broker.ask(cid, start.clone()).await.unwrap_err().code(), "FORBIDDEN");
    broker.ask(ann, start).await.unwrap();
    broker.disconnect(ann, false).await;
    assert_eq!(broker.events(bob).await.iter().filter_map(typing).collect::<Vec<_>>(), [true, false]);
}

#[actix::test]
async fn too_many_sockets_of_one_user_are_sent_away_for_a_while() {
    let mut broker = Broker::with(Options { max_sockets_per_user: 2, ..Options::default() }).await;
    broker.connect("ann").await;
    broker.connect("ann").await;
    let third = broker.knock("ann").await;
    broker.notice(third, |notice| matches!(notice, Notice::Close(_)).then_some(())).await;
    let stranger = broker.knock(user("nobody").as_str()).await;
    broker.notice(stranger, |notice| matches!(notice, Notice::Refused(_)).then_some(())).await;
}

#[actix::test]
async fn who_was_online_at_a_crash_was_seen_when_the_server_was_last_known_to_run() {
    let mut broker = Broker::new().await;
    let online = async |broker: &Broker, count: i64| {
        let begun = std::time::Instant::now();
        while broker.store.read(count_online).await.unwrap() != count {
            assert!(begun.elapsed() < Duration::from_secs(20), "it is not stored who is online");
            tokio::task::yield_now().await;
        }
    };
    for name in ["ann", "bob"] {
        broker.connect(name).await;
    }
    let (cid, dan) = (broker.connect("cid").await, broker.connect("dan").await);
    online(&broker, 4).await;
    let went = Timestamp::from_millis(1_767_225_600_000 + 10_000);
    broker.pass(Duration::from_secs(10)).await;
    broker.disconnect(dan, true).await;
    broker.ask(cid, Command::SetStatus { status: ChosenStatus::Offline }).await.unwrap();
    online(&broker, 2).await;
    broker.pass(Duration::from_secs(100)).await;
    let heartbeat = went.plus_millis(100_000);
    let begun = std::time::Instant::now();
    while broker.store.read(alive_at).await.unwrap() != heartbeat.as_millis() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not stored that the server runs");
        tokio::task::yield_now().await;
    }
    let broker = broker.restarted().await;
    for (name, seen) in [("ann", heartbeat), ("bob", heartbeat), ("cid", went), ("dan", went)] {
        let account = broker.store.read(move |conn| find_account(conn, &user(name))).await.unwrap().unwrap();
        assert_eq!(account.last_seen, Some(seen), "{name}");
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn count_online(conn: &mut AnyConnection) -> QueryResult<i64> {
    let found = diesel::sql_query("SELECT count(*) AS number FROM online_users").get_result::<Number>(conn);
    found.map(|row| row.number)
}

fn alive_at(conn: &mut AnyConnection) -> QueryResult<i64> {
    diesel::sql_query("SELECT alive_at AS number FROM boots").get_result::<Number>(conn).map(|row| row.number)
}
