//! Puts the parts together, serves, and stops in order.
mod retention;
mod supervisor;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix::{Actor as _, Addr};
use log::{error, info, warn};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::{self, AdminState, Console, ConsoleOptions, ConsoleReady};
use crate::ai::Model;
use crate::api::{self, ApiState};
use crate::auth::{AdminLogin, ApiKeys, Revocations, TokenKeys};
use crate::chat::{self, ChatServer, Drain, FinishAnswers, Health, RegisterWorker, Sources};
use crate::config::{CatchUp, Config, Host, Origins as ClientUrl};
use crate::dialect::DialectSet;
use crate::feed::Feed;
use crate::http::{Origins, TrustedProxies};
use crate::logging::{Refusals, SUMMED_UP_EVERY};
use crate::meter::{ActorStats, Counted, Meter};
use crate::model::Timestamp;
use crate::session::{self, Client, Recipients, Rules};
use crate::store::{self, Claim, DatabaseUrl, Store, StoreOptions};
use crate::transport::{self, Listeners, Tls};
use crate::web::{self, Chat, ServerFigures, Settings, Traffic, WebState};

/// More connections than this would not fit into memory.
const MAX_CONNECTIONS: usize = 4_000_000;
/// Open files that connections do not get.
const FILES_RESERVED: usize = 100;

/// The broker is asked this often whether it still works.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// New certificates are looked for this often; SIGHUP has it done at once.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(10);
/// Without an answer for so long the process ends, so that whoever watches over it starts it anew.
const PROBE_LIMIT: Duration = Duration::from_secs(30);

/// How long clients may take to notice that their sessions are closed: a polling one may never ask again.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);
/// The same where another server waits to serve them: who has noticed nothing hears it from that.
const HAND_OVER_LIMIT: Duration = Duration::from_millis(500);

/// Why the server could not start or stopped by itself: one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AppError(pub String);

impl AppError {
    fn because(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`AppError`] if it cannot start.
pub async fn run(config: Config) -> Result<(), AppError> {
    // The soft limit is often 1 024.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(cause:% = error; "the limit of open files stays as it is");
    }
    let (running, mut server) = start(config).await?;
    writeln!(std::io::stdout(), "listening on {}", running.address()).map_err(AppError::because)?;
    let mut signals = Signals::new().map_err(AppError::because)?;
    supervisor::ready();
    if let Some(tls) = running.tls.clone() {
        actix::spawn(watch_certificate(tls));
    }
    let watched = async {
        tokio::select! {
            () = running.watch_broker() => Err(AppError("the broker does not answer".to_owned())),
            _ = &mut server => Err(AppError("the listeners are gone".to_owned())),
        }
    };
    let mut watched = std::pin::pin!(watched);
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Asked::ToStop => break info!("stopping"),
                Asked::ToReload => if let Some(tls) = &running.tls {
                    reload(tls).await;
                }
            },
            failure = &mut watched => return failure,
        }
    }
    supervisor::stopping();
    tokio::select! {
        () = running.stop() => info!("stopped"),
        () = signals.stop_asked() => warn!("stopped at once by a second signal"),
    }
    Ok(())
}

/// A server that serves.
pub struct Running {
    stopper: transport::Stopper,
    addresses: Vec<SocketAddr>,
    chat: Addr<ChatServer>,
    store: Store,
    draining: Arc<AtomicBool>,
    shutdown_timeout: Duration,
    close_limit: Duration,
    tls: Option<Tls>,
    /// The last that goes: no other server may write before all is written.
    _claim: Claim,
}

