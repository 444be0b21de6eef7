//! Copies of direct messages, kept by asking for changes: nothing is missed, and the asking ends.
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use parlance::chat::{Command, Draft, Options, Reply, SendTo, Sent};
use parlance::model::{Message, MessageId, MessageStatus, Place, Timestamp};
use parlance::store::{self, DirectChanges, HistoryRange, Store};

use super::broker::{Broker, direct, text, user};
use crate::support::database::TestStore;

/// Same as over HTTP.
const ANSWER_MAX: i64 = 100;
/// Enough for several answers, with all edits and receipts within one millisecond: the clock stands still.
const MESSAGES: usize = 400;

/// The copy of a front end.
struct Copy {
    store: Store,
    user: &'static str,
    other: &'static str,
    up_to: Option<Timestamp>,
    messages: HashMap<MessageId, Message>,
    seen: HashSet<(MessageId, Timestamp)>,
    answers: usize,
}

impl Copy {
    fn new(store: &Store, user: &'static str, other: &'static str) -> Self {
        let (messages, seen) = (HashMap::new(), HashSet::new());
        Self { store: store.clone(), user, other, up_to: None, messages, seen, answers: 0 }
    }

    /// Asks once, without waiting for pending writes; returns the number of changes.
    async fn ask(&mut self) -> usize {
        let (one, other, since) = (user(self.user), user(self.other), self.up_to);
        let read = self.store.read(move |conn| store::list_direct_changes(conn, &one, &other, since, ANSWER_MAX));
        let DirectChanges { messages, deleted, up_to } = read.await.unwrap();
        let count = messages.len() + deleted.len();
        assert!(count <= ANSWER_MAX as usize, "{count} changes in one answer");
        let times: Vec<_> = messages.iter().map(|message| message.updated_at).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        assert!(deleted.windows(2).all(|pair| pair[0].1 < pair[1].1), "{deleted:?}");
        assert!(self.up_to.is_some() || deleted.is_empty(), "who has nothing hears of no deletions");
        for (id, deleted_at) in deleted {
            assert!(self.seen.insert((id, deleted_at)), "repeated: the deletion of {id}");
            self.messages.remove(&id);
        }
        for message in messages {
            assert!(self.seen.insert((message.id, message.updated_at)), "repeated: {message:?}");
            self.messages.insert(message.id, message);
        }
        assert!(self.up_to <= Some(up_to));
        self.up_to = Some(up_to);
        self.answers += 1;
        count
    }

    /// Asks until there are no more changes.
    async fn finish(&mut self) {
        let answers = self.answers;
        while self.ask().await > 0 {
            assert!(self.answers - answers <= 3 * MESSAGES / ANSWER_MAX as usize + 1, "it does not end");
        }
    }

    /// Asserts that the copy equals the stored messages.
    async fn compare(&self, place: &Place) {
        let place = place.clone();
        let read = self.store.read_after_writes(move |conn| store::list_history(conn, &place, HistoryRange::Newest, 10_000));
        let stored = read.await.unwrap();
        for message in &stored {
            let kept = self.messages.get(&message.id).map(without_delivery);
            assert_eq!(kept, Some(without_delivery(message)), "{}'s copy", self.user);
        }
        assert_eq!(self.messages.len(), stored.len(), "{}'s copy keeps what was deleted", self.user);
    }
}

/// Ignores delivery, which is not a change of the message.
fn without_delivery(message: &Message) -> Message {
    let is_read = message.status == MessageStatus::Read;
    Message { status: if is_read { MessageStatus::Read } else { MessageStatus::Sent }, ..message.clone() }
}

/// Asks repeatedly until told to stop.
async fn keep(mut copy: Copy, is_over: Rc<Cell<bool>>) -> Copy {
    while !is_over.get() {
        copy.ask().await;
    }
    copy
}

fn named(recipient: &str, name: &str) -> Command {
    let draft = Draft { client_message_id: Some(name.to_owned()), ..text(name) };
    Command::Send { to: SendTo::User(user(recipient)), draft }
}

async fn a_copy_is_whole_whatever_is_being_stored(database: TestStore) {
    let mut broker = Broker::on(database, Options::default()).await;
    let first = match broker.ask_as("ann", direct("bob", "first")).await {
        Ok(Reply::Sent(Sent { message, .. })) => message,
        other => panic!("{other:?}"),
    };
    // Recent sends of both are read once.
    for (one, other) in [("ann", "bob"), ("bob", "ann")] {
        broker.ask_as(one, named(other, "hello")).await.unwrap();
    }
    let is_over = Rc::new(Cell::new(false));
    let copies = [("ann", "bob"), ("bob", "ann")]
        .map(|(one, other)| actix::spawn(keep(Copy::new(&broker.store, one, other), is_over.clone())));

    // The tasks do not wait for each other, but yield to the readers.
    let mut answers = Vec::new();
    for number in 0..MESSAGES {
        let (sender, reader) = if number % 3 == 0 { ("bob", "ann") } else { ("ann", "bob") };
        let name = number.to_string();
        let message = MessageId::of_client_id(&user(sender), &name);
        answers.push(broker.begin_as(sender, named(reader, &name)).await);
        if number % 7 == 0 {
            answers.push(broker.begin_as(sender, Command::DeleteMessage { message }).await);
            continue;
        }
        if number % 2 == 0 {
            answers.push(broker.begin_as(reader, Command::MarkRead { message }).await);
        }
        if number % 5 == 0 {
            let content = format!("{name}, mended");
            answers.push(broker.begin_as(sender, Command::EditMessage { message, content }).await);
        }
    }
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    // A receipt comes last; it does not change the conversation itself.
    broker.ask_as("bob", Command::MarkRead { message: first.id }).await.unwrap();
    is_over.set(true);
    let mut newest = first.updated_at;
    let mut kept = Vec::new();
    for copy in copies {
        let mut copy = copy.await.unwrap();
        copy.finish().await;
        copy.compare(&first.place).await;
        newest = newest.max(copy.up_to.unwrap());
        assert!(copy.answers > 3, "{} answers", copy.answers);
        kept.push(copy);
    }
    assert!(newest.as_millis() - first.updated_at.as_millis() > 600, "changes of one millisecond have times of their own");

    // Nothing is missed after a restart within that millisecond either.
    let broker = &mut Broker::on(std::mem::replace(&mut broker.database, TestStore::sqlite().await), Options::default()).await;
    let edit = Command::EditMessage { message: first.id, content: "first, mended".to_owned() };
    let edited: Arc<Message> = match broker.ask_as("ann", edit).await {
        Ok(Reply::Message(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(edited.updated_at > newest);
    for mut copy in kept {
        assert_eq!(copy.ask().await, 1);
        copy.compare(&first.place).await;
    }
}

mod sqlite {
    #[actix::test]
    async fn a_copy_is_whole_whatever_is_being_stored() {
        super::a_copy_is_whole_whatever_is_being_stored(super::TestStore::sqlite().await).await;
    }
}

mod postgres {
    #[actix::test]
    async fn a_copy_is_whole_whatever_is_being_stored() {
        super::a_copy_is_whole_whatever_is_being_stored(super::TestStore::postgres().await).await;
    }
}
