//! Edits and deletions made while a client was away for long: each comes once, when the client returns with an offset.
use std::sync::Arc;

use parlance::chat::{Admission, Broadcast, CatchUpDrained, Command, Connect, Event, Notice, Options, Reply, SendTo, Sent};
use parlance::model::{ChangesNotified, MessageId, Offset, OffsetKind, Part, PrivateId, RoomId};
use parlance::store::{self, DeliveredUpTo, Write};

use super::broker::{Broker, Heard, Socket, direct, message_of, text, user};
use crate::support::database::TestStore;

/// Describes a message's event in a word.
fn word(event: &Event) -> Option<String> {
    match event {
        Event::MessageUpdated { message, .. } => Some(format!("edited: {}", message.content)),
        Event::MessageDeleted { message, .. } => Some(deleted(*message)),
        event => message_of(event).map(|message| message.content.clone()),
    }
}

fn deleted(message: MessageId) -> String {
    format!("deleted: {message}")
}

async fn edit(broker: &mut Broker, name: &str, message: MessageId, content: &str) {
    broker.ask_as(name, Command::EditMessage { message, content: content.to_owned() }).await.unwrap();
}

async fn delete(broker: &mut Broker, name: &str, message: MessageId) {
    broker.ask_as(name, Command::DeleteMessage { message }).await.unwrap();
}

async fn say(broker: &mut Broker, name: &str, command: Command) -> MessageId {
    match broker.ask_as(name, command).await {
        Ok(Reply::Sent(Sent { message, .. })) => message.id,
        other => panic!("{other:?}"),
    }
}

async fn admission(broker: &mut Broker, socket: Socket) -> Admission {
    broker
        .notice(socket, |notice| if let Notice::Admitted(admission) = notice { Some((**admission).clone()) } else { None })
        .await
}

/// Connects as a new session with or without an offset; returns the events of the catch-up, and the socket.
async fn come(broker: &mut Broker, offset: Option<Offset>, pid: Option<PrivateId>) -> (Vec<Arc<Broadcast>>, Socket, Admission) {
    let socket = broker.return_with("bob", |connect| Connect { offset, back_to: pid, ..connect }).await;
    let admission = admission(broker, socket).await;
    let mut caught_up = Vec::new();
    if admission.catch_up {
        while let Some(page) = broker.page(socket).await {
            // Notifications follow it.
            caught_up.extend(page.into_iter().filter(|event| word(event.event()).is_some()));
            broker.addr.send(CatchUpDrained { connection: socket.0 }).await.unwrap();
        }
    }
    (caught_up, socket, admission)
}

fn words(events: &[Arc<Broadcast>]) -> Vec<String> {
    events.iter().filter_map(|event| word(event.event())).collect()
}

fn offset_of(event: &Broadcast) -> Option<Offset> {
    event.offset().map(|offset| offset.at(Part::ALL))
}

/// Ends a session for good; returns the offset of a client that has everything so far.
async fn leave(broker: &mut Broker) -> (Option<Offset>, PrivateId) {
    let (_, socket, _) = come(broker, None, None).await;
    broker.settle().await;
    broker.disconnect(socket, true).await;
    let (caught_up, socket, admission) = come(broker, None, None).await;
    assert_eq!(words(&caught_up), [""; 0], "all is proven to be received");
    broker.disconnect(socket, true).await;
    (admission.initial_offset.offset(), admission.pid)
}

