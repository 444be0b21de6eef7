//! Options of each part, derived from the settings.
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use log::{info, warn};

use super::error::AppError;
use super::figures::{traffic, worker_stats};
use crate::admin::ConsoleOptions;
use crate::api;
use crate::auth::AdminLogin;
use crate::backend::Endpoint;
use crate::chat;
use crate::config::{CatchUp, Config, HookEvent, HookEvents, KEY_CHARS_MIN, Origins as ClientUrl, WebChat};
use crate::http::{Origins, TrustedProxies};
use crate::transport::{self, Listeners, Tls};
use crate::web;
use crate::webhooks::Configured;

/// Maximum number of connections; more would not fit into memory.
const MAX_CONNECTIONS: usize = 4_000_000;
/// Number of open files that connections may not use.
const FILES_RESERVED: usize = 100;

/// Checks the configured folders of static files.
///
/// # Errors
/// [`AppError`] naming the setting.
pub(super) fn check_folders(config: &Config) -> Result<(), AppError> {
    let client = "`dist` of the npm package socket.io-client";
    let ui = "`ui/dist` of the npm package @socket.io/admin-ui";
    check_folder("CLIENT_FILES", config.client_files.as_deref(), api::check_client_files, "socket.io.js", client)?;
    check_folder("ADMIN_UI_DIR", config.admin_ui_dir.as_deref(), api::check_admin_ui, "index.html", ui)
}

fn check_folder(
    setting: &str,
    folder: Option<&Path>,
    check: fn(&Path) -> io::Result<()>,
    file: &str,
    right: &str,
) -> Result<(), AppError> {
    let Some(folder) = folder else { return Ok(()) };
    check(folder).map_err(|error| AppError(format!("{setting}: no {file} in {} ({error}); it is {right}", folder.display())))
}

/// Warns of anything open to anybody who reaches the server, and of keys that can be guessed by trying.
///
/// # Errors
/// [`AppError`] naming the keys that are too short, if the server is reachable from other machines.
pub(super) fn check_exposure(config: &Config) -> Result<(), AppError> {
    if let Some(name) = config.unknown_key() {
        return Err(AppError(format!(
            "API_KEY_SCOPES: no key of API_KEYS is called {name}: write {name}:KEY there, or remove it here"
        )));
    }
    let short = config.short_keys();
    if !short.is_empty() && !config.host.is_loopback() {
        let names = short.join(", ");
        return Err(AppError(format!(
            "API_KEYS: fewer than {KEY_CHARS_MIN} characters (key: {names}): anybody could try it out"
        )));
    }
    for name in short {
        warn!(key = name.as_str(); "API_KEYS: fewer than {KEY_CHARS_MIN} characters, acceptable only for trials on this machine");
    }
    for exposure in config.exposures() {
        warn!(setting = exposure.setting; "{}: {}", exposure.found, exposure.advice);
    }
    Ok(())
}

/// Checks that the demo is on for this machine only.
///
/// # Errors
/// [`AppError`] if other machines can reach the server: the demo's users have no password.
pub(super) fn check_demo(config: &Config) -> Result<(), AppError> {
    if config.web_chat == WebChat::Demo && !config.host.is_loopback() {
        return Err(AppError("WEB_CHAT: demo needs a loopback HOST".to_owned()));
    }
    Ok(())
}

/// Returns the broker's options.
pub(super) fn chat_options(config: &Config) -> chat::Options {
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
        confirmation_limit: config.proof_interval.saturating_add(config.ping_interval).saturating_add(config.ping_timeout),
        recovery_bytes: config.recovery_bytes,
        parked_max: config.parked_max,
        replay_events: config.outbox_packets,
        replay_bytes: config.outbox_bytes,
        max_sockets_per_user: config.max_sockets_per_user,
        max_rooms_per_socket: config.max_rooms_per_socket,
        max_message_length: config.max_message_length,
        hooks: config.hook_url.as_url().map_or(HookEvents::NONE, |_| config.hook_events),
        auto_provision_users: config.auto_provision_users,
        made_users_max: if config.rate_limit_events == 0 { 0 } else { chat::Options::default().made_users_max },
        ai_concurrency: config.ai_concurrency,
        ai_per_user: config.ai_per_user,
        max_group_members: config.max_group_members,
        ai_error_text: config.ai_error_text.as_str().into(),
    }
}

/// Returns the sockets passed to this process, else opens those of `HOST` and `PORT`.
pub(super) fn listen(config: &Config) -> Result<Listeners, AppError> {
    let given = Listeners::given().map_err(|error| AppError(format!("LISTEN_FDS: {error}")))?;
    if let Some(given) = given {
        info!("listening on the sockets passed to this process, not on HOST and PORT");
        return Ok(given);
    }
    let host = config.host.to_string();
    Listeners::bind(&host, config.port, config.reuse_port)
        .map_err(|error| AppError(format!("cannot listen on {host} port {}: {error}", config.port)))
}