/// Starts everything; must be called in an actix `System`. The task ends with the server.
///
/// # Errors
/// [`AppError`] if the database, the folder or the port cannot be had.
pub async fn start(config: Config) -> Result<(Running, JoinHandle<io::Result<()>>), AppError> {
    let dialects = DialectSet::enabled(&config.dialects).map_err(AppError::because)?;
    let secrets = crate::auth::token_secrets(&config).map_err(AppError::because)?;
    let tokens = Arc::new(TokenKeys::new(&secrets, config.require_exp, config.token_ttl));
    let upload_dir = config.data_dir.join("uploads");
    api::prepare_uploads(&upload_dir).map_err(|error| AppError(format!("{}: {error}", upload_dir.display())))?;
    if let Some(folder) = &config.client_files {
        api::check_client_files(folder).map_err(|error| {
            AppError(format!(
                "CLIENT_FILES: no socket.io.js in {} ({error}); it is `dist` of the npm package socket.io-client",
                folder.display()
            ))
        })?;
    }
    if let Some(folder) = &config.admin_ui_dir {
        api::check_admin_ui(folder).map_err(|error| {
            AppError(format!(
                "ADMIN_UI_DIR: no index.html in {} ({error}); it is `ui/dist` of the npm package @socket.io/admin-ui",
                folder.display()
            ))
        })?;
    }
    let admin_login = admin_login(&config)?;
    let url = DatabaseUrl::parse(config.database_url.as_str(), &config.data_dir).map_err(AppError::because)?;
    let tls = tls(&config)?;
    // From here on clients may come: they wait until there is somebody to accept them.
    let listeners = listen(&config)?;
    let close_limit = if listeners.outlive_us() { HAND_OVER_LIMIT } else { CLOSE_LIMIT };
    let claim = Claim::take(&url, config.store_retry_for).await.map_err(AppError::because)?;
    let options =
        StoreOptions { url, pool_size: config.db_pool_size, retry_for: config.store_retry_for, queue: config.store_queue };
    let store = Store::open(options).await.map_err(AppError::because)?;
    let now = Timestamp::now();
    let revoked = store.read(move |conn| store::list_revoked(conn, now)).await.map_err(AppError::because)?;

    let feed = Feed::default();
    let refusals = Arc::new(Refusals::default());
    actix::spawn(sum_up_refusals(refusals.clone()));

    let broker_meter = Arc::new(Meter::default());
    // It has the main thread, where little else happens: what it reads and waits for holds up no connection.
    let model_meter = Arc::new(Meter::default());
    let model = Model::new(&config, model_meter.clone()).map_err(AppError::because)?.start().recipient();
    let chat = {
        let (options, store, revocations) = (chat_options(&config), store.clone(), Revocations::new(revoked));
        let (address, meter, watched) = (Arc::new(OnceLock::new()), broker_meter.clone(), feed.clone());
        let refusals = refusals.clone();
        // It lives on the first worker's thread, where most of what it does ends anyway.
        let begin = move || {
            let broker = ChatServer::new(options.clone(), Sources::system(), store.clone(), revocations.clone());
            broker
                .with_model(model.clone())
                .with_feed(watched.clone())
                .with_refusals(refusals.clone())
                .metered(meter.clone())
                .start()
        };
        move || -> Addr<ChatServer> { address.get_or_init(&begin).clone() }
    };
    let draining = Arc::new(AtomicBool::new(false));
    let origins = origins(&config)?;
    let settings = Arc::new(settings(&config, dialects, upload_dir));
    let (api, admin) = (ApiState::new(&settings, operations()), AdminState::new(feed.clone()));
    let proxies = Arc::new(TrustedProxies::new(config.trusted_proxies.clone()));
    let transport = transport::Options {
        note_refusal: refusals.clone().noting(),
        ..transport_options(&config, tls.clone(), origins.clone(), proxies.clone())
    };

    let stopper_for_figures = Arc::new(OnceLock::new());
    let console = admin_login.map(|login| {
        let (passwords, connections) = (api.password_work(), stopper_for_figures.clone());
        Console::new(console_options(&config, login, passwords, connections)).start()
    });
    let (begun, mut chat_begun) = watch::channel(None);
    let begun = Arc::new(begun);
    let sessions = {
        let (chat, config, tokens, feed) = (chat.clone(), config.clone(), tokens.clone(), feed.clone());
        let (meter, refusals) = (broker_meter.clone(), refusals.clone());
        let begun = begun.clone();
        move |worker, deliveries: Counted<chat::ToWorker>| {
            let broker = chat();
            begun.send_replace(Some(broker.clone()));
            if let Some(console) = &console {
                console.do_send(ConsoleReady { worker, deliveries: deliveries.clone(), chat: Chat::new(&broker) });
            }
            broker.do_send(RegisterWorker { worker, deliveries });
            let keys = tokens.clone();
            let rules = Rules::of(&config, dialects, Box::new(move |token, now| keys.verify_all_but_expiry(token, now)));
            let rules =
                Rules { feed: feed.clone(), has_console: console.is_some(), note_refusal: refusals.clone().noting(), ..rules };
            session::Context::new(rules, recipients(&broker, &meter, console.as_ref()))
        }
    };
    let stopper_of_routes = stopper_for_figures.clone();
    let routes = {
        let (chat, store, draining, tokens) = (chat.clone(), store.clone(), draining.clone(), tokens);
        let figures = server_figures(stopper_of_routes.clone(), broker_meter, model_meter);
        let connections = connection_views(stopper_of_routes);
        move |service: &mut actix_web::web::ServiceConfig| {
            let state = WebState {
                settings: settings.clone(),
                store: store.clone(),
                chat: Chat::new(&chat()),
                tokens: tokens.clone(),
                origins: origins.clone(),
                proxies: proxies.clone(),
                draining: draining.clone(),
                refusals: refusals.clone(),
                figures: figures.clone(),
                connections: connections.clone(),
            };
            let (api, admin) = (api.clone(), admin.clone());
            service.configure(web::configure(state, |scope| {
                scope.configure(api::routes(api)).configure(admin::routes(admin));
            }));
        }
    };
    let transport::Running { server, addresses, stopper } =
        transport::serve::<Client, _, _>(transport, listeners, sessions, routes).map_err(AppError::because)?;
    // Nobody else sets it.
    let _ = stopper_for_figures.set(stopper.clone());
    let server = actix::spawn(server);
    // The first worker begins the broker, and only once the server runs.
    let chat = chat_begun.wait_for(Option::is_some).await.map_err(AppError::because)?.clone();
    let chat = chat.ok_or_else(|| AppError("the broker did not begin".to_owned()))?;
    retention::begin(&config, store.clone(), chat.clone(), draining.clone());
    let shutdown_timeout = config.shutdown_timeout;
    let running = Running { stopper, addresses, chat, store, draining, shutdown_timeout, close_limit, tls, _claim: claim };
    Ok((running, server))
}

