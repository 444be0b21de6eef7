//! Messages and changes that a user missed.
use std::sync::Arc;
use std::time::{Duration, Instant};

use parlance::model::{Message, MessageId, MessageStatus, Place};
use parlance::store::{self, DeliveredUpTo, Had, Lacking, NewMessage, Span, Write};

use super::fixture::{Fixture, at, conversation_of, outcome, saying, user};

on_both_databases!(
    what_others_wrote_is_missed_in_order,
    what_is_received_while_pages_are_read_is_in_one_of_them,
    the_newest_of_many_are_kept,
    pages_of_many_conversations_are_in_one_order,
    a_page_costs_what_it_brings_and_not_what_was_ever_said,
    all_since_a_position_but_what_one_session_sent,
    changes_of_what_a_client_had_come_in_their_own_order,
    a_change_of_what_one_session_sent_is_told_to_it,
);

impl Fixture {
    async fn lacking(&self, name: &'static str, lacking: Lacking, span: (i64, i64), limit: usize) -> Vec<(i64, Message)> {
        let (after, up_to) = span;
        self.ask(move |conn| store::list_lacking(conn, (&user(name), None), lacking, Span { after, up_to }, limit)).await
    }

    async fn positions(&self, name: &'static str, lacking: Lacking, span: (i64, i64), limit: usize) -> Vec<i64> {
        let (after, up_to) = span;
        self.ask(move |conn| store::list_lacking_positions(conn, (&user(name), None), lacking, Span { after, up_to }, limit))
            .await
    }

    pub async fn missed(&self, name: &'static str, after: i64, up_to: i64, limit: usize) -> Vec<String> {
        let found = self.lacking(name, Lacking::Unreceived, (after, up_to), limit).await;
        found.into_iter().map(|(_, message)| message.content).collect()
    }

    async fn receive(&self, name: &str, place: &Place, seq: i64) {
        let received = DeliveredUpTo { conversation: conversation_of(place), user: user(name), seq };
        self.done(Write::Delivered(vec![received])).await;
    }
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
    fixture.receive("bob", &group, 1).await;
    assert_eq!(fixture.missed("bob", 0, 99, 9).await, ["1", "2", "3", "4"]);
    assert_eq!(fixture.missed("bob", 2, 7, 9).await, ["2", "3"]);
    assert_eq!(fixture.missed("bob", 0, 99, 2).await, ["1", "2"]);
    assert!(fixture.missed("dan", 0, 99, 9).await.is_empty());
    let found = fixture.lacking("cid", Lacking::Unreceived, (0, 99), 1).await;
    let (position, first) = &found[0];
    assert_eq!((first.seq, first.position, *position, first.status), (1, 1, 1, MessageStatus::Delivered));
    fixture.done(Write::RemoveParticipant { conversation: conversation_of(&group), user: user("bob"), left_at: at(100) }).await;
    assert_eq!(fixture.missed("bob", 0, 99, 9).await, ["1", "4"]);
}

async fn what_is_received_while_pages_are_read_is_in_one_of_them(fixture: Fixture) {
    let (group, other) = (fixture.group(&["ann", "bob"]).await, fixture.group(&["ann", "bob"]).await);
    for number in 1..=6 {
        let message = fixture.say("ann", if number == 4 { &other } else { &group }, &number.to_string()).await;
        let content = format!("{number}b");
        fixture.done(Write::EditMessage { message: message.id, content, updated_at: at(99), position: Some(10 + number) }).await;
    }
    fixture.receive("bob", &group, 2).await;
    let then = fixture.ask(|conn| store::load_received(conn, &user("bob"))).await;
    // Another device of bob's confirms more, unknown to the one that is catching up.
    fixture.receive("bob", &group, 4).await;
    fixture.receive("bob", &other, 1).await;
    let list = async |lacking: Lacking, received: Option<store::Received>| {
        let span = Span { after: 0, up_to: 99 };
        let found = fixture.ask(move |conn| store::list_lacking(conn, (&user("bob"), received.as_ref()), lacking, span, 9)).await;
        found.into_iter().map(|(_, message)| message.content).collect::<Vec<_>>()
    };
    let changes = Lacking::Changes(Had { up_to: 0, received_up_to: 6, sent_by: None });
    assert_eq!(list(changes, Some(then.clone())).await, ["1b", "2b"]);
    assert_eq!(list(Lacking::Unreceived, Some(then)).await, ["3b", "4b", "5b", "6b"]);
    assert_eq!(list(changes, None).await, ["1b", "2b", "3b", "4b", "5b"]);
    assert_eq!(list(Lacking::Unreceived, None).await, ["6b"]);
}

