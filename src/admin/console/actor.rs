//! The actor that serves the administrators' namespace.
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use log::{debug, info, warn};
use serde_json::{Value, json};

use super::admin_sessions::{AdminSessions, Admitted, Watching};
use super::credentials::Credentials;
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
/// Maximum number of sockets that an administrator can watch; with more, the page could not keep up, and shows figures only.
const SOCKETS_MAX: usize = 2_000;
/// Maximum number of administrators.
const ADMIN_SESSIONS_MAX: usize = 50;
/// Minimum time between two complete lists of sockets for an administrator that was too slow.
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
    admin_sessions: AdminSessions,
    session_ids: SessionIds,
    seconds: Seconds,
    started: Instant,
    /// Set if the figures of the second before were sent.
    is_second_sent: bool,
}

impl Console {
    /// Returns a console without administrators.
    pub fn new(options: ConsoleOptions) -> Self {
        Self {
            attempts: LoginLimit::new(options.logins_per_minute),
            options,
            workers: Vec::new(),
            chat: None,
            admin_sessions: AdminSessions::default(),
            session_ids: SessionIds::default(),
            seconds: Seconds::default(),
            started: Instant::now(),
            is_second_sent: false,
        }
    }

    // ---- sending ----

    fn notify(&self, connection: ConnectionKey, notice: ConsoleNotice) {
        if let Some(Some(worker)) = self.workers.get(usize::from(connection.worker)) {
            worker.do_send(Delivery::ToOne { to: connection.slot, notice: Notice::Console(notice) });
        }
    }

    /// Sends a packet that may be dropped.
    fn mention(&self, connection: ConnectionKey, packet: &str) {
        self.notify(connection, ConsoleNotice::Packets { packets: Encoded::text(packet), is_awaited: false });
    }

    /// Sends packets that the client's next step depends on.
    fn say(&self, connection: ConnectionKey, packets: &[String]) {
        let packets = Encoded::batch(packets.iter().map(String::as_str));
        self.notify(connection, ConsoleNotice::Packets { packets, is_awaited: true });
    }

    /// Sends packets to all watching administrators but one.
    fn mention_to_watchers(&self, packets: &[String], but: ConnectionKey) {
        for (connection, _, admitted) in self.admin_sessions.all_admitted() {
            if connection != but && matches!(admitted.watching, Watching::Telling(_) | Watching::Waiting) {
                packets.iter().for_each(|packet| self.mention(connection, packet));
            }
        }
    }

    // ---- connecting ----

    fn on_connect(&mut self, connection: ConnectionKey, credentials: Credentials, peer: Peer, ctx: &mut Context<Self>) {
        let attempt = self.admin_sessions.begin(connection, peer);
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
        let Some(peer) = self.admin_sessions.of_attempt(connection, attempt).map(|admin_session| admin_session.peer) else {
            return;
        };
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
            if console.admin_sessions.of_attempt(connection, attempt).is_none() {
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
        self.admin_sessions.remove(connection);
        self.notify(connection, ConsoleNotice::Refused { message });
    }

    fn admit(&mut self, connection: ConnectionKey, session_id: Option<String>, ctx: &mut Context<Self>) {
        if self.admin_sessions.all_admitted().count() >= ADMIN_SESSIONS_MAX {
            return self.refuse(connection, "too many administrators are here".to_owned());
        }
        let Ok(socket) = SocketId::parse(&URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>())) else { return };
        if self.admin_sessions.all_admitted().next().is_none() {
            self.seconds.begin((self.options.totals)());
        }
        let since = Timestamp::now();
        let Some(admin_session) = self.admin_sessions.find(connection) else { return };
        admin_session.admitted = Some(Admitted { socket, since, watching: Watching::No });
        let peer = admin_session.peer;
        info!("administrator connected sid={socket} address={}", shown(peer));
        self.notify(connection, ConsoleNotice::Admitted { socket });
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
        self.notify_stats(vec![connection], Vec::new(), ctx);
    }

    // ---- events ----

    /// Shows all sockets, and from then on all events; only figures if there are too many sockets.
    fn show_all(&mut self, connection: ConnectionKey, ctx: &mut Context<Self>) {
        let (Some(chat), Some(admitted)) = (self.chat.clone(), self.admin_sessions.admitted(connection)) else { return };
        let socket = admitted.socket;
        admitted.watching = Watching::Asking;
        let asked = async move { chat.watch_sockets(SOCKETS_MAX).await };
        ctx.spawn(asked.into_actor(self).map(move |sockets, console, _| {
            let is_asking = |admitted: &&mut Admitted| admitted.socket == socket && matches!(admitted.watching, Watching::Asking);
            if console.admin_sessions.admitted(connection).filter(is_asking).is_none() {
                return;
            }
            let Ok(Sockets::Watched(views, watcher)) = sockets else { return console.show_figures_only(connection) };
            let path = &console.options.path;
            let chat = views.iter().map(|view| shapes::chat_socket(view, path));
            let own = console.admin_sessions.all_admitted();
            let own = own.map(|(key, admin_session, admitted)| {
                shapes::console_socket(&admitted.socket, key, admin_session.peer, admitted.since, path)
            });
            let all: Vec<Value> = chat.chain(own).collect();
            let packets = [shapes::config(AdminUiMode::Development), shapes::packet("all_sockets", &[json!(all)])];
            console.say(connection, &packets);
            if let Some(admitted) = console.admin_sessions.admitted(connection) {
                admitted.watching = Watching::Telling(watcher);
            }
        }));
    }

