//! Notifications: recipients, time of showing, and stored content.
use std::sync::Arc;
use std::time::{Duration, Instant};

use parlance::chat::{
    Administer, Capabilities, CatchUpDrained, ChatError, Command, Draft, Emitted, Event, Notice, Notified, Options, Reply,
    SaveNotifications, SendTo, Sent,
};
use parlance::config::Delivery;
use parlance::model::{ConversationId, Message, Notification, Place, RoomId, Timestamp};
use parlance::store::{self, Done, NotificationRange, Write};
use serde_json::{Value, json};

use super::broker::{ALL_CAPABILITIES, Broker, Heard, Socket, direct, message_of, text, user};
use crate::support::database::TestStore;

const NO_WORD: Capabilities = Capabilities { notification: false, ..ALL_CAPABILITIES };

fn to(conversation: ConversationId, content: &str) -> Command {
    Command::Send { to: SendTo::Conversation(conversation), draft: text(content) }
}

fn notify(kind: &str, message: &str, data: Option<&str>) -> Command {
    Command::Notify { kind: kind.to_owned(), message: message.to_owned(), data: data.map(str::to_owned), emitted: None }
}

fn sent(reply: Result<Reply, ChatError>) -> Arc<Message> {
    match reply {
        Ok(Reply::Sent(Sent { message, .. })) => message,
        other => panic!("not sent: {other:?}"),
    }
}

/// Returns a user's stored notifications, newest first, once pending ones are stored.
async fn stored(broker: &Broker, name: &'static str) -> Vec<Notification> {
    broker.addr.send(SaveNotifications { user: user(name) }).await.unwrap();
    let newest =
        move |conn: &mut store::AnyConnection| store::list_notifications(conn, &user(name), NotificationRange::Newest, 1_000);
    broker.store.read_after_writes(newest).await.unwrap()
}

async fn unseen(broker: &Broker, name: &'static str) -> Vec<String> {
    let found = broker.store.read_after_writes(move |conn| store::list_unseen(conn, &user(name), 1_000)).await.unwrap();
    found.into_iter().map(|notification| notification.message).collect()
}

/// Returns the content of a notification.
fn shown(notification: &Notification) -> (&str, &str, Value, Timestamp, bool) {
    let Notification { id: _, user: _, kind, message, data, read, created_at } = notification;
    (kind, message, serde_json::from_str(data.as_deref().unwrap_or("null")).unwrap(), *created_at, *read)
}

fn of_message(message: &Message) -> (&'static str, String, Value, Timestamp, bool) {
    let Place::Conversation(conversation) = message.place else { panic!("in no conversation") };
    let data = json!({"conversationId": conversation, "messageId": message.id, "senderId": message.sender.id});
    ("message", format!("New message from {}", message.sender.username), data, message.created_at, false)
}

#[track_caller]
fn assert_of(notification: &Notification, message: &Message) {
    let (kind, text, data, at, read) = of_message(message);
    assert_eq!(shown(notification), (kind, text.as_str(), data, at, read));
}

fn notification_of(event: &Event) -> Option<Arc<Notification>> {
    if let Event::Notification(notification) = event { Some(notification.clone()) } else { None }
}

/// Returns what a connecting socket is shown: the messages and notifications of all pages, in order.
async fn arrival(broker: &mut Broker, socket: Socket) -> Vec<String> {
    let mut seen = Vec::new();
    let admitted = |notice: &Notice| if let Notice::Admitted(admission) = notice { Some(admission.catch_up) } else { None };
    if !broker.notice(socket, admitted).await {
        return seen;
    }
    loop {
        let Some(page) = broker.page(socket).await else { return seen };
        seen.push("page".to_owned());
        for event in page {
            match (message_of(event.event()), notification_of(event.event())) {
                (Some(message), _) => seen.push(message.content.clone()),
                (_, Some(notification)) => seen.push(notification.message.clone()),
                _ => panic!("{event:?}"),
            }
        }
        broker.addr.send(CatchUpDrained { connection: socket.0 }).await.unwrap();
    }
}

