//! A broker with a store of its own, a clock that tests move, and connections that record events and answer each ping
//! at once.
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use parlance::auth::{Claims, Revocations};
use parlance::chat::{
    AccountsChanged, Ask, Broadcast, Capabilities, ChatError, ChatServer, ClientDialects, Command, Confirmed, Connect,
    ConversationReply, Disconnect, Draft, Event, Health, LateRequest, LeftBehind, ModelSaid, ModelWord, Notice, Options, OwnCopy,
    Prompt, RegisterWorker, Reply, Request, SendTo, Sources, Tick, ToWorker, Watermark,
};
use parlance::engineio::{CloseReason, ConnectionKey, Delivery, Peer, Slot};
use parlance::model::{ConversationId, Message, PrivateId, SocketId, Timestamp, UserId, UserRole};
use parlance::store::{AccountChange, NewUser, Store, Write};
use tokio::sync::{mpsc, oneshot};

use crate::support::database::TestStore;

/// Time limit of every wait.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Something that a connection received.
#[derive(Debug, Clone)]
pub enum Heard {
    Event(Arc<Broadcast>),
    Notice(Arc<Notice>),
}

struct Ears {
    heard: mpsc::UnboundedSender<(Slot, Heard)>,
    broker: Addr<ChatServer>,
    /// Set while pings are answered.
    answer: Arc<AtomicBool>,
    hushed: Arc<Mutex<Option<Slot>>>,
    told: HashMap<Slot, Told>,
}

/// Everything a connection received, and its watermarks.
#[derive(Debug, Default)]
struct Told {
    is_catching_up: bool,
    sent: Watermark,
    last: u64,
}

impl Told {
    fn hear(&mut self, word: &Heard) {
        match word {
            Heard::Event(event) => self.last = event.event_seq().unwrap_or(self.last),
            Heard::Notice(notice) => match &**notice {
                Notice::Admitted(admission) => {
                    self.is_catching_up = admission.catch_up;
                    self.last = admission.event_seq;
                }
                Notice::CatchUp(_) => {
                    self.sent = Watermark::Page(if let Watermark::Page(number) = self.sent { number + 1 } else { 1 });
                }
                Notice::CatchUpDone => self.is_catching_up = false,
                _ => return,
            },
        }
        if !self.is_catching_up {
            self.sent = Watermark::Event(self.last);
        }
    }
}

impl Actor for Ears {
    type Context = Context<Self>;
}

impl Handler<ToWorker> for Ears {
    type Result = ();

    fn handle(&mut self, delivery: ToWorker, _: &mut Context<Self>) {
        let told: Vec<(Slot, Heard)> = match delivery {
            Delivery::ToMany { event, to, except } => {
                to.iter().filter(|slot| !except.contains(slot)).map(|slot| (*slot, Heard::Event(event.clone()))).collect()
            }
            Delivery::ToFew { event, to } => to.into_iter().map(|slot| (slot, Heard::Event(event.clone()))).collect(),
            Delivery::ToOne { to, notice } => vec![(to, Heard::Notice(Arc::new(notice)))],
        };
        for (slot, word) in told {
            let told = self.told.entry(slot).or_default();
            let before = told.sent;
            told.hear(&word);
            if *self.hushed.lock().unwrap() != Some(slot)
                && let Heard::Notice(notice) = &word
                && let Some(left) = end_of(notice)
            {
                // As a connection does when the server closes it.
                let (connection, reason) = (ConnectionKey { worker: 0, slot }, CloseReason::Disconnected);
                let on_purpose = left == LeftBehind::Dropped;
                let confirmed = Watermark::Nothing;
                self.broker.do_send(Disconnect { connection, on_purpose, may_return: true, reason, confirmed, left });
            }
            self.heard.send((slot, word)).unwrap();
            if told.sent != before && self.answer.load(Ordering::SeqCst) {
                self.broker.do_send(Confirmed { connection: ConnectionKey { worker: 0, slot }, watermark: told.sent });
            }
        }
    }
}

/// A model whose answers are given by the test.
struct Probe(mpsc::UnboundedSender<Prompt>);

impl Actor for Probe {
    type Context = Context<Self>;
}

impl Handler<Prompt> for Probe {
    type Result = ();

    fn handle(&mut self, prompt: Prompt, _: &mut Context<Self>) {
        self.0.send(prompt).unwrap();
    }
}

