//! P1–P5: an acked message is stored, live delivery does not wait, a refused message is never seen, retries are safe,
//! and there is one order.
use std::sync::Arc;
use std::time::Duration;

use parlance::chat::{ChatError, Command, Draft, Event, Notice, Options, Reply, SendTo, Sent};
use parlance::config::Delivery;
use parlance::model::{MessageId, MessageStatus, Place, RoomId};
use parlance::store::{self, Done, HistoryRange, NewMessage, TestFault, Write};

use super::broker::{Broker, Heard, Socket, direct, message_of, text, user};
use crate::support::database::TestStore;

fn sent(reply: Result<Reply, ChatError>) -> (Arc<parlance::model::Message>, MessageStatus) {
    match reply {
        Ok(Reply::Sent(Sent { message, status, .. })) => (message, status),
        other => panic!("not sent: {other:?}"),
    }
}

fn retry(recipient: &str, content: &str, id: &str) -> Command {
    let draft = Draft { client_message_id: Some(id.to_owned()), ..text(content) };
    Command::Send { to: SendTo::User(user(recipient)), draft }
}

async fn stored(broker: &Broker, place: Place) -> Vec<String> {
    let page =
        broker.store.read_after_writes(move |conn| store::list_history(conn, &place, HistoryRange::Newest, 200)).await.unwrap();
    page.into_iter().map(|message| message.content).collect()
}

/// Starts a broker that waits for an unreachable database no longer than this.
async fn giving_up_after(time: Duration, options: Options) -> Broker {
    Broker::on(TestStore::sqlite_with(|options| options.retry_for = time).await, options).await
}

#[actix::test]
async fn a_direct_message_reaches_its_recipient_and_is_acked_once_stored() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let ticket = broker.begin(ann, direct("bob", "hello")).await;
    let got = broker.message(bob).await;
    assert_eq!((got.content.as_str(), got.status, got.sender.username.as_str()), ("hello", MessageStatus::Delivered, "ann"));
    let (message, status) = sent(broker.reply(ann, ticket).await);
    assert_eq!((message.id, message.seq, status), (got.id, 1, MessageStatus::Delivered));
    assert_eq!(stored(&broker, message.place.clone()).await, ["hello"]);
}

#[actix::test]
async fn a_message_to_somebody_offline_is_sent_and_not_delivered() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let (message, status) = sent(broker.ask(ann, direct("bob", "later")).await);
    assert_eq!((message.status, status), (MessageStatus::Sent, MessageStatus::Sent));
}

#[actix::test]
async fn what_is_refused_is_seen_by_nobody_and_stored_nowhere() {
    let mut broker = Broker::with(Options { max_message_length: 5, ..Options::default() }).await;
    let group = broker.group(&["ann", "bob"]).await;
    let (bob, cid) = (broker.connect("bob").await, broker.connect("cid").await);
    let unknown_file = Draft { file_url: Some("/uploads/none.png".to_owned()), ..Draft::default() };
    for (command, code) in [
        (Command::Send { to: SendTo::Conversation(group), draft: text("no") }, "FORBIDDEN"),
        (direct("bob", ""), "INVALID_PAYLOAD"),
        (direct("bob", "sechse"), "TOO_LARGE"),
        (direct("nobody", "no"), "NOT_FOUND"),
        (Command::Send { to: SendTo::User(user("bob")), draft: unknown_file }, "NOT_FOUND"),
        (Command::TestPanic, "INTERNAL"),
    ] {
        assert_eq!(broker.ask(cid, command).await.unwrap_err().code(), code);
    }
    assert!(broker.events(bob).await.iter().all(|event| message_of(event).is_none()));
    assert!(stored(&broker, Place::Conversation(group)).await.is_empty());
    // The panic affected nothing else.
    assert!(broker.ask(bob, direct("ann", "on")).await.is_ok());
}

