//! Delivery receipts: recipients, time, and number.
use std::time::Duration;

use parlance::chat::{
    Capabilities, CapabilitiesChanged, CatchUpDrained, ClientDialects, Command, Connect, Disconnect, Event, Notice, Options,
    Reply, SendTo, Sent, Watermark,
};
use parlance::engineio::CloseReason;
use parlance::model::{MessageId, MessageStatus, Part};
use parlance::store;

use super::broker::{ALL_CAPABILITIES, Broker, Heard, LIMIT, Socket, direct, message_of, nothing_left, private_id, text};
use crate::support::database::TestStore;

/// Returns the receipts that a socket received since the last call: `bob` for an immediate one, `bob later` otherwise.
async fn received(broker: &mut Broker, socket: Socket) -> Vec<String> {
    let events = broker.events(socket).await;
    events.iter().flat_map(receivers).collect()
}

fn receivers(event: &Event) -> Vec<String> {
    match event {
        Event::Delivered { users, at_once, .. } => {
            users.iter().map(|user| if *at_once { user.to_string() } else { format!("{user} later") }).collect()
        }
        _ => Vec::new(),
    }
}

/// Connects, and waits for the end of the catch-up.
async fn catch_up(broker: &mut Broker, name: &str, capabilities: Capabilities) -> Socket {
    let socket = broker.connect_with(name, capabilities).await;
    caught_up(broker, socket).await;
    socket
}

async fn caught_up(broker: &mut Broker, socket: Socket) {
    broker.notice(socket, |notice| matches!(notice, Notice::CatchUpDone).then_some(())).await;
}

/// Connects; returns whether a catch-up follows.
async fn knock(broker: &mut Broker, name: &str) -> (Socket, bool) {
    let socket = broker.knock(name).await;
    let catches_up = broker
        .notice(socket, |notice| if let Notice::Admitted(admission) = notice { Some(admission.catch_up) } else { None })
        .await;
    (socket, catches_up)
}

#[actix::test]
async fn every_device_of_the_sender_is_told_once_for_each_recipient_and_after_the_answer() {
    let mut broker = Broker::new().await;
    let (ann, ann_too) = (broker.connect("ann").await, broker.connect("ann").await);
    let (bob, _bob_too) = (broker.connect("bob").await, broker.connect("bob").await);
    // The next send has nothing left to read.
    broker.ask(ann, direct("bob", "first")).await.unwrap();
    broker.all(ann).await;
    broker.all(ann_too).await;
    let ticket = broker.begin(ann, direct("bob", "hello")).await;
    let words = broker.all(ann).await;
    let is_reply = |word: &Heard| matches!(word, Heard::Notice(notice) if matches!(&**notice, Notice::Reply { ticket: of, .. } if *of == ticket));
    let is_receipt = |word: &Heard| matches!(word, Heard::Event(event) if receivers(event.event()) == ["bob"]);
    assert_eq!(words.iter().filter(|word| is_receipt(word)).count(), 1);
    assert!(words.iter().position(is_reply).unwrap() < words.iter().position(is_receipt).unwrap());
    assert_eq!(received(&mut broker, ann_too).await, ["bob"]);
    assert!(received(&mut broker, bob).await.is_empty());
    broker.ask_as("ann", direct("bob", "over HTTP")).await.unwrap();
    for device in [ann, ann_too] {
        assert_eq!(received(&mut broker, device).await, ["bob"]);
    }
    broker.ask(ann, direct("ann", "note to self")).await.unwrap();
    assert!(received(&mut broker, ann_too).await.is_empty());
}

#[actix::test]
async fn only_those_who_were_there_have_received_it_at_once() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid", "dan"]).await;
    let (ann, _bob, dan) = (broker.connect("ann").await, broker.connect("bob").await, broker.connect("dan").await);
    broker.ask(dan, Command::LeaveConversation { conversation: group }).await.unwrap();
    broker.all(ann).await;
    broker.ask(ann, Command::Send { to: SendTo::Conversation(group), draft: text("all of you") }).await.unwrap();
    assert_eq!(received(&mut broker, ann).await, ["bob"], "dan has muted it, cid is away");
    catch_up(&mut broker, "cid", ALL_CAPABILITIES).await;
    assert_eq!(received(&mut broker, ann).await, ["cid later"]);
    let (_, catches_up) = knock(&mut broker, "cid").await;
    assert!(!catches_up);
}

