//! What a user has missed.
use parlance::model::{MessageStatus, Place};
use parlance::store::{self, DeliveredUpTo, Write};

use super::fixture::{Fixture, at, conversation_of, user};

on_both_databases!(what_others_wrote_is_missed_in_order, the_newest_of_many_are_kept);

async fn missed(fixture: &Fixture, name: &'static str, after: i64, up_to: i64, limit: i64) -> Vec<String> {
    let found = fixture.ask(move |conn| store::list_missed(conn, &user(name), after, up_to, limit)).await;
    found.into_iter().map(|message| message.content).collect()
}

async fn what_others_wrote_is_missed_in_order(fixture: Fixture) {
    let (group, direct) = (fixture.group(&["ann", "bob", "cid"]).await, fixture.direct(&["ann", "bob"]).await);
    fixture.say("ann", &group, "received").await;
    fixture.say("ann", &direct, "1").await;
    fixture.say("ann", &group, "2").await;
    fixture.say("bob", &group, "own").await;
    fixture.say("ann", &Place::CommonChat, "public").await;
    let deleted = fixture.say("cid", &group, "deleted").await;
    fixture.say("cid", &group, "3").await;
    fixture.say("ann", &direct, "4").await;
    fixture.done(Write::DeleteMessage { message: deleted.id, deleted_at: at(99) }).await;
    let received = DeliveredUpTo { conversation: conversation_of(&group), user: user("bob"), seq: 1 };
    fixture.done(Write::Delivered(vec![received])).await;
    assert_eq!(missed(&fixture, "bob", 0, 99, 9).await, ["1", "2", "3", "4"]);
    assert_eq!(missed(&fixture, "bob", 2, 7, 9).await, ["2", "3"]);
    assert_eq!(missed(&fixture, "bob", 0, 99, 2).await, ["1", "2"]);
    assert!(missed(&fixture, "dan", 0, 99, 9).await.is_empty());
    let found = fixture.ask(|conn| store::list_missed(conn, &user("cid"), 0, 99, 1)).await;
    assert_eq!((found[0].seq, found[0].position, found[0].status), (1, 1, MessageStatus::Delivered));
    fixture.done(Write::RemoveParticipant { conversation: conversation_of(&group), user: user("bob"), left_at: at(100) }).await;
    assert_eq!(missed(&fixture, "bob", 0, 99, 9).await, ["1", "4"]);
}

async fn the_newest_of_many_are_kept(fixture: Fixture) {
    let (one, other) = (fixture.group(&["ann", "bob"]).await, fixture.group(&["ann", "bob"]).await);
    for number in 1..=10 {
        fixture.say("ann", if number % 2 == 0 { &one } else { &other }, &number.to_string()).await;
    }
    for (up_to, newest, expected) in [(10, 3, 7), (10, 10, 0), (10, 9, 1), (10, 100, 0), (6, 2, 4), (0, 5, 0)] {
        let start = fixture.ask(move |conn| store::missed_start(conn, &user("bob"), up_to, newest)).await;
        assert_eq!(start, expected, "{newest} of {up_to}");
    }
    assert_eq!(missed(&fixture, "bob", 7, 10, 99).await, ["8", "9", "10"]);
}