/// The broker under test.
pub struct Broker {
    pub addr: Addr<ChatServer>,
    pub store: Store,
    pub database: TestStore,
    clock: Arc<AtomicI64>,
    answer: Arc<AtomicBool>,
    hushed: Arc<Mutex<Option<Slot>>>,
    heard: mpsc::UnboundedReceiver<(Slot, Heard)>,
    waiting: VecDeque<(Slot, Heard)>,
    prompts: mpsc::UnboundedReceiver<Prompt>,
    next_slot: u32,
    next_ticket: u32,
    /// Set once reads were held up: they are not waited for from then on.
    has_held_reads: Cell<bool>,
}

/// One connection of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket(pub ConnectionKey);

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub fn text(content: &str) -> Draft {
    Draft { content: content.to_owned(), ..Draft::default() }
}

pub fn direct(recipient: &str, content: &str) -> Command {
    Command::Send { to: SendTo::User(user(recipient)), draft: text(content) }
}

pub const ALL_CAPABILITIES: Capabilities = Capabilities {
    direct_message: true,
    own_direct_message: true,
    group_message: true,
    answer: true,
    received_at_once: true,
    notification: true,
    unconfirmed: false,
};

impl Broker {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        Self::on(TestStore::sqlite().await, options).await
    }

    /// Starts a broker on a database, with the users `ann`, `bob`, `cid` and `dan`.
    pub async fn on(database: TestStore, options: Options) -> Self {
        let store = database.store.clone();
        for name in ["ann", "bob", "cid", "dan"] {
            store.write(Write::CreateUser(Box::new(new_user(name)))).await.unwrap();
        }
        let clock = Arc::new(AtomicI64::new(1_767_225_600_000));
        let (time, count) = (clock.clone(), AtomicU64::new(1));
        let sources = Sources {
            clock: Box::new(move || Timestamp::from_millis(time.load(Ordering::SeqCst))),
            ids: Box::new(move || {
                uuid::Uuid::from_u64_pair(0x7000, 0x8000_0000_0000_0000 | count.fetch_add(1, Ordering::SeqCst))
            }),
        };
        let (prompt, prompts) = mpsc::unbounded_channel();
        let model = Probe(prompt).start().recipient();
        let addr = ChatServer::new(options, sources, store.clone(), Revocations::default()).with_model(model).start();
        let (tell, heard) = mpsc::unbounded_channel();
        let answer = Arc::new(AtomicBool::new(true));
        let hushed = Arc::default();
        let ears =
            Ears { heard: tell, broker: addr.clone(), answer: answer.clone(), hushed: Arc::clone(&hushed), told: HashMap::new() };
        addr.send(RegisterWorker { worker: 0, deliveries: ears.start().recipient().into() }).await.unwrap();
        Self {
            addr,
            store,
            answer,
            hushed,
            database,
            clock,
            heard,
            waiting: VecDeque::new(),
            prompts,
            next_slot: 0,
            next_ticket: 0,
            has_held_reads: Cell::new(false),
        }
    }

    /// Returns the broker of a server that was killed and restarted.
    pub async fn restarted(self) -> Self {
        let Self { database, .. } = self;
        // Ids are not reused.
        Self { next_slot: 1_000, ..Self::on(database.reopened().await, Options::default()).await }
    }

    /// Makes all connections answer pings, or none.
    pub fn answer_pings(&self, answer: bool) {
        self.answer.store(answer, Ordering::SeqCst);
    }

    /// Keeps this connection from reporting its end when the server closes it: the test does that.
    pub fn hush(&self, socket: Socket) {
        *self.hushed.lock().unwrap() = Some(socket.0.slot);
    }

    /// Answers a ping that was sent after this watermark.
    pub async fn confirm(&mut self, socket: Socket, watermark: Watermark) {
        self.addr.send(Confirmed { connection: socket.0, watermark }).await.unwrap();
    }

    /// Moves the clock, and lets the broker act on it.
    pub async fn pass(&mut self, time: Duration) {
        self.clock.fetch_add(time.as_millis() as i64, Ordering::SeqCst);
        self.addr.send(Tick).await.unwrap();
    }

    /// Connects without waiting for admission.
    pub async fn knock(&mut self, name: &str) -> Socket {
        self.knock_with(name, ALL_CAPABILITIES).await
    }

    pub async fn knock_with(&mut self, name: &str, capabilities: Capabilities) -> Socket {
        self.next_slot += 1;
        let connection = ConnectionKey { worker: 0, slot: Slot { index: self.next_slot, generation: 0 } };
        self.addr.send(Connect { capabilities, ..first_connect(connection, name) }).await.unwrap();
        Socket(connection)
    }

    /// Connects as a client that was connected before.
    pub async fn return_with(&mut self, name: &str, change: impl FnOnce(Connect) -> Connect) -> Socket {
        self.next_slot += 1;
        let connection = ConnectionKey { worker: 0, slot: Slot { index: self.next_slot, generation: 0 } };
        self.addr.send(change(first_connect(connection, name))).await.unwrap();
        Socket(connection)
    }

    /// Connects and waits for admission.
    pub async fn connect(&mut self, name: &str) -> Socket {
        self.connect_with(name, ALL_CAPABILITIES).await
    }

    /// Connects with these capabilities, and waits for admission.
    pub async fn connect_with(&mut self, name: &str, capabilities: Capabilities) -> Socket {
        let socket = self.knock_with(name, capabilities).await;
        self.notice(socket, |notice| matches!(notice, Notice::Admitted(_)).then_some(())).await;
        socket
    }

    pub async fn disconnect(&mut self, socket: Socket, on_purpose: bool) {
        self.disconnect_for(socket, on_purpose, CloseReason::TransportClose, nothing_left()).await;
    }

    pub async fn disconnect_for(&mut self, socket: Socket, on_purpose: bool, reason: CloseReason, left: LeftBehind) {
        let (connection, confirmed) = (socket.0, Watermark::Nothing);
        let gone = Disconnect { connection, on_purpose, may_return: true, reason, confirmed, left };
        self.addr.send(gone).await.unwrap();
    }

    /// Ends a socket while these sends are delayed by its rate limit, one each 100 ms.
    pub async fn leave_behind(&mut self, socket: Socket, on_purpose: bool, commands: Vec<Command>) {
        let after = (1..).map(|number| Duration::from_millis(100 * number));
        let late = |(after, command)| LateRequest { after, command, own_copy: OwnCopy::Held };
        let left = LeftBehind::Requests(after.zip(commands).map(late).collect());
        self.disconnect_for(socket, on_purpose, CloseReason::TransportClose, left).await;
    }

    /// Sends a request without waiting for its answer; returns its ticket. A group's message is also shown to its
    /// sender.
    pub async fn begin(&mut self, socket: Socket, command: Command) -> u32 {
        self.begin_with(socket, command, false).await
    }

    pub async fn begin_with(&mut self, socket: Socket, command: Command, held_copy: bool) -> u32 {
        let own_copy = match &command {
            _ if held_copy => OwnCopy::Held,
            Command::Send { to: SendTo::User(_), .. } => OwnCopy::None,
            _ => OwnCopy::Live,
        };
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        self.addr.send(Request { connection: socket.0, ticket, command, own_copy }).await.unwrap();
        ticket
    }

    /// Keeps both readers busy until the returned sender is dropped.
    pub async fn hold_reads(&self) -> std::sync::mpsc::Sender<()> {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        for _ in 0..2 {
            let (store, held) = (self.store.clone(), held.clone());
            actix_rt::spawn(async move {
                let question = store.read(move |_| {
                    let _ = held.lock().unwrap().recv_timeout(LIMIT);
                    Ok(())
                });
                let _ = question.await;
            });
        }
        self.has_held_reads.set(true);
        while self.store.stats().reads_in_flight < 2 {
            tokio::task::yield_now().await;
        }
        hold
    }

    /// Lets reads be waited for again.
    pub fn release_reads(&self) {
        self.has_held_reads.set(false);
    }

    /// Returns the answer to a request.
    pub async fn reply(&mut self, socket: Socket, ticket: u32) -> Result<Reply, ChatError> {
        self.notice(socket, |notice| match notice {
            Notice::Reply { ticket: answered, reply } if *answered == ticket => Some(reply.clone()),
            _ => None,
        })
        .await
    }

    /// Returns whether a request was answered, without an explicit wait, by the time of the last wait.
    pub fn is_answered(&self, socket: Socket, ticket: u32) -> bool {
        self.waiting.iter().any(|(slot, heard)| {
            let Heard::Notice(notice) = heard else { return false };
            *slot == socket.0.slot && matches!(&**notice, Notice::Reply { ticket: answered, .. } if *answered == ticket)
        })
    }

    /// Sends a request and waits for its answer.
    pub async fn ask(&mut self, socket: Socket, command: Command) -> Result<Reply, ChatError> {
        let ticket = self.begin(socket, command).await;
        self.reply(socket, ticket).await
    }

    /// Runs a command as HTTP does.
    pub async fn ask_as(&mut self, name: &str, command: Command) -> Result<Reply, ChatError> {
        let answered = self.begin_as(name, command).await;
        tokio::time::timeout(LIMIT, answered).await.expect("an answer in time").expect("an answer")
    }

    /// Runs a command as HTTP does, without waiting for the answer.
    pub async fn begin_as(&mut self, name: &str, command: Command) -> oneshot::Receiver<Result<Reply, ChatError>> {
        let (answer, answered) = oneshot::channel();
        self.addr.send(Ask { user: user(name), command, answer }).await.unwrap();
        answered
    }

    /// Makes a group of these users; the first one creates it.
    pub async fn group(&mut self, names: &[&str]) -> ConversationId {
        let participants = names[1..].iter().map(|name| user(name)).collect();
        let command = Command::CreateGroup { name: "Team".to_owned(), avatar: None, participants };
        match self.ask_as(names[0], command).await {
            Ok(Reply::Conversation(ConversationReply { conversation, created: true })) => conversation.id,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the next event at a socket that `pick` accepts, skipping others.
    pub async fn event<T>(&mut self, socket: Socket, pick: impl Fn(&Event) -> Option<T>) -> T {
        self.next(socket, |heard| match heard {
            Heard::Event(event) => pick(event.event()),
            Heard::Notice(_) => None,
        })
        .await
    }

    /// Returns the next message at a socket.
    pub async fn message(&mut self, socket: Socket) -> Arc<Message> {
        self.event(socket, message_of).await
    }

    /// Returns the next notice at a socket that `pick` accepts, skipping others.
    pub async fn notice<T>(&mut self, socket: Socket, pick: impl Fn(&Notice) -> Option<T>) -> T {
        self.next(socket, |heard| match heard {
            Heard::Notice(notice) => pick(notice),
            Heard::Event(_) => None,
        })
        .await
    }

    /// Returns the next page of a socket's catch-up; `None` if it has ended.
    pub async fn page(&mut self, socket: Socket) -> Option<Vec<Arc<Broadcast>>> {
        self.notice(socket, |notice| match notice {
            Notice::CatchUp(page) => Some(Some(page.clone())),
            Notice::CatchUpDone => Some(None),
            _ => None,
        })
        .await
    }

    /// Returns the next prompt for the model.
    pub async fn prompt(&mut self) -> Prompt {
        tokio::time::timeout(LIMIT, self.prompts.recv()).await.expect("a prompt in time").unwrap()
    }

    /// Returns whether there is a prompt that the test has not taken.
    pub async fn is_prompted(&mut self) -> bool {
        self.settle().await;
        !self.prompts.is_empty()
    }

    /// Answers as the model.
    pub async fn say(&mut self, prompt: &Prompt, word: ModelWord) {
        prompt.answers.send(ModelSaid { ticket: prompt.ticket, word }).await.unwrap();
    }

    /// Returns everything a socket received once the broker has handled all messages so far.
    pub async fn all(&mut self, socket: Socket) -> Vec<Heard> {
        self.settle().await;
        let (own, others): (VecDeque<_>, _) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(slot, _)| *slot == socket.0.slot);
        self.waiting = others;
        own.into_iter().map(|(_, heard)| heard).collect()
    }

    /// Returns all events that a socket has received by now.
    pub async fn events(&mut self, socket: Socket) -> Vec<Event> {
        let heard = self.all(socket).await;
        heard
            .into_iter()
            .filter_map(|heard| if let Heard::Event(event) = heard { Some(event.event().clone()) } else { None })
            .collect()
    }

    /// Returns all events that a socket received once the broker has handled all messages, without waiting for the
    /// store.
    pub async fn events_so_far(&mut self, socket: Socket) -> Vec<Event> {
        self.addr.send(Health).await.unwrap();
        tokio::task::yield_now().await;
        while let Ok(word) = self.heard.try_recv() {
            self.waiting.push_back(word);
        }
        self.heard_by_then(socket)
    }

    /// Returns all events that a socket received, without an explicit wait, by the time of the last wait.
    pub fn heard_by_then(&self, socket: Socket) -> Vec<Event> {
        let at_socket = self.waiting.iter().filter(|(slot, _)| *slot == socket.0.slot);
        at_socket
            .filter_map(|(_, heard)| if let Heard::Event(event) = heard { Some(event.event().clone()) } else { None })
            .collect()
    }

    /// Disables an account or enables it again, as administrators do: in the store first.
    pub async fn set_disabled(&self, name: &str, disabled: bool) {
        let change = AccountChange { disabled: Some(disabled), ..AccountChange::of(user(name), Timestamp::now()) };
        self.store.write(Write::ChangeAccount(Box::new(change))).await.unwrap();
        let changed = AccountsChanged { users: vec![user(name)], revoked: Vec::new() };
        self.addr.send(changed).await.unwrap().unwrap();
    }

    /// Waits until broker and store have finished everything so far, and the results were received.
    pub async fn settle(&mut self) {
        for _ in 0..3 {
            let _ = self.store.write(Write::Barrier).await;
            // Events for a socket wait for the reads of its connect.
            while !self.has_held_reads.get() && self.store.stats().reads_in_flight > 0 {
                tokio::task::yield_now().await;
            }
            self.addr.send(Health).await.unwrap();
            tokio::task::yield_now().await;
        }
        while let Ok(word) = self.heard.try_recv() {
            self.waiting.push_back(word);
        }
    }

    /// Returns the next item at a socket that `pick` accepts, skipping others.
    pub async fn next<T>(&mut self, socket: Socket, pick: impl Fn(&Heard) -> Option<T>) -> T {
        let mut passed = VecDeque::new();
        loop {
            let (slot, heard) = match self.waiting.pop_front() {
                Some(word) => word,
                None => tokio::time::timeout(LIMIT, self.heard.recv()).await.expect("something heard in time").unwrap(),
            };
            if slot == socket.0.slot {
                if let Some(found) = pick(&heard) {
                    passed.extend(std::mem::take(&mut self.waiting));
                    self.waiting = passed;
                    return found;
                }
            } else {
                passed.push_back((slot, heard));
            }
        }
    }
}

