//! What a user has missed.
use std::sync::Arc;

use parlance::model::{Message, MessageId, MessageStatus, Place};
use parlance::store::{self, DeliveredUpTo, Had, NewMessage, Write};

use super::fixture::{Fixture, at, conversation_of, user};

on_both_databases!(
    what_others_wrote_is_missed_in_order,
    the_newest_of_many_are_kept,
    all_since_a_position_but_what_one_session_sent,
    changes_of_what_a_client_had_come_in_their_own_order,
    a_change_of_what_one_session_sent_is_told_to_it,
);

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
    fixture.done(Write::DeleteMessage { message: deleted.id, deleted_at: at(99), position: None }).await;
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
    // Nothing is looked at that is older than the first that was missed.
    let none = fixture.ask(|conn| store::missed_start(conn, &user("ann"), 10, 100)).await;
    assert_eq!(none, 10, "she wrote all of them");
    let received = [&one, &other].map(|place| DeliveredUpTo { conversation: conversation_of(place), user: user("bob"), seq: 4 });
    fixture.done(Write::Delivered(received.to_vec())).await;
    assert_eq!(fixture.ask(|conn| store::missed_start(conn, &user("bob"), 10, 100)).await, 8);
}

async fn all_since_a_position_but_what_one_session_sent(fixture: Fixture) {
    let (group, direct) = (fixture.group(&["ann", "bob"]).await, fixture.direct(&["ann", "bob"]).await);
    fixture.say("ann", &group, "1").await;
    let mut own = fixture.say("bob", &group, "2 by nobody's session").await;
    for (content, sent_by) in [("3 this session's", [7; 32]), ("4 another session's", [8; 32])] {
        own.id = MessageId::of_client_id(&user("bob"), content);
        (own.position, own.content) = (own.position + 1, content.to_owned());
        let new = NewMessage { message: Arc::new(own.clone()), request_hash: None, sent_by: Some(sent_by) };
        fixture.done(Write::Message(Box::new(new))).await;
    }
    let position = own.position;
    let last = MessageId::of_client_id(&user("ann"), "last");
    let last = Message { id: last, place: direct, position: position + 1, content: "5".to_owned(), ..own };
    fixture.done(super::fixture::saying(&last)).await;
    fixture
        .done(Write::Delivered(vec![DeliveredUpTo { conversation: conversation_of(&group), user: user("bob"), seq: 4 }]))
        .await;
    let since = |sent_by: Option<[u8; 32]>, after: i64, up_to: i64, limit: i64| {
        let asked = fixture.ask(move |conn| store::list_since(conn, &user("bob"), sent_by.as_ref(), after, up_to, limit));
        async move { asked.await.iter().map(|message| message.content[..1].to_owned()).collect::<String>() }
    };
    assert_eq!(since(Some([7; 32]), 0, 99, 9).await, "1245", "whatever was delivered");
    assert_eq!(since(None, 0, 99, 9).await, "12345");
    assert_eq!(since(None, 1, position, 2).await, "23");
    assert_eq!(fixture.ask(|conn| store::list_since(conn, &user("dan"), None, 0, 99, 9)).await.len(), 0);
    for (after, newest, expected) in [(0, 2, Some(2)), (0, 4, None), (0, 3, Some(1)), (1, 3, None)] {
        let start = fixture.ask(move |conn| store::since_start(conn, &user("bob"), Some(&[7; 32]), after, 99, newest)).await;
        assert_eq!(start, expected, "{newest} after {after}");
    }
}

