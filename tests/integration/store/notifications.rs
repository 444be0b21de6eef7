//! Notifications: renewed while unseen, paged, shown, read, and owed after a crash.
use std::sync::Arc;

use parlance::model::{Message, Notification, NotificationId, Place};
use parlance::store::{
    self, DeliveredUpTo, NewNotification, NotificationCursor, NotificationRange, NotificationSubject, Store, Write, Written,
};

use super::fixture::{Fixture, at, conversation_of, user};

on_both_databases!(
    one_of_a_conversation_is_renewed_while_it_is_unseen,
    a_repeat_of_a_batch_changes_nothing,
    what_is_shown_or_read_is_marked_for_its_user_only,
    pages_are_newest_first,
    the_newest_unseen_come_first,
    what_was_owed_at_a_crash_is_made_up_for,
    a_notification_goes_with_its_deleted_message_or_tells_of_the_one_before,
    a_notification_goes_when_its_message_is_read,
    a_notification_goes_when_its_user_is_out_of_the_group_or_the_group_is_gone,
    a_notification_goes_with_the_account_that_it_names,
    a_notification_goes_with_the_old_messages,
    what_is_no_news_any_more_is_not_stored,
    a_start_makes_up_for_nothing_that_was_read,
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
    NewNotification { notification: Arc::new(notification), subject: NotificationSubject::Other, is_seen: false }
}

/// Makes a notification with a text and time of its own, so that it can be told apart.
fn of_message(fixture: &Fixture, name: &str, told: &Message, text: &str, millis: i64) -> NewNotification {
    let new = plain(fixture, name, text, millis);
    let notification =
        Notification { kind: "message".to_owned(), data: Some(format!("\"{text}\"")), ..(*new.notification).clone() };
    let subject = NotificationSubject::Message { conversation: conversation_of(&told.place), message: told.id };
    NewNotification { notification: Arc::new(notification), subject, is_seen: false }
}

/// Makes a notification as the server does.
fn telling(fixture: &Fixture, name: &str, told: &Message) -> NewNotification {
    let id = NotificationId::from_uuid(fixture.new_id());
    let conversation = conversation_of(&told.place);
    let notification = Notification::of_message(id, user(name), told, conversation);
    let subject = NotificationSubject::Message { conversation, message: told.id };
    NewNotification { notification: Arc::new(notification), subject, is_seen: false }
}

async fn notify(fixture: &Fixture, new: &[&NewNotification]) {
    fixture.done(Write::Notify(new.iter().map(|new| (*new).clone()).collect())).await;
}

async fn delete(fixture: &Fixture, message: &Message, millis: i64) {
    fixture.done(Write::DeleteMessage { message: message.id, deleted_at: at(millis), position: None }).await;
}

async fn read(fixture: &Fixture, name: &str, message: &Message) {
    let conversation = conversation_of(&message.place);
    fixture.done(Write::MarkRead { message: message.id, conversation, reader: user(name), read_at: at(500) }).await;
}

/// Returns for each of a user's notifications, newest first, the content of its message, or else its text.
async fn told(fixture: &Fixture, name: &str, said: &[&Message]) -> Vec<String> {
    let list = listed(fixture, name).await;
    let told = |notification: &Notification| {
        let data = notification.data.clone().unwrap_or_default();
        let message = said.iter().find(|message| data.contains(&message.id.to_string()));
        if let Some(message) = message {
            assert_eq!(notification.created_at, message.created_at);
            assert!(data.contains(message.sender.id.as_str()) && notification.message.contains(&message.sender.username));
        }
        message.map_or(notification.message.clone(), |message| message.content.clone())
    };
    list.iter().map(told).collect()
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
    let (one, other) = (fixture.group(&["ann", "bob"]).await, fixture.group(&["ann", "bob"]).await);
    let (one, other) = (&fixture.say("cid", &one, "x").await, &fixture.say("cid", &other, "y").await);
    let first = of_message(&fixture, "bob", one, "1", 1);
    fixture.done(Write::Notify(vec![first.clone(), of_message(&fixture, "bob", other, "other", 2)])).await;
    // The last one of a batch counts.
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
    let message = fixture.say("ann", &fixture.group(&["ann", "bob"]).await, "x").await;
    let batch = vec![plain(&fixture, "bob", "sale", 1), of_message(&fixture, "bob", &message, "message", 2)];
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
    // Three at each time, so that pages end between equal times.
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
    let told = telling(&fixture, "bob", &told);
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

    // A notification that was made and seen is not made again.
    fixture.done(Write::NotificationsSeen { user: user("bob"), ids: None, seen_at: at(99) }).await;
    let _once_more = Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!(listed(&fixture, "bob").await, list);
}