#[actix::test]
async fn everybody_sees_the_order_in_which_messages_are_stored() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let sockets = [broker.connect("ann").await, broker.connect("bob").await, broker.connect("cid").await];
    let mut tickets = Vec::new();
    for number in 0..60 {
        let socket = sockets[number % 3];
        let draft = text(&number.to_string());
        tickets.push((socket, broker.begin(socket, Command::Send { to: SendTo::Conversation(group), draft }).await));
    }
    for (socket, ticket) in tickets {
        sent(broker.reply(socket, ticket).await);
    }
    let order = stored(&broker, Place::Conversation(group)).await;
    assert_eq!(order, (0..60).map(|number| number.to_string()).collect::<Vec<_>>());
    for socket in sockets {
        let seen: Vec<_> =
            broker.events(socket).await.iter().filter_map(message_of).map(|message| message.content.clone()).collect();
        // Events before the socket's own last answer were skipped while waiting for it.
        assert_eq!(seen, order[60 - seen.len()..]);
    }
}

#[actix::test]
async fn a_repeat_is_answered_like_the_first_and_shown_to_nobody() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    // The sender's ids are read before writes are held up.
    broker.ask(ann, retry("bob", "before", "c0")).await.unwrap();
    broker.all(bob).await;
    let outage = broker.database.hold_writes().await;
    let first = broker.begin(ann, retry("bob", "once", "c1")).await;
    let in_flight = broker.begin(ann, retry("bob", "once", "c1")).await;
    broker.message(bob).await;
    broker.events_so_far(ann).await;
    assert!(!broker.is_answered(ann, in_flight), "it waits for the first one's commit");
    drop(outage);
    let (first, _) = sent(broker.reply(ann, first).await);
    let (again, status) = sent(broker.reply(ann, in_flight).await);
    let (later, _) = sent(broker.ask(ann, retry("bob", "once", "c1")).await);
    assert_eq!((first.id, first.id), (again.id, later.id));
    assert_eq!(status, MessageStatus::Delivered);
    assert_eq!(first.id, MessageId::of_client_id(&user("ann"), "c1"));
    assert_eq!(broker.ask(ann, retry("bob", "other", "c1")).await.unwrap_err().code(), "CONFLICT");
    assert_eq!(broker.ask(ann, retry("cid", "once", "c1")).await.unwrap_err().code(), "CONFLICT");
    assert_eq!(broker.events(bob).await.iter().filter_map(message_of).count(), 0, "it was shown once");
    assert_eq!(stored(&broker, first.place.clone()).await, ["before", "once"]);
}

#[actix::test]
async fn a_repeat_waits_for_as_long_as_the_first() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    // The sender's ids are read before writes are held up.
    broker.ask(ann, retry("bob", "before", "c0")).await.unwrap();
    let outage = broker.database.hold_writes().await;
    let first = broker.begin(ann, retry("bob", "once", "c1")).await;
    let again = broker.begin(ann, retry("bob", "once", "c1")).await;
    // Reads no longer wait for the database by now.
    let unknown = Command::MarkRead { message: MessageId::of_client_id(&user("ann"), "unknown") };
    assert_eq!(broker.ask(bob, unknown).await.unwrap_err().code(), "STORAGE_UNAVAILABLE");
    drop(outage);
    let (first, _) = sent(broker.reply(ann, first).await);
    let (again, _) = sent(broker.reply(ann, again).await);
    assert_eq!((first.id, first.seq), (again.id, again.seq));
}

#[actix::test]
async fn a_repeat_after_a_restart_is_known_by_what_is_stored() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let (first, _) = sent(broker.ask(ann, retry("bob", "once", "c1")).await);
    let mut broker = Broker::on(broker.database, Options::default()).await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.all(bob).await;
    let (again, _) = sent(broker.ask(ann, retry("bob", "once", "c1")).await);
    assert_eq!((again.id, again.seq), (first.id, first.seq));
    assert!(broker.events(bob).await.iter().all(|event| message_of(event).is_none()));
}

#[actix::test]
async fn a_held_copy_is_shown_at_its_sender_once_stored_and_live_to_the_room() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let room = RoomId::parse("7").unwrap();
    for socket in [ann, bob] {
        broker.ask(socket, Command::JoinRoom { room: room.clone() }).await.unwrap();
    }
    broker.all(ann).await;
    let command = Command::Send { to: SendTo::Room { room, shown_as: "7".into() }, draft: text("hi") };
    let ticket = broker.begin_with(ann, command, true).await;
    assert_eq!(broker.message(bob).await.content, "hi");
    let words = broker.all(ann).await;
    let held =
        words.iter().position(|word| matches!(word, Heard::Notice(notice) if matches!(**notice, Notice::Hold(_)))).unwrap();
    let settled = |word: &Heard| matches!(word, Heard::Notice(notice) if matches!(**notice, Notice::Settle { stored: true, .. }));
    let replied = |word: &Heard| matches!(word, Heard::Notice(notice) if matches!(&**notice, Notice::Reply { ticket: of, .. } if *of == ticket));
    assert!(held < words.iter().position(settled).unwrap());
    assert!(words.iter().any(replied));
    assert!(
        words.iter().all(|word| !matches!(word, Heard::Event(event) if message_of(event.event()).is_some())),
        "no second copy"
    );
}

