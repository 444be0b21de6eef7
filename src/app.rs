//! Assembles the parts, serves, and stops in order.
mod certificate;
mod changed_accounts;
mod dialect_files;
mod error;
mod figures;
mod guests;
mod issuer_keys;
mod options;
mod retention;
mod signals;
mod supervisor;
mod sweep;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix::{Actor as _, Addr};
use log::{error, info, warn};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::figures::{connection_views, server_figures};
use self::issuer_keys::{AwaitKeys, IssuerKeys, WorkerReady};
use self::options::{
    chat_options, check_demo, check_exposure, check_folders, console_options, listen, origins, transport_options,
};
use self::signals::{Asked, Signals};
use crate::admin::{self, AdminState, Console, ConsoleReady};
use crate::ai::Model;
use crate::api::{self, ApiState};
use crate::auth::{Revocations, TokenKeys, Trust};
use crate::chat::{self, ChatServer, Drain, FinishAnswers, Health, RegisterWorker, Sources};
use crate::config::{Config, HookEvent};
use crate::dialect::DialectSet;
use crate::feed::Feed;
use crate::hooks::{self, EmitAll, ForwardMeter, Forwarder, ForwarderReady, Hook, HookMeter};
use crate::http::TrustedProxies;
use crate::logging::{Refusals, SUMMED_UP_EVERY};
use crate::meter::{Counted, Meter};
use crate::model::{Timestamp, show_files_below};
use crate::schema::Call;
use crate::session::{self, Client, Recipients, Rules};
use crate::store::{self, Claim, DatabaseUrl, Store, StoreOptions};
use crate::transport::{self, Tls};
use crate::web::{self, Audit, Chat, RateLimit, Settings, WebState};
use crate::webchat;
use crate::webhooks::{Configured, Webhooks};

pub use self::dialect_files::{load_dialects, read_dialect};
pub use self::error::AppError;
pub use self::issuer_keys::read_issuer_keys;
pub use self::options::{admin_login, check_webhooks, check_your_code, connections_with, tls};

/// Interval of the log lines that sum up routine actions of servers.
const ACTS_SUMMED_UP_EVERY: Duration = Duration::from_secs(60);
/// Interval of the broker's health checks.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// Time without an answer after which the process ends, so that its supervisor restarts it.
const PROBE_LIMIT: Duration = Duration::from_secs(30);

