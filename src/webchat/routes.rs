//! Routes of the pages and their files.
use actix_web::web::{ServiceConfig, post};

use super::{demo, pages};
use crate::web::{endpoint, get_or_head};

/// Adds the routes.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .service(endpoint("/", "GET, HEAD").route(get_or_head().to(pages::index)))
        .service(endpoint("/api/demo", "POST").route(post().to(demo::begin)))
        .service(endpoint("/widget.js", "GET, HEAD").route(get_or_head().to(pages::widget)))
        .service(endpoint("/web-chat/{digest}/{file:.*}", "GET, HEAD").route(get_or_head().to(pages::file)));
}
