//! The actor that serves the administrators' namespace.
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use log::{debug, info, warn};
use serde_json::{Value, json};

use super::credentials::Credentials;
use super::guests::{Guests, Seat, Watching};
use super::requests::Asked;
use super::session_ids::SessionIds;
use super::shapes;
use super::totals::Seconds;
use super::watching::{Batch, gather};
use crate::auth::AdminLogin;
use crate::chat::{Administer, BrokerStats, ConsoleNotice, Notice, Sockets, ToWorker};
use crate::config::AdminUiMode;
use crate::engineio::{CloseReason, ConnectionKey, Delivery, Encoded, Peer};
use crate::feed::Watcher;
use crate::meter::Counted;
use crate::model::{SocketId, Timestamp};
use crate::session::{AtConsole, CONSOLE, ConsoleAct};
use crate::web::{self, Act, Audit, Chat, LoginLimit, PasswordWork, Traffic, Tried};

/// Interval at which figures are counted; they are sent at every other count.
const SECOND: Duration = Duration::from_secs(1);
/// Maximum number of sockets that a guest can watch; with more, the page could not keep up, and shows figures only.
const SOCKETS_MAX: usize = 2_000;
/// Maximum number of guests.
const GUESTS_MAX: usize = 50;
/// Minimum time between two complete lists of sockets for a guest that was too slow.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Error text at which the UI shows its login form again.
const REFUSED: &str = "invalid credentials";

/// Options of the console.
pub struct ConsoleOptions {
    /// `ADMIN_UI_USER`, `ADMIN_UI_PASSWORD`
    pub login: AdminLogin,
    /// `ADMIN_UI_USER`
    pub user: String,
    /// `ADMIN_UI_MODE`
    pub mode: AdminUiMode,
    /// `RATE_LIMIT_LOGINS`
    pub logins_per_minute: usize,
    /// `SOCKET_PATH`
    pub path: String,
    /// Threads that check passwords.
    pub passwords: Arc<PasswordWork>,
    /// Records requests of administrators.
    pub audit: Arc<Audit>,
    /// Returns the traffic of connections since the start.
    pub totals: Box<dyn Fn() -> Traffic + Send>,
}

/// A worker thread can deliver notices to its connections.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ConsoleReady {
    /// Its number, from 0.
    pub worker: u16,
    /// Address for deliveries to its connections.
    pub deliveries: Counted<ToWorker>,
    /// The broker.
    pub chat: Chat,
}

/// The administrators' namespace; see the module's description.
pub struct Console {
    options: ConsoleOptions,
    attempts: LoginLimit,
    workers: Vec<Option<Counted<ToWorker>>>,
    chat: Option<Chat>,
    guests: Guests,
    session_ids: SessionIds,
    seconds: Seconds,
    started: Instant,
    /// Set if the figures of the second before were sent.
    was_told: bool,
}

impl Console {
    /// Returns a console without guests.
    pub fn new(options: ConsoleOptions) -> Self {
        Self {
            attempts: LoginLimit::new(options.logins_per_minute),
            options,
            workers: Vec::new(),
            chat: None,
            guests: Guests::default(),
            session_ids: SessionIds::default(),
            seconds: Seconds::default(),
            started: Instant::now(),
            was_told: false,
        }
    }

    // ---- sending ----

    fn tell(&self, connection: ConnectionKey, notice: ConsoleNotice) {
        if let Some(Some(worker)) = self.workers.get(usize::from(connection.worker)) {
            worker.do_send(Delivery::ToOne { to: connection.seat, notice: Notice::Console(notice) });
        }
    }

    /// Sends a packet that may be dropped.
    fn mention(&self, connection: ConnectionKey, packet: &str) {
        self.tell(connection, ConsoleNotice::Packets { packets: Encoded::text(packet), is_awaited: false });
    }

    /// Sends packets that the client's next step depends on.
    fn say(&self, connection: ConnectionKey, packets: &[String]) {
        let packets = Encoded::batch(packets.iter().map(String::as_str));
        self.tell(connection, ConsoleNotice::Packets { packets, is_awaited: true });
    }

    /// Sends packets to all watching guests but one.
    fn mention_to_watchers(&self, packets: &[String], but: ConnectionKey) {
        for (connection, _, seat) in self.guests.seated() {
            if connection != but && matches!(seat.watching, Watching::Telling(_) | Watching::Waiting) {
                packets.iter().for_each(|packet| self.mention(connection, packet));
            }
        }
    }