/// Loads the certificate of `TLS_CERT` and `TLS_KEY`; `None` if neither is set.
///
/// # Errors
/// [`AppError`] naming the settings if one is missing or a file is unusable.
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

/// Returns the transport's options.
pub(super) fn transport_options(
    config: &Config,
    tls: Option<Tls>,
    origins: Arc<Origins>,
    proxies: Arc<TrustedProxies>,
) -> transport::Options {
    transport::Options {
        tls,
        workers: if config.workers == 0 { workers() } else { config.workers },
        path: config.socket_path.as_str().to_owned(),
        other_files: api::CLIENT_FILES,
        proxies,
        keep_alive: config.keep_alive,
        ping_interval: config.ping_interval,
        ping_timeout: config.ping_timeout,
        max_packet_bytes: config.max_packet_size,
        outbox_packets: config.outbox_packets,
        outbox_bytes: config.outbox_bytes,
        write_timeout: config.write_timeout,
        permessage_deflate: config.permessage_deflate,
        kept_headers: kept_headers(config),
        max_connections: max_connections(),
        max_sockets_per_address: u32::try_from(config.max_sockets_per_address).unwrap_or(u32::MAX),
        ..transport::Options::new(origins)
    }
}

/// Returns the names of the settings of the operator's own server, each with whether it is set.
///
/// # Errors
/// For each, the setting at fault, and what is wrong with it.
pub fn check_your_code(config: &Config) -> [(&'static str, Result<bool, String>); 2] {
    let hook = (["HOOK_URL", "HOOK_SECRET"], &config.hook_url, &config.hook_secret);
    let forward = (["FORWARD_URL", "FORWARD_SECRET"], &config.forward_url, &config.forward_secret);
    [hook, forward].map(|(settings, address, secret)| {
        let endpoint = Endpoint::new(settings, address, secret.as_ref(), config.hook_timeout);
        (settings[0], endpoint.map(|endpoint| endpoint.is_some()))
    })
}

/// Returns the names of the headers that the operator's hook is shown, in lower case.
fn kept_headers(config: &Config) -> Arc<[Box<str>]> {
    let is_asked = config.hook_url.as_url().is_some() && config.hook_events.has(HookEvent::Connect);
    config.hook_headers.iter().filter(|_| is_asked).map(|name| name.to_ascii_lowercase().into_boxed_str()).collect()
}

/// Each connection is an open file; the database and uploads need some, too.
fn max_connections() -> usize {
    let (files, _) = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap_or((1_024, 1_024));
    connections_with(files)
}

/// Returns the number of connections that a limit of open files allows.
pub fn connections_with(files: u64) -> usize {
    usize::try_from(files).unwrap_or(usize::MAX).min(MAX_CONNECTIONS).saturating_sub(FILES_RESERVED).max(4)
}

/// Returns the number of worker threads where `WORKERS` names none: one for each processor but one, which is left to the writer, the readers and
/// the kernel. With two processors, all connections and the broker share one thread, so a message wakes no other thread
/// on its way.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().saturating_sub(1).max(1))
}

/// Checks the settings of webhooks and their file. Returns their number.
///
/// # Errors
/// [`AppError`] naming the setting, or the place in the file.
pub fn check_webhooks(config: &Config) -> Result<usize, AppError> {
    Configured::new(config).map(|configured| configured.count()).map_err(AppError)
}

/// Returns the login of the Admin UI, if one is configured.
///
/// # Errors
/// [`AppError`] naming the setting if `ADMIN_UI_PASSWORD` is not a password hash.
pub fn admin_login(config: &Config) -> Result<Option<AdminLogin>, AppError> {
    let login = config.admin_ui_password.as_ref().map(|hash| AdminLogin::new(&config.admin_ui_user, hash.expose()));
    login.transpose().map_err(|error| AppError(format!("ADMIN_UI_PASSWORD: {error}")))
}

pub(super) fn console_options(
    config: &Config,
    login: AdminLogin,
    passwords: Arc<web::PasswordWork>,
    connections: Arc<OnceLock<transport::Stopper>>,
    audit: Arc<web::Audit>,
) -> ConsoleOptions {
    ConsoleOptions {
        login,
        user: config.admin_ui_user.clone(),
        mode: config.admin_ui_mode,
        logins_per_minute: config.rate_limit_logins as usize,
        path: config.socket_path.as_str().to_owned(),
        passwords,
        audit,
        totals: Box::new(move || traffic(&worker_stats(&connections))),
    }
}

fn client_urls(config: &Config) -> Vec<String> {
    match &config.client_url {
        ClientUrl::Listed(origins) => origins.clone(),
        ClientUrl::Any => vec!["*".to_owned()],
    }
}

pub(super) fn origins(config: &Config) -> Result<Arc<Origins>, AppError> {
    Origins::new(&client_urls(config), config.host.is_loopback()).map(Arc::new).map_err(AppError::because)
}
