//! What administrators read, and what they do.
mod acts;
mod figures;
mod stream;

use actix_web::web::{Data, ServiceConfig, get, patch, post};

use crate::web::{endpoint, get_or_head};

use self::figures::Sampler;

/// Adds the routes.
pub fn routes(state: AdminState) -> impl Fn(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(state.0.clone())
            .service(endpoint("/api/admin/stats", "GET, HEAD").route(get_or_head().to(figures::stats)))
            .service(endpoint("/api/admin/stats/stream", "GET").route(get().to(stream::stream)))
            .service(endpoint("/api/admin/users/{id}", "PATCH").route(patch().to(acts::change_user)))
            .service(endpoint("/api/admin/sockets/{id}/kick", "POST").route(post().to(acts::kick)));
    }
}

/// What the routes of one server share among all worker threads.
#[derive(Clone, Default)]
pub struct AdminState(Data<Sampler>);