async fn a_notification_goes_with_its_deleted_message_or_tells_of_the_one_before(fixture: Fixture) {
    let (group, other) = (fixture.group(&["ann", "bob", "cid"]).await, fixture.group(&["ann", "bob"]).await);
    let elsewhere = fixture.say("ann", &other, "elsewhere").await;
    let first = fixture.say("ann", &group, "first").await;
    let own = fixture.say("bob", &group, "bob's own").await;
    let second = fixture.say("cid", &group, "second").await;
    let third = fixture.say("ann", &group, "third").await;
    let said = [&elsewhere, &first, &own, &second, &third];
    let of_bob = [telling(&fixture, "bob", &elsewhere), telling(&fixture, "bob", &third), plain(&fixture, "bob", "a sale", -1)];
    notify(&fixture, &[&of_bob[0], &of_bob[1], &of_bob[2], &telling(&fixture, "cid", &third)]).await;
    assert_eq!(told(&fixture, "bob", &said).await, ["third", "elsewhere", "a sale"]);
    let ids = |list: Vec<Notification>| list.iter().map(|notification| notification.id).collect::<Vec<_>>();
    let before = ids(listed(&fixture, "bob").await);

    // Another message's deletion has no effect on it.
    delete(&fixture, &own, 100).await;
    assert_eq!(told(&fixture, "bob", &said).await, ["third", "elsewhere", "a sale"]);
    delete(&fixture, &third, 101).await;
    assert_eq!(told(&fixture, "bob", &said).await, ["second", "elsewhere", "a sale"]);
    assert_eq!(ids(listed(&fixture, "bob").await), before, "the same one");
    assert_eq!(told(&fixture, "cid", &said).await, ["first"], "one's own message is no news");
    assert_eq!(unseen(&fixture, "bob").await.len(), 3);
    delete(&fixture, &first, 102).await;
    assert!(told(&fixture, "cid", &said).await.is_empty(), "there is none before");
    delete(&fixture, &second, 103).await;
    assert_eq!(told(&fixture, "bob", &said).await, ["elsewhere", "a sale"]);

    // A message whose notification was seen gets no second one; one that was read gets none.
    let fourth = fixture.say("ann", &group, "fourth").await;
    notify(&fixture, &[&telling(&fixture, "bob", &fourth)]).await;
    fixture.done(Write::NotificationsSeen { user: user("bob"), ids: None, seen_at: at(104) }).await;
    let fifth = fixture.say("ann", &group, "fifth").await;
    let sixth = fixture.say("ann", &group, "sixth").await;
    notify(&fixture, &[&telling(&fixture, "bob", &sixth)]).await;
    let said = [&elsewhere, &fourth, &fifth, &sixth];
    delete(&fixture, &fifth, 105).await;
    assert_eq!(told(&fixture, "bob", &said).await, ["sixth", "fourth", "elsewhere", "a sale"]);
    delete(&fixture, &sixth, 106).await;
    assert_eq!(told(&fixture, "bob", &said).await, ["fourth", "elsewhere", "a sale"]);
    let seventh = fixture.say("ann", &group, "seventh").await;
    read(&fixture, "bob", &seventh).await;
    let eighth = fixture.say("ann", &group, "eighth").await;
    notify(&fixture, &[&telling(&fixture, "bob", &eighth)]).await;
    delete(&fixture, &eighth, 107).await;
    assert_eq!(told(&fixture, "bob", &said).await, ["elsewhere", "a sale"]);
}

async fn a_notification_goes_when_its_message_is_read(fixture: Fixture) {
    let (group, other) = (fixture.group(&["ann", "bob", "cid"]).await, fixture.direct(&["ann", "bob"]).await);
    let first = fixture.say("ann", &group, "first").await;
    notify(&fixture, &[&telling(&fixture, "bob", &first), &telling(&fixture, "cid", &first)]).await;
    fixture.done(Write::NotificationsSeen { user: user("bob"), ids: None, seen_at: at(9) }).await;
    let second = fixture.say("ann", &group, "second").await;
    let third = fixture.say("ann", &group, "third").await;
    let elsewhere = fixture.say("ann", &other, "elsewhere").await;
    notify(&fixture, &[&telling(&fixture, "bob", &third), &telling(&fixture, "bob", &elsewhere)]).await;
    let said = [&first, &second, &third, &elsewhere];
    assert_eq!(told(&fixture, "bob", &said).await, ["elsewhere", "third", "first"]);
    read(&fixture, "bob", &second).await;
    assert_eq!(told(&fixture, "bob", &said).await, ["elsewhere", "third"], "those up to it, seen or not");
    read(&fixture, "bob", &third).await;
    assert_eq!(told(&fixture, "bob", &said).await, ["elsewhere"]);
    assert_eq!(told(&fixture, "cid", &said).await, ["first"], "another has not read it");
}

async fn a_notification_goes_when_its_user_is_out_of_the_group_or_the_group_is_gone(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob", "cid"]).await;
    let other = fixture.group(&["ann", "bob"]).await;
    let said = fixture.say("ann", &group, "said").await;
    let joining = |name: &str, place: &Place| {
        let new = plain(&fixture, name, "added you", 3);
        let notification = Notification { kind: "group".to_owned(), ..(*new.notification).clone() };
        let subject = NotificationSubject::Membership(conversation_of(place));
        NewNotification { notification: Arc::new(notification), subject, is_seen: false }
    };
    for name in ["bob", "cid"] {
        notify(&fixture, &[&telling(&fixture, name, &said), &joining(name, &group), &joining(name, &other)]).await;
        assert_eq!(listed(&fixture, name).await.len(), 3, "one does not renew the other");
    }
    let left = Write::RemoveParticipant { conversation: conversation_of(&group), user: user("bob"), left_at: at(50) };
    fixture.done(left).await;
    assert_eq!(told(&fixture, "bob", &[]).await, ["added you"], "of the other group");
    assert_eq!(listed(&fixture, "cid").await.len(), 3);
    fixture.done(Write::DeleteConversation { conversation: conversation_of(&group) }).await;
    assert_eq!(listed(&fixture, "cid").await.len(), 1);
}

