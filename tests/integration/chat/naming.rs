//! Users' own names for conversations.
use std::sync::Arc;

use parlance::chat::{Broadcast, ChatError, Command, Draft, Event, Notice, Options, Reply, SendTo, Sent};
use parlance::model::{ConversationId, Message, Place};

use super::broker::{Broker, Heard, Socket, direct, text, user};

fn named(name: &str, recipient: Option<&str>, content: &str) -> Command {
    Command::Send { to: SendTo::Named { name: name.to_owned(), recipient: recipient.map(user) }, draft: text(content) }
}

/// Returns the message sent, its conversation, and its sender's name for that.
fn sent(reply: Result<Reply, ChatError>) -> (Arc<Message>, ConversationId, Option<String>) {
    let Ok(Reply::Sent(Sent { message, name, .. })) = reply else { panic!("not sent: {reply:?}") };
    let Place::Conversation(id) = message.place else { panic!("{message:?}") };
    (message, id, name.as_deref().map(str::to_owned))
}

fn refusal(reply: Result<Reply, ChatError>) -> (&'static str, String) {
    let error = reply.unwrap_err();
    (error.code(), error.to_string())
}

/// Returns `viewer`'s name for the conversation of the next event about a message.
async fn shown_as(broker: &mut Broker, socket: Socket, viewer: &str) -> Option<String> {
    let event = broker.next(socket, about_a_message).await;
    event.name_for(&user(viewer)).map(str::to_owned)
}

fn about_a_message(heard: &Heard) -> Option<Arc<Broadcast>> {
    let event = match heard {
        Heard::Event(event) => event,
        Heard::Notice(notice) => match &**notice {
            Notice::Hold(event) => event,
            Notice::CatchUp(page) => page.first()?,
            _ => return None,
        },
    };
    let is_about_one =
        matches!(event.event(), Event::Message { .. } | Event::MessageUpdated { .. } | Event::MessageDeleted { .. });
    is_about_one.then(|| event.clone())
}

#[actix::test]
async fn a_text_that_means_nothing_yet_becomes_a_name_of_its_sender() {
    let mut broker = Broker::new().await;
    let (ann, phone, bob) = (broker.connect("ann").await, broker.connect("ann").await, broker.connect("bob").await);
    let ticket = broker.begin_with(ann, named("conv_1", Some("bob"), "hi"), true).await;
    assert_eq!(shown_as(&mut broker, ann, "ann").await.as_deref(), Some("conv_1"), "the held copy");
    assert_eq!(shown_as(&mut broker, phone, "ann").await.as_deref(), Some("conv_1"));
    assert_eq!(shown_as(&mut broker, bob, "bob").await, None);
    let (_, id, name) = sent(broker.reply(ann, ticket).await);
    assert_eq!(name.as_deref(), Some("conv_1"));

    let again = sent(broker.ask(ann, named("conv_1", None, "by name")).await);
    let by_id = sent(broker.ask(ann, named(&id.to_string(), Some("bob"), "by id")).await);
    let direct = sent(broker.ask(ann, direct("bob", "by recipient")).await);
    for (_, conversation, name) in [again, by_id, direct] {
        assert_eq!((conversation, name.as_deref()), (id, Some("conv_1")));
    }
    let (_, bobs, name) = sent(broker.ask(bob, named("conv_1", Some("ann"), "the same text, another's")).await);
    assert_eq!((bobs, name.as_deref()), (id, Some("conv_1")));
    assert_eq!(refusal(broker.ask_as("cid", named("conv_1", None, "whose?")).await).0, "NOT_FOUND");
}

#[actix::test]
async fn what_the_sender_knows_wins_over_the_recipient() {
    let mut broker = Broker::new().await;
    let (group, others) = (broker.group(&["ann", "bob"]).await, broker.group(&["bob", "cid"]).await);
    let ann = broker.connect("ann").await;
    let (_, direct, _) = sent(broker.ask(ann, named("conv_1", Some("bob"), "hi")).await);
    for (text, recipient, place) in [
        (group.to_string(), None, group),
        (group.to_string(), Some("bob"), group),
        (group.to_string(), Some("ann"), group),
        ("conv_1".to_owned(), Some("bob"), direct),
    ] {
        assert_eq!(sent(broker.ask(ann, named(&text, recipient, "there")).await).1, place, "{text} {recipient:?}");
    }
    let unstored = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (text, recipient, code, sentence) in [
        ("conv_1".to_owned(), Some("cid"), "INVALID_PAYLOAD", "Invalid recipient"),
        ("conv_1".to_owned(), Some("nobody"), "INVALID_PAYLOAD", "Invalid recipient"),
        (group.to_string(), Some("cid"), "INVALID_PAYLOAD", "Invalid recipient"),
        (others.to_string(), Some("bob"), "FORBIDDEN", "Not a member"),
        (others.to_string(), None, "FORBIDDEN", "Not a member"),
        ("conv_2".to_owned(), None, "NOT_FOUND", "Conversation not found"),
        (unstored.to_owned(), None, "NOT_FOUND", "Conversation not found"),
        ("conv_2".to_owned(), Some("nobody"), "NOT_FOUND", "User not found"),
    ] {
        let refused = refusal(broker.ask(ann, named(&text, recipient, "no")).await);
        assert_eq!(refused, (code, sentence.to_owned()), "{text} {recipient:?}");
    }
    assert_eq!(refusal(broker.ask(ann, named("conv_2", None, "still nothing")).await).0, "NOT_FOUND");
    let (_, place, name) = sent(broker.ask(ann, named(unstored, Some("bob"), "any other text")).await);
    assert_eq!((place, name.as_deref()), (direct, Some(unstored)));
    let (_, own, _) = sent(broker.ask(ann, named("notes", Some("ann"), "to myself")).await);
    assert_eq!(sent(broker.ask(ann, named("notes", None, "again")).await).1, own);
}

