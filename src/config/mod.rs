//! All settings: their names, defaults, units and meaning, each declared once.
//!
//! A value comes from the environment, else from the `.env` file, else from the default. An empty value counts as
//! unset, and unknown names are ignored. `parlance config` prints every value in force and its source.
mod address;
mod data_dir;
mod demo;
mod dialects;
mod error;
mod exposure;
mod hook_events;
mod kind;
mod log_filter;
mod namespaces;
mod scopes;
mod secret;
mod settings;
mod tokens;
mod typo;
mod upload_types;
mod webhook_events;
mod webhooks;
mod word;

pub use self::address::{BackendAddress, DatabaseAddress, Host, ModelAddress, Origins, PublicUrl, SocketPath};
pub use self::data_dir::make_private_folder;
pub use self::dialects::DialectNames;
pub use self::error::ConfigError;
pub use self::exposure::{Exposure, KEY_CHARS_MIN};
pub use self::hook_events::HookEvents;
pub use self::log_filter::LogFilter;
pub use self::namespaces::Namespaces;
pub use self::scopes::KeyScopes;
pub use self::secret::{ApiKey, Secret};
pub use self::settings::{Config, Found, Listed, parse_length};
pub use self::tokens::{Audience, KeyAddresses, USER_CLAIMS, check_key_address};
pub use self::typo::{Typo, typos};
pub use self::upload_types::{ALL_UPLOAD_TYPES, UploadTypes};
pub use self::webhook_events::WebhookEvents;
pub use self::webhooks::Webhook;
pub use self::word::{
    AdminUiMode, AiProvider, CatchUp, Delivery, HookEvent, HookFailure, LogFormat, PresenceScope, SameSite, Scope, WebChat,
    WebhookEvent,
};