async fn a_notification_goes_with_the_account_that_it_names(fixture: Fixture) {
    let (group, direct) = (fixture.group(&["ann", "bob", "cid"]).await, fixture.direct(&["ann", "bob"]).await);
    let of_cid = fixture.say("cid", &group, "cid's").await;
    let of_ann = fixture.say("ann", &group, "ann's").await;
    let to_bob = fixture.say("ann", &direct, "to bob").await;
    let added_by = |name: &str| {
        let new = plain(&fixture, "bob", &format!("{name} added you"), 0);
        let notification =
            Notification { kind: "group".to_owned(), data: Some(format!(r#"{{"by":"{name}"}}"#)), ..(*new.notification).clone() };
        let subject = NotificationSubject::Membership(conversation_of(&group));
        NewNotification { notification: Arc::new(notification), subject, is_seen: false }
    };
    let of_bob = [telling(&fixture, "bob", &of_ann), telling(&fixture, "bob", &to_bob), added_by("ann"), added_by("cid")];
    notify(&fixture, &[&of_bob[0], &of_bob[1], &of_bob[2], &of_bob[3], &telling(&fixture, "cid", &of_ann)]).await;
    fixture.done(Write::DeleteUser { user: user("ann"), deleted_at: at(60), keeps_name: false }).await;
    assert_eq!(told(&fixture, "bob", &[&of_cid]).await, ["cid's", "cid added you"]);
    assert!(listed(&fixture, "cid").await.is_empty());
    // The gathered notification comes late.
    notify(&fixture, &[&telling(&fixture, "bob", &to_bob)]).await;
    let _again = Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!(told(&fixture, "bob", &[&of_cid]).await, ["cid's", "cid added you"]);
}

async fn a_notification_goes_with_the_old_messages(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    let old = fixture.say("ann", &group, "old").await;
    notify(&fixture, &[&telling(&fixture, "bob", &old), &plain(&fixture, "bob", "a sale", 0)]).await;
    fixture.done(Write::NotificationsSeen { user: user("bob"), ids: None, seen_at: at(9) }).await;
    let new = fixture.say("ann", &group, "new").await;
    notify(&fixture, &[&telling(&fixture, "bob", &new)]).await;
    let place = conversation_of(&group).to_string();
    let pruned = fixture.done(Write::PruneMessages { place, before: new.created_at, limit: 200 }).await;
    assert_eq!(pruned, Written::Pruned { rows: 1 });
    assert_eq!(told(&fixture, "bob", &[&old, &new]).await, ["new", "a sale"]);
}

async fn what_is_no_news_any_more_is_not_stored(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob", "cid"]).await;
    let (one, two) = (fixture.say("ann", &group, "1").await, fixture.say("ann", &group, "2").await);
    let late = [telling(&fixture, "bob", &one), telling(&fixture, "cid", &one)];
    delete(&fixture, &one, 50).await;
    notify(&fixture, &[&late[0], &late[1]]).await;
    assert!(listed(&fixture, "bob").await.is_empty() && listed(&fixture, "cid").await.is_empty(), "deleted");
    read(&fixture, "bob", &two).await;
    fixture.done(Write::RemoveParticipant { conversation: conversation_of(&group), user: user("cid"), left_at: at(51) }).await;
    notify(&fixture, &[&telling(&fixture, "bob", &two), &telling(&fixture, "cid", &two)]).await;
    assert!(listed(&fixture, "bob").await.is_empty(), "read");
    assert!(listed(&fixture, "cid").await.is_empty(), "out of the group");
    // The same if everything comes in one batch.
    let three = fixture.say("ann", &group, "3").await;
    let outcomes = [
        fixture.begin(Write::DeleteMessage { message: three.id, deleted_at: at(52), position: None }),
        fixture.begin(Write::Notify(vec![telling(&fixture, "bob", &three)])),
    ];
    for answer in outcomes {
        super::fixture::outcome(answer).await.unwrap();
    }
    assert!(listed(&fixture, "bob").await.is_empty());
}

async fn a_start_makes_up_for_nothing_that_was_read(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob", "cid"]).await;
    let said = fixture.say("ann", &group, "said").await;
    notify(&fixture, &[&telling(&fixture, "bob", &said)]).await;
    read(&fixture, "bob", &said).await;
    let _again = Store::open(fixture.options.clone()).await.unwrap();
    assert!(listed(&fixture, "bob").await.is_empty(), "read, and so gone for good");
    assert_eq!(told(&fixture, "cid", &[&said]).await, ["said"], "of who has not read it");
}
