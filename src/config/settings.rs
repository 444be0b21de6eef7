//! The table of all settings, and how it is read and listed.
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::address::{DatabaseAddress, Host, ModelAddress, Origins, SocketPath};
use super::dialects::DialectNames;
use super::error::ConfigError;
use super::kind::{Count, Flag, Folder, Hidden, HiddenKeys, Kept, Kind, Length, Optional, Parsed, Proxies, Size, Text};
use super::log_filter::LogFilter;
use super::secret::{ApiKey, Secret};
use super::word::{AdminUiMode, AiProvider, CatchUp, Delivery, LogFormat, PresenceScope};

/// A value as it was found outside, and where.
#[derive(Debug, Clone)]
pub struct Found {
    /// The text.
    pub value: OsString,
    /// `environment` or `.env`.
    pub source: &'static str,
}

/// One setting as `parlance config` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it belongs to: `server`, `store`, …
    pub group: &'static str,
    /// The name in the environment.
    pub name: &'static str,
    /// The value in force; secrets are redacted.
    pub value: String,
    /// `default`, `environment` or `.env`.
    pub source: &'static str,
    /// What it is for.
    pub help: &'static str,
}

macro_rules! settings {
    ($($group:literal { $($(#[doc = $help:literal])+ $field:ident: $type:ty = $default:expr, $name:literal, $kind:expr;)+ })+) => {
        /// What the server was told. Plain data; the default is what a start without any setting has.
        #[derive(Debug, Clone)]
        pub struct Config {
            $($($(#[doc = $help])+ #[doc = ""] #[doc = concat!("`", $name, "`")] pub $field: $type,)+)+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($($field: $default,)+)+ }
            }
        }

        impl Config {
            /// Reads every setting through `find`, which knows the environment and the `.env` file.
            ///
            /// # Errors
            /// The first setting whose value is not one of its kind.
            pub fn load(find: impl Fn(&str) -> Option<Found>) -> Result<Self, ConfigError> {
                Ok(Self { $($($field: match text_of($name, &find)? {
                    Some((text, _)) => parse($name, &$kind, &text)?,
                    None => $default,
                },)+)+ })
            }

            /// Every setting whose value is not one of its kind.
            pub fn problems(find: impl Fn(&str) -> Option<Found>) -> Vec<ConfigError> {
                let mut problems = Vec::new();
                $($({
                    let found = text_of($name, &find);
                    let read: Result<Option<$type>, _> = found.and_then(|found| found.map(|(text, _)| parse($name, &$kind, &text)).transpose());
                    problems.extend(read.err());
                })+)+
                problems
            }

            /// The names of all settings.
            pub const NAMES: &[&str] = &[$($($name,)+)+];

            /// Lists every setting with its value and where that came from.
            ///
            /// # Errors
            /// As [`Config::load`].
            pub fn list(find: impl Fn(&str) -> Option<Found>) -> Result<Vec<Listed>, ConfigError> {
                let mut listed = Vec::new();
                $($({
                    let (value, source): ($type, _) = match text_of($name, &find)? {
                        Some((text, source)) => (parse($name, &$kind, &text)?, source),
                        None => ($default, "default"),
                    };
                    let help = concat!($($help),+).trim_ascii_start();
                    listed.push(Listed { group: $group, name: $name, value: $kind.print(&value), source, help });
                })+)+
                Ok(listed)
            }
        }
    };
}

/// One second, the least that some lengths of time can have.
const SECOND: Duration = Duration::from_secs(1);
/// One millisecond, the least that most lengths of time can have.
const MILLISECOND: Duration = Duration::from_millis(1);
/// The least that messages are kept: for a day a retry is known by its name, and what was missed lately comes.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The least that is kept of what has still to be used.
const HOUR: Duration = Duration::from_secs(60 * 60);

settings! {
    "server" {
        /// Address or name to listen on; `localhost` is 127.0.0.1 and ::1.
        host: Host = Host::Localhost, "HOST", Parsed::new();
        /// Port to listen on; 0 takes any free one.
        port: u16 = 3000, "PORT", Count::at_least(0);
        /// Whether a second server may be started on the port: it waits until the first one is stopped, and takes over from it.
        reuse_port: bool = false, "REUSE_PORT", Flag;
        /// Certificate with its chain, a PEM file: HTTPS and wss are spoken, and nothing else. Read again when it changes.
        tls_cert: Option<PathBuf> = None, "TLS_CERT", Optional;
        /// Private key of TLS_CERT, a PEM file.
        tls_key: Option<PathBuf> = None, "TLS_KEY", Optional;
        /// Path of the Engine.IO endpoint.
        socket_path: SocketPath = SocketPath::default(), "SOCKET_PATH", Parsed::new();
        /// Folder of the browser client's files, `dist` of the npm package `socket.io-client`: served under SOCKET_PATH.
        client_files: Option<PathBuf> = None, "CLIENT_FILES", Optional;
        /// Folder for the database, the secret and the uploads; made where it is missing.
        data_dir: PathBuf = PathBuf::from("./data"), "DATA_DIR", Folder;
        /// Origins of browser pages that may connect beside the server's own, or `*` for all; where `HOST` is loopback, those of this machine may, too.
        client_url: Origins = Origins::default(), "CLIENT_URL", Parsed::new();
        /// Addresses or CIDR ranges of proxies whose `X-Forwarded-*` headers count.
        trusted_proxies: Vec<IpNet> = Vec::new(), "TRUSTED_PROXIES", Proxies;
        /// How long a stop may take.
        shutdown_timeout: Duration = Duration::from_secs(10), "SHUTDOWN_TIMEOUT", Length::any();
        /// What is logged: a level, or `target=level` parts.
        rust_log: LogFilter = LogFilter::default(), "RUST_LOG", Parsed::new();
        /// How: `text` or `json`, an object a line.
        log_format: LogFormat = LogFormat::Text, "LOG_FORMAT", Parsed::new();
        /// Token with which `/metrics` is scraped; without one everybody may.
        metrics_token: Option<Secret> = None, "METRICS_TOKEN", Hidden;
    }
    "store" {
        /// `sqlite:///absolute`, `sqlite://relative-to-DATA_DIR` or `postgres://…`.
        database_url: DatabaseAddress = DatabaseAddress::default(), "DATABASE_URL", Parsed::new();
        /// Database connections for reading.
        db_pool_size: usize = 10, "DB_POOL_SIZE", Count::at_least(1);
        /// `live` shows messages while they are being stored, `stored` after that.
        delivery: Delivery = Delivery::Live, "DELIVERY", Parsed::new();
        /// How long an absent database is waited for.
        store_retry_for: Duration = Duration::from_secs(30), "STORE_RETRY_FOR", Length::any();
        /// Changes that may wait for the database.
        store_queue: usize = 10_000, "STORE_QUEUE", Count::at_least(1);
        /// Messages older than this are deleted; 0s: never. At least 1d.
        retain_messages: Duration = Duration::ZERO, "RETAIN_MESSAGES", Kept::at_least(DAY);
        /// Notifications older than this are deleted; 0s: never. At least 1h.
        retain_notifications: Duration = Duration::ZERO, "RETAIN_NOTIFICATIONS", Kept::at_least(HOUR);
        /// Uploads older than this that no message and no picture names are deleted; 0s: never. At least 1h.
        retain_orphans: Duration = Duration::ZERO, "RETAIN_ORPHANS", Kept::at_least(HOUR);
    }
    "accounts" {
        /// Secret of the tokens; signs, if set. Without any of the three one is made and kept in DATA_DIR.
        jwt_secret: Option<Secret> = None, "JWT_SECRET", Hidden;
        /// A further secret of tokens.
        jwt_access_secret_key: Option<Secret> = None, "JWT_ACCESS_SECRET_KEY", Hidden;
        /// A further secret of tokens.
        jwt_secrete: Option<Secret> = None, "JWT_SECRETE", Hidden;
        /// How long a token that this server makes is valid.
        token_ttl: Duration = Duration::from_secs(7 * 24 * 60 * 60), "TOKEN_TTL", Length::at_least(SECOND);
        /// How long after its login a token can be refreshed, and is valid at most; 0s: for ever.
        token_max_age: Duration = Duration::from_secs(30 * 24 * 60 * 60), "TOKEN_MAX_AGE", Length::any();
        /// Whether tokens without `exp` are refused.
        require_exp: bool = false, "REQUIRE_EXP", Flag;
        /// Whether anybody may register.
        allow_registration: bool = true, "ALLOW_REGISTRATION", Flag;
        /// Whether users unknown here are made from valid tokens, and follow what newer ones say; a token's role counts only then.
        auto_provision_users: bool = false, "AUTO_PROVISION_USERS", Flag;
        /// Whether `?token=` is looked at.
        allow_query_token: bool = false, "ALLOW_QUERY_TOKEN", Flag;
        /// Keys with which servers act as administrators (`X-API-Key`), comma-separated; `NAME:KEY` names one for the log.
        api_keys: Vec<ApiKey> = Vec::new(), "API_KEYS", HiddenKeys;
        /// Whether uploads are shown only to users.
        uploads_require_auth: bool = false, "UPLOADS_REQUIRE_AUTH", Flag;
    }
    "dialects" {
        /// Event vocabularies that clients may speak, comma-separated, or `all`.
        dialects: DialectNames = DialectNames::All, "DIALECTS", Parsed::new();
        /// Whether unknown events are answered with an error also where their sender waits for no answer.
        strict_events: bool = false, "STRICT_EVENTS", Flag;
        /// Who learns who is online: `everyone`, or `contacts` (those who share a conversation).
        presence_scope: PresenceScope = PresenceScope::Everyone, "PRESENCE_SCOPE", Parsed::new();
        /// With more users online than this, `everyone` acts as `contacts`.
        presence_everyone_max: usize = 1_000, "PRESENCE_EVERYONE_MAX", Count::at_least(0);
        /// How long a user whose last socket dropped still counts as online.
        presence_grace: Duration = Duration::from_secs(5), "PRESENCE_GRACE", Length::any();
        /// How long typing lasts without a further sign.
        typing_ttl: Duration = Duration::from_secs(30), "TYPING_TTL", Length::at_least(MILLISECOND);
        /// Whether missed messages are delivered at connect: `on` or `off`.
        catch_up: CatchUp = CatchUp::On, "CATCH_UP", Parsed::new();
        /// Missed messages, edits and deletions that are delivered at most, the newest.
        catch_up_max: usize = 5_000, "CATCH_UP_MAX", Count::at_least(0);
    }
    "connections" {
        /// Time an HTTP connection may be idle; longer than a proxy in front keeps it, or that is told 502 now and then.
        keep_alive: Duration = Duration::from_secs(75), "KEEP_ALIVE", Length::at_least(SECOND);
        /// Time between two heartbeats.
        ping_interval: Duration = Duration::from_secs(25), "PING_INTERVAL", Length::at_least(MILLISECOND);
        /// Time a client has to answer a heartbeat.
        ping_timeout: Duration = Duration::from_secs(20), "PING_TIMEOUT", Length::at_least(MILLISECOND);
        /// Time a client has to authenticate.
        connect_timeout: Duration = Duration::from_secs(45), "CONNECT_TIMEOUT", Length::at_least(MILLISECOND);
        /// Time that a blocked write may take.
        write_timeout: Duration = Duration::from_secs(20), "WRITE_TIMEOUT", Length::at_least(MILLISECOND);
        /// How long a client whose connection was lost can come back to its session; 0s: it always comes anew.
        recovery_ttl: Duration = Duration::from_secs(120), "RECOVERY_TTL", Length::any();
        /// A client is asked before the next heartbeat whether a message has arrived, so long after it was sent at the latest; at
        /// once where its sender waits to hear it.
        proof_interval: Duration = Duration::from_secs(5), "PROOF_INTERVAL", Length::any();
        /// Memory for what was said lately, for those who come back.
        recovery_bytes: usize = 64 * 1024 * 1024, "RECOVERY_BYTES", Size::at_least(0);
        /// Sessions of lost connections that are kept.
        parked_max: usize = 100_000, "PARKED_MAX", Count::at_least(0);
        /// Whether messages over WebSocket are compressed for clients that offer it.
        permessage_deflate: bool = false, "PERMESSAGE_DEFLATE", Flag;
        /// Packets that may wait for one socket, and events behind its catch-up.
        outbox_packets: usize = 1_024, "OUTBOX_PACKETS", Count::at_least(1);
        /// Bytes that may wait for one socket.
        outbox_bytes: usize = 1024 * 1024, "OUTBOX_BYTES", Size::at_least(1);
        /// Size of the largest packet that clients may send.
        max_packet_size: usize = 1_000_000, "MAX_PACKET_SIZE", Size::at_least(1);
    }
    "limits" {
        /// Events per second of one socket, and requests that change something of one user over HTTP; ten times as many that read; 0: no limit.
        rate_limit_events: u32 = 10, "RATE_LIMIT_EVENTS", Count::at_least(0);
        /// Events that one socket may send at once; 0: as many as in a second.
        rate_limit_burst: u32 = 20, "RATE_LIMIT_BURST", Count::at_least(0);
        /// Receipts and typing signs per second of one socket, and ten times as many at once; 0: no limit.
        rate_limit_receipts: u32 = 100, "RATE_LIMIT_RECEIPTS", Count::at_least(0);
        /// Wrong logins per minute of one account; ten times as many, with registrations and wrong keys, of one address; 0: no limit.
        rate_limit_logins: u32 = 10, "RATE_LIMIT_LOGINS", Count::at_least(0);
        /// Sockets of one user; 0: no limit.
        max_sockets_per_user: usize = 50, "MAX_SOCKETS_PER_USER", Count::at_least(0);
        /// Connections of one address, be they sockets or not; 0: no limit. An IPv6 network (/64) is one address.
        max_sockets_per_address: usize = 1_000, "MAX_SOCKETS_PER_ADDRESS", Count::at_least(0);
        /// Public rooms that one socket may join; 0: no limit.
        max_rooms_per_socket: usize = 1_000, "MAX_ROOMS_PER_SOCKET", Count::at_least(0);
        /// Members of a group; 0: no limit.
        max_group_members: usize = 1_000, "MAX_GROUP_MEMBERS", Count::at_least(0);
        /// Characters of a message; 0: as many as its packet can hold.
        max_message_length: usize = 0, "MAX_MESSAGE_LENGTH", Count::at_least(0);
        /// Size of the largest upload; 0: no limit.
        max_upload_size: usize = 50 * 1024 * 1024, "MAX_UPLOAD_SIZE", Size::at_least(0);
    }
    "model" {
        /// Who answers in AI conversations: `gemini`, `openai` (any server that speaks chat completions), or `echo`: nobody.
        ai_provider: AiProvider = AiProvider::Echo, "AI_PROVIDER", Parsed::new();
        /// Address of the provider, base or whole; without one its own. `/v1` (openai) or `/v1beta` (gemini) is added where it has no path.
        ai_url: ModelAddress = ModelAddress::default(), "AI_URL", Parsed::new();
        /// Key of the provider; servers of one's own often need none.
        ai_api_key: Option<Secret> = None, "AI_API_KEY", Hidden;
        /// Name of the model; without one `gemini-2.5-flash` or `gpt-4o-mini`.
        ai_model: String = String::new(), "AI_MODEL", Text;
        /// How long a provider may be silent, before an answer and in it.
        ai_timeout: Duration = Duration::from_secs(60), "AI_TIMEOUT", Length::at_least(MILLISECOND);
        /// How long an answer may take in all; what came by then is kept.
        ai_total_timeout: Duration = Duration::from_secs(600), "AI_TOTAL_TIMEOUT", Length::at_least(MILLISECOND);
        /// Questions that are asked at once.
        ai_concurrency: usize = 8, "AI_CONCURRENCY", Count::at_least(1);
        /// Questions of one user that are asked at once; 0: no limit.
        ai_per_user: usize = 2, "AI_PER_USER", Count::at_least(0);
        /// What the model is told before every chat.
        ai_system_prompt: String = String::new(), "AI_SYSTEM_PROMPT", Text;
        /// What is shown instead of an answer by front ends that know no failure.
        ai_error_text: String = "Sorry, I cannot answer right now. Please try again.".to_owned(), "AI_ERROR_TEXT", Text;
    }
    "operations" {
        /// Name with which one logs in to the Admin UI of Socket.IO.
        admin_ui_user: String = "admin".to_owned(), "ADMIN_UI_USER", Text;
        /// Hash of its password, as `parlance admin-password` makes it; without one there is no namespace `/admin`.
        admin_ui_password: Option<Secret> = None, "ADMIN_UI_PASSWORD", Hidden;
        /// What it is shown: `development` (sockets, rooms, events and what is said in them) or `production` (figures only).
        admin_ui_mode: AdminUiMode = AdminUiMode::Development, "ADMIN_UI_MODE", Parsed::new();
        /// Folder of its files, `ui/dist` of the npm package `@socket.io/admin-ui`: served at `/admin/ui/`.
        admin_ui_dir: Option<PathBuf> = None, "ADMIN_UI_DIR", Optional;
    }
}

impl Config {
    /// The secrets of tokens that were set, in the order of the setting names: all verify, the first signs.
    pub fn jwt_secrets(&self) -> Vec<Secret> {
        self.named_jwt_secrets().into_iter().map(|(_, secret)| secret).collect()
    }

    /// Whether HTTPS and wss are spoken.
    pub fn speaks_tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// [`Config::jwt_secrets`] with the names of their settings.
    pub fn named_jwt_secrets(&self) -> Vec<(&'static str, Secret)> {
        let settings = [
            ("JWT_SECRET", &self.jwt_secret),
            ("JWT_ACCESS_SECRET_KEY", &self.jwt_access_secret_key),
            ("JWT_SECRETE", &self.jwt_secrete),
        ];
        settings.into_iter().filter_map(|(name, secret)| Some((name, secret.clone()?))).collect()
    }
}

/// Reads a length of time as settings are written: a number with `ms`, `s`, `m`, `h` or `d`; at least a second.
///
/// # Errors
/// What would be right.
pub fn parse_length(text: &str) -> Result<Duration, String> {
    Length::at_least(SECOND).parse(text)
}

/// The text of a setting and where it came from; `None` where it is unset or blank.
fn text_of(name: &'static str, find: &impl Fn(&str) -> Option<Found>) -> Result<Option<(String, &'static str)>, ConfigError> {
    let Some(Found { value, source }) = find(name) else { return Ok(None) };
    let text = value.into_string().map_err(|_| ConfigError { name, reason: "is not UTF-8".to_owned() })?;
    Ok(if text.trim().is_empty() { None } else { Some((text, source)) })
}

fn parse<K: Kind>(name: &'static str, kind: &K, text: &str) -> Result<K::Value, ConfigError> {
    kind.parse(text).map_err(|reason| ConfigError { name, reason })
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
