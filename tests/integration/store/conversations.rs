//! Conversations, their members, and lists of them.
use std::sync::Arc;

use parlance::model::{ConversationKind, Place};
use parlance::store::{self, ConversationCursor, Overview, OverviewLimits, StoreError, Write};

use super::fixture::{Fixture, at, conversation_of, user};

on_both_databases!(
    a_conversation_comes_back_as_it_was,
    a_direct_conversation_is_found_from_both_sides_and_made_once,
    a_group_changes,
    who_comes_back_begins_anew,
    a_deleted_group_is_gone_with_all_that_was_said,
    lists_begin_with_the_last_active,
    names_are_their_owners,
    the_latest_name_is_shown,
    overviews_show_members_and_what_is_unread,
    overviews_have_a_bound,
);

async fn a_conversation_comes_back_as_it_was(fixture: Fixture) {
    let conversation = Arc::new(fixture.new_conversation(ConversationKind::Group, &["cid", "ann", "bob"]));
    let write = Write::CreateConversation { conversation: conversation.clone(), joined_position: 5 };
    fixture.done(write.clone()).await;
    // Repeated, as in a retried batch.
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
    assert!(fixture.missed("ann", 0, 99, 9).await.is_empty());
    fixture.say("bob", &group, "welcome").await;
    assert_eq!(fixture.missed("ann", 0, 99, 9).await, ["welcome"]);
}