impl Running {
    /// `http://host:port`, `https://host:port` with TLS
    pub fn address(&self) -> String {
        let first = self.addresses.first().map_or_else(String::new, |address| match address.ip() {
            IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST) => format!("localhost:{}", address.port()),
            _ => address.to_string(),
        });
        format!("{}://{first}", if self.tls.is_some() { "https" } else { "http" })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }

    /// The broker.
    pub fn chat(&self) -> &Addr<ChatServer> {
        &self.chat
    }

    /// Stops accepting, finishes storing, then closes the connections, so that clients come back by themselves.
    /// Takes at most `SHUTDOWN_TIMEOUT`.
    pub async fn stop(&self) {
        self.draining.store(true, Ordering::Relaxed);
        let orderly = async {
            self.stopper.stop_accepting().await;
            if self.chat.send(Drain).await.is_err() {
                error!("the broker is gone");
            }
            // What the model has begun to say is stored, if it comes to an end soon.
            let _ = self.chat.send(FinishAnswers { within: self.shutdown_timeout / 2 }).await;
            self.store.finish().await;
            // What the last commits had to say is in the connections' outboxes once the broker answers again.
            let _ = self.chat.send(Health).await;
            self.stopper.close_sessions(self.close_limit).await;
            self.stopper.stop(false).await;
        };
        if tokio::time::timeout(self.shutdown_timeout, orderly).await.is_err() {
            // What is cut off now was not acked.
            warn!("not everything was finished in time");
        }
    }

    /// Returns when the broker has not answered for too long.
    async fn watch_broker(&self) {
        loop {
            match tokio::time::timeout(PROBE_LIMIT, self.chat.send(Health)).await {
                Ok(Ok(_)) => {
                    supervisor::alive();
                    tokio::time::sleep(PROBE_EVERY).await;
                }
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

/// What all routes take and answer.
fn operations() -> Vec<web::Operation> {
    [api::OPERATIONS, admin::OPERATIONS].concat()
}

/// The OpenAPI document of all routes.
pub fn openapi() -> serde_json::Value {
    web::openapi(&operations())
}

/// Sums up what floods the server, as long as that runs.
async fn sum_up_refusals(refusals: Arc<Refusals>) {
    loop {
        tokio::time::sleep(SUMMED_UP_EVERY).await;
        refusals.sum_up(Instant::now());
    }
}

/// What the broker is told of the settings.
fn chat_options(config: &Config) -> chat::Options {
    chat::Options {
        delivery: config.delivery,
        presence_scope: config.presence_scope,
        presence_everyone_max: config.presence_everyone_max,
        presence_grace: config.presence_grace,
        typing_ttl: config.typing_ttl,
        catch_up: config.catch_up == CatchUp::On,
        catch_up_max: config.catch_up_max,
        catch_up_page_bytes: config.outbox_bytes / 4,
        catch_up_reads: chat::Options::default().catch_up_reads,
        recovery_ttl: config.recovery_ttl,
        proof_limit: config.proof_interval.saturating_add(config.ping_interval).saturating_add(config.ping_timeout),
        recovery_bytes: config.recovery_bytes,
        parked_max: config.parked_max,
        replay_events: config.outbox_packets,
        replay_bytes: config.outbox_bytes,
        max_sockets_per_user: config.max_sockets_per_user,
        max_rooms_per_socket: config.max_rooms_per_socket,
        max_message_length: config.max_message_length,
        auto_provision_users: config.auto_provision_users,
        ai_concurrency: config.ai_concurrency,
        ai_error_text: config.ai_error_text.as_str().into(),
    }
}

/// The sockets that were passed to this process, else those of `HOST` and `PORT`.
fn listen(config: &Config) -> Result<Listeners, AppError> {
    let given = Listeners::given().map_err(|error| AppError(format!("LISTEN_FDS: {error}")))?;
    if let Some(given) = given {
        info!("listening on the sockets that were passed, not on HOST and PORT");
        return Ok(given);
    }
    let host = match &config.host {
        Host::Localhost => "localhost".to_owned(),
        Host::Address(address) => address.to_string(),
        Host::Name(name) => name.clone(),
    };
    Listeners::bind(&host, config.port, config.reuse_port)
        .map_err(|error| AppError(format!("cannot listen on {host} port {}: {error}", config.port)))
}

/// The certificate of `TLS_CERT` and `TLS_KEY`; none where neither is set.
///
/// # Errors
/// [`AppError`] with the settings' names if one is missing, or one of the files is no good.
pub fn tls(config: &Config) -> Result<Option<Tls>, AppError> {
    let missing = |missing: &str, set: &str| Err(AppError(format!("{missing}: must be set where {set} is")));
    match (&config.tls_cert, &config.tls_key) {
        (None, None) => Ok(None),
        (Some(_), None) => missing("TLS_KEY", "TLS_CERT"),
        (None, Some(_)) => missing("TLS_CERT", "TLS_KEY"),
        (Some(cert), Some(key)) => {
            let tls = Tls::open(cert.clone(), key.clone());
            tls.map(Some).map_err(|reason| AppError(format!("TLS_CERT, TLS_KEY: {reason}")))
        }
    }
}

/// Looks for a new certificate now and then.
async fn watch_certificate(tls: Tls) {
    loop {
        tokio::time::sleep(CERTIFICATE_EVERY).await;
        reload(&tls).await;
    }
}

async fn reload(tls: &Tls) {
    let tls = tls.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || tls.reload()).await {
        error!(cause:% = error; "the certificate could not be looked at");
    }
}

/// What the transport is told of the settings.
fn transport_options(
    config: &Config,
    tls: Option<Tls>,
    origins: Arc<Origins>,
    proxies: Arc<TrustedProxies>,
) -> transport::Options {
    transport::Options {
        tls,
        workers: workers(),
        path: config.socket_path.as_str().to_owned(),
        other_files: api::CLIENT_FILES,
        proxies,
        ping_interval: config.ping_interval,
        ping_timeout: config.ping_timeout,
        max_packet_bytes: config.max_packet_size,
        outbox_packets: config.outbox_packets,
        outbox_bytes: config.outbox_bytes,
        write_timeout: config.write_timeout,
        permessage_deflate: config.permessage_deflate,
        max_connections: max_connections(),
        max_sockets_per_address: u32::try_from(config.max_sockets_per_address).unwrap_or(u32::MAX),
        ..transport::Options::new(origins)
    }
}

/// Each connection is an open file; some are left to the database and to uploads.
fn max_connections() -> usize {
    let (files, _) = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap_or((1_024, 1_024));
    connections_with(files)
}

/// How many connections so many open files allow.
pub fn connections_with(files: u64) -> usize {
    usize::try_from(files).unwrap_or(usize::MAX).min(MAX_CONNECTIONS).saturating_sub(FILES_RESERVED).max(4)
}

/// One thread for each processor but one, which is left to the writer, the readers and the kernel. With two processors
/// all connections and the broker share a thread, and a message wakes no other on its way.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().saturating_sub(1).max(1))
}

fn recipients(broker: &Addr<ChatServer>, meter: &Arc<Meter>, console: Option<&Addr<Console>>) -> Recipients {
    Recipients {
        connect: Counted::new(broker.clone().recipient(), meter.clone()),
        request: Counted::new(broker.clone().recipient(), meter.clone()),
        limited: Counted::new(broker.clone().recipient(), meter.clone()),
        words_learned: Counted::new(broker.clone().recipient(), meter.clone()),
        upgraded: Counted::new(broker.clone().recipient(), meter.clone()),
        catch_up_drained: Counted::new(broker.clone().recipient(), meter.clone()),
        proven: Counted::new(broker.clone().recipient(), meter.clone()),
        disconnect: Counted::new(broker.clone().recipient(), meter.clone()),
        console: console.map(|console| console.clone().recipient()),
    }
}

/// What routes are told of the settings.
fn settings(config: &Config, dialects: DialectSet, upload_dir: std::path::PathBuf) -> Settings {
    Settings {
        dialects,
        allow_registration: config.allow_registration,
        uploads_require_auth: config.uploads_require_auth,
        api_keys: ApiKeys::new(&config.api_keys),
        metrics_tokens: ApiKeys::new(config.metrics_token.as_slice()),
        max_body_bytes: config.max_packet_size,
        max_upload_bytes: config.max_upload_size as u64,
        logins_per_minute: config.rate_limit_logins as usize,
        upload_dir,
        client_files: config.client_files.clone(),
        admin_ui_dir: config.admin_ui_dir.clone(),
        socket_path: config.socket_path.as_str().to_owned(),
        speaks_tls: config.speaks_tls(),
    }
}

/// Who may use the Admin UI, if anybody.
///
/// # Errors
/// [`AppError`] with the setting's name if `ADMIN_UI_PASSWORD` is no hash of a password.
pub fn admin_login(config: &Config) -> Result<Option<AdminLogin>, AppError> {
    let login = config.admin_ui_password.as_ref().map(|hash| AdminLogin::new(&config.admin_ui_user, hash.expose()));
    login.transpose().map_err(|error| AppError(format!("ADMIN_UI_PASSWORD: {error}")))
}

fn console_options(
    config: &Config,
    login: AdminLogin,
    passwords: Arc<web::PasswordWork>,
    connections: Arc<OnceLock<transport::Stopper>>,
) -> ConsoleOptions {
    ConsoleOptions {
        login,
        mode: config.admin_ui_mode,
        logins_per_minute: config.rate_limit_logins as usize,
        path: config.socket_path.as_str().to_owned(),
        passwords,
        totals: Box::new(move || traffic(&worker_stats(&connections))),
    }
}

fn client_urls(config: &Config) -> Vec<String> {
    match &config.client_url {
        ClientUrl::Listed(origins) => origins.clone(),
        ClientUrl::Any => vec!["*".to_owned()],
    }
}

fn origins(config: &Config) -> Result<Arc<Origins>, AppError> {
    Origins::new(&client_urls(config), config.host.is_loopback()).map(Arc::new).map_err(AppError::because)
}

/// What connections have done, over all worker threads.
fn traffic(workers: &[Arc<transport::WorkerStats>]) -> Traffic {
    let sum = |figure: fn(&transport::WorkerStats) -> u64| workers.iter().map(|stats| figure(stats)).sum::<u64>();
    let mut closed = BTreeMap::new();
    for (reason, count) in workers.iter().flat_map(|stats| stats.closed()) {
        *closed.entry(reason.as_str()).or_default() += count;
    }
    Traffic {
        polling: sum(|stats| stats.polling_sessions.get()),
        websocket: sum(|stats| stats.websocket_sessions.get()),
        opened: sum(|stats| stats.opened.get()),
        upgraded: sum(|stats| stats.upgraded.get()),
        messages_in: sum(|stats| stats.messages_in.get()),
        bytes_in: sum(|stats| stats.bytes_in.get()),
        packets_out: sum(|stats| stats.packets_out.get()),
        bytes_out: sum(|stats| stats.bytes_out.get()),
        closed,
    }
}

/// The figures of each worker thread, once there are any.
fn worker_stats(server: &OnceLock<transport::Stopper>) -> Vec<Arc<transport::WorkerStats>> {
    server.get().map(transport::Stopper::stats).unwrap_or_default()
}

/// What the routes are told of the threads that serve connections, and of actors.
fn server_figures(server: Arc<OnceLock<transport::Stopper>>, broker: Arc<Meter>, model: Arc<Meter>) -> web::AskFigures {
    Arc::new(move || {
        let workers = worker_stats(&server);
        let all = |meter: fn(&transport::WorkerStats) -> ActorStats| {
            workers.iter().map(|stats| meter(stats)).fold(ActorStats::default(), ActorStats::and)
        };
        ServerFigures {
            broker: broker.stats(),
            hubs: all(|stats| stats.hub.stats()),
            connections: all(|stats| stats.connections.stats()),
            model: model.stats(),
            traffic: traffic(&workers),
        }
    })
}

/// What the routes are told of connections.
fn connection_views(server: Arc<OnceLock<transport::Stopper>>) -> web::AskConnections {
    Arc::new(move |connections| {
        let server = server.get().cloned();
        Box::pin(async move {
            match server {
                Some(server) => server.view(&connections).await,
                None => vec![None; connections.len()],
            }
        })
    })
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// SIGTERM, SIGINT
    ToStop,
    /// SIGHUP
    ToReload,
}

/// SIGTERM, SIGINT and SIGHUP.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::ToStop,
            _ = self.interrupt.recv() => Asked::ToStop,
            _ = self.hang_up.recv() => Asked::ToReload,
        }
    }

    async fn stop_asked(&mut self) {
        while self.next().await != Asked::ToStop {}
    }
}
