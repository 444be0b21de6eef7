//! Users' own lists: their conversations, and the sockets that they may see.
use parlance::chat::{Command, Options, Reply, SendTo};
use parlance::config::PresenceScope;
use parlance::model::{ChosenStatus, ConversationKind};
use parlance::store::Overview;

use super::broker::{Broker, Socket, direct, text, user};

/// Returns the users of the listed sockets, sorted, and the total number.
async fn connections(broker: &mut Broker, socket: Socket, limit: usize) -> (Vec<String>, usize) {
    match broker.ask(socket, Command::ListConnections { limit }).await {
        Ok(Reply::Connections { connections, total }) => {
            let mut ids: Vec<_> = connections.iter().map(|(_, socket)| socket.to_string()).collect();
            ids.dedup();
            assert_eq!(ids.len(), connections.len(), "a row per socket");
            let mut users: Vec<_> = connections.iter().map(|(user, _)| user.id.to_string()).collect();
            users.sort();
            (users, total)
        }
        other => panic!("{other:?}"),
    }
}

async fn conversations(broker: &mut Broker, socket: Socket) -> Vec<Overview> {
    match broker.ask(socket, Command::ListConversations).await {
        Ok(Reply::Conversations(overviews)) => overviews,
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn every_socket_that_one_may_see_is_listed() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let bob = broker.connect("bob").await;
    broker.connect("bob").await;
    assert_eq!(connections(&mut broker, ann, 10).await, (vec!["ann".into(), "bob".into(), "bob".into()], 3));
    assert_eq!(connections(&mut broker, ann, 1).await, (vec!["ann".into()], 3), "the own ones first");
    broker.ask(bob, Command::SetStatus { status: ChosenStatus::Offline }).await.unwrap();
    assert_eq!(connections(&mut broker, ann, 10).await, (vec!["ann".into()], 1));
    assert_eq!(connections(&mut broker, bob, 10).await.1, 3, "not to himself");
}

#[actix::test]
async fn in_the_scope_of_contacts_strangers_are_not_listed() {
    let options = Options { presence_scope: PresenceScope::Contacts, ..Options::default() };
    let mut broker = Broker::with(options).await;
    broker.group(&["ann", "cid"]).await;
    let ann = broker.connect("ann").await;
    for name in ["bob", "cid", "dan"] {
        broker.connect(name).await;
    }
    assert_eq!(connections(&mut broker, ann, 10).await, (vec!["ann".into(), "cid".into()], 2));
    broker.ask(ann, direct("dan", "hi")).await.unwrap();
    assert_eq!(connections(&mut broker, ann, 10).await.0, ["ann", "cid", "dan"]);
}

#[actix::test]
async fn ones_conversations_are_listed_as_they_are_by_then() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["bob", "ann"]).await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let named =
        Command::Send { to: SendTo::Named { name: "conv_1".to_owned(), recipient: Some(user("bob")) }, draft: text("first") };
    broker.ask(ann, named).await.unwrap();
    broker.begin(bob, direct("ann", "second")).await;
    // Waits for the write in progress.
    let listed = conversations(&mut broker, bob).await;
    assert_eq!((listed[0].conversation.last_message.as_ref().unwrap().content.as_str(), listed[0].unread), ("second", 1));
    assert_eq!(listed[0].name, None, "it is ann's name");
    let listed = conversations(&mut broker, ann).await;
    let [direct, team] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((direct.conversation.kind, direct.name.as_deref(), direct.unread), (ConversationKind::Direct, Some("conv_1"), 1));
    let members: Vec<_> = direct.members.iter().map(|member| member.username.as_str()).collect();
    assert_eq!(members, ["ann", "bob"]);
    assert_eq!((team.conversation.id, team.conversation.name.as_deref(), team.unread), (group, Some("Team"), 0));
}