#[actix::test]
async fn a_held_copy_comes_again_with_the_answer_to_a_repeat() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let first = broker.begin_with(ann, retry("bob", "once", "c1"), true).await;
    let in_flight = broker.begin_with(ann, retry("bob", "once", "c1"), true).await;
    let held = |notice: &Notice| match notice {
        Notice::Hold(event) => message_of(event.event()).map(|message| message.id),
        Notice::Settle { message, stored: true } => Some(*message),
        _ => None,
    };
    for ticket in [first, in_flight] {
        let (hold, settle) = (broker.notice(ann, held).await, broker.notice(ann, held).await);
        let (message, _) = sent(broker.reply(ann, ticket).await);
        assert_eq!((hold, settle), (message.id, message.id));
    }
    assert_eq!(broker.events(bob).await.iter().filter_map(message_of).count(), 1);
}

#[actix::test]
async fn stored_delivery_shows_nothing_before_the_commit() {
    let mut broker = Broker::with(Options { delivery: Delivery::Stored, ..Options::default() }).await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    sent(broker.ask(ann, direct("bob", "warm up")).await);
    broker.message(bob).await;
    let outage = broker.database.hold_writes().await;
    let ticket = broker.begin(ann, direct("bob", "safe")).await;
    assert!(broker.events_so_far(bob).await.iter().all(|event| message_of(event).is_none()));
    assert!(!broker.is_answered(ann, ticket));
    drop(outage);
    sent(broker.reply(ann, ticket).await);
    assert_eq!(broker.message(bob).await.content, "safe");
}

#[actix::test]
async fn a_refused_row_fails_alone_and_a_panicking_writer_too() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    sent(broker.ask(ann, direct("bob", "before")).await);
    for fault in [TestFault::Poison, TestFault::Panic] {
        broker.store.try_write(Write::TestFault(fault), Done::Nobody).unwrap();
        sent(broker.ask(ann, direct("bob", "with it")).await);
    }
    for content in ["before", "with it", "with it"] {
        assert_eq!(broker.message(bob).await.content, content);
    }
}

#[actix::test]
async fn an_outage_that_lasts_is_answered_and_a_retry_goes_to_the_others() {
    let mut broker = giving_up_after(Duration::from_millis(300), Options::default()).await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let send = |content: &str| {
        let draft = Draft { client_message_id: Some("c9".to_owned()), ..text(content) };
        Command::Send { to: SendTo::Conversation(group), draft }
    };
    // The sender's ids are read before the outage.
    sent(
        broker
            .ask(
                ann,
                Command::Send {
                    to: SendTo::Conversation(group),
                    draft: Draft { client_message_id: Some("c0".to_owned()), ..text("zero") },
                },
            )
            .await,
    );
    broker.message(bob).await;
    let outage = broker.database.hold_writes().await;
    let ticket = broker.begin(ann, send("again")).await;
    assert_eq!(broker.message(bob).await.content, "again", "live does not wait");
    assert_eq!(broker.reply(ann, ticket).await.unwrap_err().code(), "NOT_STORED");
    assert_eq!(broker.ask(ann, send("again")).await.unwrap_err().code(), "NOT_STORED", "bob has seen it");
    let unseen = Draft { client_message_id: Some("c10".to_owned()), ..text("unseen") };
    let unseen = Command::Send { to: SendTo::Conversation(group), draft: unseen };
    assert_eq!(broker.ask(ann, unseen).await.unwrap_err().code(), "STORAGE_UNAVAILABLE");
    drop(outage);
    broker.database.until_available().await;
    let cid = broker.connect("cid").await;
    broker.all(bob).await;
    sent(broker.ask(ann, send("again")).await);
    assert_eq!(broker.message(cid).await.content, "again");
    assert!(broker.events(bob).await.iter().all(|event| message_of(event).is_none()), "bob has seen it");
    assert_eq!(stored(&broker, Place::Conversation(group)).await, ["zero", "again"]);
}