    fn show_figures_only(&mut self, connection: ConnectionKey) {
        let Some(admitted) = self.admin_sessions.admitted(connection) else { return };
        admitted.watching = Watching::No;
        info!("too many sockets for the Admin UI, showing figures only sid={}", admitted.socket);
        self.mention(connection, &shapes::config(AdminUiMode::Production));
        self.mention(connection, &shapes::packet("all_sockets", &[json!([])]));
    }

    fn on_drained(&mut self, connection: ConnectionKey, ctx: &mut Context<Self>) {
        let Some(admitted) = self.admin_sessions.admitted(connection) else { return };
        if let Watching::Telling(watcher) = std::mem::replace(&mut admitted.watching, Watching::Waiting) {
            self.wait_for_next(connection, watcher, ctx);
        }
    }

    fn wait_for_next(&mut self, connection: ConnectionKey, watcher: Watcher, ctx: &mut Context<Self>) {
        let Some(socket) = self.admin_sessions.admitted(connection).map(|admitted| admitted.socket) else { return };
        let next = gather(watcher, self.options.path.clone());
        ctx.spawn(next.into_actor(self).map(move |(watcher, batch), console, ctx| {
            let is_waiting =
                |admitted: &&mut Admitted| admitted.socket == socket && matches!(admitted.watching, Watching::Waiting);
            let Some(admitted) = console.admin_sessions.admitted(connection).filter(is_waiting) else { return };
            let Batch { packets, lost } = batch;
            if lost > 0 {
                debug!("the Admin UI is too slow, events were dropped sid={socket} lost={lost}");
                admitted.watching = Watching::Asking;
                drop(watcher);
                ctx.run_later(AGAIN_AFTER, move |console, ctx| {
                    if console.admin_sessions.admitted(connection).is_some_and(|admitted| admitted.socket == socket) {
                        console.show_all(connection, ctx);
                    }
                });
                return;
            }
            admitted.watching = Watching::Telling(watcher);
            console.say(connection, &packets);
        }));
    }

    // ---- figures ----

    fn on_second(&mut self, ctx: &mut Context<Self>) {
        let admin_sessions: Vec<ConnectionKey> =
            self.admin_sessions.all_admitted().map(|(connection, _, _)| connection).collect();
        if admin_sessions.is_empty() {
            return;
        }
        self.seconds.add((self.options.totals)(), Timestamp::now());
        self.is_second_sent = !self.is_second_sent;
        if self.is_second_sent {
            let seconds = self.seconds.take();
            self.notify_stats(admin_sessions, seconds, ctx);
        }
    }

    /// Sends the figures. If there are too many sockets, administrators that watch get nothing but figures from then on.
    fn notify_stats(&self, admin_sessions: Vec<ConnectionKey>, seconds: Vec<Value>, ctx: &mut Context<Self>) {
        let Some(chat) = self.chat.clone() else { return };
        let asked = async move { chat.stats().await };
        ctx.spawn(asked.into_actor(self).map(move |stats, console, _| {
            let Ok(stats) = stats else { return };
            let packet = shapes::packet("server_stats", &[console.stats(&stats, &seconds)]);
            for connection in admin_sessions {
                console.mention(connection, &packet);
                let watches = |admitted: &mut Admitted| !matches!(admitted.watching, Watching::No);
                if stats.sockets > SOCKETS_MAX && console.admin_sessions.admitted(connection).is_some_and(watches) {
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
                {"name": CONSOLE, "socketsCount": self.admin_sessions.all_admitted().count()},
            ],
        })
    }

    // ---- requests ----

    fn on_request(&mut self, connection: ConnectionKey, asked: Asked, ctx: &mut Context<Self>) {
        let admin_session = self.admin_sessions.find(connection).filter(|admin_session| admin_session.admitted.is_some());
        let (Some(chat), Some(peer)) = (self.chat.clone(), admin_session.map(|admin_session| admin_session.peer)) else { return };
        let (name, place) = (asked.name(), asked.place());
        let actor = web::Actor(format!("admin-ui:{}", self.options.user).into());
        self.options.audit.note(Act { actor, action: format!("admin-ui {name}"), object: Some(place), address: peer.address });
        match asked {
            Asked::DisconnectHere { room, closes } => self.kick(room.as_deref(), closes),
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

    /// Kicks one administrator, or all; here a room is always a single socket's.
    fn kick(&mut self, room: Option<&str>, closes: bool) {
        let is_meant = |admitted: &Admitted| room.is_none_or(|room| room == admitted.socket.as_str());
        let out: Vec<ConnectionKey> = self
            .admin_sessions
            .all_admitted()
            .filter(|(_, _, admitted)| is_meant(admitted))
            .map(|(connection, _, _)| connection)
            .collect();
        for connection in out {
            self.notify(connection, ConsoleNotice::Out { closes });
        }
    }

    // ---- disconnecting ----

    fn on_gone(&mut self, connection: ConnectionKey, reason: CloseReason) {
        let Some(admitted) = self.admin_sessions.remove(connection).and_then(|admin_session| admin_session.admitted) else {
            return;
        };
        info!("administrator disconnected sid={} reason={:?}", admitted.socket, reason.as_str());
        let packets = shapes::went(CONSOLE, &admitted.socket, reason.as_str(), &[], Timestamp::now());
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