#[actix::test]
async fn a_message_notifies_members_without_a_socket() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let (ann, _bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let in_group = sent(broker.ask(ann, to(group, "hello")).await);
    broker.pass(Duration::from_secs(1)).await;
    let to_cid = sent(broker.ask(ann, direct("cid", "psst")).await);
    sent(broker.ask(ann, direct("ann", "note to self")).await);
    broker
        .ask(
            ann,
            Command::Send { to: SendTo::Room { room: RoomId::parse("7").unwrap(), shown_as: "7".into() }, draft: text("all") },
        )
        .await
        .unwrap();
    broker.ask(ann, Command::Send { to: SendTo::CommonChat, draft: text("all") }).await.unwrap();
    // Also without a socket; a user's own messages are no news.
    let from_cid = sent(broker.ask_as("cid", to(group, "mine")).await);
    let (of_cid, of_dan) = (stored(&broker, "cid").await, stored(&broker, "dan").await);
    assert_eq!(of_cid.len(), 3, "{of_cid:?}");
    assert_of(&of_cid[0], &to_cid);
    let of_group: Vec<_> = of_cid.iter().filter(|notification| notification.kind == "message").collect();
    assert_of(of_group[1], &in_group);
    assert_eq!(of_cid.iter().filter(|notification| notification.kind == "group").count(), 1);
    assert_eq!(of_dan, []);
    for name in ["ann", "bob"] {
        assert!(stored(&broker, name).await.iter().all(|notification| notification.kind == "group"), "{name}");
    }
    assert_eq!(from_cid.sender.id, user("cid"));
}

#[actix::test]
async fn it_is_renewed_while_it_is_unseen() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    sent(broker.ask(ann, direct("bob", "1")).await);
    let first = stored(&broker, "bob").await;
    for content in ["2", "3"] {
        broker.pass(Duration::from_secs(1)).await;
        sent(broker.ask(ann, direct("bob", content)).await);
    }
    let last = sent(broker.ask(ann, direct("bob", "4")).await);
    let renewed = stored(&broker, "bob").await;
    assert_eq!(renewed.len(), 1);
    assert_eq!(renewed[0].id, first[0].id);
    assert_of(&renewed[0], &last);
    broker
        .store
        .write(Write::NotificationsRead { user: user("bob"), ids: None, read_at: Timestamp::from_millis(1) })
        .await
        .unwrap();
    let next = sent(broker.ask(ann, direct("bob", "5")).await);
    let both = stored(&broker, "bob").await;
    assert_eq!(both.len(), 2);
    assert_of(&both[0], &next);
    assert_eq!((both[1].id, both[1].read), (first[0].id, true));
}

#[actix::test]
async fn of_many_messages_each_member_is_notified_of_the_newest_by_others() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid", "dan"]).await;
    let ann = broker.connect("ann").await;
    sent(broker.ask(ann, to(group, "1")).await);
    let by_ann = sent(broker.ask(ann, to(group, "2")).await);
    // Only ann has a socket: these are gathered behind each other.
    let by_bob = sent(broker.ask_as("bob", to(group, "3")).await);
    let by_cid = sent(broker.ask_as("cid", to(group, "4")).await);
    for (name, expected) in [("bob", &by_cid), ("cid", &by_bob), ("dan", &by_cid)] {
        let of_group: Vec<_> = stored(&broker, name).await.into_iter().filter(|found| found.kind == "message").collect();
        assert_eq!(of_group.len(), 1, "{name}");
        assert_of(&of_group[0], expected);
    }
    assert!(stored(&broker, "ann").await.is_empty());
    assert!(by_ann.seq < by_bob.seq);
    // Their parts are stored; those still being gathered are not stored again.
    let seen_at = Timestamp::from_millis(1);
    for name in ["bob", "cid", "dan"] {
        broker.store.write(Write::NotificationsSeen { user: user(name), ids: None, seen_at }).await.unwrap();
    }
    broker.addr.send(parlance::chat::Drain).await.unwrap();
    for name in ["bob", "cid", "dan"] {
        assert_eq!(unseen(&broker, name).await, [""; 0], "{name}");
    }
}