#[actix::test]
async fn a_sender_without_a_word_for_it_learns_of_late_ones_only() {
    let mut broker = Broker::new().await;
    let ann = broker.connect_with("ann", Capabilities { received_at_once: false, ..ALL_CAPABILITIES }).await;
    let bob = broker.connect("bob").await;
    broker.ask(ann, direct("bob", "there you are")).await.unwrap();
    assert!(received(&mut broker, ann).await.is_empty());
    broker.disconnect(bob, true).await;
    broker.ask(ann, direct("bob", "are you?")).await.unwrap();
    broker.settle().await;
    catch_up(&mut broker, "bob", ALL_CAPABILITIES).await;
    assert_eq!(received(&mut broker, ann).await, ["bob later"]);
}

#[actix::test]
async fn what_a_socket_has_no_word_for_is_not_received_by_it() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let ann = broker.connect("ann").await;
    let direct_only = Capabilities { group_message: false, ..ALL_CAPABILITIES };
    let say = |content: &str| Command::Send { to: SendTo::Conversation(group), draft: text(content) };
    let deaf = broker.connect_with("bob", direct_only).await;
    broker.ask(ann, say("one")).await.unwrap();
    assert!(received(&mut broker, ann).await.is_empty());
    broker.disconnect(deaf, true).await;
    broker.ask(ann, say("two")).await.unwrap();
    broker.settle().await;
    let deaf = catch_up(&mut broker, "bob", direct_only).await;
    assert!(received(&mut broker, ann).await.is_empty(), "nor in its catch-up");
    broker.disconnect(deaf, true).await;
    catch_up(&mut broker, "bob", ALL_CAPABILITIES).await;
    assert_eq!(received(&mut broker, ann).await, ["bob later", "bob later"]);
}

#[actix::test]
async fn what_waits_behind_a_catch_up_is_received_at_its_end() {
    for received_at_once in [true, false] {
        waits_behind_a_catch_up(Capabilities { received_at_once, ..ALL_CAPABILITIES }).await;
    }
}

async fn waits_behind_a_catch_up(senders: Capabilities) {
    let mut broker = Broker::new().await;
    let ann = broker.connect_with("ann", senders).await;
    for number in 0..20 {
        broker.ask(ann, direct("bob", &number.to_string())).await.unwrap();
    }
    let (bob, catches_up) = knock(&mut broker, "bob").await;
    assert!(catches_up);
    broker.notice(bob, |notice| matches!(notice, Notice::CatchUp(_)).then_some(())).await;
    assert_eq!(received(&mut broker, ann).await.len(), 16, "a first page");
    broker.ask(ann, direct("cid", "later")).await.unwrap();
    broker.ask(ann, direct("bob", "live")).await.unwrap();
    let seq_of = |heard: &Heard| if let Heard::Event(event) = heard { event.event_seq() } else { None };
    let live = broker.next(bob, seq_of).await;
    assert!(received(&mut broker, ann).await.is_empty());
    // Before a catch-up, everybody's progress is stored.
    catch_up(&mut broker, "cid", ALL_CAPABILITIES).await;
    assert_eq!(received(&mut broker, ann).await, ["cid later"]);
    // Answered together they would be told together, the newest first.
    broker.answer_pings(false);
    broker.addr.send(CatchUpDrained { connection: bob.0 }).await.unwrap();
    caught_up(&mut broker, bob).await;
    broker.confirm(bob, Watermark::Page(2)).await;
    let mut heard = received(&mut broker, ann).await;
    broker.answer_pings(true);
    broker.confirm(bob, Watermark::Event(live)).await;
    heard.extend(received(&mut broker, ann).await);
    let mut expected = vec!["bob later"; 4];
    expected.extend(senders.received_at_once.then_some("bob"));
    assert_eq!(heard, expected);
    broker.disconnect(bob, true).await;
    let (_, catches_up) = knock(&mut broker, "bob").await;
    assert!(!catches_up, "he has it");
}

