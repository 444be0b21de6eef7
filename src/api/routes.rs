//! Routes for users and servers, and the state that they share.
use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig, delete, get, patch, post, put};

use super::interfaces::{self, Documents};
use super::{
    accounts, admin_ui_files, client_files, connection, conversations, data_export, emit, files, health, history, listings,
    messages, notifications, own_sessions, sessions, syncing, upload, users,
};
use crate::schema::Call;
use crate::web::{LoginLimit, Operation, PasswordWork, Settings, endpoint, get_or_head};

/// State shared by the routes of one server on all worker threads, in addition to [`crate::web::WebState`].
#[derive(Clone)]
pub struct ApiState {
    logins: Data<LoginLimit>,
    passwords: Data<PasswordWork>,
    documents: Data<Documents>,
    socket_path: Arc<str>,
}

impl ApiState {
    /// Makes the state for one server; `operations` describes all of its routes, `calls` what it asks the operator's own.
    pub fn new(settings: &Settings, operations: Vec<Operation>, calls: Vec<Call>) -> Self {
        let logins = LoginLimit::new(settings.logins_per_minute);
        Self {
            logins: Data::from(Arc::new(logins)),
            passwords: Data::from(Arc::new(PasswordWork::new())),
            documents: Data::new(Documents::new(operations, calls)),
            socket_path: settings.socket_path.as_str().into(),
        }
    }

    /// Returns the pool that hashes passwords, for other parts that need it.
    pub fn password_work(&self) -> Arc<PasswordWork> {
        self.passwords.clone().into_inner()
    }
}

/// Adds the routes.
pub fn routes(state: ApiState) -> impl Fn(&mut ServiceConfig) {
    move |config| {
        let ApiState { logins, passwords, documents, socket_path } = state.clone();
        config.app_data(logins).app_data(passwords).app_data(documents);
        add_accounts(config);
        add_market_place(config);
        add_conversations(config);
        add_notifications(config);
        add_files(config);
        add_interfaces(config);
        client_files::add(config, &socket_path);
    }
}

fn add_accounts(config: &mut ServiceConfig) {
    config
        .service(endpoint("/api/auth/register", "POST").route(post().to(accounts::register)))
        .service(endpoint("/api/auth/login", "POST").route(post().to(sessions::login)))
        .service(endpoint("/api/auth/refresh", "POST").route(post().to(sessions::refresh)))
        .service(endpoint("/api/auth/logout", "POST").route(post().to(sessions::logout)))
        .service(endpoint("/api/auth/me", "GET, HEAD").route(get_or_head().to(accounts::me)))
        .service(endpoint("/api/auth/password", "POST").route(post().to(accounts::change_password)))
        .service(endpoint("/api/users", "GET, HEAD").route(get_or_head().to(users::search)))
        .service(endpoint("/api/users/online", "GET, HEAD").route(get_or_head().to(users::online)))
        .service(
            endpoint("/api/users/me", "GET, HEAD, PATCH, DELETE")
                .route(patch().to(users::update_me))
                .route(delete().to(data_export::delete_me))
                .route(get_or_head().to(accounts::me)),
        )
        .service(endpoint("/api/users/me/sessions", "GET, HEAD").route(get_or_head().to(own_sessions::list)))
        .service(endpoint("/api/users/me/sessions/{id}", "DELETE").route(delete().to(own_sessions::end)))
        .service(endpoint("/api/users/me/export", "GET").route(get().to(data_export::export_me)))
        .service(endpoint("/api/users/{id}", "GET, HEAD").route(get_or_head().to(users::find)))
        .service(endpoint("/api/users/{id}/sockets", "GET, HEAD").route(get_or_head().to(users::sockets)));
}

/// Adds the routes for marketplace front ends. They come before the routes of single messages, whose ids could be these
/// words.
fn add_market_place(config: &mut ServiceConfig) {
    config
        .service(endpoint("/api/messages/sync", "POST").route(post().to(syncing::sync)))
        .service(endpoint("/api/messages/sync-status", "GET, HEAD").route(get_or_head().to(syncing::status)))
        .service(endpoint("/api/listings/{id}", "PUT").route(put().to(listings::put)));
}

fn add_conversations(config: &mut ServiceConfig) {
    config
        .service(
            endpoint("/api/conversations", "GET, HEAD, POST")
                .route(get_or_head().to(conversations::list))
                .route(post().to(conversations::create)),
        )
        .service(
            endpoint("/api/conversations/{id}", "GET, HEAD, PATCH, DELETE")
                .route(get_or_head().to(conversations::find))
                .route(patch().to(conversations::update))
                .route(delete().to(conversations::remove)),
        )
        .service(endpoint("/api/conversations/{id}/participants", "POST").route(post().to(conversations::add_participants)))
        .service(
            endpoint("/api/conversations/{id}/participants/{user}", "DELETE")
                .route(delete().to(conversations::remove_participant)),
        )
        .service(
            endpoint("/api/conversations/{id}/messages", "GET, HEAD, POST")
                .route(get_or_head().to(history::conversation))
                .route(post().to(messages::send)),
        )
        .service(endpoint("/api/messages", "POST").route(post().to(messages::post)))
        .service(
            endpoint("/api/messages/{id}", "PATCH, DELETE")
                .route(patch().to(messages::edit))
                .route(delete().to(messages::remove)),
        )
        .service(endpoint("/api/rooms/{room}/messages", "GET, HEAD").route(get_or_head().to(history::room)))
        .service(endpoint("/api/common-chat/messages", "GET, HEAD").route(get_or_head().to(history::common_chat)));
}

fn add_notifications(config: &mut ServiceConfig) {
    config
        .service(
            endpoint("/api/notifications", "GET, HEAD, POST")
                .route(get_or_head().to(notifications::list))
                .route(post().to(notifications::create)),
        )
        .service(endpoint("/api/notifications/read", "POST").route(post().to(notifications::read)))
        .service(endpoint("/api/emit", "POST").route(post().to(emit::emit)));
}

fn add_files(config: &mut ServiceConfig) {
    config
        .service(endpoint("/api/upload", "POST").route(post().to(upload::upload)))
        .service(endpoint("/uploads/{name}", "GET, HEAD").route(get_or_head().to(files::serve)))
        .service(endpoint("/admin/ui", "GET, HEAD").route(get_or_head().to(admin_ui_files::redirect)))
        .service(endpoint("/admin/ui/{file:.*}", "GET, HEAD").route(get_or_head().to(admin_ui_files::serve)))
        .service(endpoint("/app/get-connection-id", "GET, HEAD").route(get_or_head().to(connection::find)))
        .service(endpoint("/api/socket/health", "GET, HEAD").route(get_or_head().to(health::socket)))
        .service(endpoint("/healthz", "GET, HEAD").route(get_or_head().to(health::alive)))
        .service(endpoint("/readyz", "GET, HEAD").route(get_or_head().to(health::ready)));
}

fn add_interfaces(config: &mut ServiceConfig) {
    config
        .service(endpoint("/api/openapi.json", "GET, HEAD").route(get_or_head().to(interfaces::openapi_document)))
        .service(endpoint("/api/asyncapi.json", "GET, HEAD").route(get_or_head().to(interfaces::asyncapi_document)))
        .service(endpoint("/api/types.d.ts", "GET, HEAD").route(get_or_head().to(interfaces::types)));
}
