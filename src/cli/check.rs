//! `parlance check`: whether the server can run here, and what to do where it cannot. Changes nothing.
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use rustix::fs::{Access, access, statvfs};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::config::about_typo;
use super::remote::{Remote, RemoteOptions};
use super::{Failure, print};
use crate::auth::{ADVISED_SECRET_BYTES, find_kept_secret};
use crate::config::{AiProvider, Config, Found, Host, ModelAddress, typos};
use crate::dialect::DialectSet;
use crate::env::Environment;
use crate::store::{self, DatabaseState, DatabaseUrl};
use crate::{api, app, transport};

/// With less the server will soon stop storing, in bytes.
const DISK_ADVISED: u64 = 1 << 30;
/// With less it will hardly start, in bytes.
const DISK_LEAST: u64 = 50 << 20;
/// Postgres keeps some connections for its administrators.
const CONNECTIONS_KEPT: i64 = 3;
/// A server that holds the port is asked who it is, no longer than this.
const WHO_TIMEOUT: Duration = Duration::from_secs(3);

/// What is looked for, and how it is told.
#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    /// How many connections the server is to hold at once.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
    /// As JSON: `ok`, and a list of `checks` with `status`, `what`, `found` and, where there is something to do, `advice`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Warning,
    Error,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    status: Status,
    what: &'static str,
    found: String,
    advice: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { status: Status::Ok, what, found: found.into(), advice: None }
    }

    fn warning(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Warning, what, found: found.into(), advice: Some(advice.into()) }
    }

    fn error(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Error, what, found: found.into(), advice: Some(advice.into()) }
    }

    fn line(&self) -> String {
        let Self { status, what, found, advice } = self;
        let advice = advice.as_deref().map(|advice| format!(" – {advice}")).unwrap_or_default();
        format!("{:8} {what:13} {found}{advice}\n", status.as_str())
    }
}

/// Looks at everything, and fails where something is an error.
pub(super) fn execute(
    options: &CheckOptions,
    environment: &Environment,
    find: impl Fn(&str) -> Option<Found>,
) -> Result<(), Failure> {
    let problems = Config::problems(&find);
    let mut findings: Vec<_> = problems
        .iter()
        .map(|problem| Finding::error("settings", problem.to_string(), "mend it; `parlance config` explains each setting"))
        .collect();
    // The rest is looked at as if what cannot be read were unset.
    let readable = |name: &str| find(name).filter(|_| !problems.iter().any(|problem| problem.name == name));
    let config = Config::load(readable).map_err(Failure::new)?;
    findings.extend(
        typos(environment.names())
            .iter()
            .map(|typo| Finding::warning("settings", about_typo(typo), format!("write {} or remove it", typo.meant))),
    );
    if findings.is_empty() {
        let set = Config::NAMES.iter().filter(|name| find(name).is_some_and(|found| !found.value.is_empty())).count();
        findings.push(Finding::ok("settings", format!("{set} set, the others have their defaults (`parlance config`)")));
    }
    findings.extend(dialects(&config));
    findings.push(secret(&config));
    findings.push(folder(&config));
    findings.push(disk(&config));
    findings.extend(database(&config));
    findings.push(actix::System::new().block_on(port(&config)));
    findings.push(files(options.connections));
    findings.extend(backlog());
    findings.extend(client_files(&config));
    findings.extend(model(&config));
    tell(&findings, options.json)
}

fn tell(findings: &[Finding], as_json: bool) -> Result<(), Failure> {
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let (errors, warnings) = (count(Status::Error), count(Status::Warning));
    if as_json {
        let checks: Vec<_> = findings.iter().map(shown).collect();
        print(&format!("{:#}\n", json!({"ok": errors == 0, "checks": checks})))?;
    } else {
        let lines: String = findings.iter().map(Finding::line).collect();
        print(&format!("{lines}\n{}\n", verdict(errors, warnings)))?;
    }
    if errors == 0 { Ok(()) } else { Err(Failure::told()) }
}

fn shown(finding: &Finding) -> Value {
    let Finding { status, what, found, advice } = finding;
    let mut shown = json!({"status": status.as_str(), "what": what, "found": found});
    if let (Some(advice), Some(object)) = (advice, shown.as_object_mut()) {
        object.insert("advice".to_owned(), json!(advice));
    }
    shown
}