#[actix::test]
async fn what_is_gathered_is_stored_by_itself_in_one_write_however_many_messages_there_were() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid", "dan"]).await;
    let ann = broker.connect("ann").await;
    broker.settle().await;
    let begun = Instant::now();
    let mut last = None;
    let before = broker.store.stats().writes;
    for number in 0..20 {
        last = Some(sent(broker.ask(ann, to(group, &number.to_string())).await));
    }
    let with_messages = broker.store.stats().writes - before;
    let is_stored =
        |found: &[Notification]| found.iter().any(|one| shown(one).2["messageId"] == json!(last.as_ref().unwrap().id));
    loop {
        let found =
            broker.store.read(|conn| store::list_notifications(conn, &user("bob"), NotificationRange::Newest, 10)).await.unwrap();
        if is_stored(&found) {
            assert_eq!(found.len(), 2, "one of the group, one of its messages");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "not stored");
        tokio::task::yield_now().await;
    }
    // Everything else is stored at most once a second; no message has a write of its own.
    assert!(with_messages < 40, "{with_messages}");
}

#[actix::test]
async fn unseen_ones_are_shown_behind_the_catch_up_and_once() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let ann = broker.connect("ann").await;
    sent(broker.ask(ann, to(group, "missed")).await);
    broker.pass(Duration::from_secs(1)).await;
    broker.ask_as("bob", notify("sale", "Sold", None)).await.unwrap();
    let bob = broker.knock("bob").await;
    let seen = arrival(&mut broker, bob).await;
    assert_eq!(seen, ["page", "missed", "page", "ann added you to Team", "New message from ann", "Sold"]);
    assert_eq!(unseen(&broker, "bob").await, [""; 0]);
    let again = broker.knock("bob").await;
    assert_eq!(arrival(&mut broker, again).await, [""; 0]);
    // A message that comes while a socket is connected makes no notification.
    sent(broker.ask(ann, to(group, "live")).await);
    broker.disconnect(bob, true).await;
    broker.disconnect(again, true).await;
    assert_eq!(stored(&broker, "bob").await.len(), 3);
    sent(broker.ask(ann, to(group, "away")).await);
    let bob = broker.knock("bob").await;
    assert_eq!(arrival(&mut broker, bob).await, ["page", "away", "page", "New message from ann"]);
}

#[actix::test]
async fn who_goes_before_they_are_read_is_shown_them_the_next_time() {
    let mut broker = Broker::new().await;
    broker.ask_as("bob", notify("sale", "Sold", None)).await.unwrap();
    // The read is queued behind this write, and so outlasts the early one.
    let outage = broker.database.hold_writes().await;
    let until = Timestamp::from_millis(i64::MAX / 2);
    broker.store.try_write(Write::RevokeToken { key: "some".to_owned(), until }, Done::Nobody).unwrap();
    let hasty = broker.knock("bob").await;
    broker.disconnect(hasty, true).await;
    let bob = broker.knock("bob").await;
    drop(outage);
    assert_eq!(arrival(&mut broker, bob).await, ["page", "Sold"]);
}

#[actix::test]
async fn the_newest_hundred_are_shown_and_the_rest_counts_as_seen() {
    let mut broker = Broker::new().await;
    for number in 0..130 {
        broker.pass(Duration::from_millis(1)).await;
        broker.ask_as("bob", notify("sale", &number.to_string(), None)).await.unwrap();
    }
    let bob = broker.knock("bob").await;
    let seen = arrival(&mut broker, bob).await;
    let expected: Vec<_> = std::iter::once("page".to_owned()).chain((30..130).map(|number| number.to_string())).collect();
    assert_eq!(seen, expected);
    assert_eq!(unseen(&broker, "bob").await, [""; 0]);
}