/// Remaining time of a stop at which unfinished work is refused, while clients can still receive the refusal.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Time for clients to notice that their sessions are closed: a polling one may never send another request.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);
/// The same if a successor already serves: it rejects sessions it does not know.
const HAND_OVER_LIMIT: Duration = Duration::from_millis(500);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`AppError`] if it cannot start.
pub async fn run(config: Config) -> Result<(), AppError> {
    // The soft limit is often only 1 024.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(cause:% = error; "the limit of open files stays as it is");
    }
    let (running, mut server) = start(config).await?;
    writeln!(std::io::stdout(), "listening on {}", running.address()).map_err(AppError::because)?;
    let mut signals = Signals::new().map_err(AppError::because)?;
    supervisor::ready();
    if let Some(tls) = running.tls.clone() {
        actix::spawn(certificate::watch(tls));
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
                Asked::ToReload => {
                    dialect_files::reload().await;
                    if let Some(tls) = &running.tls {
                        certificate::reload(tls).await;
                    }
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

/// A running server.
pub struct Running {
    /// Task that removes what was deleted.
    sweeps: JoinHandle<()>,
    stopper: transport::Stopper,
    addresses: Vec<SocketAddr>,
    chat: Addr<ChatServer>,
    store: Store,
    audit: Arc<Audit>,
    webhooks: Webhooks,
    draining: Arc<AtomicBool>,
    shutdown_timeout: Duration,
    close_limit: Duration,
    tls: Option<Tls>,
    /// Dropped last: no other server may write before everything is written.
    _claim: Claim,
}

/// Starts everything; must be called inside an actix `System`. The returned task ends with the server.
///
/// # Errors
/// [`AppError`] if the database, the folder or the port is unavailable.
pub async fn start(config: Config) -> Result<(Running, JoinHandle<io::Result<()>>), AppError> {
    load_dialects(&config)?;
    let dialects = DialectSet::enabled(&config.dialects).map_err(AppError::because)?;
    let secrets = crate::auth::token_secrets(&config).map_err(AppError::because)?;
    let tokens = TokenKeys::new(&secrets, config.require_exp, config.token_ttl).with_max_age(config.token_max_age);
    let tokens = tokens.with_guests(config.anonymous_users);
    let trust = Trust::of(&config).map_err(AppError::because)?;
    let tokens = Arc::new(tokens.trusting(&trust).map_err(AppError::because)?);
    let upload_dir = config.data_dir.join("uploads");
    api::prepare_uploads(&upload_dir).map_err(|error| AppError(format!("{}: {error}", upload_dir.display())))?;
    show_files_below(config.public_url.as_str());
    check_folders(&config)?;
    check_exposure(&config)?;
    check_demo(&config)?;
    let webhooks = Configured::new(&config).map_err(AppError)?;
    let admin_login = admin_login(&config)?;
    let url = DatabaseUrl::parse(config.database_url.as_str(), &config.data_dir).map_err(AppError::because)?;
    let tls = tls(&config)?;
    // From here on clients may connect: the kernel holds them until something accepts.
    let listeners = listen(&config)?;
    let close_limit = if listeners.outlive_us() { HAND_OVER_LIMIT } else { CLOSE_LIMIT };
    let claim = Claim::take(&url, config.store_retry_for).await.map_err(AppError::because)?;
    let options = StoreOptions {
        url,
        pool_size: config.db_pool_size,
        retry_for: config.store_retry_for,
        queue: config.store_queue,
        webhooks: webhooks.subscribers(),
    };
    let store = Store::open(options).await.map_err(AppError::because)?;
    let now = Timestamp::now();
    let revoked = store.read(move |conn| store::list_revoked(conn, now)).await.map_err(AppError::because)?;

    let feed = Feed::default();
    let refusals = Arc::new(Refusals::default());
    let audit = Arc::new(Audit::new(store.clone()));
    actix::spawn(sum_up_refusals(refusals.clone()));
    actix::spawn(sum_up_acts(audit.clone()));

    let broker_meter = Arc::new(Meter::default());
    // It runs on the main thread, which is nearly idle, so its reading and waiting delays no connection.
    let model_meter = Arc::new(Meter::default());
    let model = Model::new(&config, model_meter.clone()).map_err(AppError::because)?.start().recipient();
    let hook_meter = Arc::new(HookMeter::default());
    let hook = Hook::new(&config, dialects, hook_meter.clone(), feed.clone()).map_err(AppError)?.map(|hook| hook.start());
    let forward_meter = Arc::new(ForwardMeter::default());
    let forwarder = Forwarder::new(&config, forward_meter.clone(), feed.clone()).map_err(AppError)?;
    let forwarder = forwarder.map(|forwarder| forwarder.start());
    let chat = {
        let asked_first = hook.clone().map(Addr::recipient);
        let (options, store, revocations) = (chat_options(&config), store.clone(), Revocations::new(revoked));
        let (address, meter, watched) = (Arc::new(OnceLock::new()), broker_meter.clone(), feed.clone());
        let refusals = refusals.clone();
        // The broker runs on the first worker's thread, where most of its work ends anyway.
        let begin = move || {
            let broker = ChatServer::new(options.clone(), Sources::system(), store.clone(), revocations.clone());
            broker
                .with_model(model.clone())
                .with_hook(asked_first.clone())
                .with_feed(watched.clone())
                .with_refusals(refusals.clone())
                .metered(meter.clone())
                .start()
        };
        move || -> Addr<ChatServer> { address.get_or_init(&begin).clone() }
    };
    let draining = Arc::new(AtomicBool::new(false));
    let webhooks = webhooks.start(&store, api::webhook_body, &feed, &draining);
    let own_webhooks = webhooks.clone();
    let origins = origins(&config)?;
    let settings = Arc::new(Settings::new(&config, dialects, upload_dir));
    let (api, admin) = (ApiState::new(&settings, operations(), calls()), AdminState::new(feed.clone()));
    let proxies = Arc::new(TrustedProxies::new(config.trusted_proxies.clone()));
    let transport = transport::Options {
        note_refusal: refusals.clone().noting(),
        ..transport_options(&config, tls.clone(), origins.clone(), proxies.clone())
    };

    let stopper_for_figures = Arc::new(OnceLock::new());
    let console = admin_login.map(|login| {
        let (passwords, connections) = (api.password_work(), stopper_for_figures.clone());
        Console::new(console_options(&config, login, passwords, connections, audit.clone())).start()
    });
    let issuer_keys = tokens.asks_issuers().then(|| IssuerKeys::new(tokens.clone()).start());
    let await_keys = await_keys(issuer_keys.clone());
    let backend_meters = (hook.is_some().then_some(hook_meter), forwarder.is_some().then_some(forward_meter));
    let ask_upload = ask_upload(&config, hook.as_ref());
    let (begun, mut chat_begun) = watch::channel(None);
    let begun = Arc::new(begun);
    let sessions = {
        let (chat, config, tokens, feed) = (chat.clone(), config.clone(), tokens.clone(), feed.clone());
        let (meter, refusals) = (broker_meter.clone(), refusals.clone());
        let begun = begun.clone();
        let guests = config.anonymous_users.then(|| guests::makers(&tokens));
        move |worker, deliveries: Counted<chat::ToWorker>| {
            let broker = chat();
            begun.send_replace(Some(broker.clone()));
            if let Some(console) = &console {
                console.do_send(ConsoleReady { worker, deliveries: deliveries.clone(), chat: Chat::new(&broker) });
            }
            if let Some(keys) = &issuer_keys {
                keys.do_send(WorkerReady { worker, deliveries: deliveries.clone() });
            }
            if let Some(forwarder) = &forwarder {
                let emit = emit_all(Chat::new(&broker));
                forwarder.do_send(ForwarderReady { worker, deliveries: deliveries.clone(), emit });
            }
            if let Some(hook) = &hook {
                hook.do_send(RegisterWorker { worker, deliveries: deliveries.clone() });
            }
            broker.do_send(RegisterWorker { worker, deliveries });
            let guests = guests.clone();
            let keys = tokens.clone();
            let rules = Rules::of(&config, dialects, Box::new(move |token, now| keys.verify_all_but_expiry(token, now)));
            let rules = Rules {
                feed: feed.clone(),
                guests,
                has_console: console.is_some(),
                note_refusal: refusals.clone().noting(),
                ..rules
            };
            let recipients = Recipients {
                hook: hook.clone().map(Addr::recipient),
                forwarder: forwarder.clone().map(Addr::recipient),
                ..recipients(&broker, &meter, issuer_keys.as_ref(), console.as_ref())
            };
            session::Context::new(rules, recipients)
        }
    };
    let stopper_of_routes = stopper_for_figures.clone();
    let own_audit = audit.clone();
    let rate_limit = Arc::new(RateLimit::new(config.rate_limit_events, config.rate_limit_burst));
    let routes = {
        let (chat, store, draining, tokens) = (chat.clone(), store.clone(), draining.clone(), tokens);
        let figures = server_figures(stopper_of_routes.clone(), broker_meter, model_meter, backend_meters);
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
                rate_limit: rate_limit.clone(),
                audit: audit.clone(),
                figures: figures.clone(),
                connections: connections.clone(),
                await_keys: await_keys.clone(),
                ask_upload: ask_upload.clone(),
                webhooks: webhooks.clone(),
            };
            let (api, admin) = (api.clone(), admin.clone());
            service.configure(web::configure(state, |scope| {
                scope.configure(api::routes(api)).configure(admin::routes(admin)).configure(webchat::routes);
            }));
        }
    };
    let transport::Running { server, addresses, stopper } =
        transport::serve::<Client, _, _>(transport, listeners, sessions, routes).map_err(AppError::because)?;
    // Nothing else sets it.
    let _ = stopper_for_figures.set(stopper.clone());
    let server = actix::spawn(server);
    // The first worker starts the broker, and only once the server runs.
    let chat = chat_begun.wait_for(Option::is_some).await.map_err(AppError::because)?.clone();
    let chat = chat.ok_or_else(|| AppError("the broker did not begin".to_owned()))?;
    changed_accounts::begin(store.clone(), chat.clone(), draining.clone());
    guests::begin(&config, store.clone(), Chat::new(&chat), draining.clone());
    retention::begin(&config, store.clone(), chat.clone(), draining.clone());
    let (demo_store, demo_chat, offers_demo, web_chat) = (store.clone(), Chat::new(&chat), config.offers_demo(), config.web_chat);
    actix::spawn(async move { web::end_old_demo(&demo_store, &demo_chat, offers_demo, web_chat).await });
    let sweeps = sweep::begin(config.data_dir.join("uploads"), store.clone(), chat.clone());
    let shutdown_timeout = config.shutdown_timeout;
    let running = Running {
        sweeps,
        stopper,
        addresses,
        chat,
        store,
        audit: own_audit,
        webhooks: own_webhooks,
        draining,
        shutdown_timeout,
        close_limit,
        tls,
        _claim: claim,
    };
    Ok((running, server))
}

