//! The routes on a port of their own, with a real broker and a real store.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Actor, Addr};
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpServer};
use parlance::admin::{self, AdminState};
use parlance::api::{self, ApiState};
use parlance::auth::{ApiKeys, Revocations, TokenKeys, new_login_id};
use parlance::chat::{Ask, ChatServer, Command, Options, Reply, Sources};
use parlance::config::{ApiKey, Config, KeyScopes};
use parlance::dialect::DialectSet;
use parlance::feed::Feed;
use parlance::http::{Origins, TrustedProxies};
use parlance::model::{Timestamp, UserId, UserRole};
use parlance::store::{NewUser, Write};
use parlance::web::{Audit, Chat, RateLimit, Settings, WebState, configure};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::support::database::TestStore;

/// Time limit of every wait.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Settings that a test may change before the start.
pub struct Setup {
    pub settings: Settings,
    pub client_url: Vec<String>,
    pub host_is_loopback: bool,
    pub trusted_proxies: Vec<String>,
    pub options: Options,
    /// 0: no limit.
    pub requests_per_second: u32,
}

pub struct TestApi {
    pub address: String,
    _database: TestStore,
    pub broker: Addr<ChatServer>,
    pub tokens: Arc<TokenKeys>,
    pub draining: Arc<AtomicBool>,
    pub uploads: PathBuf,
    pub client: awc::Client,
    _folder: tempfile::TempDir,
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {:?}", String::from_utf8_lossy(&self.bytes)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts the status, and returns the JSON.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// Asserts that it is a refusal of the agreed shape, with this status and code; returns its sentence.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> String {
        let answer = self.expect(status);
        assert_eq!(answer["success"], false, "{answer}");
        assert_eq!(answer["code"], code, "{answer}");
        assert_eq!(answer["error"], answer["message"], "{answer}");
        answer["error"].as_str().unwrap().to_owned()
    }

    pub fn text(&self, pointer: &str) -> String {
        let answer = self.json();
        answer.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {answer}")).to_owned()
    }

    /// Returns the value of the cookie `token` if it is set, and its attributes.
    pub fn cookie(&self) -> Option<(String, String)> {
        let cookie = self.header("set-cookie")?;
        let (value, attributes) = cookie.strip_prefix("token=")?.split_once(';')?;
        Some((value.to_owned(), attributes.to_owned()))
    }
}

