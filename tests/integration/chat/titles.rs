//! Titles of listings, in every event about a message of one.
use std::sync::Arc;

use parlance::chat::{Command, Draft, Event, Notice, Options, Reply, SendTo, Sent, TitleListing};
use parlance::model::{Listing, ListingId, Message};

use super::broker::{Broker, message_of, text, user};

fn about(listing: &str, content: &str) -> Command {
    let draft = Draft { listing_id: Some(ListingId::parse(listing).unwrap()), ..text(content) };
    Command::Send { to: SendTo::User(user("bob")), draft }
}

fn listing(id: &str, title: Option<&str>) -> Option<Listing> {
    Some(Listing { id: ListingId::parse(id).unwrap(), title: title.map(str::to_owned) })
}

fn sent(reply: Result<Reply, parlance::chat::ChatError>) -> Arc<Message> {
    match reply {
        Ok(Reply::Sent(Sent { message, .. })) => message,
        other => panic!("{other:?}"),
    }
}

async fn title(broker: &Broker, id: &str, title: &str) {
    let listing = ListingId::parse(id).unwrap();
    broker.addr.send(TitleListing { listing, title: title.to_owned() }).await.unwrap().unwrap();
}

fn updated(event: &Event) -> Option<Arc<Message>> {
    if let Event::MessageUpdated { message, recipient: Some(_), .. } = event { Some(message.clone()) } else { None }
}

#[actix::test]
async fn a_message_bears_the_title_that_is_known_when_it_is_dispatched() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let unknown = sent(broker.ask(ann, about("flat", "1")).await);
    assert_eq!(unknown.listing, listing("flat", None));
    assert_eq!(broker.message(bob).await.listing, listing("flat", None));
    for name in ["Loft", "Sunny loft"] {
        title(&broker, "flat", name).await;
        assert_eq!(sent(broker.ask(ann, about("flat", name)).await).listing, listing("flat", Some(name)));
        assert_eq!(broker.message(bob).await.listing, listing("flat", Some(name)));
    }
    let edit = Command::EditMessage { message: unknown.id, content: "1b".to_owned() };
    broker.ask_as("ann", edit).await.unwrap();
    assert_eq!(broker.event(bob, updated).await.listing, listing("flat", Some("Sunny loft")));
}

#[actix::test]
async fn a_title_is_read_where_it_is_not_at_hand() {
    let mut broker = Broker::new().await;
    title(&broker, "flat", "Loft").await;
    let ann = broker.connect("ann").await;
    let first = sent(broker.ask(ann, about("flat", "1")).await);

    // A new broker has neither the title nor the recipient of the edited message in memory.
    let mut broker = Broker::on(broker.database, Options::default()).await;
    let (ann, tablet) = (broker.connect("ann").await, broker.connect("ann").await);
    let edit = Command::EditMessage { message: first.id, content: "1b".to_owned() };
    broker.ask(ann, edit).await.unwrap();
    assert_eq!(broker.event(tablet, updated).await.listing, listing("flat", Some("Loft")));
    assert_eq!(sent(broker.ask(ann, about("flat", "2")).await).listing, listing("flat", Some("Loft")));
    let bob = broker.connect("bob").await;
    let page = broker.notice(bob, |notice| if let Notice::CatchUp(page) = notice { Some(page.clone()) } else { None }).await;
    let missed: Vec<_> = page.iter().filter_map(|event| message_of(event.event())).collect();
    assert_eq!(missed.iter().map(|message| message.content.as_str()).collect::<Vec<_>>(), ["1b", "2"]);
    assert!(missed.iter().all(|message| message.listing == listing("flat", Some("Loft"))));
}

#[actix::test]
async fn no_send_fails_for_want_of_a_title() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let asked: Vec<_> = [
        broker.begin(ann, about("one", "1")).await,
        broker.begin(ann, about("two", "2")).await,
        broker.begin(ann, about("one", "3")).await,
    ]
    .into();
    let mut seqs = Vec::new();
    for ticket in asked {
        seqs.push(sent(broker.reply(ann, ticket).await).seq);
    }
    assert_eq!(seqs, [1, 2, 3], "reading keeps a socket's order");
}