async fn changes_of_what_a_client_had_come_in_their_own_order(fixture: Fixture) {
    let (group, direct) = (fixture.group(&["ann", "bob", "cid"]).await, fixture.direct(&["ann", "bob"]).await);
    let mut said = Vec::new();
    for (sender, place, content) in [
        ("ann", &group, "1"),
        ("ann", &direct, "2"),
        ("bob", &group, "3 own"),
        ("cid", &group, "4"),
        ("ann", &Place::CommonChat, "5 public"),
        ("ann", &direct, "6 unchanged"),
    ] {
        said.push(fixture.say(sender, place, content).await);
    }
    let edit = |number: usize, millis: i64, position: i64| Write::EditMessage {
        message: said[number].id,
        content: format!("{}b", number + 1),
        updated_at: at(millis),
        position: Some(position),
    };
    fixture.done(edit(3, 50, 10)).await;
    fixture.done(edit(0, 51, 11)).await;
    fixture.done(Write::DeleteMessage { message: said[1].id, deleted_at: at(52), position: Some(12) }).await;
    fixture.done(edit(2, 53, 13)).await;
    fixture.done(edit(4, 54, 14)).await;
    // Only its last change is known of a message.
    fixture.done(edit(3, 55, 15)).await;
    let had = Had { up_to: 9, received_up_to: -1, sent_by: None };
    let list = async |name: &'static str, had: Had, after: i64, up_to: i64, limit: i64| {
        let found = fixture.ask(move |conn| store::list_changed_since(conn, &user(name), had, after, up_to, limit)).await;
        found.into_iter().map(|(at, message)| (at, message.content, message.deleted_at.is_some())).collect::<Vec<_>>()
    };
    let change = |position: i64, content: &str| (position, content.to_owned(), content.is_empty());
    let all = [change(11, "1b"), change(12, ""), change(13, "3b"), change(15, "4b")];
    assert_eq!(list("bob", had, 0, 99, 9).await, all, "of conversations only");
    assert_eq!(list("bob", had, 11, 13, 9).await, all[1..3]);
    assert_eq!(list("bob", had, 0, 99, 2).await, all[..2]);
    assert_eq!(list("bob", Had { up_to: 2, ..had }, 0, 99, 9).await, all[..2], "the others come as they are now");
    assert_eq!(list("cid", had, 0, 99, 9).await, [all[0].clone(), all[2].clone(), all[3].clone()]);
    let newest = fixture.ask(move |conn| store::list_change_positions(conn, &user("bob"), had, 11, 99, 2)).await;
    assert_eq!(newest, [15, 13]);
    // Of what had not been received only what was is told, and what the user wrote.
    let unreceived = Had { up_to: 1, received_up_to: 6, sent_by: None };
    assert_eq!(list("bob", unreceived, 0, 99, 9).await, [all[0].clone(), all[2].clone()]);
    let received = DeliveredUpTo { conversation: conversation_of(&group), user: user("bob"), seq: 3 };
    fixture.done(Write::Delivered(vec![received])).await;
    assert_eq!(list("bob", unreceived, 0, 99, 9).await, [all[0].clone(), all[2].clone(), all[3].clone()]);
    // Who was out meanwhile hears of none of it.
    let conversation = conversation_of(&group);
    fixture.done(Write::RemoveParticipant { conversation, user: user("bob"), left_at: at(100) }).await;
    assert_eq!(list("bob", had, 0, 99, 9).await, all[1..2]);
    let users = vec![user("bob")];
    fixture.done(Write::AddParticipants { conversation, users, joined_at: at(101), joined_position: 14 }).await;
    assert_eq!(list("bob", had, 0, 99, 9).await, [all[1].clone(), all[3].clone()]);
    let again = store::Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!(again.last_position(), 15, "a change's position is not given again");
}

async fn a_change_of_what_one_session_sent_is_told_to_it(fixture: Fixture) {
    let direct = fixture.direct(&["ann", "bob"]).await;
    let own = fixture.message("bob", &direct, "own");
    let new = NewMessage { message: Arc::new(own.clone()), request_hash: None, sent_by: Some([7; 32]) };
    fixture.done(Write::Message(Box::new(new))).await;
    fixture.done(Write::DeleteMessage { message: own.id, deleted_at: at(50), position: Some(9) }).await;
    for (sent_by, expected) in [(Some([7; 32]), 1), (Some([8; 32]), 0), (None, 0)] {
        let had = Had { up_to: 0, received_up_to: -1, sent_by };
        let found = fixture.ask(move |conn| store::list_change_positions(conn, &user("bob"), had, 0, 99, 9)).await;
        assert_eq!(found.len(), expected, "{sent_by:?}");
    }
}
