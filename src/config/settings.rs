//! The table of all settings, with the functions that read and list them.
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::address::{BackendAddress, DatabaseAddress, Host, ModelAddress, Origins, PublicUrl, SocketPath};
use super::dialects::DialectNames;
use super::error::ConfigError;
use super::hook_events::HookEvents;
use super::kind::{
    Count, Files, Flag, Folder, Hidden, HiddenKeys, Kept, Kind, Length, Optional, Parsed, Proxies, Size, Text, Texts,
};
use super::log_filter::LogFilter;
use super::namespaces::Namespaces;
use super::scopes::KeyScopes;
use super::secret::{ApiKey, Secret};
use super::tokens::{Audience, KeyAddresses, USER_CLAIMS};
use super::upload_types::UploadTypes;
use super::webhook_events::WebhookEvents;
use super::word::{AdminUiMode, AiProvider, CatchUp, Delivery, HookFailure, LogFormat, PresenceScope, SameSite, WebChat};

/// A raw value from outside, and its source.
#[derive(Debug, Clone)]
pub struct Found {
    /// The text.
    pub value: OsString,
    /// `environment` or `.env`.
    pub source: &'static str,
}

/// One setting as printed by `parlance config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Group of the setting: `server`, `store`, …
    pub group: &'static str,
    /// Name in the environment.
    pub name: &'static str,
    /// The value in force; secrets are redacted.
    pub value: String,
    /// `default`, `environment` or `.env`.
    pub source: &'static str,
    /// Description.
    pub help: &'static str,
}

