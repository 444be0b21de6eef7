//! How routes are put together.
use actix_web::guard::{Any, Get, Head};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{Resource, Route};

use super::failure::Failure;
use super::gate;
use super::settings::WebState;

/// Puts routes behind the gate, with an answer for every address and method that there is not.
///
/// Takes all paths: whatever has its own way in (the Engine.IO endpoint) is registered before.
pub fn configure(state: WebState, routes: impl FnOnce(&mut ServiceConfig)) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        let scope =
            web::scope("").configure(routes).default_service(web::to(|| async { Failure::not_found("Not found").to_response() }));
        config.app_data(Data::new(state)).service(scope.wrap(from_fn(gate::pass)));
    }
}

/// A resource that answers other methods than `allow` with 405.
pub fn endpoint(path: &str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move { Failure::method_not_allowed(allow).to_response() }))
}

/// A route for reading.
pub fn get_or_head() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}