#[actix::test]
async fn what_was_received_stays_so_when_the_socket_mutes_it_or_learns_another_dialect() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let say = || Command::Send { to: SendTo::Conversation(group), draft: text("heard") };
    let ann = broker.connect("ann").await;
    for mutes in [true, false] {
        let bob = broker.connect("bob").await;
        broker.ask(ann, say()).await.unwrap();
        broker.event(bob, message_of).await;
        assert_eq!(received(&mut broker, ann).await, ["bob"]);
        if mutes {
            broker.ask(bob, Command::LeaveConversation { conversation: group }).await.unwrap();
        } else {
            let capabilities = Capabilities::default();
            broker
                .addr
                .send(CapabilitiesChanged { connection: bob.0, capabilities, client_dialects: ClientDialects::default() })
                .await
                .unwrap();
        }
        broker.disconnect(bob, true).await;
        let (bob, catches_up) = knock(&mut broker, "bob").await;
        assert!(!catches_up, "it does not come twice");
        broker.disconnect(bob, true).await;
        assert!(received(&mut broker, ann).await.is_empty());
    }
}

// ---- confirmation ----

#[actix::test]
async fn nothing_is_received_before_it_is_confirmed() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.ask(ann, direct("bob", "first")).await.unwrap();
    assert_eq!(received(&mut broker, ann).await, ["bob"]);
    broker.answer_pings(false);
    let sent = broker.ask(ann, direct("bob", "hello")).await.unwrap();
    let Reply::Sent(Sent { message, status, .. }) = sent else { panic!("{sent:?}") };
    assert_eq!(status, MessageStatus::Delivered, "the answer waits for nobody");
    let at_bob = last_event_seq(&mut broker, bob).await;
    broker.confirm(bob, Watermark::Event(at_bob - 1)).await;
    assert!(received(&mut broker, ann).await.is_empty(), "a ping that was sent before says nothing");
    broker.confirm(bob, Watermark::Event(at_bob)).await;
    assert_eq!(received(&mut broker, ann).await, ["bob"]);
    broker.confirm(bob, Watermark::Event(at_bob)).await;
    assert!(received(&mut broker, ann).await.is_empty(), "once");
    until_stored_as_received(&broker, message.id).await;
}

/// The catch-up and the replay of live events leave it out, so later confirmations say nothing about it.
#[actix::test]
async fn of_a_deleted_message_no_sender_is_told_that_it_was_received() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.ask(ann, direct("bob", "first")).await.unwrap();
    assert_eq!(received(&mut broker, ann).await, ["bob"]);
    broker.answer_pings(false);
    let mut sent = Vec::new();
    for content in ["taken back", "kept"] {
        let Ok(Reply::Sent(Sent { message, .. })) = broker.ask(ann, direct("bob", content)).await else { panic!("{content}") };
        sent.push(message.id);
    }
    broker.ask(ann, Command::DeleteMessage { message: sent[0] }).await.unwrap();
    let confirmed = last_event_seq(&mut broker, bob).await;
    broker.confirm(bob, Watermark::Event(confirmed)).await;
    let told = broker.events(ann).await;
    let told: Vec<_> = told
        .iter()
        .filter_map(|event| if let Event::Delivered { message, .. } = event { Some(*message) } else { None })
        .collect();
    assert_eq!(told, [sent[1]]);
}

#[actix::test]
async fn what_was_not_confirmed_when_a_socket_died_for_good_comes_again() {
    for confirmed in [true, false] {
        let mut broker = Broker::with(Options { recovery_ttl: Duration::ZERO, ..Options::default() }).await;
        let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
        broker.answer_pings(confirmed);
        broker.ask(ann, direct("bob", "hello")).await.unwrap();
        let sent = broker.message(bob).await;
        broker.settle().await;
        broker.disconnect(bob, false).await;
        let (bob, catches_up) = knock(&mut broker, "bob").await;
        assert_eq!(catches_up, !confirmed);
        if !confirmed {
            let page = broker.page(bob).await.unwrap();
            let again: Vec<_> = page.iter().filter_map(|event| message_of(event.event())).map(|message| message.id).collect();
            assert_eq!(again, [sent.id]);
        }
    }
}

