//! Messages: numbers, repeats, edits, receipts, history.
use std::sync::Arc;

use parlance::model::{File, Listing, ListingId, MessageStatus, Place, ReadMark, RoomId};
use parlance::store::{self, DeliveredUpTo, HistoryRange, NewMessage, StoreError, Write, Written};

use super::fixture::{Fixture, at, conversation_of, outcome, saying, seq, user};

on_both_databases!(
    each_place_numbers_its_messages,
    a_message_comes_back_as_it_was,
    a_repeat_keeps_its_number_and_takes_no_new_one,
    a_message_to_nowhere_is_refused_alone,
    edits_and_deletions_show,
    a_receipt_counts_once_and_moves_forward,
    delivered_moves_forward,
    history_comes_in_pages,
    sent_ids_are_found,
);

fn rooms() -> [Place; 3] {
    [Place::Room(RoomId::parse("lobby").unwrap()), Place::Room(RoomId::parse("common-chat").unwrap()), Place::CommonChat]
}

async fn each_place_numbers_its_messages(fixture: Fixture) {
    let mut places = vec![fixture.group(&["ann", "bob"]).await, fixture.direct(&["ann", "bob"]).await];
    places.extend(rooms());
    // All at once, so that they share transactions.
    let mut answers = Vec::new();
    for round in 1..=20 {
        for place in &places {
            answers.push((round, fixture.begin(saying(&fixture.message("ann", place, &round.to_string())))));
        }
    }
    for (round, answer) in answers {
        assert_eq!(seq(outcome(answer).await.unwrap()), round);
    }
    for place in &places {
        assert_eq!(fixture.contents(place).await, (1..=20).map(|round| round.to_string()).collect::<Vec<_>>());
        assert_eq!(fixture.say("bob", place, "one more").await.seq, 21);
    }
    let group = fixture.find_conversation(&places[0]).await.unwrap();
    assert_eq!(group.last_seq, 21);
    assert_eq!(group.last_message.as_ref().map(|last| &*last.content), Some("one more"));
    assert!(group.updated_at > group.created_at);
}

async fn a_message_comes_back_as_it_was(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    let file = |name: &str| File {
        url: format!("/uploads/{name}"),
        filename: "a \"b\" ü.png".to_owned(),
        size: 5_000_000_000,
        mimetype: "image/png".to_owned(),
        message_type: "image".to_owned(),
    };
    let mut message = fixture.message("ann", &group, "text, 😀 and \\ 'quotes' {x}, NULL");
    message.file = Some(file("1.png"));
    message.attachments = vec![file("2.png"), file("3.png")];
    message.chat = Some(r#"{"id":7}"#.into());
    message.is_truncated = true;
    message.listing = Some(Listing { id: ListingId::parse("l1").unwrap(), title: None });
    message.client_message_id = Some("c1".to_owned());
    message.message_type = "image".to_owned();
    let new = NewMessage { message: Arc::new(message.clone()), request_hash: Some([7; 32]), sent_by: Some([8; 32]) };
    message.seq = seq(fixture.done(Write::Message(Box::new(new))).await);
    assert_eq!(fixture.find(message.id).await, Some(message.clone()));
    for title in ["Flat", "Sunny flat"] {
        let listing = ListingId::parse("l1").unwrap();
        fixture.done(Write::SetListingTitle { listing, title: title.to_owned(), updated_at: at(1) }).await;
    }
    message.listing.as_mut().unwrap().title = Some("Sunny flat".to_owned());
    assert_eq!(fixture.find(message.id).await, Some(message.clone()));
    let id = message.id;
    assert_eq!(fixture.ask(move |conn| store::find_request_hash(conn, id)).await, Some(Some([7; 32])));
    let plain = fixture.say("bob", &group, "").await;
    let plain_id = plain.id;
    assert_eq!(fixture.find(plain.id).await, Some(plain));
    assert_eq!(fixture.ask(move |conn| store::find_request_hash(conn, plain_id)).await, Some(None));
    let unknown = fixture.message("ann", &group, "").id;
    assert_eq!(fixture.find(unknown).await, None);
    assert_eq!(fixture.ask(move |conn| store::find_request_hash(conn, unknown)).await, None);
    let last = fixture.find_conversation(&group).await.unwrap().last_message.unwrap();
    assert_eq!((&*last.content, last.sender), ("File", user("bob")));
}

async fn a_repeat_keeps_its_number_and_takes_no_new_one(fixture: Fixture) {
    for place in [fixture.group(&["ann"]).await, Place::CommonChat] {
        let message = fixture.message("ann", &place, "first");
        let twice = [fixture.begin(saying(&message)), fixture.begin(saying(&message))];
        for answer in twice {
            assert_eq!(seq(outcome(answer).await.unwrap()), 1);
        }
        let mut later = message.clone();
        later.content = "other words".to_owned();
        let other = fixture.message("ann", &place, "second");
        let mixed = [fixture.begin(saying(&later)), fixture.begin(saying(&other)), fixture.begin(saying(&message))];
        let mut numbers = Vec::new();
        for answer in mixed {
            numbers.push(seq(outcome(answer).await.unwrap()));
        }
        assert_eq!(numbers, [1, 2, 1]);
        assert_eq!(fixture.contents(&place).await, ["first", "second"]);
    }
}

async fn a_message_to_nowhere_is_refused_alone(fixture: Fixture) {
    let group = fixture.group(&["ann"]).await;
    let nowhere = Place::Conversation(parlance::model::ConversationId::from_uuid(fixture.new_id()));
    let answers = [
        fixture.begin(saying(&fixture.message("ann", &group, "before"))),
        fixture.begin(saying(&fixture.message("ann", &nowhere, "lost"))),
        fixture.begin(saying(&fixture.message("ann", &group, "after"))),
    ];
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(outcome(answer).await);
    }
    assert_eq!(
        outcomes,
        [
            Ok(Written::Message { seq: 1, is_repeat: false }),
            Err(StoreError::Refused),
            Ok(Written::Message { seq: 2, is_repeat: false })
        ]
    );
}