fn verdict(errors: usize, warnings: usize) -> String {
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => "All is well: `parlance serve` can start.".to_owned(),
        (0, _) => format!("{}; `parlance serve` can start.", counted(warnings, "warning")),
        _ => format!(
            "{}, {}; `parlance serve` cannot start, or not serve well.",
            counted(errors, "error"),
            counted(warnings, "warning")
        ),
    }
}

fn dialects(config: &Config) -> Option<Finding> {
    let error = DialectSet::enabled(&config.dialects).err()?;
    Some(Finding::error("dialects", error.to_string(), "set DIALECTS to names that there are, or to all"))
}

fn secret(config: &Config) -> Finding {
    let set = config.named_jwt_secrets();
    let short = |bytes: usize| bytes < ADVISED_SECRET_BYTES;
    let longer = "set one of 32 bytes or more, such as `openssl rand -base64 48` makes; tokens of the old one end with it";
    if let Some((name, secret)) = set.iter().find(|(_, secret)| short(secret.expose().len())) {
        return Finding::warning("secret", format!("{name} has {} bytes and can be guessed", secret.expose().len()), longer);
    }
    if let Some((first, secret)) = set.first() {
        return Finding::ok(
            "secret",
            format!("{first} signs tokens ({} bytes), {} verify them", secret.expose().len(), set.len()),
        );
    }
    match find_kept_secret(config) {
        Ok(None) => Finding::ok("secret", "none yet: the first start makes one in DATA_DIR"),
        Ok(Some(kept)) if kept.mode & 0o077 != 0 => {
            let path = kept.path.display();
            Finding::warning("secret", format!("others may read {path} (mode {:o})", kept.mode), format!("`chmod 600 {path}`"))
        }
        Ok(Some(kept)) if short(kept.secret.expose().len()) => Finding::warning(
            "secret",
            format!("{} holds {} bytes and can be guessed", kept.path.display(), kept.secret.expose().len()),
            longer,
        ),
        Ok(Some(kept)) => {
            let bytes = kept.secret.expose().len();
            Finding::ok("secret", format!("{} ({bytes} bytes, mode {:o})", kept.path.display(), kept.mode))
        }
        Err(error) => Finding::error("secret", error.to_string(), "have the file belong to the user that serves"),
    }
}

/// The folder, or what is there of the path to it.
fn existing(path: &Path) -> &Path {
    let nearest = path.ancestors().find(|ancestor| !ancestor.as_os_str().is_empty() && ancestor.exists());
    nearest.unwrap_or(Path::new(if path.is_absolute() { "/" } else { "." }))
}

fn may_write(path: &Path) -> bool {
    access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

fn folder(config: &Config) -> Finding {
    let (wanted, there) = (&config.data_dir, existing(&config.data_dir));
    let mend = "have it belong to the user that serves, or set DATA_DIR to a folder that can be written";
    if !there.is_dir() {
        return Finding::error("data folder", format!("{} is no folder", there.display()), "set DATA_DIR to a folder");
    }
    if !may_write(there) {
        return Finding::error("data folder", format!("{} cannot be written by this user", there.display()), mend);
    }
    match there == wanted {
        true => Finding::ok("data folder", format!("{} can be written", wanted.display())),
        false => Finding::ok("data folder", format!("{} is not there yet: the first start makes it", wanted.display())),
    }
}

fn disk(config: &Config) -> Finding {
    let there = existing(&config.data_dir);
    let more = "make room: what cannot be stored is refused";
    match statvfs(there) {
        Err(error) => Finding::warning("disk", format!("{}: {error}", there.display()), "see whether the disk is well"),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let found = format!("{} free where DATA_DIR is", size(free));
            if free < DISK_LEAST {
                Finding::error("disk", found, more)
            } else if free < DISK_ADVISED {
                Finding::warning("disk", found, more)
            } else {
                Finding::ok("disk", found)
            }
        }
    }
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    match bytes >> 20 {
        megabytes @ ..1_024 => format!("{megabytes} MB"),
        megabytes => format!("{} GB", megabytes >> 10),
    }
}