    // ---- connecting ----

    fn on_connect(&mut self, connection: ConnectionKey, credentials: Credentials, peer: Peer, ctx: &mut Context<Self>) {
        let attempt = self.guests.begin(connection, peer);
        match credentials {
            Credentials::SessionId(id) if self.session_ids.has(&id, Instant::now()) => self.admit(connection, None, ctx),
            Credentials::Password(user, password) => self.check_password(connection, attempt, user, password, ctx),
            Credentials::SessionId(_) | Credentials::None => self.refuse(connection, REFUSED.to_owned()),
        }
    }

    /// Checks the password on a thread that may block.
    fn check_password(
        &mut self,
        connection: ConnectionKey,
        attempt: u64,
        user: String,
        password: String,
        ctx: &mut Context<Self>,
    ) {
        let Some(peer) = self.guests.of_attempt(connection, attempt).map(|guest| guest.peer) else { return };
        // Counted by address, so that attempts from elsewhere cannot lock the only login.
        let tried = Tried { account: Some(shown(peer)), address: peer.address };
        if let Err(wait) = self.attempts.attempt(&tried, Instant::now()) {
            warn!("too many logins to the Admin UI address={}", shown(peer));
            return self.refuse(connection, format!("too many attempts, try again in {} s", wait.as_secs().max(1)));
        }
        let (login, passwords) = (self.options.login.clone(), self.options.passwords.clone());
        let work = async move { passwords.run(peer.address, move || login.verify(&user, &password)).await };
        ctx.spawn(work.into_actor(self).map(move |outcome, console, ctx| {
            if outcome.as_ref().is_ok_and(|is_right| *is_right) {
                console.attempts.forgive(&tried);
            }
            if console.guests.of_attempt(connection, attempt).is_none() {
                return;
            }
            match outcome {
                Ok(true) => {
                    let id = console.session_ids.make(Instant::now());
                    console.admit(connection, Some(id), ctx);
                }
                Ok(false) => {
                    warn!("wrong login to the Admin UI address={}", shown(peer));
                    console.refuse(connection, REFUSED.to_owned());
                }
                Err(_) => console.refuse(connection, "too many attempts, try again in 2 s".to_owned()),
            }
        }));
    }

    fn refuse(&mut self, connection: ConnectionKey, message: String) {
        self.guests.remove(connection);
        self.tell(connection, ConsoleNotice::Refused { message });
    }