async fn edits_and_deletions_show(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    let first = fixture.say("ann", &group, "first").await;
    let last = fixture.say("ann", &group, "last").await;
    fixture
        .done(Write::EditMessage { message: last.id, content: "better".to_owned(), updated_at: at(500), position: None })
        .await;
    let edited = fixture.find(last.id).await.unwrap();
    assert_eq!((&*edited.content, edited.updated_at, edited.created_at), ("better", at(500), last.created_at));
    let shown = fixture.find_conversation(&group).await.unwrap();
    assert_eq!((shown.last_message.unwrap().content, shown.updated_at), ("better".to_owned(), at(500)));

    // Repeated, as in a retried batch.
    for _ in 0..2 {
        fixture.done(Write::DeleteMessage { message: last.id, deleted_at: at(600), position: None }).await;
    }
    let undead = Write::EditMessage { message: last.id, content: "undead".to_owned(), updated_at: at(700), position: None };
    for late in [undead, Write::DeleteMessage { message: last.id, deleted_at: at(800), position: None }] {
        assert_eq!(fixture.store.write(late).await, Ok(Written::Gone));
    }
    let deleted = fixture.find(last.id).await.unwrap();
    assert_eq!((&*deleted.content, deleted.deleted_at, deleted.updated_at), ("", Some(at(600)), at(600)));
    assert_eq!(fixture.contents(&group).await, ["first"]);
    let shown = fixture.find_conversation(&group).await.unwrap();
    assert_eq!((shown.last_message.unwrap().content, shown.last_seq), ("first".to_owned(), 2));
    assert_eq!(fixture.find(first.id).await, Some(first));
}