fn database(config: &Config) -> Vec<Finding> {
    let what = "database";
    let url = match DatabaseUrl::parse(config.database_url.as_str(), &config.data_dir) {
        Ok(url) => url,
        Err(reason) => {
            return vec![Finding::error(
                what,
                format!("DATABASE_URL: {reason}"),
                "write sqlite:///absolute/path or postgres://…",
            )];
        }
    };
    let place = match &url {
        DatabaseUrl::Sqlite(path) => path.display().to_string(),
        DatabaseUrl::Postgres(_) => config.database_url.to_string(),
    };
    let mut findings = Vec::new();
    match store::look_at(&url) {
        Err(cause) => {
            let advice = match url {
                DatabaseUrl::Sqlite(_) => "see whether it is a database of Parlance and belongs to the user that serves",
                DatabaseUrl::Postgres(_) => "see that Postgres runs, that the database exists, and that DATABASE_URL names it",
            };
            findings.push(Finding::error(what, format!("{place} cannot be read: {cause}"), advice));
        }
        Ok(None) => findings.push(Finding::ok(what, format!("{place} is not there yet: the first start makes it"))),
        Ok(Some(state)) => {
            findings.push(tables(&state, &place));
            findings.extend(state.max_connections.and_then(|most| pool(config, most)));
        }
    }
    if let DatabaseUrl::Sqlite(path) = &url
        && !may_write_file(path)
    {
        let advice = "have the file and its folder belong to the user that serves";
        findings.push(Finding::error(what, format!("{place} cannot be written by this user"), advice));
    }
    findings
}

fn tables(state: &DatabaseState, place: &str) -> Finding {
    let (what, version) = ("database", &state.version);
    let pending = state.migrations.iter().filter(|step| !step.is_applied).count();
    if let Some(newest) = state.migrations.iter().rfind(|step| !step.is_known) {
        let found = format!("{version} at {place} was used by a later release (migration {})", newest.name);
        Finding::error(what, found, "run that release or a later one, or restore a backup of before")
    } else if pending > 0 {
        let found = format!("{version} at {place}, {pending} migrations pending");
        Finding::warning(what, found, "back it up; the next start applies them, or `parlance migrate up`")
    } else {
        Finding::ok(what, format!("{version} at {place}, its tables are up to date"))
    }
}

/// A file of SQLite needs its folder, too: the log stands there.
fn may_write_file(path: &Path) -> bool {
    let folder = path.parent().map_or(Path::new("."), existing);
    may_write(folder) && (!path.exists() || access(path, Access::WRITE_OK).is_ok())
}

fn pool(config: &Config, max_connections: i64) -> Option<Finding> {
    // And one that writes.
    let wanted = i64::try_from(config.db_pool_size).unwrap_or(i64::MAX).saturating_add(1);
    let found = format!("DB_POOL_SIZE and the writer want {wanted} connections, Postgres has {max_connections}");
    let is_too_much = wanted > max_connections - CONNECTIONS_KEPT;
    is_too_much.then(|| Finding::warning("database", found, "lower DB_POOL_SIZE, or raise max_connections of Postgres"))
}

async fn port(config: &Config) -> Finding {
    let (what, number) = ("port", config.port);
    let place = format!("{} port {number}", config.host);
    if number == 0 {
        return Finding::ok(what, "any that is free (PORT=0)");
    }
    let addresses = match addresses(&config.host, number) {
        Ok(addresses) => addresses,
        Err(error) => {
            return Finding::error(
                what,
                format!("HOST={} is unknown here ({error})", config.host),
                "set HOST to an address of this machine",
            );
        }
    };
    let tried: Vec<_> = addresses.iter().map(|address| TcpListener::bind(SocketAddr::new(*address, number)).map(drop)).collect();
    let is_kind = |kind| tried.iter().any(|tried| tried.as_ref().is_err_and(|error| error.kind() == kind));
    if is_kind(io::ErrorKind::AddrInUse) {
        return match who_serves(config).await {
            Some(found) => Finding::ok(what, format!("{place}: {found}")),
            None => Finding::error(
                what,
                format!("{place} is taken by another program"),
                format!("stop it (`ss -ltnp 'sport = :{number}'` names it), or set PORT to a free one"),
            ),
        };
    }
    if is_kind(io::ErrorKind::PermissionDenied) {
        return Finding::error(
            what,
            format!("{place} needs privileges"),
            "set PORT to 1024 or more behind a proxy, or give the binary cap_net_bind_service with setcap",
        );
    }
    // A machine without IPv6 has no ::1.
    if tried.iter().any(Result::is_ok) {
        return Finding::ok(what, format!("{place} is free"));
    }
    let cause = tried.into_iter().find_map(Result::err).map(|error| error.to_string()).unwrap_or_default();
    Finding::error(what, format!("{place} cannot be listened on: {cause}"), "set HOST to an address of this machine")
}