#[actix::test]
async fn a_retry_goes_to_who_was_told_of_the_first_try_and_may_not_have_it() {
    let mut broker = giving_up_after(Duration::from_millis(300), Options::default()).await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let (ann, bob, cid) = (broker.connect("ann").await, broker.connect("bob").await, broker.connect("cid").await);
    let send = |name: &str| {
        let draft = Draft { client_message_id: Some(name.to_owned()), ..text(name) };
        Command::Send { to: SendTo::Conversation(group), draft }
    };
    // The sender's ids are read before the outage.
    sent(broker.ask(ann, send("before")).await);
    for socket in [bob, cid] {
        broker.message(socket).await;
    }
    broker.settle().await;
    broker.answer_pings(false);
    let outage = broker.database.hold_writes().await;
    assert_eq!(broker.ask(ann, send("again")).await.unwrap_err().code(), "NOT_STORED");
    for socket in [bob, cid] {
        assert_eq!(broker.message(socket).await.content, "again", "it was on its way to both");
        broker.disconnect(socket, true).await;
    }
    drop(outage);
    broker.database.until_available().await;
    let bob = broker.connect("bob").await;
    broker.all(bob).await;
    sent(broker.ask(ann, send("again")).await);
    assert_eq!(broker.message(bob).await.content, "again", "another session");
    let cid = broker.knock("cid").await;
    let page = broker.page(cid).await.unwrap();
    let missed: Vec<_> =
        page.iter().filter_map(|event| message_of(event.event())).map(|message| message.content.clone()).collect();
    assert_eq!(missed, ["again"], "it was not proven");
}

#[actix::test]
async fn live_waits_while_commits_fail_and_the_first_success_hands_out_all_that_waits() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    sent(broker.ask(ann, direct("bob", "before")).await);
    broker.message(bob).await;
    let outage = broker.database.hold_writes().await;
    let first = broker.begin(ann, direct("bob", "live")).await;
    assert_eq!(broker.message(bob).await.content, "live");
    broker.database.until_failing().await;
    let second = broker.begin(ann, direct("bob", "second")).await;
    let third = broker.begin(ann, direct("bob", "third")).await;
    assert!(broker.events_so_far(bob).await.iter().all(|event| message_of(event).is_none()));
    assert!([first, second, third].iter().all(|ticket| !broker.is_answered(ann, *ticket)));
    drop(outage);
    sent(broker.reply(ann, first).await);
    sent(broker.reply(ann, second).await);
    let by_then: Vec<_> =
        broker.heard_by_then(bob).iter().filter_map(message_of).map(|message| message.content.clone()).collect();
    assert_eq!(by_then, ["second", "third"], "their own commits came later");
    sent(broker.reply(ann, third).await);
}

#[actix::test]
async fn nothing_overtakes_a_retry_that_waits_for_its_commit() {
    let mut broker = giving_up_after(Duration::from_secs(2), Options::default()).await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let (ann, cid) = (broker.connect("ann").await, broker.connect("cid").await);
    let send = |content: &str| {
        let draft = Draft { client_message_id: Some(content.to_owned()), ..text(content) };
        Command::Send { to: SendTo::Conversation(group), draft }
    };
    // The sender's ids are read before the outage.
    sent(broker.ask(ann, send("before")).await);
    broker.disconnect(cid, true).await;
    let outage = broker.database.hold_writes().await;
    assert_eq!(broker.ask(ann, send("again")).await.unwrap_err().code(), "NOT_STORED");
    drop(outage);
    broker.database.until_available().await;
    let bob = broker.connect("bob").await;
    broker.all(bob).await;
    let outage = broker.database.hold_writes().await;
    let again = broker.begin(ann, send("again")).await;
    let next = broker.begin(ann, send("next")).await;
    assert!(broker.events_so_far(bob).await.iter().all(|event| message_of(event).is_none()));
    drop(outage);
    sent(broker.reply(ann, again).await);
    sent(broker.reply(ann, next).await);
    let heard: Vec<_> = broker.events(bob).await.iter().filter_map(message_of).map(|message| message.content.clone()).collect();
    assert_eq!(heard, ["again", "next"]);
}

