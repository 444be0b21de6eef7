//! State and settings that the routes get at the start.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::audit::Audit;
use super::chat::Chat;
use super::figures::{AskConnections, AskFigures, AskUpload, AwaitKeys};
use super::rate_limit::RateLimit;
use crate::auth::{ApiKeys, Claims, TokenError, TokenKeys};
use crate::config::{ApiKey, Config, KeyScopes, PresenceScope, SameSite, UploadTypes, WebChat};
use crate::dialect::DialectSet;
use crate::http::{Origins, TrustedProxies};
use crate::logging::Refusals;
use crate::model::Timestamp;
use crate::store::Store;
use crate::webhooks::Webhooks;

/// Maximum number of waits for a token's key; a wait may end with other keys.
const KEYS_AWAITED_MAX: usize = 4;

/// Settings of uploads.
#[derive(Debug, Clone)]
pub struct UploadSettings {
    /// Folder, `DATA_DIR/uploads`.
    pub dir: PathBuf,
    /// `UPLOAD_TYPES`
    pub types: UploadTypes,
    /// `MAX_UPLOAD_SIZE` in bytes; 0: no limit.
    pub max_bytes: u64,
    /// `UPLOADS_REQUIRE_AUTH`
    pub require_auth: bool,
}

/// Settings of the routes.
#[derive(Clone)]
pub struct Settings {
    /// `ALLOW_REGISTRATION`
    pub allow_registration: bool,
    /// `ANONYMOUS_USERS`
    pub anonymous_users: bool,
    /// `COOKIE_SAMESITE`
    pub cookie_samesite: SameSite,
    /// `API_KEYS`
    pub api_keys: ApiKeys,
    /// `METRICS_TOKEN`, if it is set.
    pub metrics_tokens: ApiKeys,
    /// Longest JSON body in bytes: `MAX_PACKET_SIZE`, so that HTTP accepts the same messages as sockets.
    pub max_body_bytes: usize,
    /// `RATE_LIMIT_LOGINS`, per minute and account; 0: no limit.
    pub logins_per_minute: usize,
    /// Settings of uploads.
    pub uploads: UploadSettings,
    /// `DIALECTS`
    pub dialects: DialectSet,
    /// `CLIENT_FILES`
    pub client_files: Option<PathBuf>,
    /// `ADMIN_UI_DIR`
    pub admin_ui_dir: Option<PathBuf>,
    /// `SOCKET_PATH`, without a trailing slash.
    pub socket_path: String,
    /// `PRESENCE_SCOPE`
    pub presence_scope: PresenceScope,
    /// Set if the server itself speaks TLS.
    pub speaks_tls: bool,
    /// `WEB_CHAT`
    pub web_chat: WebChat,
    /// Tells whether the demo may be seen, as far as the settings say.
    pub offers_demo: bool,
}

impl Settings {
    /// Derives the routes' settings from the configuration.
    pub fn new(config: &Config, dialects: DialectSet, upload_dir: PathBuf) -> Self {
        let metrics_token: Vec<ApiKey> =
            config.metrics_token.iter().map(|token| ApiKey { name: None, secret: token.clone() }).collect();
        Self {
            dialects,
            allow_registration: config.allow_registration,
            anonymous_users: config.anonymous_users,
            cookie_samesite: config.cookie_samesite,
            api_keys: ApiKeys::new(&config.api_keys, &config.api_key_scopes),
            metrics_tokens: ApiKeys::new(&metrics_token, &KeyScopes::default()),
            max_body_bytes: config.max_packet_size,
            logins_per_minute: config.rate_limit_logins as usize,
            uploads: UploadSettings {
                dir: upload_dir,
                types: config.upload_types.clone(),
                max_bytes: config.max_upload_size as u64,
                require_auth: config.uploads_require_auth,
            },
            client_files: config.client_files.clone(),
            admin_ui_dir: config.admin_ui_dir.clone(),
            socket_path: config.socket_path.as_str().to_owned(),
            presence_scope: config.presence_scope,
            speaks_tls: config.speaks_tls(),
            web_chat: config.web_chat,
            offers_demo: config.offers_demo(),
        }
    }
}

/// State of the routes, shared by all worker threads.
#[derive(Clone)]
pub struct WebState {
    /// Settings.
    pub settings: Arc<Settings>,
    /// The database.
    pub store: Store,
    /// The broker.
    pub chat: Chat,
    /// Keys that verify and sign tokens.
    pub tokens: Arc<TokenKeys>,
    /// Origins that may use the server.
    pub origins: Arc<Origins>,
    /// Proxies whose `X-Forwarded-*` headers are believed.
    pub proxies: Arc<TrustedProxies>,
    /// Set once the server is stopping.
    pub draining: Arc<AtomicBool>,
    /// Records refusals.
    pub refusals: Arc<Refusals>,
    /// Rate limit of users.
    pub rate_limit: Arc<RateLimit>,
    /// Records actions with administrator rights.
    pub audit: Arc<Audit>,
    /// Figures of parts that the routes cannot reach.
    pub figures: AskFigures,
    /// Present state of connections.
    pub connections: AskConnections,
    /// Waits for unknown keys of tokens.
    pub await_keys: AwaitKeys,
    /// Asks the operator's hook about an upload; `None` if it is not asked.
    pub ask_upload: Option<AskUpload>,
    /// Webhooks, for administrators.
    pub webhooks: Webhooks,
}

impl WebState {
    /// Verifies a token; if its key is unknown, its issuer is asked first.
    ///
    /// # Errors
    /// The reason for not accepting the token.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        for _ in 0..KEYS_AWAITED_MAX {
            match self.tokens.verify(token, Timestamp::now()) {
                Err(TokenError::KeyUnknown) if (self.await_keys)().await => {}
                outcome => return outcome,
            }
        }
        Err(TokenError::Invalid)
    }

    /// Returns whether the server is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