#[actix::test]
async fn pages_of_notifications_stay_within_their_bytes() {
    let mut broker = Broker::with(Options { catch_up_page_bytes: 10_000, ..Options::default() }).await;
    let data = format!("\"{}\"", "x".repeat(3_000));
    for number in 0..7 {
        broker.pass(Duration::from_millis(1)).await;
        broker.ask_as("bob", notify("sale", &number.to_string(), Some(&data))).await.unwrap();
    }
    let bob = broker.knock("bob").await;
    assert_eq!(arrival(&mut broker, bob).await, ["page", "0", "1", "2", "page", "3", "4", "5", "page", "6"]);
}

#[actix::test]
async fn only_a_socket_with_a_word_for_it_has_seen_it() {
    let mut broker = Broker::new().await;
    let mute = broker.knock_with("bob", NO_WORD).await;
    assert_eq!(arrival(&mut broker, mute).await, [""; 0]);
    broker.ask_as("bob", notify("sale", "1", None)).await.unwrap();
    broker.group(&["ann", "bob"]).await;
    assert_eq!(unseen(&broker, "bob").await.len(), 2);
    let cookie = broker.knock_with("bob", Capabilities { unconfirmed: true, ..ALL_CAPABILITIES }).await;
    assert_eq!(arrival(&mut broker, cookie).await.len(), 3, "shown, and proven is nothing");
    assert_eq!(unseen(&broker, "bob").await.len(), 2);
    let speaking = broker.knock("bob").await;
    assert_eq!(arrival(&mut broker, speaking).await.len(), 3);
    assert_eq!(unseen(&broker, "bob").await, [""; 0]);
    broker.ask_as("bob", notify("sale", "live", None)).await.unwrap();
    for socket in [mute, cookie, speaking] {
        let live = broker.event(socket, |event| notification_of(event).filter(|found| found.message == "live")).await;
        assert_eq!((live.kind.as_str(), live.read), ("sale", false));
    }
    assert_eq!(unseen(&broker, "bob").await, [""; 0]);
}

#[actix::test]
async fn who_is_added_to_a_group_is_told_by_whom() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let live = broker.event(bob, notification_of).await;
    let data = json!({"conversationId": group, "by": "ann"});
    assert_eq!(shown(&live), ("group", "ann added you to Team", data.clone(), live.created_at, false));
    assert_eq!(stored(&broker, "bob").await, [(*live).clone()]);
    let of_cid = stored(&broker, "cid").await;
    assert_eq!(shown(&of_cid[0]), ("group", "ann added you to Team", data.clone(), live.created_at, false));
    broker.pass(Duration::from_secs(1)).await;
    let add = Command::AddParticipants { conversation: group, participants: vec![user("bob"), user("dan")] };
    broker.ask_as("ann", add).await.unwrap();
    let of_dan = stored(&broker, "dan").await;
    assert_eq!(of_dan.len(), 1);
    assert_eq!(shown(&of_dan[0]).2, data);
    assert!(of_dan[0].created_at > live.created_at);
    assert!(broker.events(bob).await.iter().all(|event| notification_of(event).is_none()), "bob was in it before");
    assert!(broker.events(ann).await.iter().all(|event| notification_of(event).is_none()), "the maker knows");
    assert!(stored(&broker, "ann").await.is_empty());
    // A direct conversation is not a group.
    broker.ask_as("ann", Command::CreateDirect { participant: user("dan") }).await.unwrap();
    assert_eq!(stored(&broker, "dan").await.len(), 1);
}

#[actix::test]
async fn what_was_listed_counts_as_seen() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    for number in 0..3 {
        broker.pass(Duration::from_millis(1)).await;
        broker.ask_as("bob", notify("sale", &number.to_string(), None)).await.unwrap();
    }
    broker.pass(Duration::from_millis(1)).await;
    sent(broker.ask(ann, direct("bob", "just now")).await);
    let Ok(Reply::Notifications(found)) = broker.ask_as("bob", Command::ListNotifications { limit: 2 }).await else { panic!() };
    let texts: Vec<_> = found.iter().map(|notification| notification.message.as_str()).collect();
    assert_eq!(texts, ["New message from ann", "2"]);
    assert_eq!(unseen(&broker, "bob").await, ["1", "0"]);
    let bob = broker.knock("bob").await;
    assert_eq!(arrival(&mut broker, bob).await, ["page", "just now", "page", "0", "1"]);
}