impl Running {
    /// Returns `http://host:port`, or `https://host:port` with TLS.
    pub fn address(&self) -> String {
        let first = self.addresses.first().map_or_else(String::new, |address| match address.ip() {
            IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST) => format!("localhost:{}", address.port()),
            _ => address.to_string(),
        });
        format!("{}://{first}", if self.tls.is_some() { "https" } else { "http" })
    }

    /// Returns the port that the server listens on.
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }

    /// Returns the broker.
    pub fn chat(&self) -> &Addr<ChatServer> {
        &self.chat
    }

    /// Stops accepting, finishes admitted work and storing, then closes the connections, so that clients reconnect by
    /// themselves. Takes at most `SHUTDOWN_TIMEOUT`.
    pub async fn stop(&self) {
        self.draining.store(true, Ordering::Relaxed);
        // What remains is noted in the database, and removed after the next start.
        self.sweeps.abort();
        let begun = Instant::now();
        let finished = async {
            self.stopper.stop_accepting().await;
            self.stopper.take_no_more().await;
            let drained = self.chat.send(Drain);
            // Answers that the model has begun are stored if they end soon.
            let answers = self.chat.send(FinishAnswers { within: self.shutdown_timeout / 2 });
            if tokio::join!(drained, answers).0.is_err() {
                error!("the broker is gone");
            }
            self.audit.sum_up();
            self.webhooks.finish().await;
            self.store.finish().await;
            // Once the broker answers again, the effects of the last commits are in the connections' outboxes.
            let _ = self.chat.send(Health).await;
        };
        let last_words = LAST_WORDS.min(self.shutdown_timeout / 4);
        let is_finished = tokio::time::timeout(self.shutdown_timeout.saturating_sub(last_words), finished).await.is_ok();
        if !is_finished {
            // The sessions refuse whatever has no answer yet, while clients can still receive it.
            warn!("not everything was finished in time");
        }
        let closed = async {
            self.stopper.close_sessions(self.close_limit).await;
            self.stopper.stop(false).await;
        };
        let rest = self.shutdown_timeout.saturating_sub(begun.elapsed());
        if tokio::time::timeout(rest, closed).await.is_err() && is_finished {
            warn!("not everything was finished in time");
        }
    }

    /// Returns once the broker has not answered for too long.
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