#[actix::test]
async fn all_names_work_and_the_latest_is_shown_also_after_a_restart() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let (first, id, _) = sent(broker.ask(ann, named("one", Some("bob"), "1")).await);
    let (_, _, name) = sent(broker.ask(ann, named("two", Some("bob"), "2")).await);
    assert_eq!(name.as_deref(), Some("two"));
    let (_, place, name) = sent(broker.ask(ann, named("one", None, "3")).await);
    assert_eq!((place, name.as_deref()), (id, Some("two")), "an older name gives no new one");
    broker.all(ann).await;
    broker.all(bob).await;
    for command in
        [Command::EditMessage { message: first.id, content: "mended".to_owned() }, Command::DeleteMessage { message: first.id }]
    {
        broker.ask_as("ann", command).await.unwrap();
        assert_eq!(shown_as(&mut broker, ann, "ann").await.as_deref(), Some("two"));
        assert_eq!(shown_as(&mut broker, bob, "bob").await, None);
    }

    let mut broker = Broker::on(broker.database, Options::default()).await;
    sent(broker.ask_as("bob", direct("ann", "missed")).await);
    let ann = broker.connect("ann").await;
    assert_eq!(shown_as(&mut broker, ann, "ann").await.as_deref(), Some("two"), "in the catch-up");
    for name in ["one", "two"] {
        let (_, place, shown) = sent(broker.ask(ann, named(name, None, "after")).await);
        assert_eq!((place, shown.as_deref()), (id, Some("two")), "{name}");
    }
}

#[actix::test]
async fn one_text_that_two_sockets_give_at_once_means_one_conversation() {
    let mut broker = Broker::new().await;
    let sockets = [broker.connect("ann").await, broker.connect("ann").await, broker.connect("ann").await];
    for socket in sockets {
        sent(broker.ask(socket, direct("bob", "b")).await);
        sent(broker.ask(socket, direct("cid", "c")).await);
    }
    for round in 0..20 {
        let (text, later) = (format!("x{round}"), format!("y{round}"));
        let [one, between, two] = sockets;
        let first = broker.begin(one, named(&text, Some("bob"), "mine")).await;
        // When the other request runs, the text is no longer the latest name.
        let next = broker.begin(between, named(&later, Some("bob"), "later")).await;
        let second = broker.begin(two, named(&text, Some("cid"), "no, mine")).await;
        let (first, _, second) =
            (broker.reply(one, first).await, broker.reply(between, next).await, broker.reply(two, second).await);
        let (taken, refused) = if first.is_ok() { (first, second) } else { (second, first) };
        assert_eq!(refusal(refused).0, "INVALID_PAYLOAD");
        let (_, place, _) = sent(taken);
        assert_eq!(sent(broker.ask(one, named(&text, None, "whose")).await).1, place);
    }
}

#[actix::test]
async fn a_name_that_is_not_stored_is_taken_back() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let (_, id, _) = sent(broker.ask(ann, named("one", Some("bob"), "1")).await);
    broker.database.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON conversation_names WHEN NEW.name = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    let (_, place, name) = sent(broker.ask(ann, named("bad", Some("bob"), "2")).await);
    assert_eq!((place, name.as_deref()), (id, Some("one")), "the message is stored all the same");
    assert_eq!(refusal(broker.ask(ann, named("bad", None, "3")).await).0, "NOT_FOUND");
}

#[actix::test]
async fn a_repeat_is_answered_by_the_name() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let repeated = |name: &str| Command::Send {
        to: SendTo::Named { name: name.to_owned(), recipient: Some(user("bob")) },
        draft: Draft { client_message_id: Some("c1".to_owned()), ..text("once") },
    };
    let (first, _, _) = sent(broker.ask(ann, repeated("conv_1")).await);
    broker.all(ann).await;
    let ticket = broker.begin_with(ann, repeated("conv_1"), true).await;
    let event = broker.next(ann, about_a_message).await;
    assert_eq!(event.name_for(&user("ann")), Some("conv_1"));
    assert!(matches!(event.event(), Event::Message { message, .. } if message.id == first.id));
    let (again, _, name) = sent(broker.reply(ann, ticket).await);
    assert_eq!((again.id, name.as_deref()), (first.id, Some("conv_1")));
    let seen = broker.events(bob).await;
    assert_eq!(seen.iter().filter(|event| matches!(event, Event::Message { .. })).count(), 1);
}