fn addresses(host: &Host, port: u16) -> io::Result<Vec<IpAddr>> {
    match host {
        Host::Localhost => Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        Host::Address(address) => Ok(vec![*address]),
        Host::Name(name) => Ok((name.as_str(), port).to_socket_addrs()?.map(|address| address.ip()).collect()),
    }
}

/// The server of ours that has the port already.
async fn who_serves(config: &Config) -> Option<String> {
    let remote = Remote::new(&RemoteOptions::default(), &Environment::default(), config).ok()?;
    let health = timeout(WHO_TIMEOUT, remote.get("/api/socket/health")).await.ok()?.ok()?;
    let connected = health.get("socket")?.get("connected")?.as_u64()?;
    Some(format!("a Parlance serves here already, {connected} sockets are connected"))
}

/// The server raises the soft limit to the hard one.
fn files(wanted: usize) -> Finding {
    let what = "open files";
    let Ok((_, hard)) = rlimit::getrlimit(rlimit::Resource::NOFILE) else {
        return Finding::warning(what, "the limit of open files cannot be read", "see `ulimit -Hn`");
    };
    let connections = app::connections_with(hard);
    let found = format!("the limit of {hard} allows {connections} connections");
    if connections >= wanted {
        return Finding::ok(what, found);
    }
    let files = wanted.saturating_add(1_000);
    let advice = format!("for {wanted} set `LimitNOFILE={files}` in the systemd unit, or `ulimit -n {files}` before the start");
    Finding::warning(what, found, advice)
}

/// Connections that come at once wait in a queue whose length the kernel cuts.
fn backlog() -> Option<Finding> {
    let path = "/proc/sys/net/core/somaxconn";
    let most: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let wanted = transport::BACKLOG;
    Some(match most >= wanted {
        true => Finding::ok("backlog", format!("{wanted} connections may wait to be accepted")),
        false => Finding::warning(
            "backlog",
            format!(
                "only {most} of {wanted} connections may wait to be accepted: more at once, as after a restart, are turned away"
            ),
            format!("`sysctl -w net.core.somaxconn={wanted}`"),
        ),
    })
}

fn client_files(config: &Config) -> Option<Finding> {
    let folder = &config.client_files;
    if folder.as_os_str().is_empty() {
        return None;
    }
    let place = folder.display();
    Some(match api::check_client_files(folder) {
        Ok(()) => Finding::ok("client files", format!("{place} has the browser's client")),
        Err(error) => Finding::error(
            "client files",
            format!("no socket.io.js in {place} ({error})"),
            "set CLIENT_FILES to `dist` of the npm package socket.io-client, or to nothing",
        ),
    })
}

fn model(config: &Config) -> Option<Finding> {
    let provider = config.ai_provider;
    if provider == AiProvider::Echo {
        return None;
    }
    let has_way = config.ai_api_key.is_some() || config.ai_url != ModelAddress::default();
    Some(match has_way {
        true => Finding::ok("model", format!("{provider} answers in AI conversations; it is not asked here")),
        false => Finding::warning(
            "model",
            format!("AI_PROVIDER={provider} has no key"),
            "set AI_API_KEY, or AI_URL to a server that needs none",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_that_says_what_to_do() {
        let finding = Finding::warning("disk", "12 MB free", "make room");
        assert_eq!(finding.line(), "warning  disk          12 MB free – make room\n");
        assert_eq!(Finding::ok("port", "free").line(), "ok       port          free\n");
    }

    #[test]
    fn more_connections_than_files_are_a_warning() {
        assert_eq!(files(4).status, Status::Ok);
        assert_eq!(files(usize::MAX).status, Status::Warning);
    }

    #[test]
    fn a_folder_that_is_not_there_is_looked_for_above() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b/c")), folder.path());
        assert_eq!(existing(Path::new("surely-not-there/x")), Path::new("."));
    }

    #[test]
    fn the_pool_must_fit_into_postgres() {
        let config = Config::default();
        assert!(pool(&config, 100).is_none());
        assert_eq!(pool(&config, 12).unwrap().status, Status::Warning);
    }
}