async fn a_deleted_group_is_gone_with_all_that_was_said(fixture: Fixture) {
    let (group, other) = (fixture.group(&["ann", "bob"]).await, fixture.group(&["ann", "bob"]).await);
    fixture.say("ann", &other, "stays").await;
    let message = fixture.say("ann", &group, "goes").await;
    let id = conversation_of(&group);
    fixture.done(Write::MarkRead { message: message.id, conversation: id, reader: user("bob"), read_at: at(5) }).await;
    // Another one in the same batch.
    let last = fixture.begin(super::fixture::saying(&fixture.message("ann", &group, "goes too")));
    fixture.done(Write::DeleteConversation { conversation: id }).await;
    super::fixture::outcome(last).await.unwrap();
    fixture.done(Write::DeleteConversation { conversation: id }).await;
    assert_eq!(fixture.find_conversation(&group).await, None);
    assert_eq!(fixture.find(message.id).await, None);
    let stored = || fixture.ask(move |conn| store::find_stored(conn, message.id));
    assert!(stored().await.is_some(), "nobody waits for the deletion of all messages");
    let mut steps = 0;
    while store::prune_deleted(&fixture.store).await.unwrap() {
        steps += 1;
    }
    assert_eq!((steps, stored().await), (1, None));
    assert_eq!(fixture.membership("bob", &group).await, None);
    assert_eq!(fixture.contents(&other).await, ["stays"]);
    // No position is reused, though the message with the last one is gone.
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

fn naming(owner: &str, name: &str, place: &Place, named_at: i64) -> Write {
    Write::NameConversation {
        owner: user(owner),
        name: name.to_owned(),
        conversation: conversation_of(place),
        named_at: at(named_at),
    }
}

async fn called(fixture: &Fixture, owner: &'static str, text: &str) -> Option<Place> {
    let text = text.to_owned();
    let found = fixture.ask(move |conn| store::find_by_alias(conn, &user(owner), &text)).await;
    found.map(|found| Place::Conversation(found.id))
}

async fn names_are_their_owners(fixture: Fixture) {
    let (bob, cid) = (fixture.direct(&["ann", "bob"]).await, fixture.direct(&["ann", "cid"]).await);
    for (owner, name, place) in [("ann", "one", &bob), ("ann", "two", &bob), ("bob", "one", &bob), ("cid", "one", &cid)] {
        fixture.done(naming(owner, name, place, 1)).await;
        // Repeated, as in a retried batch.
        fixture.done(naming(owner, name, place, 1)).await;
    }
    assert_eq!(called(&fixture, "ann", "one").await.as_ref(), Some(&bob));
    assert_eq!(called(&fixture, "ann", "two").await.as_ref(), Some(&bob));
    assert_eq!(called(&fixture, "cid", "one").await.as_ref(), Some(&cid));
    for (owner, text) in [("bob", "two"), ("ann", "ONE"), ("ann", "three"), ("ann", "")] {
        assert_eq!(called(&fixture, owner, text).await, None, "{owner} {text}");
    }
    let id = conversation_of(&bob).to_string();
    assert_eq!(called(&fixture, "cid", &id).await.as_ref(), Some(&bob), "an id is everybody's");
    fixture.done(naming("cid", &id, &cid, 2)).await;
    assert_eq!(called(&fixture, "cid", &id).await.as_ref(), Some(&cid), "one's own name comes first");
    fixture.done(naming("ann", "one", &cid, 3)).await;
    assert_eq!(called(&fixture, "ann", "one").await.as_ref(), Some(&cid), "the later meaning holds");
    let nowhere = fixture.new_conversation(ConversationKind::Direct, &["ann", "bob"]).id;
    assert_eq!(fixture.write(naming("ann", "lost", &Place::Conversation(nowhere), 4)).await, Err(StoreError::Refused));
    assert_eq!(called(&fixture, "ann", "lost").await, None);
}

async fn the_latest_name_is_shown(fixture: Fixture) {
    let direct = fixture.direct(&["ann", "bob"]).await;
    let other = fixture.direct(&["ann", "cid"]).await;
    assert_eq!(fixture.membership("ann", &direct).await.unwrap().name, None);
    for (name, named_at) in [("z", 10), ("a", 30), ("m", 20)] {
        fixture.done(naming("ann", name, &direct, named_at)).await;
    }
    fixture.done(naming("bob", "bobs", &direct, 40)).await;
    for (owner, place, name) in [("ann", &direct, Some("a")), ("bob", &direct, Some("bobs")), ("ann", &other, None)] {
        assert_eq!(fixture.membership(owner, place).await.unwrap().name.as_deref(), name, "{owner}");
    }
    let group = fixture.group(&["ann", "bob"]).await;
    fixture.done(naming("ann", "team", &group, 50)).await;
    fixture.done(Write::DeleteConversation { conversation: conversation_of(&group) }).await;
    assert_eq!(called(&fixture, "ann", "team").await, None, "a deleted conversation has no names");
}

async fn overviews(fixture: &Fixture, limits: OverviewLimits) -> Vec<Overview> {
    fixture.ask(move |conn| store::list_overviews(conn, &user("ann"), limits)).await
}

const LIMITS: OverviewLimits = OverviewLimits { conversations: 10, members_of_each: 10, members: 100 };

async fn overviews_show_members_and_what_is_unread(fixture: Fixture) {
    let direct = fixture.direct(&["ann", "bob"]).await;
    let group = fixture.group(&["cid", "ann"]).await;
    fixture.direct(&["bob", "cid"]).await;
    for content in ["one", "two"] {
        fixture.say("bob", &direct, content).await;
    }
    fixture.say("ann", &direct, "mine").await;
    fixture.done(naming("ann", "conv_1", &direct, 1)).await;
    fixture.done(naming("bob", "bobs", &direct, 2)).await;
    let listed = overviews(&fixture, LIMITS).await;
    let [first, second] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!(Some(&first.conversation), fixture.find_conversation(&direct).await.as_ref());
    assert_eq!((first.unread, first.name.as_deref()), (2, Some("conv_1")));
    assert_eq!(Some(&second.conversation), fixture.find_conversation(&group).await.as_ref());
    assert_eq!((second.unread, second.name.as_deref()), (0, None));
    let members: Vec<_> = second.members.iter().map(|member| member.username.as_str()).collect();
    assert_eq!(members, ["cid", "ann"]);
    fixture.done(Write::RemoveParticipant { conversation: conversation_of(&group), user: user("ann"), left_at: at(90) }).await;
    assert_eq!(overviews(&fixture, LIMITS).await.len(), 1);
}

async fn overviews_have_a_bound(fixture: Fixture) {
    let mut groups = Vec::new();
    for _ in 0..4 {
        let group = fixture.group(&["bob", "cid", "ann"]).await;
        groups.insert(0, conversation_of(&group));
        fixture.say("bob", &group, "hello").await;
    }
    for (limits, members) in [
        (OverviewLimits { conversations: 2, ..LIMITS }, vec![3, 3]),
        (OverviewLimits { members_of_each: 2, ..LIMITS }, vec![2, 2, 2, 2]),
        (OverviewLimits { members: 6, ..LIMITS }, vec![3, 3]),
        (OverviewLimits { members: 7, ..LIMITS }, vec![3, 3, 3]),
    ] {
        let listed = overviews(&fixture, limits).await;
        assert_eq!(listed.iter().map(|overview| overview.members.len()).collect::<Vec<_>>(), members);
        let ids: Vec<_> = listed.iter().map(|overview| overview.conversation.id).collect();
        assert_eq!(ids, groups[..ids.len()]);
    }
}
