//! Middleware in front of all routes: origins, a stopping server, malformed paths, panics.
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY};
use actix_web::http::{ConnectionType, Method, Uri};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpResponse};
use futures_util::FutureExt as _;
use percent_encoding::percent_decode_str;

use super::audit::{Act, Actor, ActsOn};
use super::http_error::HttpError;
use super::path::path_text;
use super::settings::WebState;
use crate::http::{Client, OriginVerdict, foreign_origin};
use crate::logging::{ErrorId, RefusalKind, RefusalNote};
use crate::model::UserId;

/// Origin of a request; stored in the request's extensions.
#[derive(Debug, Clone)]
pub struct RequestOrigin {
    /// The client.
    pub client: Client,
    /// Verdict on the page's origin.
    pub verdict: OriginVerdict,
}

/// Lets a request pass or refuses it; sets the CORS headers of every answer.
pub(super) async fn handle(
    state: Data<WebState>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    let client = state.proxies.client(peer, state.settings.speaks_tls, request.headers());
    let verdict = state.origins.judge_headers(request.headers(), client.host.as_deref(), client.secure);
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let origin = header("origin");
    if request.method() == Method::OPTIONS && origin.is_some() && request.headers().contains_key("access-control-request-method")
    {
        let asked = header("access-control-request-headers");
        let mut response = HttpResponse::NoContent().finish();
        add_headers(response.headers_mut(), state.origins.preflight_headers(verdict, origin.as_deref(), asked.as_deref()));
        return Ok(request.into_response(response));
    }
    let cors = state.origins.cors_headers(verdict, origin.as_deref());
    let refused = refusal(&state, &request, verdict);
    let asking = Asking { method: request.method().clone(), uri: request.uri().clone(), address: client.address };
    request.extensions_mut().insert(RequestOrigin { client, verdict });
    let outcome = match refused {
        Some(http_error) => Ok(request.into_response(http_error.to_response())),
        None => match AssertUnwindSafe(async { next.call(request).await }).catch_unwind().await {
            Ok(outcome) => outcome.map(ServiceResponse::map_into_boxed_body),
            Err(_) => {
                let http_error = HttpError::internal("a handler panicked").with_headers(cors);
                let noted = asking.note(&state, &http_error, None);
                return Err(noted.map_or_else(|| http_error.clone(), |error_id| http_error.clone().logged(error_id)).into());
            }
        },
    };
    let mut response = note(&state, &asking, outcome?);
    note_act(&state, &asking, &response);
    if state.is_draining() {
        // The client's next request then reaches the server that comes after this one.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    add_headers(response.headers_mut(), cors);
    Ok(response)
}

/// Facts for the log about a refused request.
struct Asking {
    method: Method,
    uri: Uri,
    address: Option<IpAddr>,
}

impl Asking {
    fn note(&self, state: &WebState, http_error: &HttpError, user: Option<&UserId>) -> Option<ErrorId> {
        // Without the query, which may hold a token.
        let event = format!("{} {}", self.method, self.uri.path());
        let (kind, code, cause, user) = (RefusalKind::Http, http_error.code(), http_error.cause(), user.map(UserId::as_str));
        state.refusals.note(&RefusalNote { kind, code, cause, sid: None, user, event: Some(&event), address: self.address })
    }
}

/// Logs a refusal; if the log has a line of it, the answer gets its id.
fn note(state: &WebState, asking: &Asking, response: ServiceResponse) -> ServiceResponse {
    let Some(http_error) = response.response().extensions().get::<HttpError>().cloned() else { return response };
    let user = response.request().extensions().get::<UserId>().cloned();
    match asking.note(state, &http_error, user.as_ref()) {
        Some(error_id) => response.into_response(http_error.logged(error_id).to_response()),
        None => response,
    }
}

/// Records an action with administrator rights.
fn note_act(state: &WebState, asking: &Asking, response: &ServiceResponse) {
    let reads = matches!(asking.method, Method::GET | Method::HEAD);
    let request = response.request();
    let Some(actor) = request.extensions().get::<Actor>().cloned() else { return };
    if reads || !response.status().is_success() {
        return;
    }
    let named = request.extensions().get::<ActsOn>().map(|object| object.0.clone());
    let in_path = || request.match_info().iter().next().map(|(name, _)| path_text(request, name));
    let action = format!("{} {}", asking.method, request.match_pattern().unwrap_or_default());
    state.audit.note(Act { actor, action, object: named.or_else(in_path), address: asking.address });
}

fn refusal(state: &WebState, request: &ServiceRequest, verdict: OriginVerdict) -> Option<HttpError> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && !verdict.is_allowed() {
        let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
        return Some(HttpError::forbidden("Origin not allowed").because(foreign_origin(origin)));
    }
    // Probes report a stop in their own way, and uploads are only read.
    if state.is_draining() && request.path().starts_with("/api/") && request.path() != "/api/socket/health" {
        return Some(HttpError::draining());
    }
    let is_text = percent_decode_str(request.uri().path()).decode_utf8().is_ok();
    if is_text { None } else { Some(HttpError::invalid("path")) }
}

fn add_headers(headers: &mut HeaderMap, added: Vec<(&'static str, String)>) {
    for (name, value) in added {
        if let Ok(value) = HeaderValue::from_str(&value) {
            let name = HeaderName::from_static(name);
            if name == VARY {
                headers.append(name, value);
            } else {
                headers.insert(name, value);
            }
        }
    }
}