    fn admit(&mut self, connection: ConnectionKey, session_id: Option<String>, ctx: &mut Context<Self>) {
        if self.guests.seated().count() >= GUESTS_MAX {
            return self.refuse(connection, "too many administrators are here".to_owned());
        }
        let Ok(socket) = SocketId::parse(&URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>())) else { return };
        if self.guests.seated().next().is_none() {
            self.seconds.begin((self.options.totals)());
        }
        let since = Timestamp::now();
        let Some(guest) = self.guests.find(connection) else { return };
        guest.seat = Some(Seat { socket, since, watching: Watching::No });
        let peer = guest.peer;
        info!("administrator connected sid={socket} address={}", shown(peer));
        self.tell(connection, ConsoleNotice::Admitted { socket });
        // It follows the CONNECT, because the page does not listen before that.
        if let Some(id) = session_id {
            self.mention(connection, &shapes::packet("session", &[json!(id)]));
        }
        let own = shapes::console_socket(&socket, connection, peer, since, &self.options.path);
        self.mention_to_watchers(&shapes::came(&own, since), connection);
        match self.options.mode {
            AdminUiMode::Production => self.mention(connection, &shapes::config(AdminUiMode::Production)),
            AdminUiMode::Development => self.show_all(connection, ctx),
        }
        self.tell_stats(vec![connection], Vec::new(), ctx);
    }

    // ---- events ----

    /// Shows all sockets, and from then on all events; only figures if there are too many sockets.
    fn show_all(&mut self, connection: ConnectionKey, ctx: &mut Context<Self>) {
        let (Some(chat), Some(seat)) = (self.chat.clone(), self.guests.seat(connection)) else { return };
        let socket = seat.socket;
        seat.watching = Watching::Asking;
        let asked = async move { chat.watch_sockets(SOCKETS_MAX).await };
        ctx.spawn(asked.into_actor(self).map(move |sockets, console, _| {
            let is_asking = |seat: &&mut Seat| seat.socket == socket && matches!(seat.watching, Watching::Asking);
            if console.guests.seat(connection).filter(is_asking).is_none() {
                return;
            }
            let Ok(Sockets::Watched(views, watcher)) = sockets else { return console.show_figures_only(connection) };
            let path = &console.options.path;
            let chat = views.iter().map(|view| shapes::chat_socket(view, path));
            let own = console.guests.seated();
            let own = own.map(|(key, guest, seat)| shapes::console_socket(&seat.socket, key, guest.peer, seat.since, path));
            let all: Vec<Value> = chat.chain(own).collect();
            let packets = [shapes::config(AdminUiMode::Development), shapes::packet("all_sockets", &[json!(all)])];
            console.say(connection, &packets);
            if let Some(seat) = console.guests.seat(connection) {
                seat.watching = Watching::Telling(watcher);
            }
        }));
    }

    fn show_figures_only(&mut self, connection: ConnectionKey) {
        let Some(seat) = self.guests.seat(connection) else { return };
        seat.watching = Watching::No;
        info!("too many sockets for the Admin UI, showing figures only sid={}", seat.socket);
        self.mention(connection, &shapes::config(AdminUiMode::Production));
        self.mention(connection, &shapes::packet("all_sockets", &[json!([])]));
    }

    fn on_drained(&mut self, connection: ConnectionKey, ctx: &mut Context<Self>) {
        let Some(seat) = self.guests.seat(connection) else { return };
        if let Watching::Telling(watcher) = std::mem::replace(&mut seat.watching, Watching::Waiting) {
            self.wait_for_next(connection, watcher, ctx);
        }
    }

    fn wait_for_next(&mut self, connection: ConnectionKey, watcher: Watcher, ctx: &mut Context<Self>) {
        let Some(socket) = self.guests.seat(connection).map(|seat| seat.socket) else { return };
        let next = gather(watcher, self.options.path.clone());
        ctx.spawn(next.into_actor(self).map(move |(watcher, batch), console, ctx| {
            let is_waiting = |seat: &&mut Seat| seat.socket == socket && matches!(seat.watching, Watching::Waiting);
            let Some(seat) = console.guests.seat(connection).filter(is_waiting) else { return };
            let Batch { packets, lost } = batch;
            if lost > 0 {
                debug!("the Admin UI is too slow, events were dropped sid={socket} lost={lost}");
                seat.watching = Watching::Asking;
                drop(watcher);
                ctx.run_later(AGAIN_AFTER, move |console, ctx| {
                    if console.guests.seat(connection).is_some_and(|seat| seat.socket == socket) {
                        console.show_all(connection, ctx);
                    }
                });
                return;
            }
            seat.watching = Watching::Telling(watcher);
            console.say(connection, &packets);
        }));
    }

    // ---- figures ----

    fn on_second(&mut self, ctx: &mut Context<Self>) {
        let guests: Vec<ConnectionKey> = self.guests.seated().map(|(connection, _, _)| connection).collect();
        if guests.is_empty() {
            return;
        }
        self.seconds.add((self.options.totals)(), Timestamp::now());
        self.was_told = !self.was_told;
        if self.was_told {
            let seconds = self.seconds.take();
            self.tell_stats(guests, seconds, ctx);
        }
    }

    /// Sends the figures. If there are too many sockets, guests that watch get nothing but figures from then on.
    fn tell_stats(&self, guests: Vec<ConnectionKey>, seconds: Vec<Value>, ctx: &mut Context<Self>) {
        let Some(chat) = self.chat.clone() else { return };
        let asked = async move { chat.stats().await };
        ctx.spawn(asked.into_actor(self).map(move |stats, console, _| {
            let Ok(stats) = stats else { return };
            let packet = shapes::packet("server_stats", &[console.stats(&stats, &seconds)]);
            for connection in guests {
                console.mention(connection, &packet);
                let watches = |seat: &mut Seat| !matches!(seat.watching, Watching::No);
                if stats.sockets > SOCKETS_MAX && console.guests.seat(connection).is_some_and(watches) {
                    console.show_figures_only(connection);
                }
            }
        }));
    }

    fn stats(&self, stats: &BrokerStats, seconds: &[Value]) -> Value {
        let Traffic { polling, websocket, .. } = (self.options.totals)();
        let (hostname, pid) = (hostname(), std::process::id());
        json!({
            "serverId": format!("{hostname}#{pid}"),
            "hostname": hostname,
            "pid": pid,
            "uptime": self.started.elapsed().as_secs_f64(),
            "clientsCount": polling + websocket,
            "pollingClientsCount": polling,
            "aggregatedEvents": seconds,
            "namespaces": [
                {"name": "/", "socketsCount": stats.sockets},
                {"name": CONSOLE, "socketsCount": self.guests.seated().count()},
            ],
        })
    }

    // ---- requests ----

    fn on_request(&mut self, connection: ConnectionKey, asked: Asked, ctx: &mut Context<Self>) {
        let guest = self.guests.find(connection).filter(|guest| guest.seat.is_some());
        let (Some(chat), Some(peer)) = (self.chat.clone(), guest.map(|guest| guest.peer)) else { return };
        let (name, place) = (asked.name(), asked.place());
        let actor = web::Actor(format!("admin-ui:{}", self.options.user).into());
        self.options.audit.note(Act { actor, action: format!("admin-ui {name}"), object: Some(place), address: peer.address });
        match asked {
            Asked::DisconnectHere { room, closes } => self.put_out(room.as_deref(), closes),
            Asked::Disconnect(room) => {
                let asked = async move { chat.administer(Administer::KickRoom { room }).await };
                ctx.spawn(asked.into_actor(self).map(|outcome, _, _| debug!("kicked: {outcome:?}")));
            }
            Asked::Emit(emit) => {
                let asked = async move { chat.emit(emit).await };
                ctx.spawn(asked.into_actor(self).map(|outcome, _, _| debug!("emitted: {outcome:?}")));
            }
        }
    }

    /// Kicks one guest, or all; here a room is always a single socket's.
    fn put_out(&mut self, room: Option<&str>, closes: bool) {
        let is_meant = |seat: &Seat| room.is_none_or(|room| room == seat.socket.as_str());
        let out: Vec<ConnectionKey> =
            self.guests.seated().filter(|(_, _, seat)| is_meant(seat)).map(|(connection, _, _)| connection).collect();
        for connection in out {
            self.tell(connection, ConsoleNotice::Out { closes });
        }
    }

    // ---- disconnecting ----

    fn on_gone(&mut self, connection: ConnectionKey, reason: CloseReason) {
        let Some(seat) = self.guests.remove(connection).and_then(|guest| guest.seat) else { return };
        info!("administrator disconnected sid={} reason={:?}", seat.socket, reason.as_str());
        let packets = shapes::went(CONSOLE, &seat.socket, reason.as_str(), &[], Timestamp::now());
        self.mention_to_watchers(&packets, connection);
    }
}

