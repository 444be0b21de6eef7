//! Authentication of requests.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};

use super::audit::Actor;
use super::authority::scope_of;
use super::http_error::HttpError;
use super::login_limit::{LoginLimit, Tried};
use super::middleware::RequestOrigin;
use super::rate_limit::Asks;
use super::settings::WebState;
use crate::auth::{AuthError, Claims, FoundToken, RequestTokens, TokenPlace};
use crate::config::SameSite;
use crate::model::{Account, Timestamp, UserId, UserRole};

/// Header with a server's API key.
const KEY: &str = "x-api-key";

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, HttpError>>>>;

/// An authenticated user.
#[derive(Debug, Clone)]
pub struct AuthenticatedUser {
    /// The stored account.
    pub account: Arc<Account>,
    /// Claims of the token.
    pub claims: Claims,
    /// The part of the request that held the token.
    pub place: TokenPlace,
}

impl AuthenticatedUser {
    /// Returns the user's id.
    pub fn id(&self) -> &UserId {
        &self.account.profile.id
    }

    /// Returns whether the user may use `/api/admin`.
    pub fn is_admin(&self) -> bool {
        self.account.profile.role == UserRole::Admin
    }
}

impl FromRequest for AuthenticatedUser {
    type Error = HttpError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<Data<WebState>>().cloned();
        let token = find_token(request);
        let request = request.clone();
        Box::pin(async move {
            let state = state.ok_or_else(|| HttpError::internal("the routes have no state"))?;
            let has_key = request.headers().contains_key(KEY);
            let token = token.ok_or_else(|| {
                let http_error = HttpError::from(AuthError::NoToken);
                if has_key {
                    http_error.saying("No token: an API key stands for no user, and this is a user's")
                } else {
                    http_error
                }
            })?;
            if token.place == TokenPlace::Cookie && state.settings.cookie_samesite == SameSite::None && !is_from_a_page(&request)
            {
                return Err(HttpError::forbidden("A change by the cookie needs the Origin of a page that may ask"));
            }
            let claims = state.verify(&token.text).await.map_err(AuthError::from)?;
            let account = state.chat.authenticate(claims.clone()).await?;
            // For the log, should the request be refused. The request counts once, however often it is authenticated.
            let is_first = request.extensions_mut().insert(account.profile.id.clone()).is_none();
            if is_first {
                let reads = matches!(*request.method(), Method::GET | Method::HEAD);
                let asks = if reads { Asks::Reads } else { Asks::Writes };
                state.rate_limit.take(&account.profile.id, asks, Instant::now()).map_err(HttpError::rate_limited)?;
            }
            Ok(Self { account, claims, place: token.place })
        })
    }
}

/// Returns whether a request comes from somebody known, judging by a token's signature or a key alone.
pub(super) fn is_known(request: &HttpRequest) -> bool {
    let Some(state) = request.app_data::<Data<WebState>>() else { return false };
    let has_key = text(request.headers(), KEY).is_some_and(|key| state.settings.api_keys.has(key));
    let token = || find_token(request);
    has_key || token().is_some_and(|token| state.tokens.verify(&token.text, Timestamp::now()).is_ok())
}

/// Returns whether a request only reads, or certainly comes from a page that may use the cookie. If pages of any site
/// send the cookie, only the origin tells them apart.
fn is_from_a_page(request: &HttpRequest) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    reads || request.extensions().get::<RequestOrigin>().is_some_and(|origin| origin.verdict.is_of_a_known_page())
}

fn find_token(request: &HttpRequest) -> Option<FoundToken> {
    let header = |name| text(request.headers(), name);
    let cookie_counts = request.extensions().get::<RequestOrigin>().is_none_or(|origin| origin.verdict.may_use_cookie());
    let cookie = if cookie_counts { header("cookie") } else { None };
    RequestTokens { authorization: header("authorization"), cookie, query: None }.find()
}

/// An authenticated administrator: a user with that role, or a server with a key.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Claims of the user's token; `None` for a server.
    pub claims: Option<Claims>,
}

impl FromRequest for Admin {
    type Error = HttpError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let has_wrong_key = match by_key(request) {
            ByKey::Authenticated => return Box::pin(async { Ok(Self { claims: None }) }),
            ByKey::Refused(http_error) => return Box::pin(async { Err(http_error) }),
            ByKey::Wrong => true,
            ByKey::None => false,
        };
        let user = AuthenticatedUser::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            match user.await {
                Ok(user) if user.is_admin() => {
                    note_actor(&request, format!("user:{}", user.id()));
                    Ok(Self { claims: Some(user.claims) })
                }
                Ok(_) => Err(HttpError::forbidden("Administrators only")),
                Err(http_error) if has_wrong_key && http_error.code() == AuthError::NoToken.code() => {
                    Err(AuthError::InvalidToken.into())
                }
                Err(http_error) => Err(http_error),
            }
        })
    }
}

/// A requester that acts on conversations: a user, or a server with a key, which acts for the users that it names.
#[derive(Debug, Clone)]
pub enum Requester {
    /// A user.
    User(Box<AuthenticatedUser>),
    /// A server.
    Server,
}

impl FromRequest for Requester {
    type Error = HttpError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let has_wrong_key = match by_key(request) {
            ByKey::Authenticated => return Box::pin(async { Ok(Self::Server) }),
            ByKey::Refused(http_error) => return Box::pin(async { Err(http_error) }),
            ByKey::Wrong => true,
            ByKey::None => false,
        };
        let user = AuthenticatedUser::from_request(request, payload);
        Box::pin(async move {
            match user.await {
                Ok(user) => Ok(Self::User(Box::new(user))),
                Err(http_error) if has_wrong_key && http_error.code() == AuthError::NoToken.code() => {
                    Err(AuthError::InvalidToken.into())
                }
                Err(http_error) => Err(http_error),
            }
        })
    }
}

/// Outcome of looking at a request's key.
enum ByKey {
    /// There is none.
    None,
    /// Unknown; a token may still authenticate the request.
    Wrong,
    /// Without the right for this route, or after too many wrong keys.
    Refused(HttpError),
    /// Known, with the right for this route; noted for the audit.
    Authenticated,
}

fn by_key(request: &HttpRequest) -> ByKey {
    let Some(key) = text(request.headers(), KEY) else { return ByKey::None };
    let known = request.app_data::<Data<WebState>>().and_then(|state| state.settings.api_keys.find(key));
    let Some(known) = known else {
        return match note_wrong_key(request) {
            Ok(()) => ByKey::Wrong,
            Err(wait) => ByKey::Refused(HttpError::rate_limited(wait)),
        };
    };
    let scope = scope_of(request.method().as_str(), &request.match_pattern().unwrap_or_default());
    if !known.may(scope) {
        let http_error = HttpError::forbidden("This key does not have the scope for that");
        return ByKey::Refused(http_error.because(format!("the key {} has not the scope {scope} (API_KEY_SCOPES)", known.name)));
    }
    note_actor(request, format!("key:{}", known.name));
    ByKey::Authenticated
}

/// Counts a wrong key against its address, once per request.
///
/// # Errors
/// The time to wait, if there were too many.
fn note_wrong_key(request: &HttpRequest) -> Result<(), Duration> {
    let address = request.extensions().get::<RequestOrigin>().and_then(|origin| origin.client.address);
    let Some(limit) = request.app_data::<Data<LoginLimit>>() else { return Ok(()) };
    limit.attempt(&Tried { account: None, address }, Instant::now())
}

/// Names the actor for the audit, should the request succeed.
fn note_actor(request: &HttpRequest, actor: String) {
    request.extensions_mut().insert(Actor(actor.into()));
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