#[actix::test]
async fn what_was_given_up_and_stored_all_the_same_goes_out_with_its_repeat() {
    let stored = Options { delivery: Delivery::Stored, ..Options::default() };
    let mut broker = giving_up_after(Duration::from_millis(300), stored).await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let (first, _) = sent(broker.ask(ann, retry("bob", "before", "first")).await);
    let outage = broker.database.hold_writes().await;
    assert_eq!(broker.ask(ann, retry("bob", "late", "name")).await.unwrap_err().code(), "STORAGE_UNAVAILABLE");
    drop(outage);
    broker.database.until_available().await;
    // The database stored it, although nobody was told.
    let late = parlance::model::Message {
        id: MessageId::of_client_id(&user("ann"), "name"),
        content: "late".to_owned(),
        client_message_id: Some("name".to_owned()),
        ..(*first).clone()
    };
    let write = Write::Message(Box::new(NewMessage { message: Arc::new(late), request_hash: None, sent_by: None }));
    broker.store.write(write).await.unwrap();
    let (answered, _) = sent(broker.ask(ann, retry("bob", "late", "name")).await);
    assert_eq!((answered.seq, answered.created_at), (2, first.created_at));
    let heard: Vec<_> = broker.events(bob).await.iter().filter_map(message_of).map(|message| message.content.clone()).collect();
    assert_eq!(heard, ["before", "late"]);
    let (again, _) = sent(broker.ask(ann, retry("bob", "late", "name")).await);
    assert_eq!(again.seq, 2);
    assert!(broker.events(bob).await.iter().all(|event| message_of(event).is_none()), "shown once");
}

#[actix::test]
async fn a_receipt_is_stored_once_and_told_to_the_author_once() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let ticket = broker.begin(ann, direct("bob", "read me")).await;
    let message = broker.message(bob).await;
    let reading = broker.begin(bob, Command::MarkRead { message: message.id }).await;
    sent(broker.reply(ann, ticket).await);
    assert!(broker.reply(bob, reading).await.is_ok(), "waits behind the message");
    let reads = |event: &Event| matches!(event, Event::Read { user: reader, .. } if *reader == user("bob")).then_some(());
    broker.event(ann, reads).await;
    assert!(broker.ask(bob, Command::MarkRead { message: message.id }).await.is_ok());
    assert!(broker.ask(ann, Command::MarkRead { message: message.id }).await.is_ok(), "one's own: success, nobody is told");
    assert!(broker.events(ann).await.iter().all(|event| reads(event).is_none()));
    let cid: Socket = broker.connect("cid").await;
    assert_eq!(broker.ask(cid, Command::MarkRead { message: message.id }).await.unwrap_err().code(), "FORBIDDEN");
    let unknown = MessageId::from_uuid(uuid::Uuid::nil());
    assert_eq!(broker.ask(cid, Command::MarkRead { message: unknown }).await.unwrap_err().code(), "NOT_FOUND");
}

#[actix::test]
async fn a_receipt_is_told_once_it_is_stored() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let (message, _) = sent(broker.ask(ann, direct("bob", "read me")).await);
    broker.settle().await;
    let outage = broker.database.hold_writes().await;
    let reading = broker.begin(bob, Command::MarkRead { message: message.id }).await;
    while broker.store.stats().queued == 0 {
        tokio::task::yield_now().await;
    }
    let reads = |event: &Event| matches!(event, Event::Read { .. }).then_some(());
    assert!(broker.events_so_far(ann).await.iter().all(|event| reads(event).is_none()));
    drop(outage);
    assert!(broker.reply(bob, reading).await.is_ok());
    broker.event(ann, reads).await;
}