#[actix::test]
async fn the_last_word_of_a_connection_counts() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.answer_pings(false);
    broker.ask(ann, direct("bob", "hello")).await.unwrap();
    let confirmed = Watermark::Event(last_event_seq(&mut broker, bob).await);
    let reason = CloseReason::PingTimeout;
    let (connection, left) = (bob.0, nothing_left());
    let gone = Disconnect { connection, on_purpose: true, may_return: false, reason, confirmed, left };
    broker.addr.send(gone).await.unwrap();
    assert_eq!(received(&mut broker, ann).await, ["bob"]);
    let (_, catches_up) = knock(&mut broker, "bob").await;
    assert!(!catches_up);
}

#[actix::test]
async fn what_is_confirmed_before_it_is_stored_is_received_once_it_is() {
    for group in [false, true] {
        let mut broker = Broker::on(TestStore::sqlite().await, Options::default()).await;
        let place = broker.group(&["ann", "bob"]).await;
        let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
        let say = |what: &str| match group {
            true => Command::Send { to: SendTo::Conversation(place), draft: text(what) },
            false => direct("bob", what),
        };
        broker.ask(ann, say("first")).await.unwrap();
        received(&mut broker, ann).await;
        let held = broker.database.hold_writes().await;
        let ticket = broker.begin(ann, say("hello")).await;
        broker.message(bob).await;
        broker.message(bob).await;
        assert!(broker.events_so_far(ann).await.iter().flat_map(receivers).next().is_none(), "first the answer");
        drop(held);
        broker.reply(ann, ticket).await.unwrap();
        let told = broker.event(ann, |event| Some(receivers(event)).filter(|users| !users.is_empty())).await;
        assert_eq!(told, ["bob"]);
    }
}

#[actix::test]
async fn who_has_read_a_message_has_received_it() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.answer_pings(false);
    broker.ask(ann, direct("bob", "one")).await.unwrap();
    broker.ask(ann, direct("bob", "two")).await.unwrap();
    broker.message(bob).await;
    let two = broker.message(bob).await;
    broker.ask(bob, Command::MarkRead { message: two.id }).await.unwrap();
    let told = broker.events(ann).await;
    let words: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            Event::Delivered { .. } => Some("received"),
            Event::Read { .. } => Some("read"),
            _ => None,
        })
        .collect();
    assert_eq!(words, ["received", "received", "read"]);
}

