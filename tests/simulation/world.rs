//! The run of a seed: a server, its store, its clients, and the order and time of all their steps.
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parlance::auth::{Claims, TokenError};
use parlance::chat::{Answered, ChatError, Command, Job, ModelWord, Options, Reply, Sources, SteppedBroker, ToBroker, ToWorker};
use parlance::clock::{Clock, VirtualTime};
use parlance::config::Delivery;
use parlance::engineio::{CloseReason, ConnectionKey, Delivery as ToConnections, Slot};
use parlance::model::{Conversation, ConversationId, ConversationKind, MessageId, Timestamp, UserId, UserRole};
use parlance::session::{Now, Rules};
use parlance::store::{AnyConnection, Committed, Fault, NewUser, NextWrite, SteppedStore, StoreError, Write};
use uuid::Uuid;

use crate::client::{Client, Names, Own, Scene};
use crate::connection::{Around, Connection};
use crate::database;
use crate::history::{Counts, History, Members, Page, Record, text_of};
use crate::random::{Digest, Random};
use crate::script::{Act, Cut, END_MS, QUIET_MS, Setup, Step};
use crate::wire::Wire;

/// Wall clock's time at the beginning, in ms.
const WALL: i64 = 1_767_225_600_000;
/// Time after which the store gives up.
const RETRY_FOR: Duration = Duration::from_secs(10);
/// Steps after which a run counts as endless.
const STEPS_MAX: u64 = 3_000_000;
const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;

type LoadFuture = std::pin::Pin<Box<dyn Future<Output = Result<Vec<(String, i64)>, StoreError>>>>;

/// Something that happens at its time.
enum Event {
    Act(usize),
    Dial(usize),
    WakeClient(usize),
    ReadAgain(usize),
    LoadAgain(usize, usize),
    /// The page of a client is loaded again.
    Return(usize),
    ToServer(usize, Vec<u8>),
    ServerHears(usize),
    ToClient(usize, Vec<u8>),
    ClientHears(usize),
    Broker(u32, ToBroker),
    Worker(u32, u16, ToWorker),
    Flush(u32, u32),
    Deadline(u32, u32),
    Write(u32, u64),
    Read(u32),
    GiveUp(u32),
    Save(u32),
    Sweep(u32),
    Tick(u32),
    Start,
}

/// An entry of the agenda: what comes first is done first, and of the same time what was entered first.
struct Entry(u64, u64, Event);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// A way between two threads: first in, first out, and late.
struct Lane {
    last_at: u64,
    most: u64,
    random: Random,
}

impl Lane {
    fn new(random: Random, most: u64) -> Self {
        Self { last_at: 0, most, random }
    }

    fn arrival(&mut self, now: u64) -> u64 {
        self.last_at = self.last_at.max(now + self.random.below(self.most));
        self.last_at
    }
}

/// One start of the server.
struct Server {
    boot: u32,
    broker: SteppedBroker,
    store: SteppedStore,
    rules: Rc<Rules>,
    connections: Vec<Option<Connection>>,
    to_broker: Vec<Lane>,
    to_worker: Vec<Lane>,
    of_store: Lane,
    reports: Arc<Mutex<Vec<Committed>>>,
    readings: Vec<std::pin::Pin<Box<dyn Future<Output = Answered>>>>,
    loads: Vec<(usize, usize, LoadFuture)>,
    /// Requests over HTTP that wait for their reply: the client, its page, and the change.
    asks: BTreeMap<u64, (usize, usize, Change)>,
    next_ask: u64,
    /// Time at which the writer goes on; later than all others: it sleeps.
    writes_at: Option<u64>,
    write_number: u64,
    awaits: Option<usize>,
    is_reading: bool,
    tick_at: Option<u64>,
}

/// A change of a message that a page asked for.
struct Change {
    own: Own,
    /// `None`: the deletion.
    version: Option<u32>,
}

/// A run.
pub struct World<'a> {
    setup: &'a Setup,
    script: &'a [Step],
    now: u64,
    time: VirtualTime,
    agenda: BinaryHeap<Reverse<Entry>>,
    entered: u64,
    random: Random,
    server: Option<Server>,
    database: Option<AnyConnection>,
    boots: u32,
    names: Names,
    wires: Vec<Wire>,
    clients: Vec<Client>,
    history: History,
    slow_until: u64,
    away_until: u64,
    loses_report: bool,
    digest: Digest,
    mail: Vec<ToBroker>,
    ids: Arc<AtomicU64>,
    trace: bool,
}

/// Runs a script on a database, which is emptied first. Returns the history, and the database.
pub fn run(setup: &Setup, script: &[Step], mut database: AnyConnection, trace: bool) -> (History, Option<AnyConnection>) {
    database::clear(&mut database);
    let mut world = World::new(setup, script, database, trace);
    world.go();
    world.finish()
}

