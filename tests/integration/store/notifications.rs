//! Notifications: renewed while they are unseen, in pages, shown, read, and owed after a crash.
use std::sync::Arc;

use parlance::model::{ConversationId, Notification, NotificationId, Place};
use parlance::store::{self, DeliveredUpTo, NewNotification, NotificationCursor, NotificationRange, Store, Write};

use super::fixture::{Fixture, at, conversation_of, user};

on_both_databases!(
    one_of_a_conversation_is_renewed_while_it_is_unseen,
    a_repeat_of_a_batch_changes_nothing,
    what_is_shown_or_read_is_marked_for_its_user_only,
    pages_are_newest_first,
    the_newest_unseen_come_first,
    what_was_owed_at_a_crash_is_made_up_for,
);

fn plain(fixture: &Fixture, name: &str, text: &str, millis: i64) -> NewNotification {
    let notification = Notification {
        id: NotificationId::from_uuid(fixture.new_id()),
        user: user(name),
        kind: "sale".to_owned(),
        message: text.to_owned(),
        data: Some(r#"{"price":[1,"ä"]}"#.to_owned()),
        read: false,
        created_at: at(millis),
    };
    NewNotification { notification: Arc::new(notification), conversation: None, is_seen: false }
}

fn of_message(fixture: &Fixture, name: &str, conversation: ConversationId, text: &str, millis: i64) -> NewNotification {
    let new = plain(fixture, name, text, millis);
    let notification =
        Notification { kind: "message".to_owned(), data: Some(format!("\"{text}\"")), ..(*new.notification).clone() };
    NewNotification { notification: Arc::new(notification), conversation: Some(conversation), is_seen: false }
}

async fn listed(fixture: &Fixture, name: &str) -> Vec<Notification> {
    let user = user(name);
    fixture.ask(move |conn| store::list_notifications(conn, &user, NotificationRange::Newest, 1_000)).await
}

async fn unseen(fixture: &Fixture, name: &str) -> Vec<String> {
    let user = user(name);
    let found = fixture.ask(move |conn| store::list_unseen(conn, &user, 1_000)).await;
    found.into_iter().map(|notification| notification.message).collect()
}

fn messages(list: &[Notification]) -> Vec<&str> {
    list.iter().map(|notification| notification.message.as_str()).collect()
}

async fn one_of_a_conversation_is_renewed_while_it_is_unseen(fixture: Fixture) {
    let (one, other) = (conversation_of(&fixture.group(&["ann", "bob"]).await), conversation_of(&fixture.group(&["ann"]).await));
    let first = of_message(&fixture, "bob", one, "1", 1);
    fixture.done(Write::Notify(vec![first.clone(), of_message(&fixture, "bob", other, "other", 2)])).await;
    // The last of a batch counts.
    fixture
        .done(Write::Notify(vec![
            of_message(&fixture, "bob", one, "2", 3),
            of_message(&fixture, "ann", one, "ann's", 3),
            of_message(&fixture, "bob", one, "3", 4),
        ]))
        .await;
    let expected = Notification {
        message: "3".to_owned(),
        data: Some("\"3\"".to_owned()),
        created_at: at(4),
        ..(*first.notification).clone()
    };
    let list = listed(&fixture, "bob").await;
    assert_eq!(list.first(), Some(&expected), "the same id, the rest is new");
    assert_eq!(messages(&list), ["3", "other"]);
    fixture.done(Write::Notify(vec![of_message(&fixture, "bob", one, "late", 3)])).await;
    assert_eq!(messages(&listed(&fixture, "bob").await), ["3", "other"], "an older one changes nothing");

    fixture.done(Write::NotificationsSeen { user: user("bob"), ids: None, seen_at: at(5) }).await;
    fixture.done(Write::Notify(vec![of_message(&fixture, "bob", one, "4", 6)])).await;
    assert_eq!(messages(&listed(&fixture, "bob").await), ["4", "3", "other"], "a seen one stays as it is");
    fixture.done(Write::NotificationsRead { user: user("bob"), ids: None, read_at: at(7) }).await;
    fixture.done(Write::Notify(vec![of_message(&fixture, "bob", one, "5", 8)])).await;
    assert_eq!(messages(&listed(&fixture, "bob").await), ["5", "4", "3", "other"], "a read one stays as it is");
    assert_eq!(unseen(&fixture, "bob").await, ["5"]);
    assert_eq!(unseen(&fixture, "ann").await, ["ann's"]);
}

async fn a_repeat_of_a_batch_changes_nothing(fixture: Fixture) {
    let group = conversation_of(&fixture.group(&["ann", "bob"]).await);
    let batch = vec![plain(&fixture, "bob", "sale", 1), of_message(&fixture, "bob", group, "message", 2)];
    fixture.done(Write::Notify(batch.clone())).await;
    let first = listed(&fixture, "bob").await;
    fixture.done(Write::Notify(batch.clone())).await;
    assert_eq!(listed(&fixture, "bob").await, first);
    fixture.done(Write::NotificationsSeen { user: user("bob"), ids: None, seen_at: at(5) }).await;
    fixture.done(Write::Notify(batch)).await;
    assert_eq!(listed(&fixture, "bob").await, first);
    assert!(unseen(&fixture, "bob").await.is_empty());
}

async fn what_is_shown_or_read_is_marked_for_its_user_only(fixture: Fixture) {
    let of_bob: Vec<_> = (1..=4).map(|number| plain(&fixture, "bob", &number.to_string(), number)).collect();
    let of_ann = plain(&fixture, "ann", "hers", 1);
    let mut batch = of_bob.clone();
    batch.push(of_ann.clone());
    batch.push(NewNotification { is_seen: true, ..plain(&fixture, "bob", "shown live", 5) });
    fixture.done(Write::Notify(batch)).await;
    assert_eq!(unseen(&fixture, "bob").await, ["4", "3", "2", "1"]);
    let ids = |of: &[&NewNotification]| Some(of.iter().map(|new| new.notification.id).collect::<Vec<_>>());
    let seen = ids(&[&of_bob[0], &of_ann]);
    fixture.done(Write::NotificationsSeen { user: user("bob"), ids: seen, seen_at: at(9) }).await;
    assert_eq!(unseen(&fixture, "bob").await, ["4", "3", "2"]);
    let read = ids(&[&of_bob[1], &of_ann]);
    fixture.done(Write::NotificationsRead { user: user("bob"), ids: read, read_at: at(9) }).await;
    assert_eq!(unseen(&fixture, "bob").await, ["4", "3"]);
    assert_eq!(unseen(&fixture, "ann").await, ["hers"]);
    let read: Vec<_> = listed(&fixture, "bob").await.into_iter().map(|notification| notification.read).collect();
    assert_eq!(read, [false, false, false, true, false]);
    fixture.done(Write::NotificationsRead { user: user("bob"), ids: Some(Vec::new()), read_at: at(9) }).await;
    assert_eq!(unseen(&fixture, "bob").await, ["4", "3"]);
    fixture.done(Write::NotificationsRead { user: user("bob"), ids: None, read_at: at(9) }).await;
    assert!(listed(&fixture, "bob").await.iter().all(|notification| notification.read));
    assert!(listed(&fixture, "ann").await.iter().all(|notification| !notification.read));
}

async fn pages_are_newest_first(fixture: Fixture) {
    // Three at each moment, so that pages end between equal times.
    let batch = (0..9).map(|number| plain(&fixture, "bob", &number.to_string(), number / 3)).collect();
    fixture.done(Write::Notify(batch)).await;
    let page = |range| fixture.ask(move |conn| store::list_notifications(conn, &user("bob"), range, 4));
    let cursor = |last: &Notification| NotificationCursor { created_at: last.created_at, id: last.id };
    let first = page(NotificationRange::Newest).await;
    assert_eq!(messages(&first), ["8", "7", "6", "5"]);
    let second = page(NotificationRange::Before(cursor(&first[3]))).await;
    assert_eq!(messages(&second), ["4", "3", "2", "1"]);
    let third = page(NotificationRange::Before(cursor(&second[3]))).await;
    assert_eq!(messages(&third), ["0"]);
    assert_eq!(messages(&page(NotificationRange::After(cursor(&third[0]))).await), ["4", "3", "2", "1"]);
    assert_eq!(messages(&page(NotificationRange::After(cursor(&first[2]))).await), ["8", "7"]);
    assert!(page(NotificationRange::After(cursor(&first[0]))).await.is_empty());
}

async fn the_newest_unseen_come_first(fixture: Fixture) {
    let batch = (0..5).map(|number| plain(&fixture, "bob", &number.to_string(), number)).collect();
    fixture.done(Write::Notify(batch)).await;
    let found = fixture.ask(|conn| store::list_unseen(conn, &user("bob"), 3)).await;
    assert_eq!(messages(&found), ["4", "3", "2"]);
}

async fn what_was_owed_at_a_crash_is_made_up_for(fixture: Fixture) {
    let (group, direct) = (fixture.group(&["ann", "bob", "cid"]).await, fixture.direct(&["ann", "bob"]).await);
    let told = fixture.say("ann", &group, "told").await;
    let told = of_message(&fixture, "bob", conversation_of(&group), "told", told.created_at.as_millis() - at(0).as_millis());
    fixture.done(Write::Notify(vec![told.clone()])).await;
    let newest = fixture.say("ann", &group, "newest").await;
    let deleted = fixture.say("cid", &group, "deleted").await;
    fixture.done(Write::DeleteMessage { message: deleted.id, deleted_at: at(50), position: None }).await;
    fixture.say("bob", &group, "own").await;
    let first = fixture.say("ann", &direct, "first").await;
    let received = fixture.say("bob", &direct, "received").await;
    fixture.say("ann", &Place::CommonChat, "public").await;
    let up_to = DeliveredUpTo { conversation: conversation_of(&direct), user: user("ann"), seq: received.seq };
    let left = DeliveredUpTo { conversation: conversation_of(&group), user: user("cid"), seq: 99 };
    let own = DeliveredUpTo { conversation: conversation_of(&group), user: user("ann"), seq: 99 };
    fixture.done(Write::Delivered(vec![up_to, left, own])).await;

    let again = Store::open(fixture.options.clone()).await.unwrap();
    let list = listed(&fixture, "bob").await;
    let shown: Vec<_> = list.iter().map(|notification| (notification.message.as_str(), notification.created_at)).collect();
    assert_eq!(shown, [("New message from ann", first.created_at), ("New message from ann", newest.created_at)]);
    assert_eq!(list[1].id, told.notification.id, "renewed");
    let data = |message: &parlance::model::Message, place| {
        Some(format!(r#"{{"conversationId":"{}","messageId":"{}","senderId":"ann"}}"#, conversation_of(place), message.id))
    };
    assert_eq!((list[0].data.clone(), list[1].data.clone()), (data(&first, &direct), data(&newest, &group)));
    assert!(listed(&fixture, "ann").await.is_empty() && listed(&fixture, "cid").await.is_empty());
    drop(again);

    // What was told and seen is not told once more.
    fixture.done(Write::NotificationsSeen { user: user("bob"), ids: None, seen_at: at(99) }).await;
    let _once_more = Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!(listed(&fixture, "bob").await, list);
}
