//! Events for webhooks: written with the changes that they tell of.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parlance::config::{Config, Secret, WebhookEvent};
use parlance::feed::Feed;
use parlance::model::{Message, Place, Timestamp};
use parlance::store::{
    self, DeliveredUpTo, ListedEvent, Store, StoreOptions, StoredEvent, Subscribers, TestFault, UntoldRange, Write, Written,
};
use parlance::webhooks::Configured;

use super::fixture::{Fixture, LIMIT, at, conversation_of, outcome, saying, user};

on_both_databases!(
    every_change_that_took_effect_is_an_event,
    a_change_that_was_not_stored_is_no_event,
    what_nobody_wants_is_not_written,
    who_came_and_went_is_told_once,
    who_was_online_at_a_crash_is_told_to_have_gone,
    a_deleted_user_leaves_groups,
    an_event_tells_of_things_as_they_are_now,
    dead_letters_are_replayed_behind_what_waits_or_forgotten,
    of_too_many_that_wait_the_oldest_are_given_up_and_no_write_is_held_up,
    what_waited_for_too_long_is_given_up,
    those_whom_a_message_has_not_reached_are_found_when_it_is_due,
);

const ALL: [WebhookEvent; 8] = [
    WebhookEvent::MessageCreated,
    WebhookEvent::MessageEdited,
    WebhookEvent::MessageDeleted,
    WebhookEvent::MessageRead,
    WebhookEvent::MessageUnreached,
    WebhookEvent::ConversationChanged,
    WebhookEvent::UserConnected,
    WebhookEvent::UserDisconnected,
];

/// Opens the fixture's database anew, with these webhooks.
async fn with(mut fixture: Fixture, webhooks: &[(&str, &[WebhookEvent])]) -> Fixture {
    let webhooks = webhooks.iter().map(|(name, events)| ((*name).to_owned(), events.to_vec())).collect();
    fixture.options = StoreOptions { webhooks: Subscribers::new(webhooks, Duration::from_secs(10)), ..fixture.options.clone() };
    fixture.store = Store::open(fixture.options.clone()).await.unwrap();
    fixture
}

/// Loads all waiting events of a webhook.
async fn events(fixture: &Fixture, webhook: &str) -> Vec<StoredEvent> {
    let name = webhook.to_owned();
    fixture
        .ask(move |conn| {
            let queued = store::list_webhook_events(conn, &name, 0, 1_000)?;
            let numbers: Vec<i64> = queued.iter().map(|event| event.number).collect();
            assert!(numbers.is_sorted());
            store::load_webhook_events(conn, &numbers)
        })
        .await
}

/// Returns kind, subject and users of each waiting event.
async fn told(fixture: &Fixture, webhook: &str) -> Vec<(&'static str, String, Vec<String>)> {
    let events = events(fixture, webhook).await;
    events.into_iter().map(|event| (event.event.as_str(), event.subject, event.detail.users)).collect()
}

fn names(users: &[&str]) -> Vec<String> {
    users.iter().map(|name| (*name).to_owned()).collect()
}