pub fn nothing_left() -> LeftBehind {
    LeftBehind::Requests(Vec::new())
}

/// Returns the requests that a connection leaves behind if this notice ends it.
fn end_of(notice: &Notice) -> Option<LeftBehind> {
    match notice {
        Notice::Kick { .. } => Some(LeftBehind::Dropped),
        Notice::Close(_) => Some(nothing_left()),
        _ => None,
    }
}

/// Makes a CONNECT of a new client.
pub fn first_connect(connection: ConnectionKey, name: &str) -> Connect {
    let id = format!("{:020}", connection.slot.index);
    Connect {
        connection,
        socket: SocketId::parse(&id).unwrap(),
        pid: private_id(connection),
        claims: Box::new(claims(name)),
        capabilities: ALL_CAPABILITIES,
        client_dialects: ClientDialects { last_encoding: 4, ..ClientDialects::default() },
        back_to: None,
        offset: None,
        guest: None,
        peer: Peer::default(),
    }
}

/// Returns the private id of a new client, both halves of which are unique.
pub fn private_id(connection: ConnectionKey) -> PrivateId {
    let half = format!("{:010}", connection.slot.index);
    PrivateId::parse(&format!("{half}{half}")).unwrap()
}

pub fn message_of(event: &Event) -> Option<Arc<Message>> {
    match event {
        Event::Message { message, .. } | Event::RoomMessage { message, .. } => Some(message.clone()),
        _ => None,
    }
}

fn new_user(name: &str) -> NewUser {
    NewUser {
        id: user(name),
        username: name.to_owned(),
        suffix_if_taken: false,
        email: None,
        full_name: None,
        password_hash: None,
        role: UserRole::User,
        described_at: None,
        created_at: Timestamp::from_millis(1),
    }
}

pub fn claims(name: &str) -> Claims {
    crate::support::claims_of(user(name), Some(format!("login-{name}")))
}
