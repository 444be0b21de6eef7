//! Conversations, their members, and lists of them.
use std::sync::Arc;

use parlance::model::{ConversationKind, Place};
use parlance::store::{self, ConversationCursor, StoreError, Write};

use super::fixture::{Fixture, at, conversation_of, user};

on_both_databases!(
    a_conversation_comes_back_as_it_was,
    a_direct_conversation_is_found_from_both_sides_and_made_once,
    a_group_changes,
    who_comes_back_begins_anew,
    an_owner_calls_a_conversation_by_names,
    a_deleted_group_is_gone_with_all_that_was_said,
    lists_begin_with_the_last_active,
);

async fn a_conversation_comes_back_as_it_was(fixture: Fixture) {
    let conversation = Arc::new(fixture.new_conversation(ConversationKind::Group, &["cid", "ann", "bob"]));
    let write = Write::CreateConversation { conversation: conversation.clone(), joined_position: 5 };
    fixture.done(write.clone()).await;
    // A repeat, as of a retried batch.
    fixture.done(write).await;
    let place = Place::Conversation(conversation.id);
    assert_eq!(fixture.find_conversation(&place).await.as_ref(), Some(&*conversation));
    let membership = fixture.membership("ann", &place).await.unwrap();
    assert_eq!((membership.kind, membership.other), (ConversationKind::Group, None));
    assert_eq!((membership.delivered_seq, membership.read_seq, membership.last_seq, membership.joined_position), (0, 0, 0, 5));
    let of_unknown = Arc::new(fixture.new_conversation(ConversationKind::Group, &["ann", "nobody"]));
    let unknown = Write::CreateConversation { conversation: of_unknown.clone(), joined_position: 0 };
    assert_eq!(fixture.write(unknown).await, Err(StoreError::Refused));
    assert_eq!(fixture.find_conversation(&Place::Conversation(of_unknown.id)).await, None, "wholly or not at all");
}

async fn a_direct_conversation_is_found_from_both_sides_and_made_once(fixture: Fixture) {
    let direct = fixture.direct(&["ann", "bob"]).await;
    for (one, other) in [("ann", "bob"), ("bob", "ann")] {
        let found = fixture.ask(move |conn| store::find_direct(conn, &user(one), &user(other))).await;
        assert_eq!(found.map(|found| found.id), Some(conversation_of(&direct)));
        assert_eq!(fixture.membership(one, &direct).await.unwrap().other, Some(user(other)));
    }
    assert_eq!(fixture.ask(|conn| store::find_direct(conn, &user("ann"), &user("cid"))).await, None);
    let again = Arc::new(fixture.new_conversation(ConversationKind::Direct, &["bob", "ann"]));
    let again = Write::CreateConversation { conversation: again, joined_position: 0 };
    assert!(matches!(fixture.write(again).await, Err(StoreError::Conflict(_))));
    let alone = fixture.direct(&["ann"]).await;
    assert_eq!(fixture.membership("ann", &alone).await.unwrap().other, Some(user("ann")));
    let found = fixture.ask(|conn| store::find_direct(conn, &user("ann"), &user("ann"))).await.unwrap();
    assert_eq!((found.id, found.participants), (conversation_of(&alone), vec![user("ann")]));
}

async fn an_owner_calls_a_conversation_by_names(fixture: Fixture) {
    let (one, other) = (fixture.direct(&["ann", "bob"]).await, fixture.group(&["ann", "cid"]).await);
    let call = |owner: &str, name: &str, place: &Place| Write::NameConversation {
        owner: user(owner),
        name: name.to_owned(),
        conversation: conversation_of(place),
        named_at: at(1),
    };
    for (owner, name, place) in [("ann", "a b ü", &one), ("ann", "again", &one), ("bob", "a b ü", &other)] {
        fixture.done(call(owner, name, place)).await;
    }
    let find = |owner: &'static str, name: &'static str| fixture.ask(move |conn| store::find_named(conn, &user(owner), name));
    assert_eq!(find("ann", "a b ü").await, Some(conversation_of(&one)));
    assert_eq!(find("ann", "again").await, Some(conversation_of(&one)));
    assert_eq!(find("bob", "a b ü").await, Some(conversation_of(&other)), "another owner's name is another name");
    assert_eq!((find("bob", "again").await, find("ann", "A b ü").await), (None, None));
    fixture.done(call("ann", "again", &other)).await;
    assert_eq!(find("ann", "again").await, Some(conversation_of(&other)));
    fixture.done(Write::DeleteConversation { conversation: conversation_of(&other) }).await;
    assert_eq!((find("ann", "again").await, find("bob", "a b ü").await), (None, None), "its names go with it");
}

