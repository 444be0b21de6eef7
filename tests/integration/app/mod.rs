//! The whole server, in this process, driven by a stock Rust client.
mod rust_client;
mod sixth_dialect;
mod telegraph;
mod user;

use std::time::Duration;

use parlance::app::{self, Running};
use parlance::auth::{TokenKeys, new_login_id, token_secrets};
use parlance::config::Config;
use parlance::model::{Timestamp, UserId, UserRole};

/// A server on a free port, with a data folder of its own.
pub struct TestApp {
    pub running: Running,
    tokens: TokenKeys,
    _folder: tempfile::TempDir,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    /// Starts a server with these settings, except for those that every test needs.
    pub async fn start_with(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            port: 0,
            data_dir: folder.path().to_owned(),
            auto_provision_users: true,
            shutdown_timeout: Duration::from_secs(5),
            ..config
        };
        let tokens = TokenKeys::new(&token_secrets(&config).unwrap(), false, Duration::from_secs(3_600));
        let (running, _) = app::start(config).await.unwrap();
        Self { running, tokens, _folder: folder }
    }

    /// Returns a token of a user, who is created on first use.
    pub fn token(&self, user: &str) -> String {
        let id = UserId::parse(user).unwrap();
        self.tokens.issue(&id, &new_login_id(), UserRole::User, None, Timestamp::now()).0
    }
}