#[actix::test]
async fn only_the_author_edits_and_deletes_and_others_are_told() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let (message, _) = sent(broker.ask(ann, direct("bob", "tpyo")).await);
    let edit = Command::EditMessage { message: message.id, content: "typo".to_owned() };
    assert_eq!(broker.ask_as("bob", edit.clone()).await.unwrap_err().code(), "FORBIDDEN");
    assert!(broker.ask_as("ann", edit).await.is_ok());
    let edited = broker
        .event(bob, |event| if let Event::MessageUpdated { message, .. } = event { Some(message.clone()) } else { None })
        .await;
    assert_eq!(edited.content, "typo");
    assert!(edited.updated_at > message.updated_at);
    assert_eq!(edited.status, MessageStatus::Delivered, "as it was shown before");
    assert!(broker.ask_as("ann", Command::DeleteMessage { message: message.id }).await.is_ok());
    broker.event(bob, |event| matches!(event, Event::MessageDeleted { .. }).then_some(())).await;
    assert_eq!(broker.ask_as("ann", Command::DeleteMessage { message: message.id }).await.unwrap_err().code(), "NOT_FOUND");
}

#[actix::test]
async fn a_message_that_is_deleted_by_two_at_once_is_deleted_once() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    for _ in 0..5 {
        let (message, _) = sent(broker.ask(ann, direct("bob", "oh")).await);
        // Both have read the message before either change is stored.
        let delete = Command::DeleteMessage { message: message.id };
        let (one, other) = (broker.begin_as("ann", delete.clone()).await, broker.begin_as("ann", delete).await);
        let mut codes = [one.await.unwrap(), other.await.unwrap()].map(|reply| reply.map_or_else(|error| error.code(), |_| "OK"));
        codes.sort_unstable();
        assert_eq!(codes, ["NOT_FOUND", "OK"]);
        let told = broker.events(bob).await.iter().filter(|event| matches!(event, Event::MessageDeleted { .. })).count();
        assert_eq!(told, 1);
    }
}

#[actix::test]
async fn stored_delivery_shows_a_forgotten_repeat_to_nobody() {
    let stored_first = || Options { delivery: Delivery::Stored, ..Options::default() };
    let mut broker = Broker::with(stored_first()).await;
    let ann = broker.connect("ann").await;
    let (first, _) = sent(broker.ask(ann, retry("bob", "once", "old")).await);

    // Another start, too late for the sender's ids to be read.
    let mut broker = Broker::on(broker.database, stored_first()).await;
    broker.pass(std::time::Duration::from_secs(25 * 3_600)).await;
    let (ann, bob, cid) = (broker.connect("ann").await, broker.connect("bob").await, broker.connect("cid").await);
    sent(broker.ask(ann, direct("bob", "new")).await);
    let begun = broker.begin_with(ann, retry("bob", "once", "old"), true).await;
    let repeat =
        broker.notice(ann, |notice| if let Notice::Hold(event) = notice { message_of(event.event()) } else { None }).await;
    assert_eq!((repeat.id, repeat.seq), (first.id, 1), "who knows no ack is shown the first one");
    let (again, _) = sent(broker.reply(ann, begun).await);
    assert_eq!((again.id, again.seq, again.created_at), (first.id, 1, first.created_at));
    for other in [retry("bob", "something else", "old"), retry("cid", "once", "old")] {
        assert_eq!(broker.ask(ann, other).await.unwrap_err().code(), "CONFLICT");
    }
    sent(broker.ask(ann, direct("bob", "last")).await);
    let heard: Vec<_> = broker.events(bob).await.iter().filter_map(message_of).map(|message| message.content.clone()).collect();
    assert_eq!(heard, ["new", "last"], "the first came with the catch-up, once");
    assert!(broker.events(cid).await.iter().all(|event| message_of(event).is_none()));
}

#[actix::test]
async fn a_forgotten_name_used_otherwise_is_refused_by_the_index() {
    let named = |content: &str| retry("bob", content, "old");
    for delivery in [Delivery::Live, Delivery::Stored] {
        let options = || Options { delivery, ..Options::default() };
        let mut broker = Broker::with(options()).await;
        sent(broker.ask_as("ann", named("once")).await);
        let mut broker = Broker::on(broker.database, options()).await;
        broker.pass(std::time::Duration::from_secs(25 * 3_600)).await;
        sent(broker.ask_as("ann", direct("bob", "new")).await);
        assert_eq!(broker.ask_as("ann", named("other")).await.unwrap_err().code(), "CONFLICT", "{delivery:?}");
        assert_eq!(broker.ask_as("ann", named("other")).await.unwrap_err().code(), "CONFLICT", "now it is known");
        assert_eq!(sent(broker.ask_as("ann", named("once")).await).0.content, "once");
    }
}