async fn the_newest_of_many_are_kept(fixture: Fixture) {
    let (one, other) = (fixture.group(&["ann", "bob"]).await, fixture.group(&["ann", "bob"]).await);
    for number in 1..=10 {
        fixture.say("ann", if number % 2 == 0 { &one } else { &other }, &number.to_string()).await;
    }
    for (up_to, newest, expected) in [(10, 3, &[10, 9, 8][..]), (6, 2, &[6, 5]), (2, 9, &[2, 1]), (0, 5, &[]), (9, 0, &[])] {
        assert_eq!(fixture.positions("bob", Lacking::Unreceived, (0, up_to), newest).await, expected, "{newest} of {up_to}");
    }
    assert_eq!(fixture.missed("bob", 7, 10, 99).await, ["8", "9", "10"]);
    assert!(fixture.positions("ann", Lacking::Unreceived, (0, 10), 9).await.is_empty(), "she wrote all of them");
    for place in [&one, &other] {
        fixture.receive("bob", place, 4).await;
    }
    assert_eq!(fixture.positions("bob", Lacking::Unreceived, (0, 10), 9).await, [10, 9]);
}

async fn pages_of_many_conversations_are_in_one_order(fixture: Fixture) {
    let mut places = Vec::new();
    for _ in 0..5 {
        places.push(fixture.group(&["ann", "bob"]).await);
    }
    let mut edits = Vec::new();
    for number in 1..=60_i64 {
        // Some write much in a row, some little; one is silent.
        let message = fixture.say("ann", &places[(number * number / 7 % 4) as usize], &number.to_string()).await;
        edits.push(Write::EditMessage {
            message: message.id,
            content: format!("{number} edited"),
            updated_at: at(100 + number),
            position: Some(100 + number * 7 % 61),
        });
    }
    for edit in edits {
        fixture.done(edit).await;
    }
    fixture.receive("bob", &places[1], 3).await;
    let changes = Lacking::Changes(Had { up_to: 60, received_up_to: -1, sent_by: None });
    for lacking in [Lacking::Unreceived, Lacking::Messages { sent_by: None }, changes] {
        let positions = async |span, limit| {
            let page = fixture.lacking("bob", lacking, span, limit).await;
            page.into_iter().map(|(position, _)| position).collect::<Vec<_>>()
        };
        let all = positions((0, 999), 999).await;
        assert!(all.is_sorted() && all.len() >= 50, "{lacking:?}: {all:?}");
        let mut newest = all.clone();
        newest.reverse();
        for limit in [1, 2, 7, 31, all.len(), 99] {
            let limited = limit.min(all.len());
            assert_eq!(positions((0, 999), limit).await, all[..limited], "{lacking:?}");
            assert_eq!(fixture.positions("bob", lacking, (0, 999), limit).await, newest[..limited], "{lacking:?}");
        }
        let (mut paged, mut after) = (Vec::new(), 0);
        loop {
            let page = positions((after, 999), 7).await;
            let Some(last) = page.last() else { break };
            after = *last;
            paged.extend(page);
        }
        assert_eq!(paged, all, "{lacking:?}");
    }
}