async fn every_change_that_took_effect_is_an_event(fixture: Fixture) {
    let fixture = with(fixture, &[("log", &ALL), ("edits", &[WebhookEvent::MessageEdited])]).await;
    let group = fixture.group(&["ann", "bob"]).await;
    let conversation = conversation_of(&group);
    let message = fixture.say("ann", &group, "first").await;
    let again = Message { position: 900, ..message.clone() };
    assert_eq!(fixture.done(saying(&again)).await, Written::Message { seq: 1, is_repeat: true });
    let id = message.id;
    let edit = |content: &str, millis| Write::EditMessage {
        message: id,
        content: content.to_owned(),
        updated_at: at(millis),
        position: None,
    };
    let read = |reader: &str, millis| Write::MarkRead { message: id, conversation, reader: user(reader), read_at: at(millis) };
    fixture.done(edit("second", 10)).await;
    fixture.done(read("bob", 11)).await;
    fixture.done(read("bob", 12)).await;
    fixture.done(Write::AddParticipants { conversation, users: vec![user("cid")], joined_at: at(13), joined_position: 1 }).await;
    fixture.done(Write::DeleteMessage { message: id, deleted_at: at(14), position: None }).await;
    assert_eq!(fixture.done(edit("third", 15)).await, Written::Gone);
    fixture.done(Write::RemoveParticipant { conversation, user: user("bob"), left_at: at(16) }).await;
    fixture.done(Write::DeleteConversation { conversation }).await;
    let (place, subject) = (conversation.to_string(), id.to_string());
    let expected = [
        ("conversation.changed", &place, names(&["ann", "bob"])),
        ("message.created", &subject, vec![]),
        ("message.edited", &subject, vec![]),
        ("message.read", &subject, names(&["bob"])),
        ("conversation.changed", &place, names(&["cid"])),
        ("message.deleted", &subject, vec![]),
        ("conversation.changed", &place, names(&["bob"])),
        ("conversation.changed", &place, vec![]),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(kind, subject, users)| (kind, subject.clone(), users)).collect();
    assert_eq!(told(&fixture, "log").await, expected);
    let log = events(&fixture, "log").await;
    assert!(log.iter().all(|event| event.lane == place), "one lane");
    let changes: Vec<_> = log.iter().filter_map(|event| event.detail.change.as_deref()).collect();
    assert_eq!(changes, ["created", "joined", "left", "deleted"]);
    let ids: BTreeSet<_> = log.iter().map(StoredEvent::id).collect();
    assert_eq!(ids.len(), log.len(), "each has an id of its own");
    let edits = events(&fixture, "edits").await;
    assert_eq!(edits.len(), 1);
    assert_ne!(edits[0].id(), log[2].id(), "another webhook's is another event");
}

async fn a_change_that_was_not_stored_is_no_event(fixture: Fixture) {
    let fixture = with(fixture, &[("log", &[WebhookEvent::MessageCreated])]).await;
    let group = fixture.group(&["ann", "bob"]).await;
    let nowhere = Place::Conversation(fixture.new_conversation(parlance::model::ConversationKind::Group, &["ann"]).id);
    let (first, lost, second) = (
        fixture.message("ann", &group, "first"),
        fixture.message("ann", &nowhere, "lost"),
        fixture.message("ann", &group, "second"),
    );
    // All in one batch, which is halved until the fault stands alone.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (store, (is_held, holding)) = (fixture.store.clone(), tokio::sync::oneshot::channel());
    let writer = actix::spawn(async move {
        store
            .ask_writer(move |_| {
                let _ = is_held.send(());
                let _ = held.recv();
                Ok(())
            })
            .await
    });
    holding.await.unwrap();
    let begun =
        [saying(&first), Write::TestFault(TestFault::Poison), saying(&lost), saying(&second)].map(|write| fixture.begin(write));
    release.send(()).unwrap();
    writer.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for begun in begun {
        outcomes.push(outcome(begun).await.is_ok());
    }
    assert_eq!(outcomes, [true, false, false, true]);
    let expected: Vec<_> = [first.id, second.id].map(|id| ("message.created", id.to_string(), vec![])).into();
    assert_eq!(told(&fixture, "log").await, expected);
}

async fn what_nobody_wants_is_not_written(fixture: Fixture) {
    let fixture = with(fixture, &[("edits", &[WebhookEvent::MessageEdited])]).await;
    let group = fixture.group(&["ann", "bob"]).await;
    fixture.say("ann", &group, "text").await;
    fixture.done(online(&["ann"], &[], 1)).await;
    assert_eq!(events(&fixture, "edits").await.len(), 0);
    let due = fixture.ask(|conn| store::make_due_checks(conn, Timestamp::from_millis(i64::MAX), 10)).await;
    assert_eq!(due, store::DueChecks::default());
}

