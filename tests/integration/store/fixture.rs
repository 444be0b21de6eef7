//! A store on a new database, with helpers for tests.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler};
use parlance::model::{
    Conversation, ConversationId, ConversationKind, Message, MessageId, MessageStatus, Place, Profile, Role, Timestamp, UserId,
    UserRole,
};
use parlance::store::{
    self, Committed, DatabaseUrl, Done, HistoryRange, NewMessage, NewUser, Store, StoreError, StoreOptions, Write, Written,
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::support::postgres::Postgres;

/// Time limit of every wait.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Time of the tests' first message, in milliseconds.
pub const START: i64 = 1_767_225_600_000;

pub struct Fixture {
    pub store: Store,
    pub options: StoreOptions,
    /// Position of the last message.
    position: AtomicI64,
    ids: AtomicI64,
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    pub async fn sqlite() -> Self {
        Self::sqlite_with(|_| {}).await
    }

    pub async fn sqlite_with(change: impl FnOnce(&mut StoreOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("data").join("parlance.db"));
        Self { _folder: Some(folder), ..Self::open(url, change).await }
    }

    pub async fn postgres() -> Self {
        Self::postgres_with(|_| {}).await
    }

    pub async fn postgres_with(change: impl FnOnce(&mut StoreOptions)) -> Self {
        Self::on(Postgres::shared(), change).await
    }

    pub async fn on(server: &Postgres, change: impl FnOnce(&mut StoreOptions)) -> Self {
        let url = DatabaseUrl::parse(&server.database(), &PathBuf::new()).unwrap();
        Self::open(url, change).await
    }

    async fn open(url: DatabaseUrl, change: impl FnOnce(&mut StoreOptions)) -> Self {
        let mut options =
            StoreOptions { url, pool_size: 2, retry_for: Duration::from_secs(30), queue: 10_000, webhooks: Default::default() };
        change(&mut options);
        let store = Store::open(options.clone()).await.unwrap();
        let fixture = Self { store, options, position: AtomicI64::new(0), ids: AtomicI64::new(0), _folder: None };
        for name in ["ann", "bob", "cid"] {
            fixture.done(Write::CreateUser(Box::new(new_user(name)))).await;
        }
        fixture
    }

    pub fn path(&self) -> &PathBuf {
        match &self.options.url {
            DatabaseUrl::Sqlite(path) => path,
            DatabaseUrl::Postgres(_) => panic!("it has no file"),
        }
    }

    /// Stores a change, and asserts that it succeeds.
    pub async fn done(&self, write: Write) -> Written {
        self.write(write).await.unwrap()
    }

    pub async fn write(&self, write: Write) -> Result<Written, StoreError> {
        tokio::time::timeout(LIMIT, self.store.write(write)).await.expect("an answer in time")
    }

    /// Submits a change without waiting for it.
    pub fn begin(&self, write: Write) -> oneshot::Receiver<Result<Written, StoreError>> {
        let (answer, outcome) = oneshot::channel();
        self.store.try_write(write, Done::Answer(answer)).unwrap();
        outcome
    }

    /// Runs a query after all writes.
    pub async fn ask<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut store::AnyConnection) -> store::QueryResult<T> + Send + 'static,
    ) -> T {
        tokio::time::timeout(LIMIT, self.store.read_after_writes(query)).await.expect("an answer in time").unwrap()
    }

    pub fn new_id(&self) -> Uuid {
        Uuid::from_u64_pair(0x7000, 0x8000_0000_0000_0000 | self.ids.fetch_add(1, Ordering::SeqCst) as u64)
    }

    /// Makes a message with the next position, and a time of its own.
    pub fn message(&self, sender: &str, place: &Place, content: &str) -> Message {
        let position = self.position.fetch_add(1, Ordering::SeqCst) + 1;
        let at = Timestamp::from_millis(START + position);
        Message {
            id: MessageId::from_uuid(self.new_id()),
            place: place.clone(),
            seq: 0,
            position,
            sender: profile(sender),
            role: Role::User,
            content: content.to_owned(),
            message_type: "text".to_owned(),
            file: None,
            attachments: Vec::new(),
            listing: None,
            client_message_id: None,
            chat: None,
            is_truncated: false,
            status: MessageStatus::Sent,
            read_by: Vec::new(),
            created_at: at,
            updated_at: at,
            deleted_at: None,
        }
    }

    /// Stores a message; returns it as stored.
    pub async fn say(&self, sender: &str, place: &Place, content: &str) -> Message {
        let mut message = self.message(sender, place, content);
        message.seq = seq(self.done(saying(&message)).await);
        message
    }

    pub fn position(&self) -> i64 {
        self.position.load(Ordering::SeqCst)
    }

    /// Makes a group of these users; the first one creates it.
    pub async fn group(&self, members: &[&str]) -> Place {
        self.conversation(ConversationKind::Group, members).await
    }

    pub async fn direct(&self, members: &[&str]) -> Place {
        self.conversation(ConversationKind::Direct, members).await
    }

    async fn conversation(&self, kind: ConversationKind, members: &[&str]) -> Place {
        let conversation = self.new_conversation(kind, members);
        let id = conversation.id;
        let write = Write::CreateConversation { conversation: Arc::new(conversation), joined_position: self.position() };
        self.done(write).await;
        Place::Conversation(id)
    }

    pub fn new_conversation(&self, kind: ConversationKind, members: &[&str]) -> Conversation {
        let is_group = kind == ConversationKind::Group;
        let at = Timestamp::from_millis(START + self.position());
        Conversation {
            id: ConversationId::from_uuid(self.new_id()),
            kind,
            name: is_group.then(|| "Team".to_owned()),
            avatar: None,
            admin: members.first().filter(|_| is_group).map(|name| user(name)),
            participants: members.iter().map(|name| user(name)).collect(),
            last_message: None,
            last_seq: 0,
            created_at: at,
            updated_at: at,
        }
    }

    /// Returns the contents of the newest messages.
    pub async fn contents(&self, place: &Place) -> Vec<String> {
        self.history(place, HistoryRange::Newest, 10_000).await.into_iter().map(|message| message.content).collect()
    }

    pub async fn history(&self, place: &Place, range: HistoryRange, limit: i64) -> Vec<Message> {
        let place = place.clone();
        self.ask(move |conn| store::list_history(conn, &place, range, limit)).await
    }

    pub async fn find(&self, id: MessageId) -> Option<Message> {
        self.ask(move |conn| store::find_message(conn, id)).await
    }

    pub async fn find_conversation(&self, place: &Place) -> Option<Conversation> {
        let id = conversation_of(place);
        self.ask(move |conn| store::find_conversation(conn, id)).await
    }

    pub async fn membership(&self, name: &str, place: &Place) -> Option<store::Membership> {
        let (user, id) = (user(name), conversation_of(place));
        let memberships = self.ask(move |conn| store::load_memberships(conn, &user)).await;
        memberships.into_iter().find(|membership| membership.conversation == id)
    }

    /// Receives the outcomes of tagged writes.
    pub fn listen(&self) -> mpsc::UnboundedReceiver<Committed> {
        let (tell, heard) = mpsc::unbounded_channel();
        self.store.report_to(Ear(tell).start().recipient().into());
        heard
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Store) -> bool) {
        let begun = Instant::now();
        while !holds(&self.store) {
            assert!(begun.elapsed() < LIMIT, "waited in vain: {what}");
            tokio::task::yield_now().await;
        }
    }

    /// Waits until reads are answered again.
    pub async fn until_readable(&self) {
        let begun = Instant::now();
        while self.store.ping().await.is_err() {
            assert!(begun.elapsed() < LIMIT, "reads do not come back");
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the store accepts writes again.
    pub async fn until_available(&self) {
        let begun = Instant::now();
        while self.store.write(Write::Barrier).await.is_err() || self.store.is_failing() {
            assert!(begun.elapsed() < LIMIT, "the store does not come back");
            tokio::task::yield_now().await;
        }
    }
}

struct Ear(mpsc::UnboundedSender<Committed>);

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<Committed> for Ear {
    type Result = ();

    fn handle(&mut self, committed: Committed, _: &mut Self::Context) {
        let _ = self.0.send(committed);
    }
}

/// Returns the next report, within the limit.
pub async fn heard(reports: &mut mpsc::UnboundedReceiver<Committed>) -> Vec<(u64, Result<Written, StoreError>)> {
    tokio::time::timeout(LIMIT, reports.recv()).await.expect("a report in time").expect("a report").outcomes
}

/// Returns an outcome, within the limit.
pub async fn outcome(answer: oneshot::Receiver<Result<Written, StoreError>>) -> Result<Written, StoreError> {
    tokio::time::timeout(LIMIT, answer).await.expect("an outcome in time").expect("an outcome")
}

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub fn profile(name: &str) -> Arc<Profile> {
    Arc::new(Profile {
        id: user(name),
        username: name.to_owned(),
        full_name: None,
        avatar: None,
        email: None,
        role: UserRole::User,
    })
}

pub fn new_user(name: &str) -> NewUser {
    NewUser {
        id: user(name),
        username: name.to_owned(),
        suffix_if_taken: false,
        email: None,
        full_name: None,
        password_hash: None,
        role: UserRole::User,
        described_at: None,
        created_at: Timestamp::from_millis(START),
    }
}

pub fn saying(message: &Message) -> Write {
    Write::Message(Box::new(NewMessage { message: Arc::new(message.clone()), request_hash: None, sent_by: None }))
}

pub fn seq(written: Written) -> i64 {
    match written {
        Written::Message { seq, .. } => seq,
        other => panic!("{other:?}"),
    }
}

pub fn conversation_of(place: &Place) -> ConversationId {
    match place {
        Place::Conversation(id) => *id,
        other => panic!("{other:?}"),
    }
}

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}