async fn a_group_changes(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    let id = conversation_of(&group);
    fixture.say("ann", &group, "old").await;
    let renamed = Write::UpdateConversation {
        conversation: id,
        name: Some("Crew".to_owned()),
        avatar: Some("/a.png".to_owned()),
        admin: Some(user("bob")),
        updated_at: at(10),
    };
    fixture.done(renamed).await;
    let users = vec![user("cid"), user("bob")];
    fixture.done(Write::AddParticipants { conversation: id, users, joined_at: at(20), joined_position: 1 }).await;
    let found = fixture.find_conversation(&group).await.unwrap();
    assert_eq!((found.name.as_deref(), found.avatar.as_deref(), found.admin), (Some("Crew"), Some("/a.png"), Some(user("bob"))));
    assert_eq!((found.participants, found.updated_at), (vec![user("ann"), user("bob"), user("cid")], at(20)));
    let newcomer = fixture.membership("cid", &group).await.unwrap();
    assert_eq!((newcomer.delivered_seq, newcomer.read_seq, newcomer.joined_position), (1, 1, 1));
    assert_eq!(fixture.membership("bob", &group).await.unwrap().joined_position, 0, "who was there stays as they are");
    fixture.done(Write::RemoveParticipant { conversation: id, user: user("ann"), left_at: at(30) }).await;
    assert_eq!(fixture.find_conversation(&group).await.unwrap().participants, [user("bob"), user("cid")]);
    assert_eq!(fixture.membership("ann", &group).await, None);
}

async fn who_comes_back_begins_anew(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    let id = conversation_of(&group);
    fixture.done(Write::RemoveParticipant { conversation: id, user: user("ann"), left_at: at(10) }).await;
    fixture.say("bob", &group, "behind her back").await;
    let position = fixture.position();
    let back =
        Write::AddParticipants { conversation: id, users: vec![user("ann")], joined_at: at(20), joined_position: position };
    fixture.done(back).await;
    assert_eq!(fixture.find_conversation(&group).await.unwrap().participants, [user("bob"), user("ann")]);
    assert!(fixture.ask(|conn| store::list_missed(conn, &user("ann"), 0, 99, 9)).await.is_empty());
    fixture.say("bob", &group, "welcome").await;
    let missed = fixture.ask(|conn| store::list_missed(conn, &user("ann"), 0, 99, 9)).await;
    assert_eq!(missed.iter().map(|message| &*message.content).collect::<Vec<_>>(), ["welcome"]);
}

async fn a_deleted_group_is_gone_with_all_that_was_said(fixture: Fixture) {
    let (group, other) = (fixture.group(&["ann", "bob"]).await, fixture.group(&["ann", "bob"]).await);
    fixture.say("ann", &other, "stays").await;
    let message = fixture.say("ann", &group, "goes").await;
    let id = conversation_of(&group);
    fixture.done(Write::MarkRead { message: message.id, conversation: id, reader: user("bob"), read_at: at(5) }).await;
    // One more that is in the same batch.
    let last = fixture.begin(super::fixture::saying(&fixture.message("ann", &group, "goes too")));
    fixture.done(Write::DeleteConversation { conversation: id }).await;
    super::fixture::outcome(last).await.unwrap();
    fixture.done(Write::DeleteConversation { conversation: id }).await;
    assert_eq!(fixture.find_conversation(&group).await, None);
    assert_eq!(fixture.find(message.id).await, None);
    assert_eq!(fixture.membership("bob", &group).await, None);
    assert_eq!(fixture.contents(&other).await, ["stays"]);
    // No position is given twice, though the message that had the last one is gone.
    let again = store::Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!(again.last_position(), fixture.position());
}

async fn lists_begin_with_the_last_active(fixture: Fixture) {
    let mut places = Vec::new();
    for _ in 0..3 {
        places.push(fixture.group(&["ann", "bob"]).await);
        fixture.say("bob", places.last().unwrap(), "hello").await;
    }
    fixture.group(&["bob"]).await;
    fixture.say("bob", &places[0], "again").await;
    fixture.say("ann", &places[0], "mine is not unread").await;
    let expected = [(&places[0], 2), (&places[2], 1), (&places[1], 1)].map(|(place, unread)| (conversation_of(place), unread));
    let list = async |before, limit| {
        let page = fixture.ask(move |conn| store::list_conversations(conn, &user("ann"), before, limit)).await;
        page.into_iter().map(|(conversation, unread)| (conversation.id, unread, conversation.updated_at)).collect::<Vec<_>>()
    };
    let whole = list(None, 10).await;
    assert_eq!(whole.iter().map(|(id, unread, _)| (*id, *unread)).collect::<Vec<_>>(), expected);
    let mut paged = Vec::new();
    let mut before = None;
    while let [(id, unread, updated_at)] = list(before, 1).await[..] {
        paged.push((id, unread));
        before = Some(ConversationCursor { updated_at, id });
    }
    assert_eq!(paged, expected);
    let newest = fixture.history(&places[0], store::HistoryRange::Newest, 2).await;
    let read = Write::MarkRead { message: newest[0].id, conversation: expected[0].0, reader: user("ann"), read_at: at(90) };
    fixture.done(read).await;
    let id = expected[0].0;
    assert_eq!(fixture.ask(move |conn| store::count_unread(conn, &user("ann"), id)).await, 0);
    assert_eq!(fixture.ask(move |conn| store::count_unread(conn, &user("bob"), id)).await, 1);
}