#[actix::test]
async fn of_what_is_confirmed_in_bulk_the_newest_hundred_of_each_conversation_are_told_newest_first() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let ann = broker.connect("ann").await;
    let say = |number: u32| Command::Send { to: SendTo::Conversation(group), draft: text(&number.to_string()) };
    let mut ids = Vec::new();
    for number in 0..450 {
        let Ok(Reply::Sent(Sent { message, .. })) = broker.ask(ann, say(number)).await else { panic!("not sent") };
        ids.push(message.id);
    }
    broker.ask(ann, direct("bob", "and one more")).await.unwrap();
    let told = async |broker: &mut Broker| {
        let events = broker.events(ann).await;
        let told = events.iter().filter_map(|event| match event {
            Event::Delivered { message, conversation, .. } if *conversation == group => Some(*message),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    assert!(told(&mut broker).await.is_empty());
    // Page by page, and live.
    for name in ["bob", "cid"] {
        let socket = broker.knock(name).await;
        while broker.page(socket).await.is_some() {
            broker.addr.send(CatchUpDrained { connection: socket.0 }).await.unwrap();
        }
        let mut told = told(&mut broker).await;
        assert_eq!(told.len(), 100, "{name}");
        told.sort_by_key(|id| ids.iter().position(|known| known == id));
        assert_eq!(told, ids[350..], "{name}");
    }
    broker.answer_pings(false);
    let bob = broker.connect("bob").await;
    let mut last = 0;
    for number in 0..150 {
        let Ok(Reply::Sent(Sent { message, .. })) = broker.ask(ann, say(number)).await else { panic!("not sent") };
        ids.push(message.id);
        last = last_event_seq(&mut broker, bob).await;
    }
    broker.confirm(bob, Watermark::Event(last)).await;
    let newest: Vec<_> = ids.iter().rev().take(100).copied().collect();
    assert_eq!(told(&mut broker).await, newest);
}

/// Returns the read receipts that a socket received since the last call.
async fn readers(broker: &mut Broker, socket: Socket) -> Vec<String> {
    let events = broker.events(socket).await;
    events.iter().filter_map(|event| if let Event::Read { user, .. } = event { Some(user.to_string()) } else { None }).collect()
}

#[actix::test]
async fn what_is_read_on_one_device_is_read_on_the_others() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let (ann, cid) = (broker.connect("ann").await, broker.connect("cid").await);
    let (phone, desk) = (broker.connect("bob").await, broker.connect("bob").await);
    let mut messages = Vec::new();
    for send in [direct("bob", "one"), Command::Send { to: SendTo::Conversation(group), draft: text("two") }] {
        let Ok(Reply::Sent(Sent { message, .. })) = broker.ask(ann, send).await else { panic!("not sent") };
        messages.push(message.id);
    }
    for message in &messages {
        broker.ask(phone, Command::MarkRead { message: *message }).await.unwrap();
        for (socket, expected) in [(ann, &["bob"][..]), (desk, &["bob"]), (phone, &[]), (cid, &[])] {
            assert_eq!(readers(&mut broker, socket).await, expected);
        }
        broker.ask(desk, Command::MarkRead { message: *message }).await.unwrap();
        for socket in [ann, desk, phone] {
            assert!(readers(&mut broker, socket).await.is_empty(), "a second time");
        }
    }
    let Ok(Reply::Sent(Sent { message, .. })) = broker.ask(ann, direct("bob", "three")).await else { panic!("not sent") };
    broker.ask_as("bob", Command::MarkRead { message: message.id }).await.unwrap();
    for socket in [ann, desk, phone] {
        assert_eq!(readers(&mut broker, socket).await, ["bob"], "no socket has asked");
    }
}

#[actix::test]
async fn what_was_heard_before_a_mute_is_received_when_it_is_confirmed_after_it() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let say = |what: &str| Command::Send { to: SendTo::Conversation(group), draft: text(what) };
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.answer_pings(false);
    broker.ask(ann, say("heard")).await.unwrap();
    broker.ask(bob, Command::LeaveConversation { conversation: group }).await.unwrap();
    broker.ask(ann, say("not heard")).await.unwrap();
    broker.ask(ann, direct("bob", "heard, too")).await.unwrap();
    let confirmed = last_event_seq(&mut broker, bob).await;
    broker.confirm(bob, Watermark::Event(confirmed)).await;
    let told = broker.events(ann).await;
    let count = told.iter().filter(|event| matches!(event, Event::Delivered { .. })).count();
    assert_eq!(count, 2);
}

#[actix::test]
async fn a_page_is_received_when_it_is_confirmed() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    for number in 0..20 {
        broker.ask(ann, direct("bob", &number.to_string())).await.unwrap();
    }
    broker.answer_pings(false);
    let (bob, _) = knock(&mut broker, "bob").await;
    broker.page(bob).await.unwrap();
    broker.addr.send(CatchUpDrained { connection: bob.0 }).await.unwrap();
    broker.page(bob).await.unwrap();
    assert!(received(&mut broker, ann).await.is_empty());
    broker.confirm(bob, Watermark::Page(1)).await;
    assert_eq!(received(&mut broker, ann).await, vec!["bob later"; 16]);
    // It is killed midway: unconfirmed messages come again.
    broker.disconnect(bob, false).await;
    let (bob, _) = knock(&mut broker, "bob").await;
    assert_eq!(broker.page(bob).await.unwrap().len(), 4);
}