impl<'a> World<'a> {
    fn new(setup: &'a Setup, script: &'a [Step], database: AnyConnection, trace: bool) -> Self {
        let time = VirtualTime::new(Timestamp::from_millis(WALL));
        let names = Names {
            users: (0..setup.users).map(|user| format!("u{user}")).collect(),
            directs: BTreeMap::new(),
            groups: Vec::new(),
        };
        let mut world = Self {
            setup,
            script,
            now: 0,
            time,
            agenda: BinaryHeap::new(),
            entered: 0,
            random: Random::new(setup.seed, 3),
            server: None,
            database: Some(database),
            boots: 0,
            names,
            wires: Vec::new(),
            clients: Vec::new(),
            history: History::default(),
            slow_until: 0,
            away_until: 0,
            loses_report: false,
            digest: Digest::default(),
            mail: Vec::new(),
            ids: Arc::default(),
            trace,
        };
        world.people();
        for (number, plan) in setup.clients.iter().enumerate() {
            let page = world.history.pages.len();
            world.history.pages.push(Page {
                client: number,
                plan: *plan,
                name: format!("p{page}"),
                is_killed: false,
                records: Vec::new(),
            });
            world.clients.push(Client::new(*plan, page, Random::new(setup.seed, 100 + number as u64)));
        }
        for (number, step) in script.iter().enumerate() {
            world.enter(step.at_ms * MS, Event::Act(number));
        }
        world.enter(0, Event::Start);
        for client in 0..world.clients.len() {
            world.arm_client(client);
        }
        world
    }

    /// Stores users and conversations.
    fn people(&mut self) {
        let clock = Clock::Virtual(self.time.clone());
        let database = self.database.take().expect("a database");
        let mut store = SteppedStore::open(database, RETRY_FOR, 10_000, clock, self.sources().ids).expect("a store");
        let handle = store.handle();
        let at = Timestamp::from_millis(WALL - 1_000);
        let user = |number: usize| UserId::parse(&format!("u{number}")).expect("an id");
        let write = |write: Write| drop(handle.try_write(write, parlance::store::Done::Nobody));
        for number in 0..self.setup.users {
            write(Write::CreateUser(Box::new(NewUser {
                id: user(number),
                username: format!("u{number}"),
                suffix_if_taken: false,
                email: None,
                full_name: None,
                password_hash: None,
                role: UserRole::User,
                described_at: None,
                created_at: at,
            })));
        }
        let mut count = 0;
        let mut make = |kind: ConversationKind, users: &[usize]| {
            count += 1;
            let id = ConversationId::parse(&format!("00000000-0000-7000-8000-{count:012}")).expect("an id");
            let conversation = Conversation {
                id,
                kind,
                name: (kind == ConversationKind::Group).then(|| format!("group {count}")),
                avatar: None,
                admin: users.first().map(|first| user(*first)).filter(|_| kind == ConversationKind::Group),
                participants: users.iter().map(|number| user(*number)).collect(),
                last_message: None,
                last_seq: 0,
                created_at: at,
                updated_at: at,
            };
            write(Write::CreateConversation { conversation: Arc::new(conversation), joined_position: 0 });
            id.to_string()
        };
        for one in 0..self.setup.users {
            for other in one + 1..self.setup.users {
                let id = make(ConversationKind::Direct, &[one, other]);
                self.history.conversations.insert(id.clone(), Members { users: vec![one, other], is_group: false });
                self.names.directs.insert((one, other), id);
            }
        }
        for members in &self.setup.groups {
            let id = make(ConversationKind::Group, members);
            self.history.conversations.insert(id.clone(), Members { users: members.clone(), is_group: true });
            self.names.groups.push(id);
        }
        while store.write(None) != NextWrite::Sleep {}
        self.database = store.crash();
    }

    fn enter(&mut self, at: u64, event: Event) {
        self.entered += 1;
        self.agenda.push(Reverse(Entry(at, self.entered, event)));
    }

    fn go(&mut self) {
        let (mut steps, mut has_left) = (0_u64, false);
        while let Some(Reverse(Entry(at, _, event))) = self.agenda.pop() {
            if at > END_MS * MS {
                break;
            }
            if at > QUIET_MS * MS && !has_left {
                has_left = true;
                self.all_leave();
            }
            self.now = at;
            self.time.set(at);
            steps += 1;
            self.take(event);
            if steps > STEPS_MAX {
                self.history.endless = Some(format!("{steps} steps by {} ms", self.now / MS));
                break;
            }
        }
        self.history.counts.events = steps;
    }

    /// Everything has arrived everywhere: the store is looked at, and everybody leaves.
    fn all_leave(&mut self) {
        self.look_at_store();
        for client in 0..self.clients.len() {
            self.with_client(client, |client, scene| client.leave(scene, None));
        }
    }