fn online(came: &[&str], gone: &[&str], millis: i64) -> Write {
    let users = |names: &[&str]| names.iter().map(|name| user(name)).collect();
    Write::Online { came: users(came), gone: users(gone), at: at(millis) }
}

async fn who_came_and_went_is_told_once(fixture: Fixture) {
    let fixture = with(fixture, &[("log", &[WebhookEvent::UserConnected, WebhookEvent::UserDisconnected])]).await;
    fixture.done(online(&["ann", "bob"], &[], 1)).await;
    // Ann came and went within a moment; bob was here all the time.
    fixture.done(online(&["bob"], &["ann"], 2)).await;
    fixture.done(online(&[], &["ann"], 3)).await;
    let told: Vec<_> = told(&fixture, "log").await.into_iter().map(|(kind, user, _)| format!("{kind} {user}")).collect();
    assert_eq!(told, ["user.connected ann", "user.connected bob", "user.disconnected ann"]);
    assert_eq!(events(&fixture, "log").await[0].users[0].username, "ann");
}

async fn who_was_online_at_a_crash_is_told_to_have_gone(fixture: Fixture) {
    let wanted: [(&str, &[WebhookEvent]); 1] = [("log", &[WebhookEvent::UserDisconnected])];
    let fixture = with(fixture, &wanted).await;
    fixture.done(online(&["ann", "bob"], &[], 1)).await;
    fixture.done(online(&[], &["bob"], 2)).await;
    let fixture = with(fixture, &wanted).await;
    let fixture = with(fixture, &wanted).await;
    let told: Vec<_> = told(&fixture, "log").await.into_iter().map(|(_, user, _)| user).collect();
    assert_eq!(told, ["bob", "ann"], "ann at the next start, once");
}

async fn a_deleted_user_leaves_groups(fixture: Fixture) {
    let fixture = with(fixture, &[("log", &[WebhookEvent::ConversationChanged])]).await;
    let (group, direct) = (fixture.group(&["ann", "bob"]).await, fixture.direct(&["ann", "cid"]).await);
    fixture.done(Write::DeleteUser { user: user("ann"), deleted_at: at(5), keeps_name: false }).await;
    let created = told(&fixture, "log").await;
    let left = ("conversation.changed", conversation_of(&group).to_string(), names(&["ann"]));
    assert_eq!(created[2..], [left]);
    assert_eq!(created[1].1, conversation_of(&direct).to_string());
}

async fn an_event_tells_of_things_as_they_are_now(fixture: Fixture) {
    let fixture = with(fixture, &[("log", &[WebhookEvent::MessageCreated])]).await;
    let group = fixture.group(&["ann", "bob"]).await;
    let message = fixture.say("ann", &group, "a secret").await;
    let id = events(&fixture, "log").await[0].id();
    fixture.done(Write::DeleteMessage { message: message.id, deleted_at: at(1), position: None }).await;
    let event = events(&fixture, "log").await.remove(0);
    let found = event.message.clone().unwrap();
    assert_eq!((found.content.as_str(), found.seq, event.id()), ("", 1, id));
    assert_eq!(event.conversation.unwrap().participants, [user("ann"), user("bob")]);
    let conversation = conversation_of(&group);
    fixture.done(Write::DeleteConversation { conversation }).await;
    let event = events(&fixture, "log").await.remove(0);
    assert!(event.message.is_none() && event.conversation.is_none());
    assert_eq!(event.id(), id, "and is still the same");
}

async fn letters(fixture: &Fixture) -> Vec<ListedEvent> {
    fixture.ask(|conn| store::list_dead_letters(conn, &UntoldRange::default(), 100)).await
}

