//! Assembly of routes.
use actix_web::guard::{Any, Get, Head};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{Resource, Route};

use super::http_error::HttpError;
use super::middleware;
use super::settings::WebState;

/// Puts routes behind the middleware, and answers for unknown addresses and methods.
///
/// It takes all paths, so anything with its own entry (the Engine.IO endpoint) must be registered before.
pub fn configure(state: WebState, routes: impl FnOnce(&mut ServiceConfig)) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        let scope = web::scope("")
            .configure(routes)
            .default_service(web::to(|| async { HttpError::not_found("Not found").to_response() }));
        config.app_data(Data::new(state)).service(scope.wrap(from_fn(middleware::handle)));
    }
}

/// Makes a resource that answers methods not in `allow` with 405.
pub fn endpoint(path: &str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move { HttpError::method_not_allowed(allow).to_response() }))
}

/// Makes a route for reading.
pub fn get_or_head() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}
