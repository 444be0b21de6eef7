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
use super::http_error::HttpError;
use super::login_limit::{LoginLimit, Tried};
use super::middleware::RequestOrigin;
use super::rate_limit::Asks;
use super::settings::WebState;
use crate::auth::{AuthError, Claims, FoundToken, RequestTokens, TokenPlace};
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
            let claims = state.tokens.verify(&token.text, Timestamp::now()).map_err(AuthError::from)?;
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
        let key = text(request.headers(), KEY);
        let keys = request.app_data::<Data<WebState>>().map(|state| &state.settings.api_keys);
        if let (Some(key), Some(keys)) = (key, keys)
            && let Some(name) = keys.find(key)
        {
            note_actor(request, format!("key:{name}"));
            return Box::pin(async { Ok(Self { claims: None }) });
        }
        let has_wrong_key = key.is_some();
        if has_wrong_key && let Err(wait) = note_wrong_key(request) {
            return Box::pin(async move { Err(HttpError::rate_limited(wait)) });
        }
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
