//! Actions of administrators take effect at once, on open and on detached sessions.
use parlance::chat::{
    Administer, ChatError, Command, ConversationReply, MessagesPruned, Notice, RefusedConnect, Reply, SendTo, Sent, SocketsOf,
    Stats,
};
use parlance::model::SocketId;

use super::broker::{Broker, Heard, Socket, direct, text, user};

async fn kicked(broker: &mut Broker, socket: Socket) -> &'static str {
    broker.notice(socket, |notice| if let Notice::Kick { code } = notice { Some(*code) } else { None }).await
}

async fn administer(broker: &Broker, act: Administer) -> bool {
    broker.addr.send(act).await.unwrap().unwrap()
}

#[actix::test]
async fn a_disabled_account_has_no_sockets_and_gets_none() {
    let mut broker = Broker::new().await;
    let (ann, bob, detached) = (broker.connect("ann").await, broker.connect("bob").await, broker.connect("ann").await);
    broker.disconnect(detached, false).await;
    broker.set_disabled("ann", true).await;
    assert_eq!(kicked(&mut broker, ann).await, "ACCOUNT_DISABLED");
    broker.disconnect(ann, true).await;
    assert_eq!(broker.addr.send(Stats).await.unwrap().detached, 0);
    let again = broker.knock("ann").await;
    let refused = broker.notice(again, |notice| if let Notice::Refused(refused) = notice { Some(*refused) } else { None }).await;
    assert_eq!(refused, RefusedConnect::AccountDisabled);
    // Messages from others wait until the account is enabled again.
    broker.ask(bob, direct("ann", "hello")).await.unwrap();
    broker.set_disabled("ann", false).await;
    let ann = broker.knock("ann").await;
    assert!(broker.page(ann).await.is_some());
    broker.set_disabled("nobody", true).await;
}

#[actix::test]
async fn to_a_deleted_user_nothing_is_sent_by_id_nor_by_conversation_nor_by_name() {
    // With the account in memory, and read anew.
    for is_new in [false, true] {
        let mut broker = Broker::new().await;
        let ann = broker.connect("ann").await;
        let named = |recipient| Command::Send { to: SendTo::Named { name: "work".to_owned(), recipient }, draft: text("named") };
        let Ok(Reply::Sent(Sent { message, .. })) = broker.ask(ann, named(Some(user("bob")))).await else { panic!("not sent") };
        let conversation = message.place.conversation().unwrap();
        assert!(administer(&broker, Administer::Delete { user: user("bob"), keeps_name: false }).await);
        let (mut broker, ann) = match is_new {
            false => (broker, ann),
            true => {
                let mut broker = broker.restarted().await;
                let ann = broker.connect("ann").await;
                (broker, ann)
            }
        };
        let to_conversation = || Command::Send { to: SendTo::Conversation(conversation), draft: text("by conversation") };
        for send in [direct("bob", "by id"), to_conversation(), named(None), named(Some(user("bob")))] {
            assert_eq!(broker.ask(ann, send.clone()).await.unwrap_err(), ChatError::UserNotFound, "{send:?}");
            assert_eq!(broker.ask_as("ann", send.clone()).await.unwrap_err(), ChatError::UserNotFound, "{send:?}");
        }
        // A user's own messages stay their own.
        broker.ask(ann, Command::DeleteMessage { message: message.id }).await.unwrap();
    }
}

#[actix::test]
async fn one_socket_is_kicked_and_no_other() {
    let mut broker = Broker::new().await;
    let (one, other, detached) = (broker.connect("ann").await, broker.connect("ann").await, broker.connect("ann").await);
    let sockets = broker.addr.send(SocketsOf { user: user("ann") }).await.unwrap();
    assert!(administer(&broker, Administer::Kick { socket: sockets[0] }).await);
    assert_eq!(kicked(&mut broker, one).await, "KICKED");
    broker.disconnect(detached, false).await;
    assert!(administer(&broker, Administer::Kick { socket: sockets[2] }).await, "gone a short while ago");
    assert_eq!(broker.addr.send(Stats).await.unwrap().detached, 0);
    assert!(!administer(&broker, Administer::Kick { socket: SocketId::parse(&"x".repeat(20)).unwrap() }).await);
    let is_kick = |heard: &Heard| matches!(heard, Heard::Notice(notice) if matches!(**notice, Notice::Kick { .. }));
    assert!(!broker.all(other).await.iter().any(is_kick));
}

#[actix::test]
async fn a_message_that_has_grown_old_is_nobodys_last_one() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let message = broker.ask(ann, direct("bob", "hello")).await.unwrap();
    let Reply::Sent(Sent { message, .. }) = message else { panic!("{message:?}") };
    let last = async |broker: &mut Broker| {
        let reply = broker.ask_as("ann", Command::CreateDirect { participant: user("bob") }).await.unwrap();
        let Reply::Conversation(ConversationReply { conversation, created: false }) = reply else { panic!("{reply:?}") };
        conversation.last_message.as_ref().map(|last| last.content.clone())
    };
    broker.addr.send(MessagesPruned { before: message.created_at }).await.unwrap();
    assert_eq!(last(&mut broker).await.as_deref(), Some("hello"), "it is not older than that");
    broker.addr.send(MessagesPruned { before: message.created_at.plus_millis(1) }).await.unwrap();
    assert_eq!(last(&mut broker).await, None);
}