    fn look_at_store(&mut self) {
        let conn = match &mut self.server {
            Some(server) => server.store.database(),
            None => self.database.as_mut(),
        };
        if let Some(conn) = conn {
            self.history.rows = database::messages(conn);
        }
    }

    fn finish(mut self) -> (History, Option<AnyConnection>) {
        if let Some(server) = self.server.take() {
            self.history.left = server.broker.tables().into_iter().filter(|(_, count)| *count > 0).collect();
            self.history.panics += server.broker.stats().panics;
            self.database = server.store.crash();
        }
        if let Some(database) = &mut self.database {
            database::digest(database, &mut self.digest);
        }
        let mut counts = Counts {
            clients: self.setup.clients.len() as u64,
            dialects: self.setup.clients.iter().map(|client| client.words).collect::<std::collections::BTreeSet<_>>().len()
                as u64,
            crashes: self.history.crashes.len() as u64,
            ..self.history.counts
        };
        for (_, record) in self.history.pages.iter().flat_map(|page| &page.records) {
            match record {
                Record::Send { .. } => counts.sent += 1,
                Record::Ack { .. } => counts.acked += 1,
                Record::Got { .. } => counts.shown += 1,
                Record::Connect { recovered } => {
                    counts.connects += 1;
                    counts.recovered += u64::from(*recovered);
                }
                Record::Changed { .. } => counts.changes += 1,
                _ => {}
            }
        }
        self.history.counts = counts;
        self.history.digest = self.digest.value();
        (self.history, self.database)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Act(number) => self.act(self.script[number].act),
            Event::Start => self.start(),
            Event::Dial(client) => self.dial(client),
            Event::WakeClient(client) => self.wake_client(client),
            Event::ReadAgain(client) => self.read_again(client),
            Event::LoadAgain(client, page) => self.load(client, page),
            Event::Return(client) => self.arm_client(client),
            Event::ToServer(wire, bytes) => self.arrive_at_server(wire, bytes),
            Event::ServerHears(wire) => self.server_hears(wire),
            Event::ToClient(wire, bytes) => self.arrive_at_client(wire, bytes),
            Event::ClientHears(wire) => self.client_hears(wire),
            event => self.take_in_server(event),
        }
    }

    fn take_in_server(&mut self, event: Event) {
        let is_here = |boot: u32| self.server.as_ref().is_some_and(|server| server.boot == boot);
        match event {
            Event::Broker(boot, message) if is_here(boot) => self.on_broker(message),
            Event::Worker(boot, worker, delivery) if is_here(boot) => self.on_worker(worker, delivery),
            Event::Flush(boot, slot) if is_here(boot) => self.flush(slot),
            Event::Deadline(boot, slot) if is_here(boot) => self.on_deadline(slot),
            Event::Write(boot, number) if is_here(boot) => self.write(number),
            Event::Read(boot) if is_here(boot) => self.read(),
            Event::GiveUp(boot) if is_here(boot) => {
                self.enter(self.now + 250 * MS, Event::GiveUp(boot));
                self.server.as_ref().inspect(|server| server.store.give_up_if_due());
                self.poll();
                self.report();
            }
            Event::Save(boot) if is_here(boot) => {
                self.enter(self.now + SECOND, Event::Save(boot));
                self.on_broker(ToBroker::Save);
            }
            Event::Sweep(boot) if is_here(boot) => {
                self.enter(self.now + 10 * SECOND, Event::Sweep(boot));
                self.on_broker(ToBroker::Sweep);
            }
            Event::Tick(boot) if is_here(boot) => self.tick(),
            _ => {}
        }
    }

    fn tick(&mut self) {
        let Some(server) = self.server.as_mut().filter(|server| server.tick_at.is_some_and(|at| at <= self.now)) else { return };
        server.tick_at = None;
        self.on_broker(ToBroker::Tick);
    }

    // ---- acts ----

    fn act(&mut self, act: Act) {
        // A page that is not there does nothing.
        if let Act::Send(client, _) | Act::Type(client, _) | Act::Edit(client) | Act::Delete(client) = act
            && self.clients[client].away_until > self.now
        {
            return;
        }
        if self.trace {
            println!("{:>10.3} {}", self.now as f64 / 1e6, Step { at_ms: self.now / MS, act });
        }
        match act {
            Act::Send(client, place) => self.with_client(client, |client, scene| client.write(place, scene)),
            Act::Type(client, place) => self.with_client(client, |client, scene| client.type_in(place, scene)),
            Act::Edit(client) => self.change(client, true),
            Act::Delete(client) => self.change(client, false),
            Act::Cut(client, cut) => self.cut(client, cut),
            Act::Kill(client, away) => self.kill(client, away),
            Act::Leave(client, away) => self.with_client(client, |client, scene| client.leave(scene, Some(away * MS))),
            Act::Stall(client, time) => {
                let until = self.now + time * MS;
                self.clients[client].stalled_until = until;
                self.enter(until, Event::ReadAgain(client));
            }
            Act::Slow(time) => self.slow_until = self.slow_until.max(self.now + time * MS),
            Act::Outage(time) => {
                self.history.counts.outages += 1;
                self.away_until = self.away_until.max(self.now + time * MS);
            }
            Act::LoseReport => self.loses_report = true,
            Act::Crash(down, commits) => self.crash(down * MS, commits),
        }
    }

    fn cut(&mut self, client: usize, cut: Cut) {
        let Some(number) = self.clients[client].wire else { return };
        self.history.counts.cuts += 1;
        self.wires[number].cut();
        if matches!(cut, Cut::Noticed | Cut::ByServer) {
            let at = self.wires[number].end(true, self.now);
            self.enter(at, Event::ServerHears(number));
        }
        if matches!(cut, Cut::Noticed | Cut::ByClient) {
            let at = self.wires[number].end(false, self.now);
            self.enter(at, Event::ClientHears(number));
        }
    }

    fn kill(&mut self, client: usize, away: u64) {
        if let Some(wire) = self.clients[client].wire {
            self.hang_up(wire);
        }
        let page = self.history.pages.len();
        let old = self.clients[client].page;
        self.history.pages[old].is_killed = true;
        let plan = self.clients[client].plan;
        self.history.pages.push(Page { client, plan, name: format!("p{page}"), is_killed: false, records: Vec::new() });
        let at = self.now + away * MS;
        self.clients[client].load_again(page, at);
        self.enter(at, Event::Return(client));
        self.arm_client(client);
    }

    /// Edits or deletes a message of the client's, over HTTP.
    fn change(&mut self, client: usize, is_edit: bool) {
        if self.server.is_none() {
            return;
        }
        let Some(own) = self.clients[client].take_own() else { return };
        let (page, user) = (self.clients[client].page, self.setup.clients[client].user);
        let version = is_edit.then(|| own.version + 1);
        let (name, id) = (own.name.clone(), own.id.clone());
        let message = MessageId::parse(&own.id).expect("an ack has an id");
        let command = match version {
            Some(version) => Command::EditMessage { message, content: text_of(&own.name, version) },
            None => Command::DeleteMessage { message },
        };
        let record = match version {
            Some(version) => Record::Edit { name, id, version },
            None => Record::Delete { name, id },
        };
        self.history.pages[page].records.push((self.now, record));
        let user = UserId::parse(&self.names.users[user]).expect("an id");
        let Some(server) = &mut self.server else { return };
        server.next_ask += 1;
        let ticket = server.next_ask;
        server.asks.insert(ticket, (client, page, Change { own, version }));
        let boot = server.boot;
        self.enter(self.now + 200, Event::Broker(boot, ToBroker::Ask(user, Box::new(command), ticket)));
    }

    fn on_reply(&mut self, ticket: u64, reply: Result<Reply, ChatError>) {
        let asked = self.server.as_mut().and_then(|server| server.asks.remove(&ticket));
        let Some((client, page, Change { own, version })) = asked else { return };
        let name = own.name.clone();
        let record = match &reply {
            Ok(_) => Record::Changed { name, version },
            Err(error) => Record::Unchanged { name, version, code: format!("{error:?}") },
        };
        let records = &mut self.history.pages[page].records;
        records.push((self.now, record));
        if let (Ok(_), Some(version), true) = (&reply, version, self.clients[client].page == page) {
            self.clients[client].give_back(Own { version, ..own });
        }
    }

    fn crash(&mut self, down: u64, commits: bool) {
        let Some(mut server) = self.server.take() else { return };
        if commits {
            server.store.write(Some(Fault::ReportLost));
        }
        self.history.panics += server.broker.stats().panics;
        let Server { store, broker, readings, loads, connections, .. } = server;
        drop((readings, loads, broker, connections));
        self.database = store.crash();
        self.history.crashes.push((self.now, self.now + down));
        for number in 0..self.wires.len() {
            if self.wires[number].boot == self.boots && !self.wires[number].down.is_ended {
                self.wires[number].up.is_ended = true;
                let at = self.wires[number].end(false, self.now);
                self.enter(at, Event::ClientHears(number));
            }
        }
        self.enter(self.now + down, Event::Start);
    }

    // ---- the server's life ----

    fn start(&mut self) {
        let Some(database) = self.database.take() else { return };
        self.boots += 1;
        let (boot, seed) = (self.boots, self.setup.seed);
        let clock = Clock::Virtual(self.time.clone());
        let mut sources = self.sources();
        let store = SteppedStore::open(database, RETRY_FOR, 10_000, clock, &mut sources.ids).expect("a store");
        let reports: Arc<Mutex<Vec<Committed>>> = Arc::default();
        let to = reports.clone();
        store.report_to(move |committed| to.lock().expect("one thread").push(committed));
        let lane = |stream: u64, most: u64| Lane::new(Random::new(seed, (u64::from(boot) << 32) + stream), most);
        let workers = u64::from(self.setup.workers);
        let broker = SteppedBroker::new(self.options(), sources, store.handle(), true);
        self.server = Some(Server {
            boot,
            broker,
            store,
            rules: Rc::new(self.rules()),
            connections: Vec::new(),
            to_broker: (0..workers).map(|worker| lane(10 + worker, 300)).collect(),
            to_worker: (0..workers).map(|worker| lane(20 + worker, 300)).collect(),
            of_store: lane(30, 300),
            reports,
            readings: Vec::new(),
            loads: Vec::new(),
            asks: BTreeMap::new(),
            next_ask: 0,
            writes_at: None,
            write_number: 0,
            awaits: None,
            is_reading: false,
            tick_at: None,
        });
        self.enter(self.now + 250 * MS, Event::GiveUp(boot));
        self.enter(self.now + SECOND, Event::Save(boot));
        self.enter(self.now + 10 * SECOND, Event::Sweep(boot));
    }

    fn options(&self) -> Options {
        Options {
            delivery: if self.setup.is_live { Delivery::Live } else { Delivery::Stored },
            catch_up_page_bytes: self.setup.catch_up_page_bytes,
            replay_events: self.setup.replay_events,
            catch_up_reads: 2,
            ..Options::default()
        }
    }

    fn sources(&self) -> Sources {
        let (clock, time) = (self.time.clone(), self.time.clone());
        let mut random = Random::new(self.setup.seed, 40 + u64::from(self.boots));
        let mut count = 0_u64;
        let ids = move || {
            // They sort by the time of their making, as the real ones do.
            count += 1;
            let mut bytes = [0; 10];
            bytes[..5].copy_from_slice(&count.to_be_bytes()[3..]);
            bytes[5..].copy_from_slice(&random.next().to_be_bytes()[3..]);
            let millis = u64::try_from(time.wall().as_millis()).expect("after 1970");
            uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
        };
        Sources { clock: Box::new(move || clock.wall()), ids: Box::new(ids) as Box<dyn FnMut() -> Uuid + Send> }
    }

    fn rules(&self) -> Rules {
        let users = self.names.users.clone();
        let verify = move |token: &str, _: Timestamp| match UserId::parse(token) {
            Ok(user) if users.iter().any(|known| known == token) => Ok(Claims::of(user, "key")),
            _ => Err(TokenError::Invalid),
        };
        let (ids, seed) = (self.ids.clone(), self.setup.seed);
        let random_ids = move || {
            let number = ids.fetch_add(1, Ordering::Relaxed);
            let mut random = Random::new(seed, (7 << 40) + number);
            (0..20)
                .map(|_| char::from(*random.pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")))
                .collect()
        };
        Rules { outbox_packets: self.setup.outbox_packets, random_ids: Box::new(random_ids), ..Rules::new(Box::new(verify)) }
    }

    // ---- clients ----

    fn with_client(&mut self, number: usize, act: impl FnOnce(&mut Client, &mut Scene<'_>)) {
        let client = &mut self.clients[number];
        let wire = client.wire;
        let page = client.page;
        let mut scene = Scene {
            now: self.now,
            names: &self.names,
            page: &mut self.history.pages[page],
            out: Vec::new(),
            hangs_up: false,
            wants_load: false,
        };
        act(client, &mut scene);
        let Scene { out, hangs_up, wants_load, .. } = scene;
        if let Some(wire) = wire {
            self.send_up(wire, out);
            if hangs_up {
                self.hang_up(wire);
            }
        }
        if wants_load {
            self.load(number, page);
        }
        self.arm_client(number);
    }

    fn arm_client(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let Some(due) = client.next_due().map(|due| due.max(self.now)) else { return };
        if client.armed.is_none_or(|armed| armed > due) {
            client.armed = Some(due);
            self.enter(due, Event::WakeClient(number));
        }
    }

    fn wake_client(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if client.armed != Some(self.now) {
            return;
        }
        client.armed = None;
        if client.wire.is_none() && !client.is_dialing && client.dial_at.is_some_and(|at| at <= self.now) {
            client.is_dialing = true;
            let after = self.random.between(200, 30_000);
            self.enter(self.now + after, Event::Dial(number));
        }
        self.with_client(number, |client, scene| client.on_wake(scene));
    }

    fn dial(&mut self, number: usize) {
        if !self.clients[number].is_dialing {
            return;
        }
        let Some(server) = &mut self.server else {
            self.clients[number].on_unreachable(self.now);
            return self.arm_client(number);
        };
        let slot = server.connections.len() as u32;
        let worker = (slot % u32::from(self.setup.workers)) as u16;
        let wire = self.wires.len();
        let random = Random::new(self.setup.seed, 1_000 + ((number as u64) << 20) + wire as u64);
        self.wires.push(Wire::new(number, server.boot, slot, random));
        let key = ConnectionKey { worker, slot: Slot { index: slot, generation: 0 } };
        let now = Now { instant: self.time.instant(), wall: self.time.wall() };
        let mut around = Around { rules: &server.rules, now, mail: &mut self.mail, is_full: false };
        let mut sid = [0; 15];
        sid[..8].copy_from_slice(&(wire as u64).to_be_bytes());
        server.connections.push(Some(Connection::open(wire, key, sid, &mut around)));
        self.clients[number].on_open(wire, self.now);
        self.after_call(slot);
        self.arm_client(number);
    }

    fn read_again(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if client.stalled_until > self.now {
            return;
        }
        let bytes = std::mem::take(&mut client.unread);
        if let Some(wire) = client.wire
            && !bytes.is_empty()
        {
            self.client_reads(wire, &bytes);
        }
    }

    /// The client closes its end.
    fn hang_up(&mut self, wire: usize) {
        if !self.wires[wire].up.is_ended {
            let at = self.wires[wire].end(true, self.now);
            self.enter(at, Event::ServerHears(wire));
        }
    }

    fn send_up(&mut self, wire: usize, bytes: Vec<u8>) {
        if bytes.is_empty() || self.wires[wire].up.is_ended {
            return;
        }
        self.digest.add(&bytes);
        let mut rest = bytes.as_slice();
        for (at, length) in self.wires[wire].send(true, self.now, bytes.len()) {
            let (part, after) = rest.split_at(length);
            rest = after;
            self.enter(at, Event::ToServer(wire, part.to_vec()));
        }
    }

    fn arrive_at_client(&mut self, number: usize, mut bytes: Vec<u8>) {
        let wire = &mut self.wires[number];
        let sent = bytes.len();
        wire.down.pass(&mut bytes);
        wire.unread -= sent - bytes.len();
        let client = &mut self.clients[wire.client];
        if client.wire != Some(number) || bytes.is_empty() {
            return;
        }
        if client.stalled_until > self.now || !client.unread.is_empty() {
            client.unread.extend_from_slice(&bytes);
            return;
        }
        self.client_reads(number, &bytes);
    }

    fn client_reads(&mut self, number: usize, bytes: &[u8]) {
        let (client, boot, slot) = (self.wires[number].client, self.wires[number].boot, self.wires[number].slot);
        let was_full = self.wires[number].is_full();
        self.wires[number].unread -= bytes.len();
        if was_full && !self.wires[number].is_full() {
            self.enter(self.now, Event::Flush(boot, slot));
        }
        self.with_client(client, |client, scene| client.read(bytes, scene));
    }

    fn client_hears(&mut self, number: usize) {
        let client = self.wires[number].client;
        if self.clients[client].wire == Some(number) {
            self.with_client(client, |client, scene| client.on_end(scene, Some(0)));
        }
    }

    /// A page reads its histories, behind all that was written before.
    fn load(&mut self, client: usize, page: usize) {
        if self.clients[client].page != page || self.clients[client].is_loaded {
            return;
        }
        // One that is lost with the server is made up for.
        self.enter(self.now + 7 * SECOND, Event::LoadAgain(client, page));
        let Some(server) = &mut self.server else { return };
        let store = server.store.handle();
        let read = async move { store.read_after_writes(database::last_numbers).await };
        server.loads.push((client, page, Box::pin(read)));
        self.poll();
    }

    // ---- the server's connections ----

    fn with_connection(&mut self, slot: u32, act: impl FnOnce(&mut Connection, &mut Around<'_>)) {
        let Some(server) = &mut self.server else { return };
        let Some(Some(connection)) = server.connections.get_mut(slot as usize) else { return };
        let now = Now { instant: self.time.instant(), wall: self.time.wall() };
        let is_full = self.wires[connection.wire].is_full();
        act(connection, &mut Around { rules: &server.rules, now, mail: &mut self.mail, is_full });
        self.after_call(slot);
    }

    /// Sends what a session told the broker, and sees to its packets and its deadline.
    fn after_call(&mut self, slot: u32) {
        let Some(server) = &mut self.server else { return };
        let boot = server.boot;
        let Some(Some(connection)) = server.connections.get_mut(slot as usize) else { return };
        let worker = usize::from(connection.key.worker);
        let mut entries = Vec::new();
        for message in self.mail.drain(..) {
            entries.push((server.to_broker[worker].arrival(self.now), Event::Broker(boot, message)));
        }
        if !connection.is_dirty {
            connection.is_dirty = true;
            entries.push((self.now + server.to_worker[worker].random.below(200), Event::Flush(boot, slot)));
        }
        if let Some(due) = connection.deadline(&server.rules)
            && connection.armed.is_none_or(|armed| armed > due)
        {
            connection.armed = Some(due);
            entries.push((self.micros(due), Event::Deadline(boot, slot)));
        }
        for (at, event) in entries {
            self.enter(at, event);
        }
    }

    fn micros(&self, instant: Instant) -> u64 {
        // Timers are late, never early.
        self.time.micros_of(instant + Duration::from_nanos(999)).max(self.now)
    }

    fn arrive_at_server(&mut self, number: usize, mut bytes: Vec<u8>) {
        let wire = &mut self.wires[number];
        wire.up.pass(&mut bytes);
        let (boot, slot) = (wire.boot, wire.slot);
        if !bytes.is_empty() && boot == self.boots {
            self.with_connection(slot, |connection, around| connection.read(&mut bytes, around));
        }
    }

    fn server_hears(&mut self, number: usize) {
        let (boot, slot) = (self.wires[number].boot, self.wires[number].slot);
        if boot == self.boots {
            self.with_connection(slot, |connection, around| connection.close(CloseReason::TransportClose, around));
        }
    }

    fn flush(&mut self, slot: u32) {
        let Some(server) = &mut self.server else { return };
        let Some(Some(connection)) = server.connections.get_mut(slot as usize) else { return };
        connection.is_dirty = false;
        let number = connection.wire;
        let now = Now { instant: self.time.instant(), wall: self.time.wall() };
        let is_full = self.wires[number].is_full();
        let bytes = connection.flush(&mut Around { rules: &server.rules, now, mail: &mut self.mail, is_full });
        let (is_over, has_more) = (connection.is_closing && connection.is_empty(), !connection.is_empty());
        connection.is_dirty = true;
        self.after_call(slot);
        if !bytes.is_empty() && !self.wires[number].down.is_ended {
            self.digest.add(&bytes);
            self.wires[number].unread += bytes.len();
            let mut rest = bytes.as_slice();
            for (at, length) in self.wires[number].send(false, self.now, bytes.len()) {
                let (part, after) = rest.split_at(length);
                rest = after;
                self.enter(at, Event::ToClient(number, part.to_vec()));
            }
        }
        let Some(server) = &mut self.server else { return };
        let boot = server.boot;
        if is_over {
            server.connections[slot as usize] = None;
            if !self.wires[number].down.is_ended {
                let at = self.wires[number].end(false, self.now);
                self.enter(at, Event::ClientHears(number));
            }
        } else if let Some(Some(connection)) = server.connections.get_mut(slot as usize) {
            connection.is_dirty = false;
            if has_more && !is_full {
                connection.is_dirty = true;
                self.enter(self.now, Event::Flush(boot, slot));
            }
        }
    }

    fn on_deadline(&mut self, slot: u32) {
        let instant = self.time.instant();
        self.with_connection(slot, |connection, around| {
            connection.armed = None;
            if connection.deadline(around.rules).is_some_and(|due| due <= instant) {
                connection.on_deadline(around);
            }
        });
    }

    // ---- the broker ----

    fn on_broker(&mut self, message: ToBroker) {
        if self.trace {
            println!("{:>10.3}   {message:?}", self.now as f64 / 1e6);
        }
        let Some(server) = &mut self.server else { return };
        server.broker.take(message);
        self.carry_out();
        self.poll();
        self.report();
    }

    fn carry_out(&mut self) {
        while let Some(job) = self.server.as_mut().and_then(|server| server.broker.next_job()) {
            let Some(server) = &mut self.server else { return };
            let boot = server.boot;
            match job {
                Job::Deliver(worker, delivery) => {
                    let at = server.to_worker[usize::from(worker)].arrival(self.now);
                    self.enter(at, Event::Worker(boot, worker, delivery));
                }
                Job::Read(reading) => server.readings.push(reading),
                Job::CallBack(callback, after) => {
                    let at = self.now + u64::try_from(after.as_micros()).expect("soon");
                    self.enter(at, Event::Broker(boot, ToBroker::CalledBack(callback)));
                }
                Job::WakeAt(at) => {
                    let micros = u64::try_from((at.as_millis() - WALL).max(0)).expect("not negative") * MS;
                    let at = micros.max(self.now + 1);
                    if server.tick_at.is_none_or(|tick_at| tick_at > at) {
                        server.tick_at = Some(at);
                        self.enter(at, Event::Tick(boot));
                    }
                }
                Job::Reply(ticket, reply) => self.on_reply(ticket, reply),
                Job::Prompt(ticket, wanted) => {
                    drop(wanted);
                    let at = self.now + self.random.between(10 * MS, 3 * SECOND);
                    let word = ModelWord::Answer { text: "an-answer of the model".to_owned(), is_truncated: false };
                    self.enter(at, Event::Broker(boot, ToBroker::ModelSaid(ticket, word)));
                }
            }
        }
    }

    fn on_worker(&mut self, worker: u16, delivery: ToWorker) {
        let here = |index: &Slot| index.index;
        let _ = worker;
        match delivery {
            ToConnections::ToMany { event, to, except } => {
                for slot in to.iter().filter(|slot| !except.contains(slot)).map(here) {
                    self.with_connection(slot, |connection, around| connection.on_shared(&event, around));
                }
            }
            ToConnections::ToFew { event, to } => {
                for slot in to.iter().map(here) {
                    self.with_connection(slot, |connection, around| connection.on_shared(&event, around));
                }
            }
            ToConnections::ToOne { to, notice } => {
                self.with_connection(to.index, |connection, around| connection.on_notice(notice, around));
            }
        }
    }

    // ---- the store ----

    fn is_away(&self) -> bool {
        self.now < self.away_until
    }

    fn store_delay(&mut self) -> u64 {
        if self.now < self.slow_until { self.random.between(100 * MS, 1_500 * MS) } else { self.random.between(200, 4 * MS) }
    }

    fn write(&mut self, number: u64) {
        let fault = if self.is_away() {
            Some(Fault::Away)
        } else if std::mem::take(&mut self.loses_report) {
            Some(Fault::ReportLost)
        } else {
            None
        };
        let Some(server) = &mut self.server else { return };
        if server.write_number != number {
            return;
        }
        (server.writes_at, server.awaits) = (None, None);
        let next = server.store.write(fault);
        match next {
            NextWrite::GoOn => self.write_after(0),
            NextWrite::After(time, count) => {
                server.awaits = count;
                self.write_after(u64::try_from(time.as_micros()).expect("short"));
            }
            NextWrite::Sleep => {}
        }
        self.report();
        self.poll();
        self.report();
    }

    fn write_after(&mut self, wait: u64) {
        let at = self.now + wait + self.store_delay();
        let Some(server) = &mut self.server else { return };
        server.write_number += 1;
        server.writes_at = Some(at);
        let (boot, number) = (server.boot, server.write_number);
        self.enter(at, Event::Write(boot, number));
    }

    /// Has the broker told of commits, and the writer and a reader begin if they are needed.
    fn report(&mut self) {
        let Some(server) = &mut self.server else { return };
        let boot = server.boot;
        let reports = std::mem::take(&mut *server.reports.lock().expect("one thread"));
        let mut entries: Vec<(u64, Event)> = Vec::new();
        for committed in reports {
            entries.push((server.of_store.arrival(self.now), Event::Broker(boot, ToBroker::Committed(committed))));
        }
        let is_woken = server.store.take_wake();
        let has_company = server.awaits.is_some_and(|count| server.store.depth() >= count);
        if is_woken && server.writes_at.is_none() || has_company {
            server.awaits = None;
            self.write_after(0);
        }
        if let Some(server) = &mut self.server
            && !server.is_reading
            && server.store.questions() > 0
        {
            server.is_reading = true;
            let delay = self.store_delay();
            entries.push((self.now + delay, Event::Read(boot)));
        }
        for (at, event) in entries {
            self.enter(at, event);
        }
    }

    fn read(&mut self) {
        let (is_away, until) = (self.is_away(), self.away_until);
        let Some(server) = &mut self.server else { return };
        if is_away {
            let boot = server.boot;
            return self.enter(until, Event::Read(boot));
        }
        server.is_reading = false;
        server.store.read();
        self.poll();
        self.report();
    }

    /// Lets all reads go on.
    fn poll(&mut self) {
        let Some(server) = &mut self.server else { return };
        let boot = server.boot;
        let mut context = Context::from_waker(Waker::noop());
        let mut entries = Vec::new();
        let lane = &mut server.of_store;
        let now = self.now;
        server.readings.retain_mut(|reading| match reading.as_mut().poll(&mut context) {
            Poll::Ready(answered) => {
                entries.push((lane.arrival(now), Event::Broker(boot, ToBroker::Answered(answered))));
                false
            }
            Poll::Pending => true,
        });
        let mut loaded = Vec::new();
        server.loads.retain_mut(|(client, page, load)| match load.as_mut().poll(&mut context) {
            Poll::Ready(found) => {
                loaded.push((*client, *page, found));
                false
            }
            Poll::Pending => true,
        });
        for (at, event) in entries {
            self.enter(at, event);
        }
        for (client, page, found) in loaded {
            if let Ok(found) = found
                && self.clients[client].page == page
                && !self.clients[client].is_loaded
            {
                self.clients[client].is_loaded = true;
                let up_to = found.into_iter().collect();
                self.history.pages[page].records.push((self.now, Record::Loaded { up_to }));
            }
        }
    }
}