async fn dead_letters_are_replayed_behind_what_waits_or_forgotten(fixture: Fixture) {
    let wanted: [(&str, &[WebhookEvent]); 1] = [("log", &[WebhookEvent::MessageCreated])];
    let fixture = with(fixture, &wanted).await;
    let group = fixture.group(&["ann", "bob"]).await;
    let said: Vec<Message> =
        [fixture.say("ann", &group, "1").await, fixture.say("ann", &group, "2").await, fixture.say("ann", &group, "3").await]
            .into();
    let waiting = events(&fixture, "log").await;
    let numbers: Vec<i64> = waiting.iter().map(|event| event.number).collect();
    let bury = Write::BuryWebhookEvents { numbers: numbers[..2].to_vec(), failure: "the answer is 500".to_owned() };
    assert_eq!(fixture.done(bury).await, Written::Pruned { rows: 2 });
    let dead = letters(&fixture).await;
    assert_eq!(dead.iter().map(|letter| letter.number).collect::<Vec<_>>(), [numbers[1], numbers[0]]);
    assert_eq!((dead[1].id, dead[1].death.clone().unwrap().1), (waiting[0].id(), "the answer is 500".to_owned()));

    let replay = Write::ReplayWebhookEvents { numbers: vec![numbers[0]] };
    assert_eq!(fixture.done(replay).await, Written::Pruned { rows: 1 });
    let now = events(&fixture, "log").await;
    let subjects: Vec<_> = now.iter().map(|event| event.subject.clone()).collect();
    assert_eq!(subjects, [said[2].id.to_string(), said[0].id.to_string()]);
    assert_eq!(now[1].id(), waiting[0].id(), "under its id");

    fixture.done(Write::ForgetDeadLetters { before: Timestamp::from_millis(0), most: 1 }).await;
    assert_eq!(letters(&fixture).await.len(), 1);
    fixture.done(Write::ForgetDeadLetters { before: Timestamp::from_millis(i64::MAX), most: 1 }).await;
    assert_eq!(letters(&fixture).await.len(), 0);

    // Delivered ones are gone, and their numbers are not given again.
    fixture.done(Write::WebhookDelivered { numbers: now.iter().map(|event| event.number).collect() }).await;
    fixture.say("ann", &group, "4").await;
    let next = events(&fixture, "log").await;
    assert!(next.len() == 1 && next[0].number > now[1].number);

    // A webhook that is configured no more leaves dead letters, which may be skipped.
    let fixture = with(fixture, &[]).await;
    let dead = letters(&fixture).await;
    assert_eq!((dead.len(), dead[0].subject == next[0].subject), (1, true));
    assert_eq!(fixture.done(Write::SkipWebhookEvents { numbers: vec![dead[0].number] }).await, Written::Pruned { rows: 1 });
    assert_eq!(letters(&fixture).await.len(), 0);
}

