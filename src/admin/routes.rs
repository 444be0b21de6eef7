//! Routes for administrators, and the state that they share.
use actix_web::web::{Data, ServiceConfig, delete, get, patch, post, put};

use super::figures::{self, Sampler};
use super::{accounts, actions, audit, events, explain, log_filter, metrics, page, sessions, stream, tokens, webhooks};
use crate::feed::Feed;
use crate::web::{endpoint, get_or_head};

/// Adds the routes.
pub fn routes(state: AdminState) -> impl Fn(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(state.sampler.clone())
            .app_data(state.feed.clone())
            .service(endpoint("/admin", "GET, HEAD").route(get_or_head().to(page::index)))
            .service(endpoint("/admin/", "GET, HEAD").route(get_or_head().to(page::index)))
            .service(endpoint("/admin/page.css", "GET, HEAD").route(get_or_head().to(page::style)))
            .service(endpoint("/admin/page.js", "GET, HEAD").route(get_or_head().to(page::script)))
            .service(endpoint("/api/admin/events/stream", "GET").route(get().to(events::stream)))
            .service(endpoint("/api/admin/stats", "GET, HEAD").route(get_or_head().to(figures::stats)))
            .service(endpoint("/api/admin/stats/stream", "GET").route(get().to(stream::stream)))
            .service(endpoint("/metrics", "GET, HEAD").route(get_or_head().to(metrics::metrics)))
            .service(
                endpoint("/api/admin/log", "GET, HEAD, PUT")
                    .route(get_or_head().to(log_filter::show))
                    .route(put().to(log_filter::put)),
            )
            .service(endpoint("/api/admin/audit", "GET, HEAD").route(get_or_head().to(audit::list)))
            .service(endpoint("/api/admin/webhooks", "GET, HEAD").route(get_or_head().to(webhooks::list)))
            .service(endpoint("/api/admin/webhooks/replay", "POST").route(post().to(webhooks::replay)))
            .service(endpoint("/api/admin/webhooks/skip", "POST").route(post().to(webhooks::skip)))
            .service(endpoint("/api/admin/tokens/revoke", "POST").route(post().to(tokens::revoke)))
            .service(endpoint("/api/admin/users", "POST").route(post().to(accounts::create_user)))
            .service(
                endpoint("/api/admin/users/{id}", "PATCH, DELETE")
                    .route(patch().to(accounts::change_user))
                    .route(delete().to(actions::delete_user)),
            )
            .service(endpoint("/api/admin/sockets", "GET, HEAD").route(get_or_head().to(sessions::list)))
            .service(endpoint("/api/admin/sockets/{id}", "GET, HEAD").route(get_or_head().to(sessions::show)))
            .service(endpoint("/api/admin/explain/user/{who}", "GET, HEAD").route(get_or_head().to(explain::user)))
            .service(endpoint("/api/admin/explain/message/{id}", "GET, HEAD").route(get_or_head().to(explain::message)))
            .service(endpoint("/api/admin/rooms", "GET, HEAD").route(get_or_head().to(sessions::rooms)))
            .service(endpoint("/api/admin/rooms/{room}", "GET, HEAD").route(get_or_head().to(sessions::show_room)))
            .service(endpoint("/api/admin/sockets/{id}/kick", "POST").route(post().to(actions::kick)));
    }
}

/// State shared by the routes of one server on all worker threads.
#[derive(Clone)]
pub struct AdminState {
    sampler: Data<Sampler>,
    feed: Data<Feed>,
}

impl AdminState {
    /// Makes the state for one server; `feed` is its event stream.
    pub fn new(feed: Feed) -> Self {
        Self { sampler: Data::default(), feed: Data::new(feed) }
    }
}
