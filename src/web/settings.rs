//! What the routes are given at start.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::auth::{ApiKeys, TokenKeys};
use crate::config::{DialectNames, PresenceScope};
use crate::dialect::DialectSet;
use crate::http::{Origins, TrustedProxies};
use crate::logging::Refusals;
use crate::store::Store;

use super::{AskConnections, AskFigures, Audit, Chat, RateLimit};

/// Settings of the routes.
#[derive(Clone)]
pub struct Settings {
    /// `ALLOW_REGISTRATION`
    pub allow_registration: bool,
    /// `UPLOADS_REQUIRE_AUTH`
    pub uploads_require_auth: bool,
    /// `API_KEYS`
    pub api_keys: ApiKeys,
    /// `METRICS_TOKEN`, if it is set.
    pub metrics_tokens: ApiKeys,
    /// Longest JSON body in bytes: `MAX_PACKET_SIZE`, so that HTTP takes the messages that sockets take.
    pub max_body_bytes: usize,
    /// `MAX_UPLOAD_SIZE` in bytes; 0: no limit.
    pub max_upload_bytes: u64,
    /// `RATE_LIMIT_LOGINS`, per minute, account and address; 0: no limit.
    pub logins_per_minute: usize,
    /// Where uploads are kept: `DATA_DIR/uploads`.
    pub upload_dir: PathBuf,
    /// `DIALECTS`
    pub dialects: DialectSet,
    /// `CLIENT_FILES`
    pub client_files: Option<PathBuf>,
    /// `ADMIN_UI_DIR`
    pub admin_ui_dir: Option<PathBuf>,
    /// `SOCKET_PATH`, without the slash at its end.
    pub socket_path: String,
    /// `PRESENCE_SCOPE`
    pub presence_scope: PresenceScope,
    /// Whether the server itself speaks TLS.
    pub speaks_tls: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allow_registration: true,
            uploads_require_auth: false,
            api_keys: ApiKeys::default(),
            metrics_tokens: ApiKeys::default(),
            max_body_bytes: 1_000_000,
            max_upload_bytes: 50 * 1024 * 1024,
            logins_per_minute: 10,
            upload_dir: PathBuf::from("data/uploads"),
            dialects: DialectSet::enabled(&DialectNames::All).unwrap_or(DialectSet::EMPTY),
            client_files: None,
            admin_ui_dir: None,
            socket_path: "/socket.io".to_owned(),
            presence_scope: PresenceScope::Everyone,
            speaks_tls: false,
        }
    }
}

/// What the routes work with. One for all worker threads.
#[derive(Clone)]
pub struct WebState {
    /// Settings.
    pub settings: Arc<Settings>,
    /// The database.
    pub store: Store,
    /// The broker.
    pub chat: Chat,
    /// Keys of tokens.
    pub tokens: Arc<TokenKeys>,
    /// Which pages may ask.
    pub origins: Arc<Origins>,
    /// Whose `X-Forwarded-*` count.
    pub proxies: Arc<TrustedProxies>,
    /// Whether the server is stopping.
    pub draining: Arc<AtomicBool>,
    /// What was refused.
    pub refusals: Arc<Refusals>,
    /// How often users may ask.
    pub rate_limit: Arc<RateLimit>,
    /// What administrators and servers with keys did.
    pub audit: Arc<Audit>,
    /// Figures of parts that the routes do not know.
    pub figures: AskFigures,
    /// What connections are at this moment.
    pub connections: AskConnections,
}

impl WebState {
    /// Whether the server is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