/// Returns a webhook that nobody answers: `keep` as `WEBHOOK_KEEP`, of at most `waiting_max` events.
fn away(keep: Duration, waiting_max: usize) -> Configured {
    let config = Config {
        webhook_url: "http://127.0.0.1:9/".parse().unwrap(),
        webhook_secret: Some(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
        webhook_events: "message.created".parse().unwrap(),
        webhook_keep: keep,
        ..Config::default()
    };
    Configured::new(&config).unwrap().with_waiting_max(waiting_max)
}

/// Opens the fixture's database anew with that webhook, sends so many messages, and waits until `dead` of their events
/// are dead letters. Returns the messages.
async fn give_up(fixture: &mut Fixture, webhook: Configured, messages: usize, dead: usize) -> Vec<String> {
    fixture.options = StoreOptions { webhooks: webhook.subscribers(), ..fixture.options.clone() };
    fixture.store = Store::open(fixture.options.clone()).await.unwrap();
    let show = |event: &StoredEvent| event.id().to_string();
    webhook.start(&fixture.store, show, &Feed::default(), &Arc::new(AtomicBool::new(false)));
    let group = fixture.group(&["ann", "bob"]).await;
    let mut said = Vec::new();
    for number in 0..messages {
        said.push(fixture.say("ann", &group, &number.to_string()).await.id.to_string());
    }
    let given_up = async {
        while letters(fixture).await.len() < dead {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, given_up).await.expect("dead letters in time");
    said
}

async fn of_too_many_that_wait_the_oldest_are_given_up_and_no_write_is_held_up(mut fixture: Fixture) {
    let said = give_up(&mut fixture, away(Duration::from_secs(60), 3), 10, 7).await;
    let subjects = |letters: Vec<ListedEvent>| letters.into_iter().map(|letter| letter.subject).rev().collect::<Vec<_>>();
    assert_eq!(subjects(letters(&fixture).await), said[..7], "the oldest");
    let waiting = events(&fixture, "default").await;
    assert_eq!(waiting.into_iter().map(|event| event.subject).collect::<Vec<_>>(), said[7..]);

    // Dead letters have a bound of their own.
    let forget = Write::ForgetDeadLetters { before: Timestamp::from_millis(0), most: 2 };
    assert_eq!(fixture.done(forget).await, Written::Pruned { rows: 5 });
    assert_eq!(subjects(letters(&fixture).await), said[5..7], "the newest stay");
}

async fn what_waited_for_too_long_is_given_up(mut fixture: Fixture) {
    let said = give_up(&mut fixture, away(Duration::from_secs(1), usize::MAX), 3, 3).await;
    let dead = letters(&fixture).await;
    assert_eq!(dead.iter().map(|letter| letter.subject.clone()).rev().collect::<Vec<_>>(), said);
    assert!(events(&fixture, "default").await.is_empty());
    let (died_at, failure) = dead[0].death.clone().unwrap();
    assert!(died_at >= dead[0].queued_at.plus_millis(1_000) && !failure.contains("127.0.0.1"), "{failure}");
}

async fn those_whom_a_message_has_not_reached_are_found_when_it_is_due(fixture: Fixture) {
    let fixture = with(fixture, &[("mail", &[WebhookEvent::MessageUnreached])]).await;
    let group = fixture.group(&["ann", "bob", "cid"]).await;
    let conversation = conversation_of(&group);
    let first = fixture.say("ann", &group, "first").await;
    let second = fixture.say("ann", &group, "second").await;
    let third = fixture.say("bob", &group, "third").await;
    fixture.say("bob", &Place::CommonChat, "to nobody in particular").await;
    fixture.done(Write::DeleteMessage { message: third.id, deleted_at: at(9), position: None }).await;
    let delivered = DeliveredUpTo { conversation, user: user("bob"), seq: 1 };
    fixture.done(Write::Delivered(vec![delivered])).await;
    fixture.done(Write::MarkRead { message: first.id, conversation, reader: user("cid"), read_at: at(9) }).await;

    let not_yet = fixture.ask(|conn| store::make_due_checks(conn, Timestamp::now(), 10)).await;
    assert!(not_yet.numbers.is_empty() && not_yet.next_due.is_some_and(|due| due > Timestamp::now()));
    let due = fixture.ask(|conn| store::make_due_checks(conn, Timestamp::now().plus_millis(10_000), 10)).await;
    assert_eq!(due.numbers.len(), 3, "the room's is none");
    let found: Vec<_> = due.unreached.iter().map(|found| (found.message.clone(), found.users.clone())).collect();
    assert_eq!(found, [(second.id.to_string(), names(&["bob", "cid"]))], "the first has reached both, one of them by reading");

    fixture.done(Write::Unreached { checks: due.numbers, unreached: due.unreached }).await;
    assert_eq!(told(&fixture, "mail").await, [("message.unreached", second.id.to_string(), names(&["bob", "cid"]))]);
    let after = fixture.ask(|conn| store::make_due_checks(conn, Timestamp::from_millis(i64::MAX), 10)).await;
    assert_eq!(after, store::DueChecks::default());
}