async fn what_was_changed_during_a_long_absence_is_told_once(database: TestStore) {
    let mut broker = Broker::on(database, Options { catch_up_page_bytes: 1_500, ..Options::default() }).await;
    let group = broker.group(&["ann", "bob"]).await;
    let mut old = Vec::new();
    for content in ["edited", "deleted", "both", "twice", "own"] {
        let command = match content {
            "deleted" => Command::Send { to: SendTo::Conversation(group), draft: text(content) },
            content => direct(if content == "own" { "ann" } else { "bob" }, content),
        };
        old.push(say(&mut broker, if content == "own" { "bob" } else { "ann" }, command).await);
    }
    let lounge = RoomId::parse("lounge").unwrap();
    let public = Command::Send { to: SendTo::Room { room: lounge, shown_as: "lounge".into() }, draft: text("public") };
    let public = say(&mut broker, "ann", public).await;
    let (known, _) = leave(&mut broker).await;

    edit(&mut broker, "ann", old[3], "twice, once").await;
    edit(&mut broker, "ann", old[2], "both, mended").await;
    edit(&mut broker, "ann", old[0], "edited, mended").await;
    let one = say(&mut broker, "ann", direct("bob", "one")).await;
    delete(&mut broker, "ann", old[1]).await;
    let gone = say(&mut broker, "ann", direct("bob", "gone")).await;
    edit(&mut broker, "ann", old[3], "twice, mended").await;
    edit(&mut broker, "ann", one, "one, mended").await;
    delete(&mut broker, "ann", gone).await;
    delete(&mut broker, "ann", old[2]).await;
    edit(&mut broker, "bob", old[4], "own, mended").await;
    edit(&mut broker, "ann", public, "public, mended").await;
    say(&mut broker, "ann", direct("bob", "two")).await;
    let expected = [
        "edited: edited, mended",
        &deleted(old[1]),
        "edited: twice, mended",
        &deleted(old[2]),
        "edited: own, mended",
        "one, mended",
        "two",
    ];
    let (all, socket, admission) = come(&mut broker, known, None).await;
    assert_eq!(words(&all), expected);
    broker.disconnect(socket, true).await;

    // Cut behind any of them, it continues with the next one.
    let cuts = std::iter::once(admission.initial_offset.offset()).chain(all.iter().map(|event| offset_of(event)));
    for (number, cut) in cuts.enumerate() {
        let text = cut.unwrap().to_string();
        assert_eq!(Offset::parse(&text), cut, "{text}");
        let (rest, socket, _) = come(&mut broker, cut, None).await;
        assert_eq!(words(&rest), expected[number..], "cut at {text}");
        broker.disconnect(socket, true).await;
    }
    // A client that loads everything afresh needs no changes.
    let (nothing, socket, _) = come(&mut broker, None, None).await;
    assert_eq!(words(&nothing), [""; 0]);
    broker.disconnect(socket, true).await;
}

mod sqlite {
    #[actix::test]
    async fn what_was_changed_during_a_long_absence_is_told_once() {
        super::what_was_changed_during_a_long_absence_is_told_once(super::TestStore::sqlite().await).await;
    }
}

mod postgres {
    #[actix::test]
    async fn what_was_changed_during_a_long_absence_is_told_once() {
        super::what_was_changed_during_a_long_absence_is_told_once(super::TestStore::postgres().await).await;
    }
}

#[actix::test]
async fn the_newest_are_kept_of_messages_and_changes_together() {
    let mut broker = Broker::with(Options { catch_up_max: 3, ..Options::default() }).await;
    let mut old = Vec::new();
    for content in ["0", "1", "2"] {
        old.push(say(&mut broker, "ann", direct("bob", content)).await);
    }
    let (known, _) = leave(&mut broker).await;
    edit(&mut broker, "ann", old[0], "0, mended").await;
    say(&mut broker, "ann", direct("bob", "3")).await;
    say(&mut broker, "ann", direct("bob", "4")).await;
    delete(&mut broker, "ann", old[1]).await;
    say(&mut broker, "ann", direct("bob", "5")).await;
    let (all, socket, _) = come(&mut broker, known, None).await;
    assert_eq!(words(&all), [&deleted(old[1]), "4", "5"]);
    broker.disconnect(socket, true).await;
    edit(&mut broker, "ann", old[0], "0, mended again").await;
    edit(&mut broker, "ann", old[2], "2, mended").await;
    let last = offset_of(all.last().unwrap());
    let (changes, ..) = come(&mut broker, last, None).await;
    assert_eq!(words(&changes), ["edited: 0, mended again", "edited: 2, mended"], "changes alone are caught up, too");
}

#[actix::test]
async fn an_edit_that_waits_for_its_commit_is_not_behind_the_offsets_of_later_messages() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let old = say(&mut broker, "ann", direct("bob", "old")).await;
    broker.message(bob).await;
    broker.settle().await;
    let outage = broker.database.hold_writes().await;
    let edited = broker.begin(ann, Command::EditMessage { message: old, content: "mended".to_owned() }).await;
    // The message to be edited is read first.
    while broker.store.stats().queued == 0 {
        tokio::task::yield_now().await;
    }
    broker.begin(ann, direct("bob", "later")).await;
    let placed = async |broker: &mut Broker| {
        let heard = broker.next(bob, |heard| match heard {
            Heard::Event(event) => word(event.event()).map(|word| (word, event.offset().unwrap())),
            Heard::Notice(_) => None,
        });
        heard.await
    };
    let (word, later) = placed(&mut broker).await;
    assert_eq!((word.as_str(), later.kind), ("later", OffsetKind::Event { event_seq: event_seq(later), is_message: true }));
    assert_eq!(later.changes, ChangesNotified::all(later.position - 2), "the edit's place is before the message's");
    drop(outage);
    broker.reply(ann, edited).await.unwrap();
    let (word, change) = placed(&mut broker).await;
    assert_eq!((word.as_str(), change.changes), ("edited: mended", ChangesNotified::notifying(later.position - 1)));
    broker.disconnect(bob, true).await;
    let told = async |broker: &mut Broker, offset: Offset| {
        let (caught_up, socket, _) = come(broker, Some(offset.at(Part::ALL)), None).await;
        broker.disconnect(socket, true).await;
        words(&caught_up)
    };
    assert_eq!(told(&mut broker, later).await, ["edited: mended"]);
    assert_eq!(told(&mut broker, change).await, [""; 0]);
    // A crash between commit and dispatch does not hide it either.
    let mut broker = broker.restarted().await;
    assert_eq!(told(&mut broker, later).await, ["edited: mended"]);
    assert_eq!(told(&mut broker, change).await, [""; 0]);
}