#[actix::test]
async fn who_comes_back_by_an_offset_has_confirmed_all_before_it() {
    for recovery_ttl in [Duration::from_secs(120), Duration::ZERO] {
        let mut broker = Broker::with(Options { recovery_ttl, ..Options::default() }).await;
        let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
        broker.answer_pings(false);
        broker.ask(ann, direct("bob", "hello")).await.unwrap();
        let offset = broker
            .next(bob, |heard| match heard {
                Heard::Event(event) => message_of(event.event()).and(event.offset_of(Part { encoding: 4, packet: 0 })),
                Heard::Notice(_) => None,
            })
            .await;
        assert!(received(&mut broker, ann).await.is_empty());
        broker.disconnect(bob, false).await;
        let pid = private_id(bob.0);
        let back = |connect| Connect { back_to: Some(pid), offset: Some(offset), ..connect };
        broker.return_with("bob", back).await;
        assert_eq!(received(&mut broker, ann).await, ["bob"]);
    }
}

#[actix::test]
async fn an_offset_proves_nothing_that_its_client_cannot_show() {
    let direct_only = Capabilities { group_message: false, ..ALL_CAPABILITIES };
    for recovery_ttl in [Duration::from_secs(120), Duration::ZERO] {
        let mut broker = Broker::with(Options { recovery_ttl, ..Options::default() }).await;
        let group = broker.group(&["ann", "bob"]).await;
        let (ann, bob) = (broker.connect("ann").await, broker.connect_with("bob", direct_only).await);
        broker.answer_pings(false);
        broker.ask(ann, Command::Send { to: SendTo::Conversation(group), draft: text("not for this device") }).await.unwrap();
        broker.ask(ann, direct("bob", "hello")).await.unwrap();
        let offset = broker
            .next(bob, |heard| match heard {
                Heard::Event(event) => message_of(event.event())
                    .filter(|message| message.content == "hello")
                    .and(event.offset_of(Part { encoding: 4, packet: 0 })),
                Heard::Notice(_) => None,
            })
            .await;
        broker.disconnect(bob, false).await;
        let pid = private_id(bob.0);
        let back = |connect| Connect { back_to: Some(pid), offset: Some(offset), capabilities: direct_only, ..connect };
        broker.return_with("bob", back).await;
        assert_eq!(received(&mut broker, ann).await, ["bob"], "the direct message alone");
    }
}

#[actix::test]
async fn an_offset_proves_nothing_of_a_group_that_its_session_had_muted() {
    let mut broker = Broker::with(Options { recovery_ttl: Duration::ZERO, ..Options::default() }).await;
    let group = broker.group(&["ann", "bob"]).await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.answer_pings(false);
    broker.ask(bob, Command::LeaveConversation { conversation: group }).await.unwrap();
    broker.ask(ann, Command::Send { to: SendTo::Conversation(group), draft: text("muted") }).await.unwrap();
    broker.ask(ann, direct("bob", "hello")).await.unwrap();
    let offset = broker
        .next(bob, |heard| match heard {
            Heard::Event(event) => message_of(event.event()).and(event.offset_of(Part { encoding: 4, packet: 0 })),
            Heard::Notice(_) => None,
        })
        .await;
    broker.disconnect(bob, false).await;
    let pid = private_id(bob.0);
    broker.return_with("bob", |connect| Connect { back_to: Some(pid), offset: Some(offset), ..connect }).await;
    assert_eq!(received(&mut broker, ann).await, ["bob"], "the direct message alone");
}

/// Returns the number of the last event that a socket received.
async fn last_event_seq(broker: &mut Broker, socket: Socket) -> u64 {
    let heard = broker.all(socket).await;
    let event_seqs = heard.iter().filter_map(|heard| if let Heard::Event(event) = heard { event.event_seq() } else { None });
    event_seqs.max().unwrap()
}

/// Waits until a message is stored as received.
async fn until_stored_as_received(broker: &Broker, message: MessageId) {
    let received = async {
        loop {
            let found = broker.store.read(move |conn| store::find_message(conn, message)).await.unwrap().unwrap();
            if found.status == MessageStatus::Delivered {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, received).await.expect("stored in time");
}