async fn a_page_costs_what_it_brings_and_not_what_was_ever_said(fixture: Fixture) {
    const MANY: usize = 8_000;
    let (large, small) = (fixture.group(&["ann", "bob"]).await, fixture.group(&["ann", "cid"]).await);
    let mut begun = Vec::new();
    for number in 0..MANY + MANY / 40 {
        let message = fixture.message("ann", if number < MANY { &large } else { &small }, "text");
        begun.push(fixture.begin(saying(&message)));
    }
    for answer in begun {
        outcome(answer).await.unwrap();
    }
    // Pages of the same size cost about the same, even in a conversation 40 times as large.
    let least = async |name: &'static str, lacking: Lacking| {
        let mut least = Duration::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            for _ in 0..10 {
                assert_eq!(fixture.lacking(name, lacking, (1, i64::MAX), 16).await.len(), 16);
                assert_eq!(fixture.positions(name, lacking, (1, i64::MAX), 16).await.len(), 16);
            }
            least = least.min(begun.elapsed());
        }
        least
    };
    for lacking in [Lacking::Unreceived, Lacking::Messages { sent_by: Some([7; 32]) }] {
        let (in_large, in_small) = (least("bob", lacking).await, least("cid", lacking).await);
        assert!(in_large < in_small * 5, "{lacking:?}: {in_large:?} beside {in_small:?}");
    }
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
    fixture.done(saying(&last)).await;
    fixture.receive("bob", &group, 4).await;
    let since = async |sent_by: Option<[u8; 32]>, after: i64, up_to: i64, limit: usize| {
        let found = fixture.lacking("bob", Lacking::Messages { sent_by }, (after, up_to), limit).await;
        found.iter().map(|(_, message)| message.content[..1].to_owned()).collect::<String>()
    };
    assert_eq!(since(Some([7; 32]), 0, 99, 9).await, "1245", "whatever was delivered");
    assert_eq!(since(None, 0, 99, 9).await, "12345");
    assert_eq!(since(None, 1, position, 2).await, "23");
    assert!(fixture.lacking("dan", Lacking::Messages { sent_by: None }, (0, 99), 9).await.is_empty());
    let not_its_own = Lacking::Messages { sent_by: Some([7; 32]) };
    assert_eq!(fixture.positions("bob", not_its_own, (1, 99), 2).await, [position + 1, position]);
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
    // Only the last change of a message is known.
    fixture.done(edit(3, 55, 15)).await;
    let had = Had { up_to: 9, received_up_to: -1, sent_by: None };
    let list = async |name: &'static str, had: Had, after: i64, up_to: i64, limit: usize| {
        let found = fixture.lacking(name, Lacking::Changes(had), (after, up_to), limit).await;
        found.into_iter().map(|(at, message)| (at, message.content, message.deleted_at.is_some())).collect::<Vec<_>>()
    };
    let change = |position: i64, content: &str| (position, content.to_owned(), content.is_empty());
    let all = [change(11, "1b"), change(12, ""), change(13, "3b"), change(15, "4b")];
    assert_eq!(list("bob", had, 0, 99, 9).await, all, "of conversations only");
    assert_eq!(list("bob", had, 11, 13, 9).await, all[1..3]);
    assert_eq!(list("bob", had, 0, 99, 2).await, all[..2]);
    assert_eq!(list("bob", Had { up_to: 2, ..had }, 0, 99, 9).await, all[..2], "the others come as they are now");
    assert_eq!(list("cid", had, 0, 99, 9).await, [all[0].clone(), all[2].clone(), all[3].clone()]);
    assert_eq!(fixture.positions("bob", Lacking::Changes(had), (11, 99), 2).await, [15, 13]);
    // Among messages not received, changes are reported only of those received since, the user's own, and deleted ones.
    let unreceived = Had { up_to: 1, received_up_to: 6, sent_by: None };
    assert_eq!(list("bob", unreceived, 0, 99, 9).await, all[..3]);
    fixture.receive("bob", &group, 3).await;
    assert_eq!(list("bob", unreceived, 0, 99, 9).await, all);
    // A user who was not a member meanwhile gets none of it.
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
        let found = fixture.positions("bob", Lacking::Changes(had), (0, 99), 9).await;
        assert_eq!(found.len(), expected, "{sent_by:?}");
    }
}