fn event_seq(offset: Offset) -> u64 {
    match offset.kind {
        OffsetKind::Event { event_seq, .. } => event_seq,
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn a_change_that_a_crash_took_does_not_hide_the_one_that_has_its_position() {
    let mut broker = Broker::new().await;
    let old = say(&mut broker, "ann", direct("bob", "old")).await;
    let (known, _) = leave(&mut broker).await;
    // The client knew of a later message, which is lost together with the change before it.
    let ahead = known.map(|offset| {
        let position = offset.position + 2;
        Offset { position, changes: ChangesNotified::all(position), ..offset }
    });
    let mut broker = broker.restarted().await;
    edit(&mut broker, "ann", old, "mended").await;
    let (caught_up, ..) = come(&mut broker, ahead, None).await;
    assert_eq!(words(&caught_up), ["edited: mended"]);
}

#[actix::test]
async fn an_offset_that_knows_of_no_changes_is_told_those_after_its_messages() {
    let mut broker = Broker::new().await;
    let old = say(&mut broker, "ann", direct("bob", "old")).await;
    let bob = broker.connect("bob").await;
    broker.settle().await;
    broker.disconnect(bob, true).await;
    let (known, _) = leave(&mut broker).await;
    let text = known.unwrap().to_string();
    assert_eq!(text.matches('.').count(), 4, "as it was before there were changes: {text}");
    delete(&mut broker, "ann", old).await;
    let (caught_up, ..) = come(&mut broker, Offset::parse(&text), None).await;
    assert_eq!(words(&caught_up), [deleted(old)]);
}

#[actix::test]
async fn a_change_of_what_this_session_sent_is_told() {
    let mut broker = Broker::new().await;
    let (_, bob, first) = come(&mut broker, None, None).await;
    let Ok(Reply::Sent(Sent { message, .. })) = broker.ask(bob, direct("ann", "own")).await else { panic!() };
    broker.disconnect(bob, true).await;
    // Its own message came without an event, so its offset is from before the message.
    edit(&mut broker, "bob", message.id, "own, mended").await;
    let (caught_up, ..) = come(&mut broker, first.initial_offset.offset(), Some(first.pid)).await;
    assert_eq!(words(&caught_up), ["edited: own, mended"]);
}

#[actix::test]
async fn a_change_during_a_catch_up_comes_behind_it_once() {
    let mut broker = Broker::with(Options { catch_up_page_bytes: 1_500, ..Options::default() }).await;
    let (first, second) = (say(&mut broker, "ann", direct("bob", "1")).await, say(&mut broker, "ann", direct("bob", "2")).await);
    let (known, _) = leave(&mut broker).await;
    edit(&mut broker, "ann", first, "1, mended").await;
    for content in ["3", "4", "5", "6"] {
        say(&mut broker, "ann", direct("bob", content)).await;
    }
    let bob = broker.return_with("bob", |connect| Connect { offset: known, ..connect }).await;
    let page = broker.page(bob).await.unwrap();
    delete(&mut broker, "ann", second).await;
    edit(&mut broker, "ann", first, "1, mended again").await;
    assert_eq!(words(&page), ["edited: 1, mended", "3"]);
    let (mut live, mut pages, mut is_done) = (Vec::new(), Vec::new(), false);
    while !is_done {
        broker.addr.send(CatchUpDrained { connection: bob.0 }).await.unwrap();
        for heard in broker.all(bob).await {
            match heard {
                Heard::Event(event) => live.extend(word(event.event())),
                Heard::Notice(notice) => match &*notice {
                    Notice::CatchUp(page) => pages.extend(words(page)),
                    Notice::CatchUpDone => is_done = true,
                    _ => {}
                },
            }
        }
    }
    let later = [deleted(second), "edited: 1, mended again".to_owned()];
    assert_eq!((pages, &live[..]), (["4", "5", "6"].map(str::to_owned).to_vec(), &later[..]));
    // Cut behind that page, it gets the messages that it was not shown.
    broker.disconnect(bob, true).await;
    let (rest, ..) = come(&mut broker, offset_of(page.last().unwrap()), None).await;
    assert_eq!(words(&rest), [&later[0], &later[1], "4", "5", "6"]);
}

/// Sends four messages to bob, who connected without an offset and was cut behind the second; returns the broker, the
/// messages, and his offset.
async fn cut_behind_the_second_of_four() -> (Broker, Vec<MessageId>, Option<Offset>) {
    let mut broker = Broker::with(Options { catch_up_page_bytes: 1_500, ..Options::default() }).await;
    let mut messages = Vec::new();
    for content in ["1", "2", "3", "4"] {
        messages.push(say(&mut broker, "ann", direct("bob", content)).await);
    }
    // Without an offset, and cut behind the second.
    broker.answer_pings(false);
    let bob = broker.return_with("bob", |connect| connect).await;
    let page = broker.page(bob).await.unwrap();
    assert_eq!(words(&page), ["1", "2"]);
    broker.disconnect(bob, true).await;
    let cut = offset_of(page.last().unwrap());
    assert!(matches!(cut.unwrap().kind, OffsetKind::Unreceived { .. }));
    (broker, messages, cut)
}

#[actix::test]
async fn of_what_was_not_received_before_the_cut_deletions_are_told_and_no_edits() {
    let (mut broker, messages, cut) = cut_behind_the_second_of_four().await;
    edit(&mut broker, "ann", messages[1], "2, mended").await;
    edit(&mut broker, "ann", messages[2], "3, mended").await;
    delete(&mut broker, "ann", messages[3]).await;
    let (rest, ..) = come(&mut broker, cut, None).await;
    // It may have read the deleted one in the history; the other comes in its present form.
    assert_eq!(words(&rest), ["edited: 2, mended", &deleted(messages[3]), "3, mended"]);
}

#[actix::test]
async fn what_another_device_receives_between_two_pages_is_told_of_in_one_of_them() {
    let (mut broker, messages, cut) = cut_behind_the_second_of_four().await;
    // The third was not shown, so its change is not sent; the others changed later.
    for (number, content) in [(2, "3, mended"), (0, "1, mended"), (1, "2, mended")] {
        edit(&mut broker, "ann", messages[number], content).await;
    }
    let bob = broker.return_with("bob", |connect| Connect { offset: cut, ..connect }).await;
    let changes = broker.page(bob).await.unwrap();
    assert_eq!(words(&changes), ["edited: 1, mended", "edited: 2, mended"]);
    // The other device receives everything; the broker stores that a little later.
    let find = move |conn: &mut store::AnyConnection| store::find_message(conn, messages[0]);
    let place = broker.store.read_after_writes(find).await.unwrap().unwrap().place;
    let received = DeliveredUpTo { conversation: place.conversation().unwrap(), user: user("bob"), seq: 4 };
    broker.store.write(Write::Delivered(vec![received])).await.unwrap();
    let mut rest = Vec::new();
    broker.addr.send(CatchUpDrained { connection: bob.0 }).await.unwrap();
    while let Some(page) = broker.page(bob).await {
        rest.extend(words(&page));
        broker.addr.send(CatchUpDrained { connection: bob.0 }).await.unwrap();
    }
    assert_eq!(rest, ["3, mended", "4"]);
}

#[actix::test]
async fn who_joined_since_or_left_hears_of_no_changes_before() {
    let mut broker = Broker::new().await;
    let (joined, left) = (broker.group(&["ann", "cid"]).await, broker.group(&["ann", "bob"]).await);
    let (known, _) = leave(&mut broker).await;
    let mut old = Vec::new();
    for (conversation, content) in [(joined, "1"), (joined, "2"), (left, "3")] {
        old.push(say(&mut broker, "ann", Command::Send { to: SendTo::Conversation(conversation), draft: text(content) }).await);
    }
    delete(&mut broker, "ann", old[0]).await;
    broker.ask_as("ann", Command::AddParticipants { conversation: joined, participants: vec![user("bob")] }).await.unwrap();
    delete(&mut broker, "ann", old[2]).await;
    broker.ask_as("bob", Command::LeaveConversation { conversation: left }).await.unwrap();
    let (caught_up, ..) = come(&mut broker, known, None).await;
    assert_eq!(words(&caught_up), [""; 0]);
}