macro_rules! settings {
    ($($group:literal { $($(#[doc = $help:literal])+ $field:ident: $type:ty = $default:expr, $name:literal, $kind:expr;)+ })+) => {
        /// All settings of the server. Plain data; the default is a start with nothing set.
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
            /// Reads every setting through `find`, which looks a name up in the environment and the `.env` file.
            ///
            /// # Errors
            /// The first setting with an invalid value.
            pub fn load(find: impl Fn(&str) -> Option<Found>) -> Result<Self, ConfigError> {
                Ok(Self { $($($field: match text_of($name, &find)? {
                    Some((text, _)) => parse($name, &$kind, &text)?,
                    None => $default,
                },)+)+ })
            }

            /// Returns an error for every setting with an invalid value.
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

            /// Lists every setting with its value and source.
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

/// Minimum of some durations.
const SECOND: Duration = Duration::from_secs(1);
/// Minimum of most durations.
const MILLISECOND: Duration = Duration::from_millis(1);
/// Minimum retention of messages: for a day, a retry is recognised by its id, and recently missed messages can be
/// delivered.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Minimum retention of data that still has to be used.
const HOUR: Duration = Duration::from_secs(60 * 60);

settings! {
    "server" {
        /// Address or name to listen on; `localhost` is 127.0.0.1 and ::1.
        host: Host = Host::Localhost, "HOST", Parsed::new();
        /// Port to listen on; 0 takes any free one.
        port: u16 = 3000, "PORT", Count::at_least(0);
        /// Lets a second server start on the same port: it waits until the first one stops, and takes over from it.
        reuse_port: bool = false, "REUSE_PORT", Flag;
        /// Certificate with its chain, a PEM file: if set, only HTTPS and wss are served. Reloaded when it changes.
        tls_cert: Option<PathBuf> = None, "TLS_CERT", Optional;
        /// Private key of TLS_CERT, a PEM file.
        tls_key: Option<PathBuf> = None, "TLS_KEY", Optional;
        /// Path of the Engine.IO endpoint.
        socket_path: SocketPath = SocketPath::default(), "SOCKET_PATH", Parsed::new();
        /// The chat at `/`: `on`, `off`, or `demo`, which shows two people side by side on this machine even if it has
        /// accounts.
        web_chat: WebChat = WebChat::On, "WEB_CHAT", Parsed::new();
        /// Folder of the browser client's files, `dist` of the npm package `socket.io-client`, served under
        /// SOCKET_PATH.
        client_files: Option<PathBuf> = None, "CLIENT_FILES", Optional;
        /// Folder for the database, the secret and the uploads; created if missing.
        data_dir: PathBuf = PathBuf::from("./data"), "DATA_DIR", Folder;
        /// Origins of browser pages that may connect, in addition to the server's own, or `*` for all; if `HOST` is
        /// loopback, pages of this machine may connect, too. `https://*.example.app` names all hosts below that name;
        /// `null` and `file://` connect without cookies.
        client_url: Origins = Origins::default(), "CLIENT_URL", Parsed::new();
        /// Address by which browsers reach this server; put before addresses of files, for front ends on another
        /// origin.
        public_url: PublicUrl = PublicUrl::default(), "PUBLIC_URL", Parsed::new();
        /// Addresses or CIDR ranges of proxies whose `X-Forwarded-*` headers count.
        trusted_proxies: Vec<IpNet> = Vec::new(), "TRUSTED_PROXIES", Proxies;
        /// Maximum time that a stop may take.
        shutdown_timeout: Duration = Duration::from_secs(10), "SHUTDOWN_TIMEOUT", Length::any();
        /// Log filter: a level, or `target=level` parts.
        rust_log: LogFilter = LogFilter::default(), "RUST_LOG", Parsed::new();
        /// Format of log lines: `text`, or `json` with one object a line.
        log_format: LogFormat = LogFormat::Text, "LOG_FORMAT", Parsed::new();
        /// Bearer token required for `/metrics`; without one, anybody may read them.
        metrics_token: Option<Secret> = None, "METRICS_TOKEN", Hidden;
    }
    "store" {
        /// `sqlite:///absolute`, `sqlite://relative-to-DATA_DIR` or `postgres://…`.
        database_url: DatabaseAddress = DatabaseAddress::default(), "DATABASE_URL", Parsed::new();
        /// Database connections for reading.
        db_pool_size: usize = 10, "DB_POOL_SIZE", Count::at_least(1);
        /// `live` delivers messages while they are being stored, `stored` afterwards.
        delivery: Delivery = Delivery::Live, "DELIVERY", Parsed::new();
        /// Time to wait for an unreachable database.
        store_retry_for: Duration = Duration::from_secs(30), "STORE_RETRY_FOR", Length::any();
        /// Maximum number of changes waiting for the database.
        store_queue: usize = 10_000, "STORE_QUEUE", Count::at_least(1);
        /// Messages older than this are deleted; 0s: never. At least 1d.
        retain_messages: Duration = Duration::ZERO, "RETAIN_MESSAGES", Kept::at_least(DAY);
        /// Notifications older than this are deleted; 0s: never. At least 1h.
        retain_notifications: Duration = Duration::ZERO, "RETAIN_NOTIFICATIONS", Kept::at_least(HOUR);
        /// Uploads older than this that no message and no profile picture uses are deleted; 0s: never. At least 1h.
        retain_orphans: Duration = Duration::ZERO, "RETAIN_ORPHANS", Kept::at_least(HOUR);
    }
    "accounts" {
        /// Secret of tokens; signs, if set. If none of the three is set, one is created and kept in DATA_DIR.
        jwt_secret: Option<Secret> = None, "JWT_SECRET", Hidden;
        /// Another secret of tokens.
        jwt_access_secret_key: Option<Secret> = None, "JWT_ACCESS_SECRET_KEY", Hidden;
        /// Another secret of tokens.
        jwt_secrete: Option<Secret> = None, "JWT_SECRETE", Hidden;
        /// Public keys of other token issuers, as PEM files: RSA, P-256, P-384 or Ed25519.
        jwt_public_key: Vec<PathBuf> = Vec::new(), "JWT_PUBLIC_KEY", Files;
        /// Addresses of sets of public keys (JWKS), read hourly; `http://` for this machine only. Requires JWT_AUDIENCE.
        jwks_url: KeyAddresses = KeyAddresses::default(), "JWKS_URL", Parsed::new();
        /// Issuers of OpenID Connect, which publish where their keys are. Requires JWT_AUDIENCE.
        oidc_issuer: KeyAddresses = KeyAddresses::default(), "OIDC_ISSUER", Parsed::new();
        /// Audiences (`aud`): foreign tokens must name one of them; `*` accepts tokens for any audience.
        jwt_audience: Audience = Audience::Unset, "JWT_AUDIENCE", Parsed::new();
        /// Issuers (`iss`) of tokens that JWT_SECRET, JWT_PUBLIC_KEY or JWKS_URL verify: one for all, or one for each file
        /// and address in their order.
        jwt_issuer: Vec<String> = Vec::new(), "JWT_ISSUER", Texts;
        /// Tolerated clock difference to other token issuers.
        jwt_leeway: Duration = Duration::from_secs(10), "JWT_LEEWAY", Length::any();
        /// Claims that contain the user's id, the first present one counts; a dot leads into an object.
        jwt_user_claim: Vec<String> = USER_CLAIMS.iter().map(|name| (*name).to_owned()).collect(), "JWT_USER_CLAIM", Texts;
        /// Lifetime of tokens issued by this server.
        token_ttl: Duration = Duration::from_secs(7 * 24 * 60 * 60), "TOKEN_TTL", Length::at_least(SECOND);
        /// Maximum age of a login: its tokens are valid and can be refreshed until then; 0s: for ever.
        token_max_age: Duration = Duration::from_secs(30 * 24 * 60 * 60), "TOKEN_MAX_AGE", Length::any();
        /// Refuses tokens without `exp`.
        require_exp: bool = false, "REQUIRE_EXP", Flag;
        /// Allows anybody to register.
        allow_registration: bool = true, "ALLOW_REGISTRATION", Flag;
        /// Creates unknown users from valid tokens, and updates them from newer ones; only then does a token's role
        /// count.
        auto_provision_users: bool = false, "AUTO_PROVISION_USERS", Flag;
        /// Lets in clients without a token as guests, by a name of their choice.
        anonymous_users: bool = false, "ANONYMOUS_USERS", Flag;
        /// Time without a socket after which a guest is gone.
        guest_ttl: Duration = DAY, "GUEST_TTL", Length::at_least(SECOND);
        /// Accepts a token in the query, `?token=`.
        allow_query_token: bool = false, "ALLOW_QUERY_TOKEN", Flag;
        /// Keys that give servers administrator rights (`X-API-Key`), comma-separated; `NAME:KEY` names one for the
        /// log.
        api_keys: Vec<ApiKey> = Vec::new(), "API_KEYS", HiddenKeys;
        /// Scopes of keys by name, `NAME:SCOPE+SCOPE`, comma-separated, of send, read, users, conversations, emit and
        /// admin; a key that is not named has all.
        api_key_scopes: KeyScopes = KeyScopes::default(), "API_KEY_SCOPES", Parsed::new();
        /// Sites whose pages send the login cookie: `lax` or `strict` (this site), or `none` (all; HTTPS only, and changes
        /// need an allowed origin).
        cookie_samesite: SameSite = SameSite::Lax, "COOKIE_SAMESITE", Parsed::new();
        /// Requires a token for downloading uploads.
        uploads_require_auth: bool = false, "UPLOADS_REQUIRE_AUTH", Flag;
    }
    "dialects" {
        /// Event vocabularies that clients may speak, comma-separated, or `all`.
        dialects: DialectNames = DialectNames::All, "DIALECTS", Parsed::new();
        /// Files of further vocabularies, comma-separated; at most 59. Read anew at SIGHUP.
        dialect_files: Vec<PathBuf> = Vec::new(), "DIALECT_FILES", Files;
        /// Answers unknown events with an error even if the sender expects no ack.
        strict_events: bool = false, "STRICT_EVENTS", Flag;
        /// Names of other namespaces that mean `/`, comma-separated, such as `/chat`.
        namespaces: Namespaces = Namespaces::default(), "NAMESPACES", Parsed::new();
        /// Users who see that somebody is online: `everyone`, or `contacts` (those who share a conversation).
        presence_scope: PresenceScope = PresenceScope::Everyone, "PRESENCE_SCOPE", Parsed::new();
        /// Number of online users above which `everyone` acts as `contacts`.
        presence_everyone_max: usize = 1_000, "PRESENCE_EVERYONE_MAX", Count::at_least(0);
        /// Time for which a user whose last socket dropped still counts as online.
        presence_grace: Duration = Duration::from_secs(5), "PRESENCE_GRACE", Length::any();
        /// Time after which typing ends unless it is signalled again.
        typing_ttl: Duration = Duration::from_secs(30), "TYPING_TTL", Length::at_least(MILLISECOND);
        /// Delivery of missed messages at connect: `on` or `off`.
        catch_up: CatchUp = CatchUp::On, "CATCH_UP", Parsed::new();
        /// Maximum number of missed messages, edits and deletions delivered at connect; the newest ones are kept.
        catch_up_max: usize = 5_000, "CATCH_UP_MAX", Count::at_least(0);
    }
    "connections" {
        /// Number of threads that serve connections, at most 64; 0: one for each processor but one, which is left to the
        /// writer, the readers and the kernel.
        workers: usize = 0, "WORKERS", Count::within(0, 64);
        /// Time an HTTP connection may be idle. Set it longer than the proxy in front does, or clients see an
        /// occasional 502.
        keep_alive: Duration = Duration::from_secs(75), "KEEP_ALIVE", Length::at_least(SECOND);
        /// Time between two heartbeats.
        ping_interval: Duration = Duration::from_secs(25), "PING_INTERVAL", Length::at_least(MILLISECOND);
        /// Time a client has to answer a heartbeat.
        ping_timeout: Duration = Duration::from_secs(20), "PING_TIMEOUT", Length::at_least(MILLISECOND);
        /// Time a client has to authenticate.
        connect_timeout: Duration = Duration::from_secs(45), "CONNECT_TIMEOUT", Length::at_least(MILLISECOND);
        /// Maximum time for which a write may be blocked.
        write_timeout: Duration = Duration::from_secs(20), "WRITE_TIMEOUT", Length::at_least(MILLISECOND);
        /// Time within which a client that lost its connection can resume its session; 0s: never.
        recovery_ttl: Duration = Duration::from_secs(120), "RECOVERY_TTL", Length::any();
        /// Ends every event with its offset, for clients that resume; a client that cannot use it may decline it
        /// (`recovery: false`).
        offsets: bool = true, "OFFSETS", Flag;
        /// Maximum time until a client is pinged to confirm that a message has arrived, if no heartbeat is due earlier;
        /// at once if the sender waits for the confirmation.
        proof_interval: Duration = Duration::from_secs(5), "PROOF_INTERVAL", Length::any();
        /// Memory for recent events, kept for clients that resume.
        recovery_bytes: usize = 64 * 1024 * 1024, "RECOVERY_BYTES", Size::at_least(0);
        /// Maximum number of detached sessions kept.
        parked_max: usize = 100_000, "PARKED_MAX", Count::at_least(0);
        /// Compresses messages over WebSocket for clients that offer it.
        permessage_deflate: bool = false, "PERMESSAGE_DEFLATE", Flag;
        /// Maximum number of packets waiting for one socket, and of events held during its catch-up.
        outbox_packets: usize = 1_024, "OUTBOX_PACKETS", Count::at_least(1);
        /// Maximum number of bytes waiting for one socket.
        outbox_bytes: usize = 1024 * 1024, "OUTBOX_BYTES", Size::at_least(1);
        /// Size of the largest packet that clients may send.
        max_packet_size: usize = 1_000_000, "MAX_PACKET_SIZE", Size::at_least(1);
    }
    "limits" {
        /// Events per second of one socket, and changing requests per second of one user over HTTP; ten times as many
        /// for reading; 0: no limit.
        rate_limit_events: u32 = 10, "RATE_LIMIT_EVENTS", Count::at_least(0);
        /// Events that one socket may send in a burst; 0: as many as in a second.
        rate_limit_burst: u32 = 20, "RATE_LIMIT_BURST", Count::at_least(0);
        /// Receipts and typing signals per second of one socket, and ten times as many in a burst; 0: no limit.
        rate_limit_receipts: u32 = 100, "RATE_LIMIT_RECEIPTS", Count::at_least(0);
        /// Failed logins per minute of one account; of one address ten times as many, including registrations and wrong
        /// keys; 0: no limit.
        rate_limit_logins: u32 = 10, "RATE_LIMIT_LOGINS", Count::at_least(0);
        /// Sockets of one user; 0: no limit.
        max_sockets_per_user: usize = 50, "MAX_SOCKETS_PER_USER", Count::at_least(0);
        /// Connections of one address, sockets or not; 0: no limit. An IPv6 network (/64) is one address.
        max_sockets_per_address: usize = 1_000, "MAX_SOCKETS_PER_ADDRESS", Count::at_least(0);
        /// Public rooms that one socket may join; 0: no limit.
        max_rooms_per_socket: usize = 1_000, "MAX_ROOMS_PER_SOCKET", Count::at_least(0);
        /// Members of a group; 0: no limit.
        max_group_members: usize = 1_000, "MAX_GROUP_MEMBERS", Count::at_least(0);
        /// Characters of a message; 0: as many as its packet can hold.
        max_message_length: usize = 0, "MAX_MESSAGE_LENGTH", Count::at_least(0);
        /// Types of files that may be uploaded, of jpeg, jpg, png, gif, pdf, doc, docx, mp4, mp3, webm, ogg, m4a, webp,
        /// heic, mov, txt and zip.
        upload_types: UploadTypes = UploadTypes::default(), "UPLOAD_TYPES", Parsed::new();
        /// Size of the largest upload; 0: no limit.
        max_upload_size: usize = 50 * 1024 * 1024, "MAX_UPLOAD_SIZE", Size::at_least(0);
    }
    "model" {
        /// Provider of answers in AI conversations: `gemini`, `openai` (any server that speaks chat completions), or
        /// `echo` (none).
        ai_provider: AiProvider = AiProvider::Echo, "AI_PROVIDER", Parsed::new();
        /// Address of the provider, base or whole; empty: its public one. `/v1` (openai) or `/v1beta` (gemini) is added
        /// if there is no path.
        ai_url: ModelAddress = ModelAddress::default(), "AI_URL", Parsed::new();
        /// API key of the provider; self-hosted ones often need none.
        ai_api_key: Option<Secret> = None, "AI_API_KEY", Hidden;
        /// Name of the model; empty: `gemini-2.5-flash` or `gpt-4o-mini`.
        ai_model: String = String::new(), "AI_MODEL", Text;
        /// Maximum time for which a provider may be silent, before and during an answer.
        ai_timeout: Duration = Duration::from_secs(60), "AI_TIMEOUT", Length::at_least(MILLISECOND);
        /// Maximum duration of an answer; the part that came by then is kept.
        ai_total_timeout: Duration = Duration::from_secs(600), "AI_TOTAL_TIMEOUT", Length::at_least(MILLISECOND);
        /// Maximum number of questions asked at a time.
        ai_concurrency: usize = 8, "AI_CONCURRENCY", Count::at_least(1);
        /// Maximum number of questions of one user asked at a time; 0: no limit.
        ai_per_user: usize = 2, "AI_PER_USER", Count::at_least(0);
        /// System prompt of every chat.
        ai_system_prompt: String = String::new(), "AI_SYSTEM_PROMPT", Text;
        /// Text shown instead of an answer by front ends that have no way to show a failure.
        ai_error_text: String = "Sorry, I cannot answer right now. Please try again.".to_owned(), "AI_ERROR_TEXT", Text;
    }
    "your code" {
        /// Address that is asked before something takes effect (docs/your-code.md); empty: nobody is asked.
        hook_url: BackendAddress = BackendAddress::default(), "HOOK_URL", Parsed::new();
        /// Secret by which those questions are signed: `whsec_` and the base64 of 24 to 64 bytes.
        hook_secret: Option<Secret> = None, "HOOK_SECRET", Hidden;
        /// Requests that it is asked about, comma-separated, of connect, send, edit, delete, join and upload.
        hook_events: HookEvents = HookEvents::SEND, "HOOK_EVENTS", Parsed::new();
        /// Headers of a connection that it is shown with `connect`, comma-separated.
        hook_headers: Vec<String> = Vec::new(), "HOOK_HEADERS", Texts;
        /// Time within which an answer has to be complete, and before that for which a question waits for its turn.
        hook_timeout: Duration = Duration::from_secs(2), "HOOK_TIMEOUT", Length::at_least(MILLISECOND);
        /// Outcome of a request whose question gets no usable answer: `refuse` or `allow`.
        hook_failure: HookFailure = HookFailure::Refuse, "HOOK_FAILURE", Parsed::new();
        /// Maximum number of questions asked at a time.
        hook_concurrency: usize = 64, "HOOK_CONCURRENCY", Count::at_least(1);
        /// Address that is given the events that no dialect knows, and answers them; empty: nobody is.
        forward_url: BackendAddress = BackendAddress::default(), "FORWARD_URL", Parsed::new();
        /// Secret by which those events are signed: `whsec_` and the base64 of 24 to 64 bytes.
        forward_secret: Option<Secret> = None, "FORWARD_SECRET", Hidden;
        /// Time within which an answer has to be complete, waiting included.
        forward_timeout: Duration = Duration::from_secs(5), "FORWARD_TIMEOUT", Length::at_least(MILLISECOND);
    }
    "operations" {
        /// User name for the Admin UI of Socket.IO.
        admin_ui_user: String = "admin".to_owned(), "ADMIN_UI_USER", Text;
        /// Password hash for the Admin UI, made by `parlance admin-password`; without one, the namespace `/admin` does
        /// not exist.
        admin_ui_password: Option<Secret> = None, "ADMIN_UI_PASSWORD", Hidden;
        /// Data shown in the Admin UI: `development` (sockets, rooms, events and their contents) or `production`
        /// (figures only).
        admin_ui_mode: AdminUiMode = AdminUiMode::Development, "ADMIN_UI_MODE", Parsed::new();
        /// Folder of the Admin UI's files, `ui/dist` of the npm package `@socket.io/admin-ui`, served at `/admin/ui/`.
        admin_ui_dir: Option<PathBuf> = None, "ADMIN_UI_DIR", Optional;
    }
    "webhooks" {
        /// Address that is told what has happened; one that is called `default`. Requires WEBHOOK_SECRET.
        webhook_url: BackendAddress = BackendAddress::default(), "WEBHOOK_URL", Parsed::new();
        /// Secret that signs its requests (Standard Webhooks): `whsec_` and the base64 of 24 to 64 bytes.
        webhook_secret: Option<Secret> = None, "WEBHOOK_SECRET", Hidden;
        /// Events that it is told of, comma-separated, of message.created, message.edited, message.deleted, message.read,
        /// message.unreached, conversation.changed, user.connected and user.disconnected.
        webhook_events: WebhookEvents = WebhookEvents::default(), "WEBHOOK_EVENTS", Parsed::new();
        /// File of further webhooks, TOML: a `[[webhook]]` with `name`, `url`, `secret` and `events` for each.
        webhook_file: Option<PathBuf> = None, "WEBHOOK_FILE", Optional;
        /// Time for which an event that cannot be delivered waits, a million of them for each webhook at most; then it is a
        /// dead letter, for as long again.
        webhook_keep: Duration = Duration::from_secs(3 * 24 * 60 * 60), "WEBHOOK_KEEP", Length::at_least(SECOND);
        /// Time that a message has to be proven to have arrived at a device of each recipient; then it is unreached
        /// (`message.unreached`). Longer than PROOF_INTERVAL.
        webhook_unreached_after: Duration = Duration::from_secs(10), "WEBHOOK_UNREACHED_AFTER", Length::at_least(SECOND);
    }
}

impl Config {
    /// Returns the configured token secrets in the order of the setting names: all verify, the first signs.
    pub fn jwt_secrets(&self) -> Vec<Secret> {
        self.named_jwt_secrets().into_iter().map(|(_, secret)| secret).collect()
    }

    /// Returns whether the server speaks HTTPS and wss.
    pub fn speaks_tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Returns [`Config::jwt_secrets`] with the names of their settings.
    pub fn named_jwt_secrets(&self) -> Vec<(&'static str, Secret)> {
        let settings = [
            ("JWT_SECRET", &self.jwt_secret),
            ("JWT_ACCESS_SECRET_KEY", &self.jwt_access_secret_key),
            ("JWT_SECRETE", &self.jwt_secrete),
        ];
        settings.into_iter().filter_map(|(name, secret)| Some((name, secret.clone()?))).collect()
    }
}

/// Parses a duration in the syntax of settings: a number with `ms`, `s`, `m`, `h` or `d`; at least a second.
///
/// # Errors
/// A sentence that says what would be right.
pub fn parse_length(text: &str) -> Result<Duration, String> {
    Length::at_least(SECOND).parse(text)
}

/// Returns the text of a setting and its source; `None` if it is unset or blank.
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