#[actix::test]
async fn a_message_that_is_not_stored_notifies_nobody_and_others_are_made_up_for() {
    let database = TestStore::sqlite_with(|options| options.retry_for = Duration::from_millis(300)).await;
    let mut broker = Broker::on(database, Options::default()).await;
    let ann = broker.connect("ann").await;
    sent(broker.ask(ann, direct("cid", "warm up")).await);
    let kept = sent(broker.ask(ann, direct("bob", "kept")).await);
    let outage = broker.database.hold_writes().await;
    assert!(broker.ask(ann, direct("bob", "lost")).await.is_err());
    // Given up, and gathered again.
    broker.addr.send(SaveNotifications { user: user("bob") }).await.unwrap();
    assert_eq!(broker.ask_as("bob", notify("sale", "x", None)).await.unwrap_err().code(), "STORAGE_UNAVAILABLE");
    drop(outage);
    broker.database.until_available().await;
    let found = stored(&broker, "bob").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_of(&found[0], &kept);
}

#[actix::test]
async fn a_notification_that_was_shown_and_then_not_stored_says_so() {
    let database = TestStore::sqlite_with(|options| options.retry_for = Duration::from_millis(300)).await;
    let mut broker = Broker::on(database, Options::default()).await;
    let bob = broker.connect("bob").await;
    let outage = broker.database.hold_writes().await;
    let answer = broker.begin_as("bob", notify("sale", "shown", None)).await;
    assert_eq!(broker.event(bob, notification_of).await.message, "shown");
    assert_eq!(answer.await.unwrap().unwrap_err().code(), "NOT_STORED");
    drop(outage);
}

#[actix::test]
async fn who_comes_while_a_message_is_being_stored_is_told_by_the_catch_up_alone() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    sent(broker.ask(ann, direct("bob", "warm up")).await);
    let bob = broker.knock("bob").await;
    assert_eq!(arrival(&mut broker, bob).await, ["page", "warm up", "page", "New message from ann"]);
    broker.disconnect(bob, true).await;
    let outage = broker.database.hold_writes().await;
    let ticket = broker.begin(ann, direct("bob", "under way")).await;
    let bob = broker.knock("bob").await;
    drop(outage);
    sent(broker.reply(ann, ticket).await);
    assert_eq!(arrival(&mut broker, bob).await, ["page", "under way"]);
    broker.addr.send(parlance::chat::Drain).await.unwrap();
    assert_eq!(unseen(&broker, "bob").await, [""; 0]);
}

#[actix::test]
async fn after_the_commit_only_those_are_notified_who_are_still_away_then() {
    let mut broker = Broker::with(Options { delivery: Delivery::Stored, ..Options::default() }).await;
    let ann = broker.connect("ann").await;
    sent(broker.ask(ann, direct("bob", "warm up")).await);
    let bob = broker.connect("bob").await;
    broker.settle().await;
    let outage = broker.database.hold_writes().await;
    let ticket = broker.begin(ann, direct("bob", "late")).await;
    broker.disconnect(bob, true).await;
    drop(outage);
    let late = sent(broker.reply(ann, ticket).await);
    assert_of(&stored(&broker, "bob").await[0], &late);
}

