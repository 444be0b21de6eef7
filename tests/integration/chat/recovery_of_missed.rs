//! P6: missed messages are delivered in order at connect, and their senders get receipts.
use parlance::chat::{CatchUpDrained, Command, Event, Notice, Options, SendTo};
use parlance::model::UserId;

use super::broker::{Broker, Socket, direct, message_of, text, user};

/// Returns all pages of a catch-up, for a socket that reads at once.
async fn catch_up(broker: &mut Broker, socket: Socket) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let page = broker
            .notice(socket, |notice| match notice {
                Notice::CatchUp(page) => {
                    let contents =
                        page.iter().filter_map(|event| message_of(event.event())).map(|message| message.content.clone());
                    Some(Some(contents.collect::<Vec<_>>()))
                }
                Notice::CatchUpDone => Some(None),
                _ => None,
            })
            .await;
        let Some(page) = page else { return pages };
        pages.push(page);
        broker.addr.send(CatchUpDrained { connection: socket.0 }).await.unwrap();
    }
}

#[actix::test]
async fn what_was_missed_comes_in_order_before_anything_new() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let ann = broker.connect("ann").await;
    for number in 0..10 {
        let command = if number % 2 == 0 {
            direct("bob", &number.to_string())
        } else {
            Command::Send { to: SendTo::Conversation(group), draft: text(&number.to_string()) }
        };
        broker.ask(ann, command).await.unwrap();
    }
    let bob = broker.connect("bob").await;
    let missed: Vec<_> = catch_up(&mut broker, bob).await.concat();
    assert_eq!(missed, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
    broker.settle().await;
    let delivered = |event: &Event| match event {
        Event::Delivered { users, at_once: false, .. } => Some(users.clone()),
        _ => None,
    };
    let told: Vec<UserId> = broker.events(ann).await.iter().filter_map(delivered).flatten().collect();
    assert_eq!(told, vec![user("bob"); 10]);
    let again = broker.connect("bob").await;
    assert!(broker.events(again).await.iter().all(|event| message_of(event).is_none()));
}

#[actix::test]
async fn pages_stay_within_their_bytes() {
    let mut broker = Broker::with(Options { catch_up_page_bytes: 10_000, ..Options::default() }).await;
    let ann = broker.connect("ann").await;
    for _ in 0..20 {
        broker.ask(ann, direct("bob", &"x".repeat(3_000))).await.unwrap();
    }
    let bob = broker.connect("bob").await;
    let pages = catch_up(&mut broker, bob).await;
    assert!(pages.iter().all(|page| page.len() <= 2), "{:?}", pages.iter().map(Vec::len).collect::<Vec<_>>());
    assert_eq!(pages.concat().len(), 20);
}

#[actix::test]
async fn the_newest_are_kept_where_too_much_was_missed() {
    let mut broker = Broker::with(Options { catch_up_max: 3, ..Options::default() }).await;
    let ann = broker.connect("ann").await;
    for number in 0..7 {
        broker.ask(ann, direct("bob", &number.to_string())).await.unwrap();
    }
    let bob = broker.connect("bob").await;
    assert_eq!(catch_up(&mut broker, bob).await.concat(), ["4", "5", "6"]);
}

#[actix::test]
async fn a_socket_that_is_up_to_date_has_no_catch_up() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.ask(ann, direct("bob", "live")).await.unwrap();
    broker.message(bob).await;
    broker.disconnect(bob, true).await;
    let bob = broker.knock("bob").await;
    let caught_up =
        broker.notice(bob, |notice| if let Notice::Admitted(admission) = notice { Some(admission.catch_up) } else { None }).await;
    assert!(!caught_up);
}