fn shown(peer: Peer) -> String {
    peer.address.map_or_else(|| "-".to_owned(), |address| address.to_string())
}

/// Returns the name of this machine.
fn hostname() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    read.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

impl Actor for Console {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SECOND, |console, ctx| console.on_second(ctx));
    }
}

impl Handler<ConsoleReady> for Console {
    type Result = ();

    fn handle(&mut self, ConsoleReady { worker, deliveries, chat }: ConsoleReady, _: &mut Self::Context) {
        let number = usize::from(worker);
        if self.workers.len() <= number {
            self.workers.resize_with(number + 1, || None);
        }
        if let Some(place) = self.workers.get_mut(number) {
            *place = Some(deliveries);
        }
        self.chat = Some(chat);
    }
}

impl Handler<AtConsole> for Console {
    type Result = ();

    fn handle(&mut self, AtConsole { connection, act }: AtConsole, ctx: &mut Self::Context) {
        match act {
            ConsoleAct::Connect { auth, peer } => self.on_connect(connection, Credentials::of(auth.as_deref()), peer, ctx),
            ConsoleAct::Request { name, args } => match Asked::of(&name, &args) {
                Some(asked) => self.on_request(connection, asked, ctx),
                None => debug!("unknown request from the Admin UI"),
            },
            ConsoleAct::Drained => self.on_drained(connection, ctx),
            ConsoleAct::Gone(reason) => self.on_gone(connection, reason),
        }
    }
}