/// Returns the descriptions of all routes.
fn operations() -> Vec<web::Operation> {
    [api::OPERATIONS, admin::OPERATIONS, webchat::OPERATIONS].concat()
}

/// Returns the descriptions of all requests to the operator's own server.
fn calls() -> Vec<Call> {
    hooks::QUESTIONS.iter().chain([&hooks::FORWARDED]).chain(api::WEBHOOKS).copied().collect()
}

/// Returns the OpenAPI document of all routes.
pub fn openapi() -> serde_json::Value {
    web::openapi(&operations(), &calls())
}

/// Logs sums of servers' routine actions until the server stops.
async fn sum_up_acts(audit: Arc<Audit>) {
    loop {
        tokio::time::sleep(ACTS_SUMMED_UP_EVERY).await;
        audit.sum_up();
    }
}

/// Logs sums of repeated refusals until the server stops.
async fn sum_up_refusals(refusals: Arc<Refusals>) {
    loop {
        tokio::time::sleep(SUMMED_UP_EVERY).await;
        refusals.sum_up(Instant::now());
    }
}

/// Returns the function with which routes wait for an unknown key.
fn await_keys(keys: Option<Addr<IssuerKeys>>) -> web::AwaitKeys {
    Arc::new(move || {
        let keys = keys.clone();
        Box::pin(async move {
            let Some(keys) = keys else { return false };
            let (waiter, read) = oneshot::channel();
            keys.do_send(AwaitKeys(waiter));
            read.await.is_ok()
        })
    })
}

/// Returns the function with which an upload asks the hook; `None` if the hook is not asked about uploads.
fn ask_upload(config: &Config, hook: Option<&Addr<Hook>>) -> Option<web::AskUpload> {
    let hook = hook.filter(|_| config.hook_events.has(HookEvent::Upload))?.clone();
    Some(Arc::new(move |user, file| {
        let hook = hook.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            hook.do_send(chat::AskUpload { user, file, answer });
            answered.await.unwrap_or(chat::HookVerdict::Failed)
        })
    }))
}

/// Returns the function with which answers to events emit others.
fn emit_all(chat: Chat) -> EmitAll {
    Arc::new(move |bodies| {
        let chat = chat.clone();
        Box::pin(async move { api::emit_all(&chat, bodies).await.map_err(|error| error.to_string()) })
    })
}

fn recipients(
    broker: &Addr<ChatServer>,
    meter: &Arc<Meter>,
    keys: Option<&Addr<IssuerKeys>>,
    console: Option<&Addr<Console>>,
) -> Recipients {
    Recipients {
        connect: Counted::new(broker.clone().recipient(), meter.clone()),
        request: Counted::new(broker.clone().recipient(), meter.clone()),
        limited: Counted::new(broker.clone().recipient(), meter.clone()),
        capabilities_changed: Counted::new(broker.clone().recipient(), meter.clone()),
        upgraded: Counted::new(broker.clone().recipient(), meter.clone()),
        catch_up_drained: Counted::new(broker.clone().recipient(), meter.clone()),
        fell_behind: Counted::new(broker.clone().recipient(), meter.clone()),
        confirmed: Counted::new(broker.clone().recipient(), meter.clone()),
        disconnect: Counted::new(broker.clone().recipient(), meter.clone()),
        keys_wanted: keys.map(|keys| keys.clone().recipient()),
        hook: None,
        forwarder: None,
        console: console.map(|console| console.clone().recipient()),
    }
}