async fn a_receipt_counts_once_and_moves_forward(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob", "cid"]).await;
    let first = fixture.say("ann", &group, "1").await;
    let second = fixture.say("ann", &group, "2").await;
    let read = |message, reader, millis| Write::MarkRead {
        message,
        conversation: conversation_of(&group),
        reader: user(reader),
        read_at: at(millis),
    };
    fixture.done(read(second.id, "bob", 100)).await;
    assert_eq!(fixture.membership("bob", &group).await.unwrap().read_seq, 2);
    fixture.done(read(first.id, "bob", 200)).await;
    fixture.done(read(second.id, "bob", 300)).await;
    fixture.done(read(second.id, "cid", 400)).await;
    assert_eq!(fixture.membership("bob", &group).await.unwrap().read_seq, 2);
    let second = fixture.find(second.id).await.unwrap();
    let marks = [("bob", 100), ("cid", 400)].map(|(name, millis)| ReadMark { user: user(name), read_at: at(millis) });
    assert_eq!((second.status, second.read_by, second.updated_at), (MessageStatus::Read, marks.to_vec(), at(400)));
    // For a message in the same batch, and for one that does not exist.
    let third = fixture.message("ann", &group, "3");
    let answers =
        [fixture.begin(read(first.id, "cid", 500)), fixture.begin(saying(&third)), fixture.begin(read(third.id, "cid", 600))];
    for answer in answers {
        outcome(answer).await.unwrap();
    }
    fixture.done(read(fixture.message("ann", &group, "").id, "bob", 700)).await;
    assert_eq!(fixture.membership("cid", &group).await.unwrap().read_seq, 3);
}

async fn delivered_moves_forward(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob", "cid"]).await;
    let mut messages = Vec::new();
    for content in ["1", "2", "3"] {
        messages.push(fixture.say("ann", &group, content).await);
    }
    let up_to = |name, seq| DeliveredUpTo { conversation: conversation_of(&group), user: user(name), seq };
    fixture.done(Write::Delivered(vec![up_to("ann", 3), up_to("bob", 2), up_to("cid", 1)])).await;
    fixture.done(Write::Delivered(vec![up_to("bob", 1), up_to("dan", 9)])).await;
    assert_eq!(fixture.membership("bob", &group).await.unwrap().delivered_seq, 2);
    let statuses: Vec<_> = fixture.history(&group, HistoryRange::Newest, 9).await.iter().map(|message| message.status).collect();
    assert_eq!(statuses, [MessageStatus::Delivered, MessageStatus::Delivered, MessageStatus::Sent]);
}

async fn history_comes_in_pages(fixture: Fixture) {
    let room = Place::Room(RoomId::parse("lobby").unwrap());
    for number in 1..=7 {
        fixture.say("ann", &room, &number.to_string()).await;
    }
    let deleted = fixture.history(&room, HistoryRange::After(3), 1).await[0].id;
    fixture.done(Write::DeleteMessage { message: deleted, deleted_at: at(100), position: None }).await;
    for (range, expected) in [
        (HistoryRange::Newest, vec![5, 6, 7]),
        (HistoryRange::Before(6), vec![2, 3, 5]),
        (HistoryRange::Before(1), vec![]),
        (HistoryRange::After(2), vec![3, 5, 6]),
        (HistoryRange::After(7), vec![]),
    ] {
        let page: Vec<_> = fixture.history(&room, range, 3).await.iter().map(|message| message.seq).collect();
        assert_eq!(page, expected, "{range:?}");
    }
    assert!(fixture.contents(&Place::CommonChat).await.is_empty());
}

async fn sent_ids_are_found(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    let mut named = Vec::new();
    for (name, hash) in [("c1", Some([1; 32])), ("c2", None), ("c3", Some([3; 32]))] {
        let mut message = fixture.message("ann", &group, name);
        message.client_message_id = Some(name.to_owned());
        named.push(message.id);
        fixture
            .done(Write::Message(Box::new(NewMessage { message: Arc::new(message), request_hash: hash, sent_by: None })))
            .await;
        fixture.say("ann", &group, "without").await;
    }
    let since = fixture.find(named[1]).await.unwrap().created_at;
    let rows = fixture.ask(move |conn| store::list_client_ids(conn, &user("ann"), since, 10)).await;
    let names: Vec<_> = rows.iter().map(|row| (&*row.client_message_id, row.message, row.request_hash)).collect();
    assert_eq!(names, [("c3", named[2], Some([3; 32])), ("c2", named[1], None)]);
    assert!(fixture.ask(|conn| store::list_client_ids(conn, &user("bob"), at(0), 10)).await.is_empty());
}