#[actix::test]
async fn a_worded_notification_goes_out_as_it_is_and_is_stored() {
    let mut broker = Broker::new().await;
    let emitted = || Emitted { name: "notification:new".into(), data: Some(r#"{"id":"n-1"}"#.into()) };
    let command = |message: &str| Command::Notify {
        kind: "sale".to_owned(),
        message: message.to_owned(),
        data: None,
        emitted: Some(emitted()),
    };
    let Ok(Reply::Notified(Notified { sockets: 0, .. })) = broker.ask_as("bob", command("away")).await else { panic!() };
    assert_eq!(unseen(&broker, "bob").await, ["away"]);
    let bob = broker.knock_with("bob", NO_WORD).await;
    assert_eq!(arrival(&mut broker, bob).await, [""; 0]);
    let Ok(Reply::Notified(Notified { notification, sockets: 1 })) = broker.ask_as("bob", command("here")).await else {
        panic!()
    };
    let heard = broker.all(bob).await;
    let events: Vec<_> =
        heard.iter().filter_map(|heard| if let Heard::Event(event) = heard { Some(event.event()) } else { None }).collect();
    assert!(events.iter().any(|event| matches!(event, Event::Emitted(found) if *found == emitted())), "{events:?}");
    assert!(events.iter().all(|event| notification_of(event).is_none()));
    assert_eq!(unseen(&broker, "bob").await, ["away"], "every socket heard it, whatever it has words for");
    assert_eq!(stored(&broker, "bob").await.iter().find(|found| found.message == "here"), Some(&*notification));
    assert_eq!(broker.ask_as("nobody", command("x")).await.unwrap_err().code(), "NOT_FOUND");
}

#[actix::test]
async fn a_retry_that_is_answered_as_the_first_notifies_nobody_again() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let send = || Command::Send {
        to: SendTo::User(user("bob")),
        draft: Draft { client_message_id: Some("c1".to_owned()), ..text("once") },
    };
    sent(broker.ask(ann, send()).await);
    let first = stored(&broker, "bob").await;
    broker
        .store
        .write(Write::NotificationsSeen { user: user("bob"), ids: None, seen_at: Timestamp::from_millis(1) })
        .await
        .unwrap();
    sent(broker.ask(ann, send()).await);
    assert_eq!(stored(&broker, "bob").await, first);
}

#[actix::test]
async fn what_is_gathered_of_a_deleted_message_tells_of_the_one_before() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let (first, second) = (sent(broker.ask(ann, direct("bob", "1")).await), sent(broker.ask(ann, direct("bob", "2")).await));
    broker.ask(ann, Command::DeleteMessage { message: second.id }).await.unwrap();
    let left = stored(&broker, "bob").await;
    assert_eq!(left.len(), 1);
    assert_of(&left[0], &first);
    broker.ask(ann, Command::DeleteMessage { message: first.id }).await.unwrap();
    assert_eq!(stored(&broker, "bob").await, []);
    // Nor does a connecting client get it.
    let bob = broker.knock("bob").await;
    assert!(arrival(&mut broker, bob).await.iter().all(|shown| !shown.contains("New message")));
}

#[actix::test]
async fn what_is_gathered_of_a_message_that_is_read_or_whose_user_is_out_is_not_stored() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let ann = broker.connect("ann").await;
    let message = sent(broker.ask(ann, to(group, "hello")).await);
    broker.ask_as("bob", Command::MarkRead { message: message.id }).await.unwrap();
    broker.ask(ann, Command::RemoveParticipant { conversation: group, participant: user("cid") }).await.unwrap();
    assert_eq!(stored(&broker, "cid").await, [], "neither of the message nor of being added");
    let left = stored(&broker, "bob").await;
    assert_eq!(left.iter().map(|notification| &*notification.kind).collect::<Vec<_>>(), ["group"]);
    let broker = broker.restarted().await;
    assert_eq!(stored(&broker, "cid").await, []);
    assert_eq!(stored(&broker, "bob").await, left);
}

#[actix::test]
async fn an_account_that_is_deleted_is_told_of_no_more_and_others_are() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["dan", "ann", "bob", "cid"]).await;
    let (ann, cid) = (broker.connect("ann").await, broker.connect("cid").await);
    let of_cid = sent(broker.ask(cid, to(group, "cid's")).await);
    sent(broker.ask(ann, to(group, "ann's")).await);
    assert!(broker.addr.send(Administer::Delete { user: user("ann"), keeps_name: false }).await.unwrap().unwrap());
    let left = stored(&broker, "bob").await;
    assert_of(&left[0], &of_cid);
    assert_eq!(left.iter().filter(|notification| notification.kind == "message").count(), 1);
}
