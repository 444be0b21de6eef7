//! The catch-up of a socket that held too much continues where messages were left out.
use parlance::chat::{Broadcast, CatchUpDrained, Command, FellBehind, Notice, SendTo};
use parlance::model::{ChangesNotified, ConversationId};

use super::broker::{Broker, Heard, Socket, direct, message_of, text};

fn to(conversation: ConversationId, content: &str) -> Command {
    Command::Send { to: SendTo::Conversation(conversation), draft: text(content) }
}

/// Returns a message's text and its offset.
fn place(event: &Broadcast) -> Option<(String, String)> {
    let message = message_of(event.event())?;
    Some((message.content.clone(), event.offset().map(|offset| offset.to_string()).unwrap_or_default()))
}

async fn live(broker: &mut Broker, socket: Socket) -> Vec<(String, String)> {
    let heard = broker.all(socket).await;
    heard.iter().filter_map(|heard| if let Heard::Event(event) = heard { place(event) } else { None }).collect()
}

/// Continues the catch-up; returns the number of the event behind which it begins, and its messages.
async fn go_on(broker: &mut Broker, socket: Socket, after: i64) -> (u64, Vec<(String, String)>) {
    broker.addr.send(FellBehind { connection: socket.0, after, changes: ChangesNotified::all(after) }).await.unwrap();
    let begins = |notice: &Notice| if let Notice::CatchUpGoesOn { event_seq } = notice { Some(*event_seq) } else { None };
    let event_seq = broker.notice(socket, begins).await;
    let mut brought = Vec::new();
    while let Some(page) = broker.page(socket).await {
        brought.extend(page.iter().filter_map(|event| place(event)));
        broker.addr.send(CatchUpDrained { connection: socket.0 }).await.unwrap();
    }
    (event_seq, brought)
}

#[actix::test]
async fn it_brings_what_was_dispatched_after_a_position_as_it_was_dispatched() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let (ann, cid) = (broker.connect("ann").await, broker.connect("cid").await);
    let (bob, bobs_other) = (broker.connect("bob").await, broker.connect("bob").await);
    broker.all(bob).await;
    for number in 0..40 {
        broker.ask(ann, direct("bob", &format!("direct {number}"))).await.unwrap();
        broker.ask(cid, to(group, &format!("group {number}"))).await.unwrap();
    }
    broker.ask(bobs_other, direct("ann", "from the other device")).await.unwrap();
    broker.ask(ann, direct("cid", "nothing to bob")).await.unwrap();
    let all = live(&mut broker, bob).await;
    assert_eq!(all.len(), 81);
    broker.ask(bob, direct("ann", "sent here")).await.unwrap();
    let (event_seq, brought) = go_on(&mut broker, bob, 10).await;
    assert!(event_seq > 81);
    assert_eq!(brought, all[10..], "the same events, in their order, and nothing that it sent itself");
    broker.ask(ann, direct("bob", "live again")).await.unwrap();
    assert_eq!(live(&mut broker, bob).await.len(), 1);
}

#[actix::test]
async fn what_is_being_stored_when_it_begins_comes_with_it() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    broker.ask(ann, direct("bob", "first")).await.unwrap();
    let mut tickets = Vec::new();
    for number in 0..20 {
        tickets.push(broker.begin(ann, direct("bob", &number.to_string())).await);
    }
    let (_, brought) = go_on(&mut broker, bob, 1).await;
    let texts: Vec<String> = brought.into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    for ticket in tickets {
        broker.reply(ann, ticket).await.unwrap();
    }
}