impl TestApi {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a server with the users `ann`, `bob`, `cid` and the administrator `root`.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let uploads = folder.path().join("uploads");
        let config = Config::default();
        let dialects = DialectSet::enabled(&config.dialects).unwrap();
        let mut setup = Setup {
            settings: Settings::new(&config, dialects, uploads.clone()),
            client_url: Vec::new(),
            host_is_loopback: false,
            trusted_proxies: Vec::new(),
            options: Options::default(),
            requests_per_second: 0,
        };
        setup.settings.api_keys = ApiKeys::new(&[ApiKey::parse("server:server-key")], &KeyScopes::default());
        change(&mut setup);
        api::prepare_uploads(&uploads).unwrap();
        let database = TestStore::sqlite().await;
        for (name, role) in [("ann", UserRole::User), ("bob", UserRole::User), ("cid", UserRole::User), ("root", UserRole::Admin)]
        {
            database.store.write(Write::CreateUser(Box::new(new_user(name, role)))).await.unwrap();
        }
        let broker = ChatServer::new(setup.options, Sources::system(), database.store.clone(), Revocations::default()).start();
        let tokens = Arc::new(TokenKeys::new(&["secret"], false, Duration::from_secs(3_600)));
        let draining = Arc::new(AtomicBool::new(false));
        let state = WebState {
            settings: Arc::new(setup.settings.clone()),
            store: database.store.clone(),
            chat: Chat::new(&broker),
            tokens: tokens.clone(),
            origins: Arc::new(Origins::new(&setup.client_url, setup.host_is_loopback).unwrap()),
            proxies: Arc::new(TrustedProxies::parse(&setup.trusted_proxies).unwrap()),
            draining: draining.clone(),
            refusals: Arc::default(),
            rate_limit: Arc::new(RateLimit::new(setup.requests_per_second, 0)),
            audit: Arc::new(Audit::new(database.store.clone())),
            figures: Arc::new(parlance::web::ServerFigures::default),
            connections: Arc::new(|keys| Box::pin(std::future::ready(vec![None; keys.len()]))),
            await_keys: Arc::new(|| Box::pin(std::future::ready(false))),
            ask_upload: None,
            webhooks: parlance::webhooks::Webhooks::default(),
        };
        let operations = [api::OPERATIONS, admin::OPERATIONS].concat();
        let (api, admin) = (ApiState::new(&setup.settings, operations, Vec::new()), AdminState::new(Feed::default()));
        let server = HttpServer::new(move || {
            let (api, admin) = (api.clone(), admin.clone());
            App::new().configure(configure(state.clone(), move |config| {
                api::routes(api)(config);
                admin::routes(admin)(config);
                config.route("/api/test/panic", actix_web::web::get().to(panics));
            }))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs().first().unwrap().to_string();
        actix_web::rt::spawn(server.run());
        let client = awc::Client::builder().timeout(LIMIT).disable_redirects().finish();
        Self { address, _database: database, broker, tokens, draining, uploads, client, _folder: folder }
    }

    pub fn token(&self, user: &str) -> String {
        let role = if user == "root" { UserRole::Admin } else { UserRole::User };
        self.tokens.issue(&UserId::parse(user).unwrap(), &new_login_id(), role, None, Timestamp::now()).0
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let body: Vec<u8> = body.into();
        let sent = if body.is_empty() { request.send() } else { request.send_body(body) };
        let mut response = sent.await.unwrap();
        let bytes = response.body().limit(100 << 20).await.unwrap().to_vec();
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), bytes }
    }

    /// Sends JSON without a token.
    pub async fn anonymous(&self, method: &str, path: &str, body: Value) -> Answer {
        self.send(method, path, &[("content-type", "application/json")], json_bytes(&body)).await
    }

    /// Sends JSON with this token.
    pub async fn with_token(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        self.send(method, path, &headers, json_bytes(&body)).await
    }

    /// Sends JSON as this user.
    pub async fn call(&self, user: &str, method: &str, path: &str, body: Value) -> Answer {
        self.with_token(&self.token(user), method, path, body).await
    }

    pub async fn get(&self, user: &str, path: &str) -> Answer {
        self.call(user, "GET", path, Value::Null).await
    }

    /// Runs a command in the broker, bypassing HTTP.
    pub async fn command(&self, user: &str, command: Command) -> Reply {
        let (answer, answered) = oneshot::channel();
        self.broker.send(Ask { user: UserId::parse(user).unwrap(), command, answer }).await.unwrap();
        tokio::time::timeout(LIMIT, answered).await.unwrap().unwrap().unwrap()
    }

    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Registers a user; returns the token.
    pub async fn register(&self, username: &str) -> String {
        let email = format!("{username}@example.org");
        let body = serde_json::json!({"username": username, "email": email, "password": "correct horse"});
        let answer = self.anonymous("POST", "/api/auth/register", body).await;
        answer.expect(StatusCode::CREATED.as_u16());
        answer.text("/token")
    }
}

async fn panics() -> &'static str {
    panic!("as asked by a test")
}

fn json_bytes(body: &Value) -> Vec<u8> {
    if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() }
}

fn new_user(name: &str, role: UserRole) -> NewUser {
    NewUser {
        id: UserId::parse(name).unwrap(),
        username: name.to_owned(),
        suffix_if_taken: false,
        email: Some(format!("{name}@example.com")),
        full_name: Some(format!("{} Example", name.to_uppercase())),
        password_hash: None,
        role,
        described_at: None,
        created_at: Timestamp::now(),
    }
}
