//! Events of other servers: their recipients, and that they are passed on unchanged.
use parlance::chat::{Command, ConversationReply, Emit, EmitTo, Emitted, Event};
use parlance::model::{ConversationId, RoomId};

use super::broker::{Broker, Socket, direct, user};

async fn emit(broker: &Broker, to: EmitTo) -> usize {
    let event = Emitted { name: "price:changed".into(), data: Some("7".into()) };
    broker.addr.send(Emit { to, event }).await.unwrap().unwrap()
}

/// Returns for each of these sockets whether it received the event.
async fn heard(broker: &mut Broker, sockets: &[Socket]) -> Vec<bool> {
    let mut heard = Vec::new();
    for socket in sockets {
        let events = broker.events(*socket).await;
        let emitted: Vec<_> = events.iter().filter(|event| matches!(event, Event::Emitted(_))).collect();
        assert!(emitted.len() <= 1, "{emitted:?}");
        heard.push(!emitted.is_empty());
    }
    heard
}

#[actix::test]
async fn those_who_are_meant_hear_it_and_are_counted() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let (bob_too, dan) = (broker.connect("bob").await, broker.connect("dan").await);
    let sockets = [ann, bob, bob_too, dan];
    broker.ask(ann, direct("dan", "hi")).await.unwrap();
    let room = |name: &str| RoomId::parse(name).unwrap();
    broker.ask(dan, Command::JoinRoom { room: room("flat-7") }).await.unwrap();
    broker.ask(dan, Command::JoinRoom { room: room(&group.to_string()) }).await.unwrap();
    broker.ask(ann, Command::JoinCommonChat).await.unwrap();
    broker.ask(bob_too, Command::LeaveConversation { conversation: group }).await.unwrap();
    let pair = broker.ask_as("ann", Command::CreateDirect { participant: user("dan") }).await.unwrap();
    let parlance::chat::Reply::Conversation(ConversationReply { conversation: pair, .. }) = pair else { panic!() };
    let nowhere = ConversationId::from_uuid(uuid::Uuid::nil());
    broker.all(ann).await;
    for (to, expected) in [
        (EmitTo::User(user("bob")), [false, true, true, false]),
        (EmitTo::User(user("nobody")), [false; 4]),
        (EmitTo::Room(room("flat-7")), [false, false, false, true]),
        (EmitTo::Room(room("flat-8")), [false; 4]),
        (EmitTo::CommonChat, [true, false, false, false]),
        (EmitTo::Everyone, [true; 4]),
        (EmitTo::Conversation(group), [true, true, false, false]),
        (EmitTo::Conversation(pair.id), [true, false, false, true]),
        (EmitTo::Conversation(nowhere), [false; 4]),
        (EmitTo::ConversationOrRoom(group, room(&group.to_string())), [true, true, false, false]),
        (EmitTo::ConversationOrRoom(nowhere, room("flat-7")), [false, false, false, true]),
    ] {
        let count = emit(&broker, to.clone()).await;
        assert_eq!(heard(&mut broker, &sockets).await, expected, "{to:?}");
        assert_eq!(count, expected.iter().filter(|hears| **hears).count(), "{to:?}");
    }
}

#[actix::test]
async fn a_conversation_that_is_not_at_hand_is_looked_up() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let mut broker = Broker::on(broker.database, Default::default()).await;
    let bob = broker.connect("bob").await;
    assert_eq!(emit(&broker, EmitTo::Conversation(group)).await, 1);
    assert_eq!(heard(&mut broker, &[bob]).await, [true]);
}
